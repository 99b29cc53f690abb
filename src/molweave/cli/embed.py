"""``molweave embed``: the learned vector of every molecule of a table."""

from dataclasses import asdict
from typing import Annotated

import typer

from molweave.cli import options
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.summary import describe_rows
from molweave.cli.values import given_only


def embed(
    model: options.ModelFolder,
    data: options.Data,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Parquet file to write.")],
    smiles_column: options.SmilesColumn = None,
    device: options.Device = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Write the learned vector of every row: columns row, smiles, embedding, error."""
    with open_display(quiet) as display:
        from molweave.predictor import Predictor

        predictor = Predictor.load(model, **given_only(device=device, workers=workers))
        summary = predictor.embed_file(
            data,
            out,
            smiles_column=smiles_column,
            overwrite=overwrite,
            events=display,
        )
        for line in describe_rows(summary, "embedded"):
            display.message(line)
    if json:
        print_json({"out": out, **asdict(summary)})
