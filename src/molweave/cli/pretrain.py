"""``molweave pretrain``: an encoder from shards of molecules without labels."""

from pathlib import Path
from typing import Annotated

import typer

from molweave.cli import options
from molweave.cli.choices import WITHOUT, leave_out
from molweave.cli.options import MODEL, TRAINING, option
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.values import (
    given_only,
    merge_options,
    parse_duration,
    parse_pairs,
    split_list,
)


def pretrain(
    corpus: Annotated[
        Path,
        typer.Argument(
            metavar="SHARDS", show_default=False, help="Folder made by molweave prepare."
        ),
    ],
    method: Annotated[str, option("--method", MODEL, "moleblend, mmsa or dmmrl.", "NAME")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="Encoder folder to write.")
    ],
    preset: Annotated[
        str | None, option("--preset", MODEL, "Sizes: small, base, paper.", "NAME", "small")
    ] = None,
    from_: Annotated[
        str | None,
        option(
            "--from",
            MODEL,
            "Go on from an encoder of the same method and sizes, with another recipe or corpus.",
            "ENCODER",
        ),
    ] = None,
    modalities: Annotated[
        list[str] | None,
        option(
            "--modalities", MODEL, "Views to use, separated by commas.", "NAMES", "the preset's"
        ),
    ] = None,
    without: Annotated[list[str] | None, option("--without", MODEL, f"{WITHOUT}.", "TERM")] = None,
    set_: Annotated[
        list[str] | None,
        option("--set", MODEL, "Other setting of the method (repeatable).", "NAME=VALUE"),
    ] = None,
    epochs: Annotated[
        int | None,
        option("--epochs", TRAINING, "Passes over the corpus.", "N", "the preset's; small: 10"),
    ] = None,
    batch_size: Annotated[
        int | None,
        option(
            "--batch-size",
            TRAINING,
            "Molecules per step, of all processes.",
            "N",
            "the preset's; moleblend small: 128",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        option("--learning-rate", TRAINING, "Peak of the schedule.", "X", "the preset's"),
    ] = None,
    max_time: Annotated[
        str | None,
        option(
            "--max-time",
            TRAINING,
            "End after 90s, 30m, 2h; the encoder is written, and --resume goes on.",
            "TIME",
            "no limit",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        option("--precision", TRAINING, "auto, 32-true or bf16-mixed.", "NAME", "auto"),
    ] = None,
    train: Annotated[
        list[str] | None,
        option("--train", TRAINING, "Other setting of the training (repeatable).", "NAME=VALUE"),
    ] = None,
    seed: options.Seed = None,
    device: options.Device = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            metavar="N",
            help="Processes that featurise ahead; 0 does it between the steps.",
            show_default="0",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    resume: Annotated[
        bool,
        options.flag("--resume", "Go on where the same command was interrupted."),
    ] = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Pre-train a method on molecules without labels.

    Writes a folder with the encoder, its log and report.html; fit --from and embed take it. For
    several processes, start it with torchrun.
    """
    choices = given_only(
        preset=preset,
        pretrained=from_,
        modalities=split_list(modalities),
        method_options=merge_options(leave_out(without), parse_pairs(set_, "--set"), "--set"),
        training=merge_options(
            {
                "epochs": epochs,
                "batch_size": batch_size,
                "learning_rate": learning_rate,
                "precision": precision,
                "max_minutes": max_time and parse_duration(max_time, "--max-time") / 60,
            },
            parse_pairs(train, "--train"),
            "--train",
        ),
        seed=seed,
        device=device,
        workers=workers,
    )
    with open_display(quiet) as display:
        from molweave.pretraining import pretrain as run

        try:
            spec = run(
                corpus,
                out,
                method=method,
                **choices,
                resume=resume,
                overwrite=overwrite,
                events=display,
            )
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                "the same command with --resume goes on from the last checkpoint"
            ) from stop
    if json:
        print_json({"encoder": out, "report": out / "report.html", **spec.to_json()})
        return
    for name, value in spec.record["valid"].items():
        typer.echo(f"{name.replace('_', ' '):28}{value:.4g}")
    if spec.record["stopped"] == "time":
        typer.echo("ended by --max-time; the same command with --resume and more time goes on")
    typer.echo(f"encoder  {out}")
    typer.echo(f"report   {out / 'report.html'}")
