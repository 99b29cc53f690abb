"""Options of ``molweave pretrain`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from molweave.cli.options import MODEL, TRAINING, option

Corpus = Annotated[
    Path,
    typer.Argument(metavar="SHARDS", show_default=False, help="Folder made by molweave prepare."),
]
Method = Annotated[str, option("--method", MODEL, "moleblend, mmsa or dmmrl.", "NAME")]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="FOLDER", help="Encoder folder to write.")
]
Preset = Annotated[
    str | None,
    option(
        "--preset",
        MODEL,
        "Sizes: small, paper; moleblend: base; dmmrl: hybrid, robust, flat, relational.",
        "NAME",
        "small",
    ),
]
From = Annotated[
    str | None,
    option(
        "--from",
        MODEL,
        "Go on from an encoder of the same method and sizes, with another recipe or corpus.",
        "ENCODER",
    ),
]
Modalities = Annotated[
    list[str] | None,
    option("--modalities", MODEL, "Views to use, separated by commas.", "NAMES", "the preset's"),
]
Epochs = Annotated[
    int | None,
    option("--epochs", TRAINING, "Passes over the corpus.", "N", "the preset's; small: 10"),
]
BatchSize = Annotated[
    int | None,
    option(
        "--batch-size",
        TRAINING,
        "Molecules per step, of all processes.",
        "N",
        "the preset's; moleblend small: 128",
    ),
]
LearningRate = Annotated[
    float | None,
    option("--learning-rate", TRAINING, "Peak of the schedule.", "X", "the preset's"),
]
MaxTime = Annotated[
    str | None,
    option(
        "--max-time",
        TRAINING,
        "End after 90s, 30m, 2h; the encoder is written, and --resume goes on.",
        "TIME",
        "no limit",
    ),
]
Precision = Annotated[
    str | None,
    option("--precision", TRAINING, "auto, 32-true or bf16-mixed.", "NAME", "auto"),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        metavar="N",
        help="Processes that featurise ahead; 0 does it between the steps.",
        show_default="0",
    ),
]
