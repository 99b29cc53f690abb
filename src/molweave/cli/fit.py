"""``molweave fit``: learn from a table."""

from typing import TYPE_CHECKING, Any

import typer

from molweave.cli import fit_options, options
from molweave.cli.choices import (
    choose_kinds,
    choose_method_options,
    choose_split,
    choose_training,
    find_targets,
)
from molweave.cli.output import print_json, print_scores
from molweave.cli.progress import open_display
from molweave.cli.values import given_only, split_list
from molweave.events import Events

if TYPE_CHECKING:
    from molweave.predictor import Predictor

_TRAINING = ("epochs", "batch_size", "learning_rate", "patience", "balance", "precision")


def fit(
    data: options.Data,
    target: options.Target,
    out: fit_options.Out,
    smiles_column: options.SmilesColumn = None,
    kind: options.Kind = None,
    split: options.SplitName = None,
    split_column: options.SplitColumn = None,
    split_file: options.SplitFile = None,
    standardize: options.Standardize = None,
    conformers: fit_options.Conformers = None,
    method: fit_options.Method = None,
    preset: fit_options.Preset = None,
    from_: fit_options.From = None,
    freeze: fit_options.Freeze = None,
    modalities: fit_options.Modalities = None,
    without: options.Without = None,
    fusion: fit_options.Fusion = None,
    protocol: fit_options.Protocol = None,
    set_: options.Set = None,
    ensemble: fit_options.Ensemble = None,
    epochs: fit_options.Epochs = None,
    batch_size: fit_options.BatchSize = None,
    learning_rate: fit_options.LearningRate = None,
    patience: fit_options.Patience = None,
    balance: fit_options.Balance = None,
    max_time: fit_options.MaxTime = None,
    precision: fit_options.Precision = None,
    train: options.Train = None,
    seed: options.Seed = None,
    device: options.Device = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Fit a model on a table of measured molecules.

    Splits the data, trains, scores the model on molecules it has not seen, and writes a folder with
    the model, its scores and report.html.
    """
    choices = _choices(dict(locals()))
    chosen = given_only(split=choose_split(split, split_column, split_file))
    places = {"smiles_column": smiles_column, "out": out, "resume": resume, "overwrite": overwrite}
    with open_display(quiet) as display:
        model = _fit(data, target, choices, {**chosen, **places}, display)
    if json:
        print_json({"model": out, "report": out / "report.html", **model.info()})
        return
    print_scores(model.metrics)
    typer.echo(f"model   {out}")
    typer.echo(f"report  {out / 'report.html'}")


def _choices(given: dict[str, Any]) -> dict[str, Any]:
    """The options in the words of the facade, without those that were not given."""
    same = ("method", "preset", "freeze", "ensemble", "seed", "device", "standardize")
    return given_only(
        **{name: given[name] for name in (*same, "conformers", "workers")},
        pretrained=given["from_"],
        modalities=split_list(given["modalities"]),
        method_options=choose_method_options(given, ("fusion", "protocol")),
        training=choose_training(given, _TRAINING),
        kinds=choose_kinds(given["kind"]),
    )


def _fit(
    data: str, target: list[str], choices: dict[str, Any], settings: dict[str, Any], events: Events
) -> "Predictor":
    """Fit; the choices are looked at before the data are."""
    try:
        from molweave.predictor import Predictor
        from molweave.training.options import FitOptions

        predictor = Predictor(**choices)
        FitOptions(**choices, **{name: settings[name] for name in {"split"} & settings.keys()})
        targets = find_targets(target, data, settings["smiles_column"])
        return predictor.fit(data, targets, **settings, events=events)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt("the same command with --resume goes on from here") from stop
