"""``molweave pretrain``: an encoder from shards of molecules without labels."""

from typing import Any

import typer

from molweave.cli import options, pretrain_options
from molweave.cli.choices import choose_method_options, choose_training
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.values import given_only, split_list

_TRAINING = ("epochs", "batch_size", "learning_rate", "precision")


def pretrain(
    corpus: pretrain_options.Corpus,
    method: pretrain_options.Method,
    out: pretrain_options.Out,
    preset: pretrain_options.Preset = None,
    from_: pretrain_options.From = None,
    modalities: pretrain_options.Modalities = None,
    without: options.Without = None,
    set_: options.Set = None,
    epochs: pretrain_options.Epochs = None,
    batch_size: pretrain_options.BatchSize = None,
    learning_rate: pretrain_options.LearningRate = None,
    max_time: pretrain_options.MaxTime = None,
    precision: pretrain_options.Precision = None,
    train: options.Train = None,
    seed: options.Seed = None,
    device: options.Device = None,
    workers: pretrain_options.Workers = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Pre-train a method on molecules without labels.

    Writes a folder with the encoder, its log and report.html; fit --from and embed take it. For
    several processes, start it with torchrun.
    """
    choices = _choices(dict(locals()))
    with open_display(quiet) as display:
        from molweave.pretraining import pretrain as run
        from molweave.training.processes import is_first

        places: dict[str, Any] = {"out": out, "resume": resume, "overwrite": overwrite}
        try:
            spec = run(corpus, method=method, **places, **choices, events=display)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(
                "the same command with --resume goes on from the last checkpoint"
            ) from stop
    if not is_first():
        return
    if json:
        print_json({"encoder": out, "report": out / "report.html", **spec.to_json()})
        return
    for name, value in spec.record["valid"].items():
        typer.echo(f"{name.replace('_', ' '):28}{value:.4g}")
    if spec.record["stopped"] == "time":
        typer.echo("ended by --max-time; the same command with --resume goes on")
    typer.echo(f"encoder  {out}")
    typer.echo(f"report   {out / 'report.html'}")


def _choices(given: dict[str, Any]) -> dict[str, Any]:
    """The options in the words of the facade, without those that were not given."""
    return given_only(
        **{name: given[name] for name in ("preset", "seed", "device", "workers")},
        pretrained=given["from_"],
        modalities=split_list(given["modalities"]),
        method_options=choose_method_options(given, ()),
        training=choose_training(given, _TRAINING),
    )
