"""``molweave info``: what a folder of a model or an encoder holds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from molweave.cli import options
from molweave.cli.output import print_fields, print_json, print_scores
from molweave.wording import counted


def info(
    model: options.Embedder,
    json: options.Json = False,
) -> None:
    """Say what a model predicts, what it was fitted on and how, and how good it is.

    Of an encoder: what it reads, what it was pre-trained on and how.
    """
    from molweave.methods.pretrained import find_encoder
    from molweave.methods.spec import folder_kind

    folder = find_encoder(model)
    if folder_kind(folder) == "encoder":
        _show_encoder(model, folder, json)
        return
    from molweave.predictor import Predictor

    found = Predictor.load(folder, device="cpu").info()
    if json:
        print_json({"model": model, **found})
        return
    with _known(folder):
        overview = _overview(found)
    print_fields({"model": model, **overview})
    if found["scores"]:
        typer.echo()
        print_scores(found["scores"])


@contextmanager
def _known(folder: Path) -> Iterator[None]:
    """Refuse a record that is not made as we make it; a model works without."""
    from molweave.methods.spec import damaged

    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(folder, error) from error


def _show_encoder(name: str, folder: Path, json: bool) -> None:
    from molweave.encoder import Encoder

    found = Encoder.from_pretrained(folder, device="cpu").info()
    if json:
        print_json({"model": name, **found})
        return
    record = found["record"]
    fields = {
        "encoder": name,
        "method": f"{found['method']}, preset {found['preset']}, {found['parameters']:,} "
        f"parameters, vectors of {found['embedding_dim']}",
        "views": ", ".join(found["modality_versions"]),
        "structures": _structures(found),
        "settings": _pairs(found["method_config"]),
        **{key: _plain(value) for key, value in record.items()},
        "sha256": found["sha256"],
    }
    print_fields({key: value for key, value in fields.items() if value})


def _plain(value: object) -> str:
    return _pairs(value) if isinstance(value, Mapping) else str(value)


def _structures(found: Mapping[str, Any]) -> str:
    return f"standardised by {found['standardizer']}, conformers: {found['coordinates']}"


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
        "structures": _structures(found),
    }
    if data:
        rows = counted(data["rows"], "row")
        fields["data"] = f"{data['name']}, {data['molecules']:,} of {rows} usable"
    if split:
        fields["split"] = f"{split['kind']}, {sizes}; sha256 {split['sha256'][:16]}"
    if origin := record.get("pretrained"):
        how = "frozen" if origin["frozen"] else "fine-tuned"
        fields["from"] = f"{origin['name']}, {how}; sha256 {origin['sha256'][:16]}"
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
