"""Everything of an encoder folder besides the encoder: log, report, card."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molweave.methods import METHODS
from molweave.methods.pretrained import EncoderSpec
from molweave.report.figures import history_curve
from molweave.report.tasks import Panel
from molweave.report.templating import fill_template, write_atomically
from molweave.report.terms import TERMS

History = Sequence[Mapping[str, float]]

_SCORED = "valid_molecules"
_NOT_TERMS = ("step", "epoch", "seconds", "learning_rate", "molecules_per_second", _SCORED)


def write_pretraining(spec: EncoderSpec, history: History, folder: Path) -> None:
    """Write what a pre-training left behind into an existing folder.

    ``history.csv`` (the log), ``report.html`` (its curves) and ``README.md`` (model card).
    """
    _write_history(history, folder / "history.csv")
    valid = dict(spec.record["valid"])
    scored = int(valid.pop(_SCORED, 0))
    values = {
        "spec": spec,
        "record": spec.record,
        "citation": METHODS[spec.method].citation,
        "valid": {name.removeprefix("valid_"): value for name, value in valid.items()},
        "scored": scored,
        "rate": _median(history, "molecules_per_second"),
        "settings": _settings(spec),
    }
    page = fill_template("encoder.html.jinja", panels=_panels(history), **values)
    write_atomically(folder / "report.html", page)
    write_atomically(folder / "README.md", fill_template("encoder.md.jinja", **values))


def _write_history(history: History, path: Path) -> None:
    names = list(dict.fromkeys(name for record in history for name in record))
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=names)
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" for k, v in record.items()} for record in history)


def _panels(history: History) -> list[Panel]:
    """A curve per term, with its validation, then the scores and the pace."""
    names = list(dict.fromkeys(name for record in history for name in record))
    terms = [name for name in names if name not in _NOT_TERMS and not name.startswith("valid_")]
    scores = [
        name
        for name in names
        if name.startswith("valid_")
        and name.removeprefix("valid_") not in terms
        and name not in _NOT_TERMS
    ]
    panels = []
    for number, name in enumerate([*terms, *scores, "molecules_per_second", "learning_rate"]):
        lines = [_points(history, name)]
        if name in terms and f"valid_{name}" in names:
            lines.append(_points(history, f"valid_{name}"))
        title = name.removeprefix("valid_").replace("_", " ")
        held_out = ", held out" if name in scores else ""
        svg = history_curve(lines, key=f"c{number}", label=f"{title}{held_out} over the steps")
        panels.append(Panel(title=f"{title}{held_out}", svg=svg, caption=TERMS.get(name, "")))
    return panels


def _points(history: History, name: str) -> tuple[np.ndarray, np.ndarray]:
    found = [(record["step"], record[name]) for record in history if name in record]
    steps, values = zip(*found, strict=True) if found else ((), ())
    return np.array(steps), np.array(values)


def _median(history: History, name: str) -> float:
    values = [record[name] for record in history]
    return float(np.median(values)) if values else math.nan


def _settings(spec: EncoderSpec) -> dict[str, Any]:
    record = spec.record
    return {
        "command": record["command"],
        **{f"method.{name}": value for name, value in spec.method_config.items()},
        **{f"training.{name}": value for name, value in record["training"].items()},
        "seed": record["seed"],
        **{f"hardware.{name}": value for name, value in record["hardware"].items()},
        **{f"version.{name}": value for name, value in record["versions"].items()},
    }
