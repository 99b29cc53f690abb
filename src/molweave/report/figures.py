"""The figures of the report, drawn with matplotlib as SVG to stand inside the page.

No text of the user enters a figure: names of tasks are written by the page around it.
"""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from molweave.report.curves import (
    Reliability,
    error_by_std,
    precision_recall_points,
    roc_points,
)
from molweave.report.svg import inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEMBER_COLORS = (
    "#1f6feb", "#d9730d", "#2a9d5c", "#b5338a", "#7a5cd1",
    "#a07a00", "#0f8b9d", "#c43d3d", "#5f6b7a", "#6b8e23",
)  # fmt: skip
BLUE, ORANGE, GREY = MEMBER_COLORS[0], MEMBER_COLORS[1], "#8b95a1"
MOST_MARKS = 1500
"""More points than this are stored as a picture, which is smaller."""

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "molweave",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "text.color": "#1d2733",
    "axes.edgecolor": "#9aa4af",
    "axes.labelcolor": "#3b4754",
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "grid.color": "#e8ebef",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "xtick.color": "#3b4754",
    "ytick.color": "#3b4754",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


class Sheet:
    """A figure being drawn: use in ``with``, draw on ``figure``, then read ``svg``.

    Args:
        key: unique word in the page.
        label: what the figure shows, for those who cannot see it.
        width: inches.
        height: inches.
    """

    def __init__(self, key: str, label: str, *, width: float = 3.3, height: float = 2.7) -> None:
        self.key, self.label, self.size = key, label, (width, height)
        self.svg = Markup()

    def __enter__(self) -> "Figure":
        import matplotlib
        from matplotlib.figure import Figure

        self._context = matplotlib.rc_context(_STYLE)
        self._context.__enter__()
        self.figure = Figure(figsize=self.size, layout="constrained")
        return self.figure

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if error is None:
                buffer = io.StringIO()
                nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
                self.figure.savefig(
                    buffer, format="svg", transparent=True, metadata=nothing, dpi=150
                )
                self.svg = inline_svg(buffer.getvalue(), key=self.key, label=self.label)
        finally:
            self._context.__exit__(None, None, None)


def learning_curve(
    values: Sequence[Sequence[float]], chosen: Sequence[int], *, key: str, label: str
) -> Markup:
    """One quantity over the epochs, one line per member, a dot on the chosen epoch.

    Args:
        values: per member, one value per epoch, NaN for a gap.
        chosen: per member, index of the chosen epoch.
        key: see `Sheet`.
        label: see `Sheet`.
    """
    from matplotlib.ticker import MaxNLocator

    sheet = Sheet(key, label, width=2.6, height=1.9)
    with sheet as figure:
        axes = figure.subplots()
        for member, (line, best) in enumerate(zip(values, chosen, strict=True)):
            color = MEMBER_COLORS[member % len(MEMBER_COLORS)]
            axes.plot(np.arange(1, len(line) + 1), line, color=color, linewidth=1.2)
            axes.plot(best + 1, line[best], "o", color=color, markersize=4.5)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("epoch")
    return sheet.svg


def history_curve(
    lines: Sequence[tuple[np.ndarray, np.ndarray]], *, key: str, label: str
) -> Markup:
    """One quantity over the steps of a pre-training: in training, then on held-out molecules.

    Args:
        lines: steps and values of each line.
        key: see `Sheet`.
        label: see `Sheet`.
    """
    from matplotlib.ticker import MaxNLocator

    sheet = Sheet(key, label, width=2.6, height=1.9)
    with sheet as figure:
        axes = figure.subplots()
        for number, (steps, values) in enumerate(lines):
            marker = "o" if number or len(steps) < 2 else ""
            color = MEMBER_COLORS[number % len(MEMBER_COLORS)]
            axes.plot(steps, values, marker=marker, markersize=2.5, color=color, linewidth=1.2)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("step")
    return sheet.svg


def roc_figure(truth: np.ndarray, prediction: np.ndarray, *, key: str) -> Markup:
    """ROC curve; both classes must be there, see `roc_points`."""
    false_rate, true_rate = roc_points(truth, prediction)
    sheet = Sheet(key, "ROC curve")
    with sheet as figure:
        axes = _unit_square(figure.subplots())
        axes.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=0.9)
        axes.plot(false_rate, true_rate, color=BLUE)
        axes.set(xlabel="false positive rate", ylabel="true positive rate")
    return sheet.svg


def precision_recall_figure(truth: np.ndarray, prediction: np.ndarray, *, key: str) -> Markup:
    """Precision over recall, with the share of positives as the line of chance."""
    recall, precision = precision_recall_points(truth, prediction)
    sheet = Sheet(key, "Precision-recall curve")
    with sheet as figure:
        axes = _unit_square(figure.subplots())
        axes.axhline(float(truth.mean()), color=GREY, linestyle="--", linewidth=0.9)
        axes.step(np.append(0, recall), np.append(precision[0], precision), color=BLUE, where="pre")
        axes.set(xlabel="recall", ylabel="precision")
    return sheet.svg


def reliability_figure(found: Reliability, *, key: str) -> Markup:
    """Observed against predicted frequency, over the number of molecules in each bin."""
    sheet = Sheet(key, "Reliability diagram")
    with sheet as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        _unit_square(upper)
        upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=0.9)
        upper.plot(found.predicted, found.observed, "o-", color=BLUE, markersize=4, linewidth=1.1)
        upper.set(ylabel="share of positives")
        width = 1 / len(found.counts)
        starts = np.arange(len(found.counts)) * width
        lower.bar(starts, found.counts, width * 0.9, align="edge", color="#b9cdf0")
        lower.set(xlabel="predicted probability", ylabel="count")
        lower.yaxis.get_major_locator().set_params(nbins=2, integer=True)
    return sheet.svg


def parity_figure(truth: np.ndarray, prediction: np.ndarray, *, key: str) -> Markup:
    """Prediction against truth with the line of equality; n >= 1."""
    low = float(min(truth.min(), prediction.min()))
    high = float(max(truth.max(), prediction.max()))
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    sheet = Sheet(key, "Prediction against truth")
    with sheet as figure:
        axes = figure.subplots()
        axes.plot(limits, limits, color=GREY, linestyle="--", linewidth=0.9)
        _points(axes, truth, prediction)
        axes.set(xlim=limits, ylim=limits, xlabel="measured", ylabel="predicted")
        axes.set_aspect("equal")
        axes.locator_params(nbins=5)
    return sheet.svg


def residual_figure(residual: np.ndarray, *, key: str) -> Markup:
    """Histogram of prediction minus truth; n >= 1."""
    sheet = Sheet(key, "Histogram of the errors")
    with sheet as figure:
        axes = figure.subplots()
        bins = int(np.clip(np.sqrt(len(residual)), 5, 30))
        axes.hist(residual, bins=bins, color="#b9cdf0", edgecolor="white", linewidth=0.5)
        axes.axvline(0, color=GREY, linestyle="--", linewidth=0.9)
        axes.set(xlabel="predicted - measured", ylabel="molecules")
        axes.locator_params(nbins=5)
    return sheet.svg


def spread_figure(error: np.ndarray, std: np.ndarray, *, key: str) -> Markup:
    """Size of the error against the predicted std: molecules, and the RMSE of bins; n >= 1."""
    predicted, observed = error_by_std(error, std)
    sheet = Sheet(key, "Error against predicted standard deviation")
    with sheet as figure:
        axes = figure.subplots()
        _points(axes, std, np.abs(error))
        axes.plot(predicted, observed, "o-", color=ORANGE, markersize=4, linewidth=1.2)
        top = float(std.max()) or 1.0
        axes.plot([0, top], [0, top], color=GREY, linestyle="--", linewidth=0.9)
        axes.set(xlabel="predicted std", ylabel="|predicted - measured|")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.locator_params(nbins=5)
    return sheet.svg


def weights_figure(weights: np.ndarray, modalities: Sequence[str], *, key: str) -> Markup:
    """Distribution of each modality's share: box from quartile to quartile, whiskers 5 to 95 %.

    Args:
        weights: float (N, V), finite, N >= 1.
        modalities: the V names.
        key: see `Sheet`.
    """
    sheet = Sheet(key, "Shares of the modalities", width=5.2, height=0.6 + 0.42 * len(modalities))
    with sheet as figure:
        axes = figure.subplots()
        boxes = axes.boxplot(
            list(weights.T),
            orientation="horizontal",
            whis=(5, 95),
            widths=0.55,
            patch_artist=True,
            showfliers=False,
            medianprops={"color": BLUE, "linewidth": 1.8},
        )
        for box in boxes["boxes"]:
            box.set(facecolor="#dfe9fb", edgecolor=BLUE, linewidth=0.9)
        axes.set_yticks(range(1, len(modalities) + 1), modalities)
        axes.invert_yaxis()
        axes.set(xlim=(-0.01, 1.01), xlabel="share")
    return sheet.svg


def _unit_square(axes: "Axes") -> "Axes":
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    return axes


def _points(axes: "Axes", x: np.ndarray, y: np.ndarray) -> None:
    many = len(x) > MOST_MARKS
    axes.scatter(x, y, s=9, color=BLUE, alpha=0.25 if many else 0.5, linewidths=0, rasterized=many)
