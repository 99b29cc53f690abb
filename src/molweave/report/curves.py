"""The numbers behind the figures."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Reliability:
    """How predicted probabilities compare with what happened.

    Attributes:
        predicted: float (K,), mean probability in each bin that is not empty.
        observed: float (K,), share of positives in it.
        counts: int (bins,), molecules in every bin, the empty ones too.
        error: expected calibration error, the sum over bins of count / n |observed - predicted|.
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray
    error: float


def roc_points(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate at every threshold, from (0, 0) to (1, 1).

    Args:
        truth: float (n,), 0 or 1, both there.
        prediction: float (n,), finite.
    """
    hits, taken = _counts(truth, prediction)
    misses = taken - hits
    return np.append(0.0, misses / misses[-1]), np.append(0.0, hits / hits[-1])


def precision_recall_points(
    truth: np.ndarray, prediction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision at every threshold, recall ascending.

    Args:
        truth: float (n,), 0 or 1, with a 1.
        prediction: float (n,), finite.
    """
    hits, taken = _counts(truth, prediction)
    return hits / hits[-1], hits / taken


def _counts(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives and molecules at or above each distinct prediction, highest first."""
    order = np.argsort(-prediction, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(prediction[order])), len(truth) - 1)
    return np.cumsum(truth[order])[ends], ends + 1.0


def reliability(truth: np.ndarray, prediction: np.ndarray, bins: int = 10) -> Reliability:
    """Compare probabilities with frequencies in bins of equal width.

    Args:
        truth: float (n,), 0 or 1, n >= 1.
        prediction: float (n,), between 0 and 1.
        bins: number of bins.
    """
    index = np.minimum((prediction * bins).astype(np.int64), bins - 1)
    counts = np.bincount(index, minlength=bins)
    filled = counts > 0
    predicted = np.bincount(index, prediction, bins)[filled] / counts[filled]
    observed = np.bincount(index, truth, bins)[filled] / counts[filled]
    error = float(counts[filled] @ np.abs(observed - predicted) / len(truth))
    return Reliability(predicted, observed, counts, error)


def error_by_std(
    error: np.ndarray, std: np.ndarray, bins: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Root mean squared predicted std and error in bins of equal count, std ascending.

    Args:
        error: float (n,), n >= 1.
        std: float (n,).
        bins: at most so many; fewer where a bin would hold fewer than 5 molecules.
    """
    order = np.argsort(std, kind="stable")
    groups = np.array_split(order, max(1, min(bins, len(order) // 5)))
    predicted = [float(np.sqrt(np.mean(std[group] ** 2))) for group in groups]
    observed = [float(np.sqrt(np.mean(error[group] ** 2))) for group in groups]
    return np.array(predicted), np.array(observed)
