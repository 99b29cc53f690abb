"""Every metric of every task, in plain values: the content of metrics.json."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molweave.data.targets import Task
from molweave.errors import UserError
from molweave.metrics import evaluate
from molweave.paths import exists

TaskScores = dict[str, float | None]
Scores = dict[str, dict[str, TaskScores]]

REPORTED: Mapping[str, tuple[str, ...]] = {
    "classification": (
        "roc_auc",
        "pr_auc",
        "accuracy",
        "balanced_accuracy",
        "f1",
        "mcc",
        "log_loss",
        "brier",
    ),
    "regression": ("rmse", "mae", "r2", "spearman", "pearson"),
}
"""The metrics that are computed for each kind of task, the most telling first."""


def score_parts(
    parts: Mapping[str, np.ndarray],
    truth: np.ndarray,
    prediction: np.ndarray,
    tasks: Sequence[Task],
) -> Scores:
    """Score every part of a split.

    Args:
        parts: part name to int positions in ``truth``.
        truth: float (N, T), NaN where missing.
        prediction: float (N, T); probabilities for classification.
        tasks: the T columns.

    Returns:
        ``{part: {task: scores}, ..., "mean": {part: scores}}`` with the scores of `score_tasks`.
    """
    scores: Scores = {}
    means: dict[str, TaskScores] = {}
    for name, positions in parts.items():
        scores[name], means[name] = score_tasks(truth[positions], prediction[positions], tasks)
    return {**scores, "mean": means}


def score_tasks(
    truth: np.ndarray, prediction: np.ndarray, tasks: Sequence[Task]
) -> tuple[dict[str, TaskScores], TaskScores]:
    """Score predictions by every metric of `REPORTED`.

    Args:
        truth: float (N, T), NaN where missing; N may be 0.
        prediction: float (N, T); probabilities for classification.
        tasks: the T columns.

    Returns:
        Per task: ``n``, the number of labels, and its metrics. Then the mean of every metric over
        the tasks on which it is defined. None (JSON null) stands for undefined: no label, one
        class only, a prediction that is not finite.
    """
    counts = (~np.isnan(truth)).sum(axis=0)
    scores: dict[str, TaskScores] = {
        task.name: {"n": int(count)} for task, count in zip(tasks, counts, strict=True)
    }
    mean: TaskScores = {}
    for kind, names in REPORTED.items():
        columns = [column for column, task in enumerate(tasks) if task.kind == kind]
        if not columns:
            continue
        for name in names:
            score = evaluate(name, truth[:, columns], prediction[:, columns])
            mean[name] = _plain(score.value)
            for column, value in zip(columns, score.per_task, strict=True):
                scores[tasks[column].name][name] = _plain(value)
    return scores, mean


def read_scores(folder: Path) -> Scores:
    """The content of a model folder's metrics.json; empty for a model saved without one.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / "metrics.json"
    if not exists(path):
        return {}
    try:
        found: Scores = json.loads(path.read_text(encoding="utf-8"))
        _check_scores(found)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read: {error}; the model itself still works") from error
    return found


def _check_scores(found: Any) -> None:
    """Raise a `ValueError` unless this has the shape of what `score_parts` returns."""
    try:
        values = [
            value
            for name, part in found.items()
            for scores in (*part.values(), found["mean"][name] if name != "mean" else {})
            for value in scores.values()
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("it holds no scores") from error
    if not all(value is None or isinstance(value, int | float) for value in values):
        raise ValueError("a score is not a number")


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
