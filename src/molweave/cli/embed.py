"""``molweave embed``: the learned vector of every molecule of a table."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from molweave.cli import options
from molweave.cli.choices import merge_settings
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.summary import describe_rows
from molweave.cli.values import given_only
from molweave.errors import UserError

if TYPE_CHECKING:
    from molweave.encoder import Encoder
    from molweave.predictor import Predictor


def embed(
    model: options.Embedder,
    data: options.Data,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Parquet file to write.")],
    smiles_column: options.SmilesColumn = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Setting of an encoder's method (repeatable); views=both makes MoleBLEND read "
            "conformers, too, protocol=fused makes MMSA read all its views.",
        ),
    ] = None,
    prefix: options.Prefix = "",
    device: options.Device = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Add the learned vector of every row to its columns: embedding, missing, error."""
    with open_display(quiet) as display:
        embedder = _load(
            model, merge_settings({}, set_, "set"), given_only(device=device, workers=workers)
        )
        summary = embedder.embed_file(
            data,
            out,
            smiles_column=smiles_column,
            prefix=prefix,
            overwrite=overwrite,
            events=display,
        )
        for line in describe_rows(summary, "embedded"):
            display.message(line)
    if json:
        print_json({"out": out, **asdict(summary)})


def _load(
    place: str, changes: Mapping[str, object], where: Mapping[str, Any]
) -> "Encoder | Predictor":
    """The encoder or the fitted model."""
    from molweave.encoder import Encoder
    from molweave.methods.pretrained import find_encoder, read_encoder
    from molweave.methods.spec import folder_kind
    from molweave.predictor import Predictor

    folder = find_encoder(place)
    if folder_kind(folder) == "encoder":
        return Encoder(read_encoder(folder), changes, **where)
    if changes:
        raise UserError(
            f"--set is for an encoder, {place} is a fitted model; it is used as it was fitted"
        )
    return Predictor.load(folder, **where)
