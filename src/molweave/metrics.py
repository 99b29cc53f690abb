"""How good predictions are: one number per task, and their mean over tasks."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from molweave.errors import UserError

MetricFunction = Callable[[np.ndarray, np.ndarray], float]
_THRESHOLD = 0.5


@dataclass(frozen=True)
class Metric:
    """A measure of agreement between truth and prediction.

    Attributes:
        name: as in scikit-learn.
        kind: ``classification`` or ``regression``.
        greater_is_better: False for errors.
        function: ``(truth, prediction) -> value`` for float (n,) arrays without NaN, n >= 1. For
            classification the truth is 0 or 1 and the prediction the probability of 1.
        needs: what the truth of a task must have for the metric to be defined on it: ``values``,
            ``a positive``, ``both classes`` or ``two different values``.
    """

    name: str
    kind: str
    greater_is_better: bool
    function: MetricFunction
    needs: str

    def defined(self, truth: np.ndarray) -> bool:
        """Whether the metric has a value for this truth, float (n,) without NaN."""
        if self.needs == "values":
            return len(truth) > 0
        if self.needs == "a positive":
            return bool((truth == 1).any())
        return len(truth) > 0 and bool(truth.min() != truth.max())


@dataclass(frozen=True)
class Score:
    """The value of a metric.

    Attributes:
        metric: its name.
        value: mean over the tasks on which the metric is defined; NaN when there is none, or when
            a prediction is not finite.
        per_task: one value per task, NaN where undefined.
        skipped: the tasks (columns) that were left out of the mean because their truth does not
            have what the metric needs, a second class say.
    """

    metric: str
    value: float
    per_task: tuple[float, ...]
    skipped: tuple[int, ...]


def evaluate(name: str, truth: np.ndarray, prediction: np.ndarray) -> Score:
    """Score predictions, missing labels left out.

    Args:
        name: a metric or an alias of one, see `resolve_metric`.
        truth: float (N, T) or (N,), NaN where missing.
        prediction: of the same shape; probabilities for classification.

    Raises:
        UserError: an unknown metric.
        ValueError: the shapes differ, or the truth of a classification metric is not 0 or 1.
    """
    metric = METRICS[resolve_metric(name)]
    truth = np.asarray(truth, dtype=np.float64)
    prediction = np.asarray(prediction, dtype=np.float64)
    if truth.shape != prediction.shape or truth.ndim not in (1, 2):
        raise ValueError(f"truth has shape {truth.shape}, prediction {prediction.shape}")
    if truth.ndim == 1:
        truth, prediction = truth[:, None], prediction[:, None]
    if metric.kind == "classification" and not (np.isnan(truth) | np.isin(truth, (0, 1))).all():
        raise ValueError(f"{metric.name} needs labels 0 and 1")
    values: list[float] = []
    skipped: list[int] = []
    for task in range(truth.shape[1]):
        measured = ~np.isnan(truth[:, task])
        true, predicted = truth[measured, task], prediction[measured, task]
        if not metric.defined(true):
            skipped.append(task)
            values.append(math.nan)
        elif not np.isfinite(predicted).all():
            values.append(math.nan)
        else:
            values.append(float(metric.function(true, predicted)))
    counted = [value for task, value in enumerate(values) if task not in skipped]
    mean = float(np.mean(counted)) if counted else math.nan
    return Score(metric.name, mean, tuple(values), tuple(skipped))


def resolve_metric(name: str) -> str:
    """The name in `METRICS` for a name or alias; case, blanks and hyphens do not matter.

    Raises:
        UserError: unknown; lists the names.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    found = ALIASES.get(plain, plain)
    if found not in METRICS:
        raise UserError(f"unknown metric {name!r}: use one of {', '.join(METRICS)}")
    return found


def default_metric(kind: str) -> str:
    """``roc_auc`` for ``classification``, ``rmse`` for ``regression``."""
    return "roc_auc" if kind == "classification" else "rmse"


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, equal values share the mean of their ranks; float64 (n,)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def _roc_auc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Share of (positive, negative) pairs in the right order, a tie counts one half."""
    positive = truth == 1
    n_positive = int(positive.sum())
    n_negative = len(truth) - n_positive
    wins = average_ranks(prediction)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


def _pr_auc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Average precision: sum over thresholds of (gain in recall) x precision."""
    order = np.argsort(-prediction, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(prediction[order])), len(truth) - 1)
    hits = np.cumsum(truth[order])[ends]
    precision = hits / (ends + 1)
    return float(np.sum(np.diff(hits, prepend=0.0) * precision) / hits[-1])


def _confusion(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float, float, float]:
    """True positives, false positives, false negatives, true negatives at 0.5."""
    called, real = prediction >= _THRESHOLD, truth == 1
    return (
        float((called & real).sum()),
        float((called & ~real).sum()),
        float((~called & real).sum()),
        float((~called & ~real).sum()),
    )


def _accuracy(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(((prediction >= _THRESHOLD) == (truth == 1)).mean())


def _balanced_accuracy(truth: np.ndarray, prediction: np.ndarray) -> float:
    tp, fp, fn, tn = _confusion(truth, prediction)
    return (tp / (tp + fn) + tn / (tn + fp)) / 2


def _f1(truth: np.ndarray, prediction: np.ndarray) -> float:
    tp, fp, fn, _ = _confusion(truth, prediction)
    return 2 * tp / (2 * tp + fp + fn)


def _mcc(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Matthews correlation; 0 when all predictions are of one class."""
    tp, fp, fn, tn = _confusion(truth, prediction)
    spread = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return (tp * tn - fp * fn) / spread if spread else 0.0


def _log_loss(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of -log p(true class), natural logarithm, p kept 2e-16 away from 0 and 1."""
    tiny = np.finfo(np.float64).eps
    probability = np.clip(prediction, tiny, 1 - tiny)
    return float(-np.mean(np.where(truth == 1, np.log(probability), np.log1p(-probability))))


def _mse(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(np.mean((truth - prediction) ** 2))


def _rmse(truth: np.ndarray, prediction: np.ndarray) -> float:
    return math.sqrt(_mse(truth, prediction))


def _mae(truth: np.ndarray, prediction: np.ndarray) -> float:
    return float(np.mean(np.abs(truth - prediction)))


def _r2(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Coefficient of determination, 1 - MSE / variance of the truth."""
    return 1 - _mse(truth, prediction) / float(np.var(truth))


def _pearson(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Linear correlation; 0 for a constant prediction, which says nothing about the truth."""
    if prediction.min() == prediction.max():
        return 0.0
    true, predicted = truth - truth.mean(), prediction - prediction.mean()
    return float(true @ predicted / (np.linalg.norm(true) * np.linalg.norm(predicted)))


def _spearman(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson correlation of the ranks."""
    return _pearson(average_ranks(truth), average_ranks(prediction))


def _kendall(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Kendall's tau-b; 0 for a constant prediction."""
    from scipy.stats import kendalltau

    if prediction.min() == prediction.max():
        return 0.0
    return float(kendalltau(truth, prediction).statistic)


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("roc_auc", "classification", True, _roc_auc, "both classes"),
            Metric("pr_auc", "classification", True, _pr_auc, "a positive"),
            Metric("accuracy", "classification", True, _accuracy, "values"),
            Metric("balanced_accuracy", "classification", True, _balanced_accuracy, "both classes"),
            Metric("f1", "classification", True, _f1, "a positive"),
            Metric("mcc", "classification", True, _mcc, "both classes"),
            Metric("log_loss", "classification", False, _log_loss, "values"),
            Metric("brier", "classification", False, _mse, "values"),
            Metric("rmse", "regression", False, _rmse, "values"),
            Metric("mae", "regression", False, _mae, "values"),
            Metric("mse", "regression", False, _mse, "values"),
            Metric("r2", "regression", True, _r2, "two different values"),
            Metric("pearson", "regression", True, _pearson, "two different values"),
            Metric("spearman", "regression", True, _spearman, "two different values"),
            Metric("kendall", "regression", True, _kendall, "two different values"),
        )
    }
)
"""Every metric by name."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "auc": "roc_auc",
        "auroc": "roc_auc",
        "roc": "roc_auc",
        "rocauc": "roc_auc",
        "prc": "pr_auc",
        "auprc": "pr_auc",
        "prauc": "pr_auc",
        "prc_auc": "pr_auc",
        "average_precision": "pr_auc",
        "acc": "accuracy",
        "bal_acc": "balanced_accuracy",
        "f1_score": "f1",
        "matthews_corrcoef": "mcc",
        "binary_mcc": "mcc",
        "bce": "log_loss",
        "logloss": "log_loss",
        "brier_score": "brier",
        "brier_score_loss": "brier",
        "root_mean_squared_error": "rmse",
        "mean_absolute_error": "mae",
        "mean_squared_error": "mse",
        "r2_score": "r2",
        "pearsonr": "pearson",
        "spearmanr": "spearman",
        "kendalltau": "kendall",
        "kendall_tau": "kendall",
    }
)
"""Other spellings of the names of `METRICS`."""
