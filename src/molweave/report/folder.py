"""Everything of a model folder besides the model: scores, split, history, report, card."""

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from molweave.data.given_splits import split_rows
from molweave.data.trained_on import TRAINED_ON, TrainedOn
from molweave.methods import METHODS
from molweave.report.card import write_card
from molweave.report.data import ReportData, ReportPart
from molweave.report.html import write_report
from molweave.training.pipeline import FitResult


def write_fit(result: FitResult, folder: Path) -> None:
    """Write what a fit left behind into an existing folder.

    ``metrics.json`` (all metrics by part and task), ``split.json`` (row numbers of the input,
    positions and their digest, digests of the molecules trained on), ``history.csv`` (every loss
    term of every epoch and member), ``report.html`` and ``README.md`` (model card).
    """
    metrics = json.dumps(result.scores, indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(metrics + "\n", encoding="utf-8")
    split = {
        **result.split.to_json(),
        "rows": split_rows(result.split, result.data.molecules),
        TRAINED_ON: TrainedOn.of(
            result.data.molecules[position].canonical for position in result.split.train
        ).to_text(),
    }
    (folder / "split.json").write_text(json.dumps(split) + "\n", encoding="utf-8")
    _write_history(result, folder / "history.csv")
    data = report_data(result)
    write_report(data, folder / "report.html")
    write_card(data, result.model.spec.record, folder / "README.md")


def report_data(result: FitResult) -> ReportData:
    """What the report shows of a fit."""
    spec = result.model.spec
    record = spec.record
    predictions = result.outputs.predictions
    parts = tuple(
        ReportPart(
            name=name,
            truth=result.data.targets[positions],
            prediction=predictions.mean(0)[positions],
            std=predictions.std(0)[positions] if len(predictions) > 1 else None,
            smiles=tuple(result.data.molecules[index].canonical for index in positions),
            rows=np.array([result.data.molecules[index].row for index in positions]),
        )
        for name, positions in result.split.parts.items()
    )
    method, test = result.model.members[0].method, result.split.test
    return ReportData(
        title=f"{', '.join(task.name for task in spec.tasks[:3])} from {record['data']['name']}",
        tasks=spec.tasks,
        parts=parts,
        histories=tuple(fit.history for fit in result.fits),
        chosen=tuple(fit.best_epoch for fit in result.fits),
        metric=result.fits[0].metric,
        metrics=result.scores,
        modality_weights=result.outputs.weights[test] if method.weighs else None,
        modalities=method.modalities,
        split_summary=(
            f"{result.split.kind}, {record['split']['sha256'][:12]}",
            *result.split.notes,
        ),
        rejected=dict(record["data"]["rejected"]),
        settings={
            "method": spec.method,
            "preset": spec.preset,
            "split": record["split"]["kind"],
            "command": record["command"],
            **_origin(record.get("pretrained")),
            **_protocol(spec.method_config),
            "citation": METHODS[spec.method].citation,
            **{f"method.{name}": value for name, value in spec.method_config.items()},
            **{f"training.{name}": value for name, value in record["training"].items()},
            "seed": record["seed"],
            **{name: record[name] for name in ("threads", "device", "precision")},
            **{f"version.{name}": value for name, value in record["versions"].items()},
        },
        audit=result.audit,
    )


def _protocol(config: Mapping[str, Any]) -> dict[str, str]:
    """What is read and embedded, in a method that can do so in several ways."""
    if "protocol" not in config:
        return {}
    memory = ", with the frozen memory" if config.get("read_memory") else ""
    return {"protocol": f"{config['protocol']}{memory}"}


def _origin(pretrained: Mapping[str, Any] | None) -> dict[str, Any]:
    """Where the weights started, if not afresh."""
    if pretrained is None:
        return {}
    return {f"pretrained.{name}": value for name, value in pretrained.items()}


def _write_history(result: FitResult, path: Path) -> None:
    records = [
        {"member": number, **record}
        for number, fit in enumerate(result.fits)
        for record in fit.history
    ]
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(records[0]))
        writer.writeheader()
        writer.writerows(records)
