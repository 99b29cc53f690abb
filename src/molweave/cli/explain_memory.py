"""``molweave explain-memory``: the anchors of a pre-trained memory as molecules."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from molweave.cli import options
from molweave.cli.options import DATA, option
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.values import given_only
from molweave.errors import UserError
from molweave.wording import counted

Memory = Annotated[
    str,
    typer.Argument(
        metavar="ENCODER",
        show_default=False,
        callback=options.not_empty,
        help="Encoder folder made by pretrain --method mmsa, or the name of one that ships.",
    ),
]
Page = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="Page (.html) to write.")]
Shown = Annotated[
    str | None,
    option(
        "--data",
        DATA,
        "Table of the molecules to show; by default the data set BBBP, which ships.",
        "FILE",
    ),
]


def explain_memory(
    encoder: Memory,
    out: Page,
    data: Shown = None,
    smiles_column: options.SmilesColumn = None,
    nearest: Annotated[
        int, typer.Option("--nearest", min=1, metavar="N", help="Molecules to show per anchor.")
    ] = 6,
    device: options.Device = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Show what the anchors of a memory stand for: the molecules nearest to each, and its use."""
    from molweave.chem.write import check_output, refuse_same_file

    check_output(out, overwrite)
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{out}: the page is HTML; give a name that ends in .html")
    if data is not None:
        refuse_same_file(data, out)
    with open_display(quiet) as display:
        from molweave.chem.read import open_table
        from molweave.data.moleculenet import open_dataset
        from molweave.inference.explain_memory import explain_memory as run
        from molweave.inference.source import row_counter
        from molweave.methods.pretrained import find_encoder, read_encoder
        from molweave.report.memory import write_memory

        table = (
            open_dataset("bbbp") if data is None else open_table(data, smiles_column=smiles_column)
        )
        pretrained = read_encoder(find_encoder(encoder))
        found = run(
            pretrained,
            table,
            nearest=nearest,
            **given_only(device=device, workers=workers),
            on_row=row_counter(display, "reading molecules"),
        )
        write_memory(found, pretrained.spec, out)
    if json:
        print_json({"out": out, **asdict(found)})
        return
    typer.echo(
        f"{found.perplexity:.1f} of {len(found.anchors)} anchors are in use by "
        f"{counted(found.molecules, 'molecule')}"
    )
    typer.echo(f"page  {out}")
