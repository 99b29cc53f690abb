"""Score a fitted model on a labelled table."""

from dataclasses import dataclass

import numpy as np

from molweave.chem.table import Table
from molweave.data.scores import score_tasks
from molweave.data.targets import check_classes, parse_targets
from molweave.errors import UserError
from molweave.inference.stream import Runner
from molweave.inference.summary import OnRow, PredictSummary, Tally
from molweave.methods.checkpoint import FittedModel


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good the predictions of a labelled table are.

    Attributes:
        scores: task to metric to value, and ``n``, the number of labels that counted; None where
            a metric is undefined (one class only).
        mean: metric to its mean over the tasks on which it is defined.
        rows: what became of the rows.
    """

    scores: dict[str, dict[str, float | None]]
    mean: dict[str, float | None]
    rows: PredictSummary


def evaluate_table(
    runner: Runner[FittedModel], table: Table, *, on_row: OnRow | None = None
) -> Evaluation:
    """Predict every row and compare with the target columns of the model's tasks.

    Missing labels and rejected rows do not count; `Evaluation.rows` says how many were rejected.

    Raises:
        UserError: a target column is absent or not numeric, or the table has no rows.
    """
    tasks = runner.model.spec.tasks
    tally = Tally()
    truth = parse_targets(table.columns, table, [task.name for task in tasks])
    if not len(truth):
        raise UserError(f"{table.name} has a header but no rows; there is nothing to compare")
    if np.isnan(truth).all():
        raise UserError(f"{table.name} has no row with a label; there is nothing to compare")
    check_classes(truth, [task.name for task in tasks], [task.kind for task in tasks])
    predictions = np.full(truth.shape, np.nan)
    for index, row in enumerate(runner.rows(table)):
        tally.add(row)
        predictions[index] = row.predictions.mean(0)
        if on_row is not None:
            on_row(tally.rows)
    usable = ~np.isnan(predictions).any(1)
    scores, mean = score_tasks(truth[usable], predictions[usable], tasks)
    return Evaluation(
        scores=scores,
        mean=mean,
        rows=tally.summary(),
    )
