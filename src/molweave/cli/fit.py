"""``molweave fit``: learn from a table."""

from pathlib import Path
from typing import Annotated

import typer

from molweave.cli import options
from molweave.cli.choices import WITHOUT, choose_kinds, choose_split, find_targets, leave_out
from molweave.cli.options import DATA, MODEL, TRAINING, option
from molweave.cli.output import print_json, print_scores
from molweave.cli.progress import open_display
from molweave.cli.values import (
    given_only,
    merge_options,
    parse_duration,
    parse_pairs,
    split_list,
)


def fit(
    data: options.Data,
    target: options.Target,
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="FOLDER", help="Model folder to write."),
    ],
    smiles_column: options.SmilesColumn = None,
    kind: options.Kind = None,
    split: options.SplitName = None,
    split_column: options.SplitColumn = None,
    split_file: options.SplitFile = None,
    standardize: options.Standardize = None,
    conformers: Annotated[
        str | None,
        option(
            "--conformers",
            DATA,
            "input: the 3D structures of an SDF, others generated; generate: all; none.",
            "SOURCE",
            "input",
        ),
    ] = None,
    method: Annotated[
        str | None,
        option("--method", MODEL, "auto, dmmrl, mmsa or moleblend.", "NAME", "auto"),
    ] = None,
    preset: Annotated[
        str | None,
        option(
            "--preset",
            MODEL,
            "auto, small, paper; dmmrl: hybrid, robust (with descriptors); moleblend: base.",
            "NAME",
            "auto",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        option(
            "--from",
            MODEL,
            "Start from a pre-trained encoder: a folder, or the name of one that ships. It decides "
            "method and preset.",
            "ENCODER",
        ),
    ] = None,
    freeze: Annotated[
        bool | None,
        option(
            "--freeze/--no-freeze",
            MODEL,
            "Leave that encoder as it is and train the head alone.",
            "",
        ),
    ] = None,
    modalities: Annotated[
        list[str] | None,
        option(
            "--modalities",
            MODEL,
            "Views to use, separated by commas: sequence, graph, geometry, descriptors.",
            "NAMES",
            "the preset's",
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        option(
            "--without",
            MODEL,
            f"{WITHOUT}.",
            "TERM",
        ),
    ] = None,
    fusion: Annotated[
        str | None, option("--fusion", MODEL, "gated, mean or concat.", "NAME", "gated")
    ] = None,
    protocol: Annotated[
        str | None,
        option(
            "--protocol",
            MODEL,
            "Of mmsa: graph (the graph encoder alone) or fused (all views).",
            "NAME",
            "graph",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        option("--set", MODEL, "Other setting of the method (repeatable).", "NAME=VALUE"),
    ] = None,
    ensemble: Annotated[
        int | None,
        option("--ensemble", MODEL, "Networks to train; their spread is the error bar.", "N", "1"),
    ] = None,
    epochs: Annotated[
        int | None,
        option(
            "--epochs",
            TRAINING,
            "Passes over the training part.",
            "N",
            "the preset's; dmmrl small: 30",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, option("--batch-size", TRAINING, "Molecules per step.", "N", "32")
    ] = None,
    learning_rate: Annotated[
        float | None,
        option(
            "--learning-rate",
            TRAINING,
            "Peak of the schedule.",
            "X",
            "the preset's; dmmrl small: 0.001",
        ),
    ] = None,
    patience: Annotated[
        int | None,
        option(
            "--patience",
            TRAINING,
            "Stop after so many epochs without a better validation score; 0 for never.",
            "N",
            "0",
        ),
    ] = None,
    balance: Annotated[
        bool | None,
        option(
            "--balance/--no-balance",
            TRAINING,
            "Weigh classes by how rare they are in training.",
            "",
            "no-balance",
        ),
    ] = None,
    max_time: Annotated[
        str | None,
        option(
            "--max-time",
            TRAINING,
            "Stop training after 90s, 30m, 2h; the model is kept.",
            "TIME",
            "no limit",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        option("--precision", TRAINING, "auto, 32-true, bf16-mixed or 16-mixed.", "NAME", "auto"),
    ] = None,
    train: Annotated[
        list[str] | None,
        option("--train", TRAINING, "Other setting of the training (repeatable).", "NAME=VALUE"),
    ] = None,
    seed: options.Seed = None,
    device: options.Device = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    resume: Annotated[
        bool,
        options.flag("--resume", "Go on where the same command was interrupted."),
    ] = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Fit a model on a table of measured molecules.

    Splits the data, trains, scores the model on molecules it has not seen, and writes a folder with
    the model, its scores and report.html.
    """
    choices = given_only(
        method=method,
        preset=preset,
        pretrained=from_,
        freeze=freeze,
        modalities=split_list(modalities),
        method_options=_method_options({"fusion": fusion, "protocol": protocol}, without, set_),
        training=merge_options(
            {
                "epochs": epochs,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "patience": patience,
                "balance": balance,
                "precision": precision,
                "max_minutes": max_time and parse_duration(max_time, "--max-time") / 60,
            },
            parse_pairs(train, "--train"),
            "--train",
        ),
        kinds=choose_kinds(kind),
        ensemble=ensemble,
        seed=seed,
        device=device,
        standardize=standardize,
        conformers=conformers,
        workers=workers,
    )
    targets = find_targets(target, data, smiles_column)
    with open_display(quiet) as display:
        from molweave.predictor import Predictor

        try:
            model = Predictor(**choices).fit(
                data,
                targets,
                **given_only(split=choose_split(split, split_column, split_file)),
                smiles_column=smiles_column,
                out=out,
                resume=resume,
                overwrite=overwrite,
                events=display,
            )
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt("the same command with --resume goes on from here") from stop
    if json:
        print_json({"model": out, "report": out / "report.html", **model.info()})
        return
    print_scores(model.metrics)
    typer.echo(f"model   {out}")
    typer.echo(f"report  {out / 'report.html'}")


def _method_options(
    named: dict[str, str | None], without: list[str] | None, pairs: list[str] | None
) -> dict[str, object]:
    return merge_options({**named, **leave_out(without)}, parse_pairs(pairs, "--set"), "--set")
