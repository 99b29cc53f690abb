"""Write README.md, the model card: YAML front matter and Markdown."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from molweave.data.scores import REPORTED
from molweave.report.data import ReportData
from molweave.report.templating import fill_template, write_atomically
from molweave.report.text import UNDEFINED, format_score
from molweave.wording import counted


def write_card(data: ReportData, record: Mapping[str, Any], path: Path) -> None:
    """Write the model card; a kill leaves the old file or the new one.

    Args:
        data: tasks, parts, scores.
        record: where the model comes from (``ModelSpec.record``); its ``data``, ``split``,
            ``versions``, ``seed``, ``threads`` and ``date`` are told where they are there.
        path: usually ``README.md`` in the model folder.
    """
    write_atomically(path, render_card(data, record))


def render_card(data: ReportData, record: Mapping[str, Any]) -> str:
    """The model card as text."""
    part = data.shown
    tables = []
    counts: list[int] = []
    for kind, keys in REPORTED.items():
        names = [task.name for task in data.tasks if task.kind == kind]
        if part is None or not names:
            continue
        rows = []
        for name in names:
            scores = data.metrics[part.name][name]
            counts.append(int(scores["n"] or 0))
            cells = [format_score(scores.get(key)).replace(UNDEFINED, "-") for key in keys]
            rows.append((name, counts[-1], cells))
        tables.append((kind, keys, rows))
    return fill_template(
        "card.md.jinja",
        data=data,
        part=part,
        tables=tables,
        facts=_facts(record),
        tags=["chemistry", "molecular-property-prediction", *_kinds(data)],
        trained=sum(len(part.smiles) for part in data.parts if part.name == "train"),
        smallest=min((count for count in counts if count), default=None),
    )


def _facts(record: Mapping[str, Any]) -> list[str]:
    source, split = record.get("data", {}), record.get("split", {})
    lines = []
    if "name" in source:
        lines.append(f"Data: {source['name']}, {counted(source.get('rows', 0), 'row')}")
    if "sha256" in source:
        lines.append(f"SHA-256 of the data (canonical SMILES and targets): {source['sha256']}")
    rejected = sum(source.get("rejected", {}).values())
    if rejected:
        lines.append(f"Rejected rows: {rejected}, by reason in report.html")
    if "kind" in split:
        lines.append(f"Split: {split['kind']}, seed {split.get('seed', 'unknown')}")
    if "sha256" in split:
        lines.append(f"SHA-256 of the split: {split['sha256']}")
    if origin := record.get("pretrained"):
        how = "frozen" if origin["frozen"] else "fine-tuned"
        lines.append(f"Pre-trained encoder: {origin['name']}, {how}")
        lines.append(f"SHA-256 of the encoder's weights: {origin['sha256']}")
    if "seed" in record:
        lines.append(f"Seed of the fit: {record['seed']}")
    if "threads" in record:
        lines.append(f"Threads of the fit: {record['threads']} (another number rounds differently)")
    if "date" in record:
        lines.append(f"Date: {record['date']}")
    versions = ", ".join(f"{name} {text}" for name, text in record.get("versions", {}).items())
    return [*lines, f"Versions: {versions}"] if versions else lines


def _kinds(data: ReportData) -> list[str]:
    return sorted({task.kind for task in data.tasks})
