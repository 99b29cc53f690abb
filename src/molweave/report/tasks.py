"""What the report shows of one task: figures, sentences, the molecules it got most wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from molweave.data.targets import Task
from molweave.report.curves import reliability
from molweave.report.data import ReportPart
from molweave.report.figures import (
    parity_figure,
    precision_recall_figure,
    reliability_figure,
    residual_figure,
    roc_figure,
    spread_figure,
)
from molweave.report.svg import draw_smiles
from molweave.report.text import format_number, format_score

WORST = 8
PART_WORDS = {"train": "training", "valid": "validation", "test": "test"}


@dataclass(frozen=True)
class Panel:
    """A figure with its heading and the sentence below it."""

    svg: Markup
    title: str
    caption: str


@dataclass(frozen=True)
class BadCase:
    """A molecule that was predicted badly; ``svg`` is None where it could not be drawn."""

    svg: Markup | None
    smiles: str
    row: int
    truth: str
    prediction: str


@dataclass(frozen=True)
class TaskSection:
    """One task in the report; ``notes`` say what is missing and why."""

    name: str
    summary: str
    notes: tuple[str, ...]
    panels: tuple[Panel, ...]
    worst: tuple[BadCase, ...]


@dataclass(frozen=True)
class _Labelled:
    """The molecules of a part that have a label of the task and a finite prediction."""

    truth: np.ndarray
    prediction: np.ndarray
    std: np.ndarray | None
    positions: np.ndarray


def task_section(
    part: ReportPart, column: int, task: Task, scores: Mapping[str, float | None]
) -> TaskSection:
    """Figures and worst molecules of one task.

    Args:
        part: what to show.
        column: the task's column in the part.
        task: the task.
        scores: its scores on the part.
    """
    key = f"t{column}"
    words = PART_WORDS.get(part.name, part.name)
    truth, prediction = part.truth[:, column], part.prediction[:, column]
    measured = ~np.isnan(truth)
    usable = measured & np.isfinite(prediction)
    labelled = _Labelled(
        truth[usable],
        prediction[usable],
        None if part.std is None else part.std[usable, column],
        np.flatnonzero(usable),
    )
    summary = [f"{task.kind}; {int(measured.sum())} of {len(truth)} {words} molecules have a label"]
    if task.kind == "classification" and measured.any():
        summary.append(f"{100 * truth[measured].mean():.1f} % of them are 1")
    notes = []
    lost = int(measured.sum() - usable.sum())
    if lost:
        notes.append(
            f"{lost} predictions are not finite: they are left out of the figures, and the scores "
            "are not defined"
        )
    if not usable.any():
        notes.append(f"No {words} molecule has both a label and a prediction: nothing to draw")
        return TaskSection(task.name, ", ".join(summary), tuple(notes), (), ())
    panels: tuple[Panel, ...]
    if task.kind == "classification":
        panels = _classification_panels(labelled, scores, key)
        if len(np.unique(labelled.truth)) < 2:
            notes.append(
                f"The {words} part has one class only: ROC curve and ROC-AUC are not defined"
            )
    else:
        panels = _regression_panels(labelled, scores, key)
    worst = _worst(part, labelled, task.kind, key)
    return TaskSection(task.name, ", ".join(summary), tuple(notes), panels, worst)


def _classification_panels(
    labelled: _Labelled, scores: Mapping[str, float | None], key: str
) -> tuple[Panel, ...]:
    truth, prediction = labelled.truth, labelled.prediction
    panels = []
    if len(np.unique(truth)) == 2:
        area = format_score(scores.get("roc_auc"))
        panels.append(
            Panel(
                roc_figure(truth, prediction, key=f"{key}-roc"),
                "ROC curve",
                f"Area {area}; the dashed line is chance.",
            )
        )
    if (truth == 1).any():
        area = format_score(scores.get("pr_auc"))
        panels.append(
            Panel(
                precision_recall_figure(truth, prediction, key=f"{key}-pr"),
                "Precision-recall curve",
                f"Average precision {area}; the dashed line is the share of positives.",
            )
        )
    found = reliability(truth, np.clip(prediction, 0, 1))
    panels.append(
        Panel(
            reliability_figure(found, key=f"{key}-reliability"),
            "Calibration",
            f"Expected calibration error {format_score(found.error)}; on the dashed line, "
            "probabilities are frequencies. Bins with few molecules say little.",
        )
    )
    return tuple(panels)


def _regression_panels(
    labelled: _Labelled, scores: Mapping[str, float | None], key: str
) -> tuple[Panel, ...]:
    truth, prediction, std = labelled.truth, labelled.prediction, labelled.std
    error = prediction - truth
    rmse, r2 = format_score(scores.get("rmse")), format_score(scores.get("r2"))
    panels = [
        Panel(
            parity_figure(truth, prediction, key=f"{key}-parity"),
            "Prediction against truth",
            f"RMSE {rmse}, R² {r2}; the dashed line is equality.",
        ),
        Panel(
            residual_figure(error, key=f"{key}-residual"),
            "Errors",
            f"Mean {format_number(float(error.mean()))}, median "
            f"{format_number(float(np.median(error)))}: the bias of the predictions.",
        ),
    ]
    if std is not None and np.isfinite(std).all():
        inside = 100 * float((np.abs(error) <= std).mean())
        panels.append(
            Panel(
                spread_figure(error, std, key=f"{key}-spread"),
                "Error against predicted std",
                f"{inside:.0f} % of the errors are within 1 std (68 % if it were a standard "
                "error). Orange: RMSE in bins; on the dashed line it equals the std.",
            )
        )
    return tuple(panels)


def _worst(part: ReportPart, labelled: _Labelled, kind: str, key: str) -> tuple[BadCase, ...]:
    error = np.abs(labelled.prediction - labelled.truth)
    cases = []
    for rank, index in enumerate(np.argsort(-error, kind="stable")[:WORST]):
        position = int(labelled.positions[index])
        smiles = part.smiles[position]
        value = float(labelled.prediction[index])
        prediction = f"{value:.3f}" if kind == "classification" else format_number(value)
        if labelled.std is not None:
            prediction += f" ± {format_number(float(labelled.std[index]))}"
        cases.append(
            BadCase(
                draw_smiles(smiles, key=f"{key}-worst{rank}"),
                smiles,
                int(part.rows[position]),
                format_number(float(labelled.truth[index])),
                prediction,
            )
        )
    return tuple(cases)
