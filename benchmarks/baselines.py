"""Fingerprint baselines: what a network has to beat.

``forest``: random forest of 500 trees on count ECFP4 folded to 2048. ``boosting``: LightGBM of 500
trees, no early stopping, on the same fingerprint and the 2D descriptors of RDKit. One model a task,
fitted on the molecules that have a label for it.
"""

import hashlib
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rdkit
from rdkit import rdBase
from rdkit.Chem import Descriptors, rdFingerprintGenerator

from molweave.chem.molecule import Molecule
from molweave.data.splits import Split

TREES = 500
BITS = 2048


@dataclass(frozen=True)
class Features:
    """Inputs of a baseline, float32 (molecules, width), and processor seconds of each molecule."""

    values: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class Baseline:
    """A baseline: how molecules become numbers, and the model of one task.

    Attributes:
        features: of the molecules.
        make: ``(kind, seed, threads)`` to an estimator of scikit-learn's interface.
    """

    features: Callable[[Sequence[Molecule]], Features]
    make: Callable[[str, int, int], Any]


@dataclass(frozen=True)
class BaselineFit:
    """Predictions float64 (molecules, tasks), NaN outside valid and test, and times in seconds.

    Times are processor time with one thread, wall time with several.
    """

    predictions: np.ndarray
    fit_seconds: float
    predict_seconds: float


def fingerprints(molecules: Sequence[Molecule]) -> Features:
    """Count ECFP4 folded to 2048."""
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
    values = np.zeros((len(molecules), BITS), dtype=np.float32)
    seconds = np.zeros(len(molecules))
    for row, molecule in enumerate(molecules):
        started = time.process_time()
        values[row] = generator.GetCountFingerprintAsNumPy(molecule.mol)
        seconds[row] = time.process_time() - started
    return Features(values, seconds)


def descriptors(molecules: Sequence[Molecule]) -> Features:
    """Every 2D descriptor of RDKit, NaN where it has no finite value.

    They take long, so they are kept in the system's folder for temporary files together with the
    seconds that they took.
    """
    names = [name for name, _ in Descriptors.descList]
    digest = hashlib.sha256("\n".join([rdkit.__version__, *names]).encode())
    for molecule in molecules:
        digest.update(molecule.canonical.encode() + b"\n")
    path = Path(tempfile.gettempdir()) / f"molweave-descriptors-{digest.hexdigest()[:16]}.npz"
    if path.exists():
        with np.load(path) as stored:
            return Features(stored["values"], stored["seconds"])
    values = np.zeros((len(molecules), len(names)))
    seconds = np.zeros(len(molecules))
    with rdBase.BlockLogs():
        for row, molecule in enumerate(molecules):
            started = time.process_time()
            values[row] = [compute(molecule.mol) for _, compute in Descriptors.descList]
            seconds[row] = time.process_time() - started
    values[~(np.abs(values) < np.finfo(np.float32).max)] = np.nan
    handle, name = tempfile.mkstemp(suffix=".npz", dir=path.parent)
    os.close(handle)
    np.savez_compressed(name, values=values.astype(np.float32), seconds=seconds)
    Path(name).replace(path)
    return Features(values.astype(np.float32), seconds)


def fingerprints_and_descriptors(molecules: Sequence[Molecule]) -> Features:
    """Both, side by side."""
    first, second = fingerprints(molecules), descriptors(molecules)
    return Features(
        np.concatenate([first.values, second.values], axis=1), first.seconds + second.seconds
    )


def make_forest(kind: str, seed: int, threads: int) -> Any:
    """A random forest that tries Breiman's share of the inputs at each node.

    That is the square root of their number for classes and a third of it for values.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    common = {"n_estimators": TREES, "random_state": seed, "n_jobs": threads}
    if kind == "classification":
        return RandomForestClassifier(max_features="sqrt", **common)
    return RandomForestRegressor(max_features=1 / 3, **common)


def make_boosting(kind: str, seed: int, threads: int) -> Any:
    """Gradient boosting with the defaults of LightGBM besides sampling rows and columns.

    Without sampling, every seed would give the same trees.
    """
    from lightgbm import LGBMClassifier, LGBMRegressor

    model = LGBMClassifier if kind == "classification" else LGBMRegressor
    return model(
        n_estimators=TREES,
        learning_rate=0.05,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        random_state=seed,
        n_jobs=threads,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )


BASELINES = {
    "forest": Baseline(fingerprints, make_forest),
    "boosting": Baseline(fingerprints_and_descriptors, make_boosting),
}
"""Every baseline by name."""


def fit_baseline(
    baseline: Baseline,
    molecules: Sequence[Molecule],
    targets: np.ndarray,
    split: Split,
    *,
    kind: str,
    seed: int,
    threads: int,
) -> BaselineFit:
    """Fit on the training part and predict the other two; validation labels are not used.

    A task with one class in the training part is predicted by that class.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    features = baseline.features(molecules)
    predictions = np.full(targets.shape, np.nan)
    fit_seconds = float(features.seconds[split.train].sum())
    predict_seconds = float(features.seconds[split.test].sum())
    for task in range(targets.shape[1]):
        rows = split.train[~np.isnan(targets[split.train, task])]
        truth = targets[rows, task]
        if truth.min() == truth.max():
            predictions[:, task] = truth[0]
            continue
        started = clock()
        model = baseline.make(kind, seed, threads).fit(features.values[rows], truth)
        fit_seconds += clock() - started
        predictions[split.valid, task] = _predict(model, features.values[split.valid], kind)
        started = clock()
        predictions[split.test, task] = _predict(model, features.values[split.test], kind)
        predict_seconds += clock() - started
    return BaselineFit(predictions, fit_seconds, predict_seconds)


def _predict(model: Any, values: np.ndarray, kind: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if kind == "classification":
            return np.asarray(model.predict_proba(values)[:, 1])
        return np.asarray(model.predict(values))
