"""Write report.html: one file, nothing fetched, no scripts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from molweave.data.scores import REPORTED
from molweave.report.data import ReportData, ReportPart
from molweave.report.figures import MEMBER_COLORS, learning_curve, weights_figure
from molweave.report.tasks import PART_WORDS, Panel, TaskSection, task_section
from molweave.report.templating import fill_template, write_atomically
from molweave.report.terms import TERMS
from molweave.report.text import (
    UNDEFINED,
    MetricName,
    flatten,
    format_number,
    format_score,
    metric_name,
)
from molweave.wording import counted

DRAWN_TASKS = 4
"""So many tasks get figures; the tables have all."""

_NOT_TERMS = ("epoch", "learning_rate", "seconds")


@dataclass(frozen=True)
class _ScoreTable:
    """The tasks of one kind: metrics as columns; a row is a task, its n and its scores."""

    kind: str
    metrics: tuple[MetricName, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]
    mean: tuple[str, ...]


@dataclass(frozen=True)
class _Tile:
    """A mean score on the shown part, over what the mean goes, and the scores of other parts."""

    metric: MetricName
    value: str
    over: str
    others: str


def write_report(data: ReportData, path: Path) -> None:
    """Write the report; a kill leaves the old file or the new one."""
    write_atomically(path, render_report(data))


def render_report(data: ReportData) -> str:
    """The report as a page of HTML."""
    part = data.shown
    sections: list[TaskSection] = []
    if part is not None:
        for column, task in enumerate(data.tasks[:DRAWN_TASKS]):
            scores = data.metrics[part.name][task.name]
            sections.append(task_section(part, column, task, scores))
    return fill_template(
        "report.html.jinja",
        data=data,
        part=part,
        part_word=PART_WORDS.get(part.name, part.name) if part else "",
        words=PART_WORDS,
        headline=_headline(data, part),
        metric=metric_name(data.metric),
        chosen=[
            (best + 1, len(history))
            for best, history in zip(data.chosen, data.histories, strict=True)
        ],
        labels=_labels(data),
        curves=_learning_curves(data),
        colors=MEMBER_COLORS,
        tables=_score_tables(data, part),
        sections=sections,
        weights=_weights(data),
        settings=flatten(data.settings),
    )


def _headline(data: ReportData, part: ReportPart | None) -> list[_Tile]:
    if part is None:
        return []
    tiles = []
    for key in data.headline_metrics:
        kind = next(kind for kind, names in REPORTED.items() if key in names)
        names = [task.name for task in data.tasks if task.kind == kind]
        scores = [data.metrics[part.name][name] for name in names]
        defined = [score for score in scores if score.get(key) is not None]
        labels = sum(int(score["n"] or 0) for score in defined)
        over = f"n = {labels}"
        if len(names) > 1:
            over = f"mean over {len(defined)} of {counted(len(names), 'task')}, {labels} labels"
        means = {name: format_score(mean.get(key)) for name, mean in data.metrics["mean"].items()}
        others = [
            f"{PART_WORDS.get(other.name, other.name)} {means[other.name]}"
            for other in reversed(data.parts)
            if other.name != part.name
        ]
        tiles.append(_Tile(metric_name(key), means[part.name], over, ", ".join(others)))
    return tiles


def _labels(data: ReportData) -> list[tuple[str, list[str]]]:
    """Per task, what the labels of each part look like."""
    rows = []
    for column, task in enumerate(data.tasks):
        cells = []
        for part in data.parts:
            truth = part.truth[~np.isnan(part.truth[:, column]), column]
            if not len(truth):
                cells.append("no label")
            elif task.kind == "classification":
                ones = int((truth == 1).sum())
                cells.append(
                    f"{counted(len(truth), 'label')}, {ones} are 1 "
                    f"({100 * ones / len(truth):.1f} %)"
                )
            else:
                low, middle, high = (
                    format_number(float(value)) for value in np.quantile(truth, (0, 0.5, 1))
                )
                cells.append(f"{counted(len(truth), 'label')}, {low} to {high}, median {middle}")
        rows.append((task.name, cells))
    return rows


def _learning_curves(data: ReportData) -> list[Panel]:
    """The validation score first, then the loss, then its terms."""
    names = list(dict.fromkeys(name for history in data.histories for name in history[0]))
    valid = f"valid_{data.metric}"
    terms = [name for name in names if name not in (*_NOT_TERMS, valid, "loss")]
    shown = [name for name in (valid, "loss") if name in names] + terms
    panels = []
    for number, name in enumerate(shown):
        values = [[record.get(name, math.nan) for record in history] for history in data.histories]
        if name == valid:
            title = f"validation {metric_name(data.metric).name}"
        else:
            title = "total loss" if name == "loss" else name
        label = f"{title} over the epochs"
        svg = learning_curve(values, data.chosen, key=f"c{number}", label=label)
        caption = metric_name(data.metric).title if name == valid else TERMS.get(name, "")
        panels.append(Panel(svg, title, caption))
    return panels


def _score_tables(data: ReportData, part: ReportPart | None) -> list[_ScoreTable]:
    if part is None:
        return []
    tables = []
    for kind, keys in REPORTED.items():
        names = [task.name for task in data.tasks if task.kind == kind]
        if not names:
            continue
        rows = []
        for name in names:
            scores = data.metrics[part.name][name]
            rows.append((name, str(scores["n"]), _format_all(scores, keys)))
        mean = _format_all(data.metrics["mean"][part.name], keys) if len(names) > 1 else ()
        tables.append(_ScoreTable(kind, tuple(map(metric_name, keys)), tuple(rows), mean))
    return tables


def _format_all(scores: Mapping[str, float | None], keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(format_score(scores.get(key)) for key in keys)


def _weights(data: ReportData) -> tuple[Markup, list[tuple[str, str, str, str]]] | None:
    """A figure, and per modality: name, mean, 5 to 95 %, molecules without it."""
    if data.modality_weights is None:
        return None
    weights = data.modality_weights
    weights = weights[np.isfinite(weights).all(axis=1)]
    if not weights.size:
        return None
    rows = []
    for name, column in zip(data.modalities, weights.T, strict=True):
        low, high = np.quantile(column, (0.05, 0.95))
        missing = int((column == 0).sum())
        spread = f"{low:.3f} to {high:.3f}"
        rows.append((name, f"{column.mean():.3f}", spread, str(missing) if missing else UNDEFINED))
    return weights_figure(weights, data.modalities, key="w"), rows
