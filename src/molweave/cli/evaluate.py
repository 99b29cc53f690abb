"""``molweave evaluate``: how good a model is on labelled molecules."""

from dataclasses import asdict

from molweave.cli import options
from molweave.cli.output import print_json, print_metrics
from molweave.cli.progress import open_display
from molweave.cli.summary import describe_overlap, describe_rows
from molweave.cli.values import given_only


def evaluate(
    model: options.ModelFolder,
    data: options.Data,
    smiles_column: options.SmilesColumn = None,
    device: options.Device = None,
    workers: options.Workers = None,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Predict a labelled table and compare with the labels, one line of metrics a target.

    Targets of the model that the table has no column for are named and left out.
    """
    with open_display(quiet) as display:
        from molweave.predictor import Predictor

        predictor = Predictor.load(model, **given_only(device=device, workers=workers))
        evaluation = predictor.evaluate(data, smiles_column=smiles_column, events=display)
        for line in describe_rows(evaluation.rows, "predicted"):
            display.message(line)
        display.message(describe_overlap(evaluation))
    if json:
        print_json(asdict(evaluation))
        return
    rows = [("mean", evaluation.mean)] if len(evaluation.scores) > 1 else []
    print_metrics(("task",), [*rows, *evaluation.scores.items()])
