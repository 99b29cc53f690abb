"""How the report writes numbers, metrics and settings."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from molweave.metrics import METRICS

UNDEFINED = "\N{EN DASH}"

_METRIC_WORDS: Mapping[str, tuple[str, str]] = {
    "roc_auc": ("ROC-AUC", "chance that a random positive ranks above a random negative"),
    "pr_auc": ("PR-AUC", "average precision; chance gives the share of positives"),
    "accuracy": ("accuracy", "share of right classes at 0.5"),
    "balanced_accuracy": ("bal. accuracy", "mean of sensitivity and specificity at 0.5"),
    "f1": ("F1", "harmonic mean of precision and recall at 0.5"),
    "mcc": ("MCC", "Matthews correlation at 0.5; 0 is chance"),
    "log_loss": ("log loss", "mean -log of the probability of the true class"),
    "brier": ("Brier", "mean squared error of the probability"),
    "rmse": ("RMSE", "root mean squared error, in the unit of the target"),
    "mae": ("MAE", "mean absolute error, in the unit of the target"),
    "r2": ("R\N{SUPERSCRIPT TWO}", "share of the variance explained; 0 is the mean of the truth"),
    "spearman": ("Spearman", "rank correlation"),
    "pearson": ("Pearson", "linear correlation"),
    "loss": ("loss", "training loss without regularisation, mean over tasks"),
}


class MetricName(NamedTuple):
    """A metric as a column head: key, name with the direction of better, explanation."""

    key: str
    name: str
    title: str


def metric_name(key: str) -> MetricName:
    """The words for a metric; an arrow says whether more or less is better."""
    name, title = _METRIC_WORDS.get(key, (key, key))
    greater = key in METRICS and METRICS[key].greater_is_better
    return MetricName(key, f"{name} {'↑' if greater else '↓'}", title)


def format_score(value: float | None) -> str:
    """A score with 3 decimals, or 3 significant digits where that is more."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    return f"{value:.3f}" if 0.01 <= abs(value) < 100 or value == 0 else format_number(value)


def format_number(value: float | None) -> str:
    """A quantity with 3 significant digits or all digits before the point."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2e}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def flatten(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as ``a.b`` and text."""
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            rows += flatten(value, f"{path}.")
        elif isinstance(value, list | tuple):
            rows.append((path, ", ".join(map(str, value))))
        else:
            rows.append((path, str(value)))
    return rows
