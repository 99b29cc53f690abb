"""Options that several commands have, each described once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from molweave.cli.choices import WITHOUT
from molweave.cli.config_file import load_config
from molweave.errors import UserError


def not_empty(place: str) -> str:
    """The name of a model or an encoder as it was given.

    Raises:
        UserError: there is nothing in it, from an unset variable of a shell, say.
    """
    if not place.strip():
        raise UserError("the name of the model or encoder is empty; give a folder")
    return place


ModelFolder = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", show_default=False, callback=not_empty, help="Model folder made by fit."
    ),
]
Embedder = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        show_default=False,
        callback=not_empty,
        help="Encoder folder made by pretrain, name of an encoder that ships, or model folder made "
        "by fit.",
    ),
]
MODEL, DATA, TRAINING = "Model", "Data", "Training"


def option(flag: str, panel: str, text: str, metavar: str | None = None, default: str = "") -> Any:
    """An option in a panel of its own in the help.

    Args:
        flag: ``--name``.
        panel: its heading in the help.
        text: what it does.
        metavar: what stands for its value.
        default: what the facade takes without it, for the help.
    """
    return typer.Option(
        flag, rich_help_panel=panel, help=text, metavar=metavar, show_default=default or False
    )


def flag(names: str, text: str) -> Any:
    """A switch; ``names`` are separated by blanks."""
    return typer.Option(*names.split(), metavar="", help=text)


_DATA = typer.Argument(
    metavar="DATA",
    show_default=False,
    help="Table of molecules: .csv, .tsv, .smi, .sdf or .parquet, each also with .gz; "
    "- for standard input.",
)
Data = Annotated[str, _DATA]
OptionalData = Annotated[str | None, _DATA]
SmilesColumn = Annotated[
    str | None,
    option("--smiles-column", DATA, "Column with the SMILES.", "NAME", "smiles or alike"),
]
Prefix = Annotated[
    str,
    typer.Option(
        "--prefix",
        metavar="TEXT",
        show_default=False,
        help="Before the names of the new columns, to tell those of several models apart.",
    ),
]
_TARGET = typer.Option(
    "--target",
    "-t",
    rich_help_panel=DATA,
    metavar="NAME",
    help="Column to learn; repeat it, or separate names by commas, for several.",
)
Target = Annotated[list[str], _TARGET]
OptionalTarget = Annotated[list[str] | None, _TARGET]
Kind = Annotated[
    list[str] | None,
    option(
        "--kind",
        DATA,
        "classification or regression, for all targets; name=kind for one (repeatable). "
        "Without it, targets of only 0 and 1 are classes.",
        "KIND",
        "as the labels look",
    ),
]
_SPLIT = (
    "scaffold, scaffold-balanced or random, with other shares of train, valid and test as in "
    "random:90/5/5; or k-fold:2/5, the second of five folds as test."
)
SplitName = Annotated[str | None, option("--split", DATA, _SPLIT, "NAME", "scaffold")]
AuditedSplit = Annotated[str | None, option("--split", DATA, _SPLIT, "NAME", "none is looked at")]
SplitColumn = Annotated[
    str | None,
    option("--split-column", DATA, "Column that says train, valid or test.", "NAME"),
]
SplitFile = Annotated[
    str | None,
    option(
        "--split-file",
        DATA,
        "File of row numbers (.json), with the fold after # (from 0) if it is a list of folds; or "
        "table (.csv) with a column row, and the column after #.",
        "FILE[#NAME]",
    ),
]
Standardize = Annotated[
    str | None,
    option(
        "--standardize",
        DATA,
        "default, or full: normalised, largest fragment, uncharged.",
        "NAME",
        "default",
    ),
]
_SETTINGS = " (repeatable); see docs/settings.md."
Without = Annotated[list[str] | None, option("--without", MODEL, f"{WITHOUT}.", "TERM")]
Set = Annotated[
    list[str] | None,
    option("--set", MODEL, f"Other setting of the method{_SETTINGS}", "NAME=VALUE"),
]
Train = Annotated[
    list[str] | None,
    option("--train", TRAINING, f"Other setting of the training{_SETTINGS}", "NAME=VALUE"),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        metavar="N",
        show_default="0",
        help="Of all that is random. Same seed, data, machine and number of threads: same result.",
    ),
]
Resume = Annotated[
    bool,
    flag("--resume", "Go on where the same command was interrupted."),
]
Overwrite = Annotated[bool, flag("--overwrite", "Replace the output if it exists.")]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME", show_default="auto", help="auto, cpu, cuda or mps."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        metavar="N",
        show_default="0",
        help="Worker processes; 0 for one per core.",
    ),
]
Quiet = Annotated[bool, flag("--quiet -q", "Show only results and errors, no progress.")]
Json = Annotated[bool, flag("--json", "Print the result as JSON on standard output.")]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        callback=load_config,
        is_eager=True,
        help="TOML file with options of this command; the command line overrides it.",
    ),
]
