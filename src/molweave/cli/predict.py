"""``molweave predict``: predictions for every row of a table."""

from dataclasses import asdict
from typing import Annotated

import typer

from molweave.cli import options
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.summary import describe_rows
from molweave.cli.values import given_only
from molweave.errors import UserError


def predict(
    model: options.ModelFolder,
    data: options.OptionalData = None,
    smiles: Annotated[
        list[str] | None,
        typer.Option("--smiles", metavar="TEXT", help="A molecule instead of DATA (repeatable)."),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Table to write: .csv, .tsv or .parquet, text also with .gz; "
            "- for CSV on standard output.",
        ),
    ] = "-",
    details: Annotated[
        bool,
        options.flag("--details", "Add how much each view counted for each molecule."),
    ] = False,
    prefix: options.Prefix = "",
    smiles_column: options.SmilesColumn = None,
    device: options.Device = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Predict molecules: every input row comes out, in its place, with columns added.

    A row that cannot be predicted says why in the column error; that is not a failure of the
    command.
    """
    if (data is None) == (not smiles):
        raise UserError("predict takes either DATA or --smiles; see molweave predict --help")
    if smiles and smiles_column is not None:
        raise UserError("--smiles-column names a column of DATA; leave it out with --smiles")
    if json and out == "-":
        raise UserError("--json and the table would both go to standard output; give --out a file")
    with open_display(quiet) as display:
        from molweave.predictor import Predictor

        predictor = Predictor.load(model, **given_only(device=device, workers=workers))
        summary = predictor.predict_file(
            data if data is not None else smiles or (),
            out,
            smiles_column=smiles_column,
            details=details,
            prefix=prefix,
            overwrite=overwrite,
            events=display,
        )
        for line in describe_rows(summary, "predicted"):
            display.message(line)
    if json:
        print_json({"out": out, **asdict(summary)})
