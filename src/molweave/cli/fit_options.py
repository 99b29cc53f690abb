"""Options of ``molweave fit`` alone."""

from pathlib import Path
from typing import Annotated

import typer

from molweave.cli.options import DATA, MODEL, TRAINING, option

Out = Annotated[
    Path,
    typer.Option("--out", "-o", metavar="FOLDER", help="Model folder to write."),
]
Conformers = Annotated[
    str | None,
    option(
        "--conformers",
        DATA,
        "input: the 3D structures of an SDF, or the column coordinates of Parquet; others "
        "generated; generate: all; none.",
        "SOURCE",
        "input",
    ),
]
Method = Annotated[
    str | None,
    option(
        "--method",
        MODEL,
        "auto (the encoder moleblend-small; for many numbers, 3D structures or chosen views and "
        "settings dmmrl), dmmrl, mmsa or moleblend.",
        "NAME",
        "auto",
    ),
]
Preset = Annotated[
    str | None,
    option(
        "--preset",
        MODEL,
        "auto, small, paper; moleblend: base; dmmrl: hybrid, robust (with descriptors), flat (with "
        "fingerprint, no conformers), relational (for dmmrl that starts from moleblend-small).",
        "NAME",
        "auto",
    ),
]
From = Annotated[
    str | None,
    option(
        "--from",
        MODEL,
        "Start from a pre-trained encoder: a folder, or the name of one that ships. It decides "
        "method and preset; the method dmmrl, where named, takes one of moleblend for a view.",
        "ENCODER",
    ),
]
Freeze = Annotated[
    bool | None,
    option(
        "--freeze/--no-freeze",
        MODEL,
        "Leave that encoder as it is and train the head alone.",
        "",
    ),
]
Modalities = Annotated[
    list[str] | None,
    option(
        "--modalities",
        MODEL,
        "Views to use, separated by commas: sequence, graph, geometry, descriptors, fingerprint, "
        "relations; mmsa: image, graph, geometry.",
        "NAMES",
        "the preset's",
    ),
]
Fusion = Annotated[
    str | None,
    option(
        "--fusion",
        MODEL,
        "Of dmmrl: gated, mean or concat; from an encoder of dmmrl, mean.",
        "NAME",
        "gated",
    ),
]
Protocol = Annotated[
    str | None,
    option(
        "--protocol",
        MODEL,
        "Of mmsa: graph (the graph encoder alone) or fused (all views).",
        "NAME",
        "graph",
    ),
]
Ensemble = Annotated[
    int | None,
    option("--ensemble", MODEL, "Networks to train; their spread is the error bar.", "N", "1"),
]
Epochs = Annotated[
    int | None,
    option(
        "--epochs",
        TRAINING,
        "Passes over the training part. Where no method is named, the encoder moleblend-small has "
        "40, from 1,000 labels on 10 and from 5,000 on 5.",
        "N",
        "the preset's; dmmrl small: 30",
    ),
]
BatchSize = Annotated[
    int | None, option("--batch-size", TRAINING, "Molecules per step.", "N", "32")
]
LearningRate = Annotated[
    float | None,
    option(
        "--learning-rate",
        TRAINING,
        "Peak of the schedule.",
        "X",
        "the preset's; dmmrl small: 0.001",
    ),
]
Patience = Annotated[
    int | None,
    option(
        "--patience",
        TRAINING,
        "Stop after so many epochs without a better validation score; 0 for never.",
        "N",
        "0",
    ),
]
Balance = Annotated[
    bool | None,
    option(
        "--balance/--no-balance",
        TRAINING,
        "Weigh classes by how rare they are in training.",
        "",
        "no-balance",
    ),
]
MaxTime = Annotated[
    str | None,
    option(
        "--max-time",
        TRAINING,
        "Stop training after 90s, 30m, 2h; the model is kept.",
        "TIME",
        "no limit",
    ),
]
Precision = Annotated[
    str | None,
    option(
        "--precision",
        TRAINING,
        "auto, 32-true, bf16-mixed or, on a GPU, 16-mixed.",
        "NAME",
        "auto",
    ),
]
