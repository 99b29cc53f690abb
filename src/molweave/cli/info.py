"""``molweave info``: what a model folder holds."""

from collections.abc import Mapping
from typing import Any

import typer

from molweave.cli import options
from molweave.cli.output import print_fields, print_json, print_scores
from molweave.wording import counted


def info(
    model: options.ModelFolder,
    json: options.Json = False,
) -> None:
    """Say what a model predicts, what it was fitted on and how, and how good it is."""
    from molweave.predictor import Predictor

    found = Predictor.load(model, device="cpu").info()
    if json:
        print_json({"model": model, **found})
        return
    print_fields({"model": model, **_overview(found)})
    if found["scores"]:
        typer.echo()
        print_scores(found["scores"])


def _overview(found: Mapping[str, Any]) -> dict[str, str]:
    """The specification in a line each."""
    record = found["record"]
    data, split = record.get("data", {}), record.get("split", {})
    sizes = ", ".join(f"{count:,} {name}" for name, count in split.get("sizes", {}).items())
    members = found["members"]
    networks = counted(members, "network")
    fields = {
        "method": f"{found['method']}, preset {found['preset']}, {networks} of "
        f"{found['parameters_per_member']:,} parameters",
        "views": ", ".join(found["modality_versions"]),
        "predicts": ", ".join(f"{task['name']} ({task['kind']})" for task in found["tasks"]),
        "structures": f"standardised by {found['standardizer']}, conformers: "
        f"{found['coordinates']}",
    }
    if data:
        rows = counted(data["rows"], "row")
        fields["data"] = f"{data['name']}, {data['molecules']:,} of {rows} usable"
    if split:
        fields["split"] = f"{split['kind']}, {sizes}; sha256 {split['sha256'][:16]}"
    fields["settings"] = _pairs(found["method_config"])
    fields["training"] = _pairs(record.get("training", {}))
    fields["versions"] = _pairs(record.get("versions", {}), " ")
    fields["fitted"] = ", ".join(
        f"{name} {record[key]}".strip()
        for name, key in (("", "date"), ("seed", "seed"), ("threads", "threads"))
        if key in record
    )
    return {name: value for name, value in fields.items() if value}


def _pairs(values: Mapping[str, Any], sign: str = "=") -> str:
    return ", ".join(
        f"{name}{sign}{'+'.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, value in values.items()
    )
