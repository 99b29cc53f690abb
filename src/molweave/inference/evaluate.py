"""Score a fitted model on a labelled table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from molweave.chem.columns import list_names
from molweave.chem.molecule import Rejected
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record, Table
from molweave.data.scores import score_tasks
from molweave.data.targets import check_classes, parse_targets
from molweave.data.trained_on import TrainedOn
from molweave.errors import UserError
from molweave.inference.stream import OnRow, Runner
from molweave.inference.summary import PredictSummary, Tally
from molweave.methods.checkpoint import FittedModel
from molweave.wording import nearest


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How good the predictions of a labelled table are.

    Attributes:
        scores: task to metric to value, and ``n``, the number of labels that counted; None where
            a metric is undefined (one class only).
        mean: metric to its mean over the tasks on which it is defined.
        rows: what became of the rows.
        trained_on: rows whose molecule (by canonical SMILES) was in the training part of the model,
            which says little of how good it is; None where the model does not know its training
            molecules.
        absent: tasks that the table has no column for; they have no scores.
    """

    scores: dict[str, dict[str, float | None]]
    mean: dict[str, float | None]
    rows: PredictSummary
    trained_on: int | None = None
    absent: tuple[str, ...] = ()


def evaluate_table(
    runner: Runner[FittedModel],
    table: Table,
    *,
    trained_on: TrainedOn | None = None,
    on_row: OnRow | None = None,
) -> Evaluation:
    """Predict every row and compare with those target columns of the model that the table has.

    Missing labels and rejected rows do not count; `Evaluation.rows` says how many were rejected.

    Raises:
        UserError: no target column is there, one is not numeric in a row with a usable molecule,
            or the table has no rows.
    """
    all_tasks = runner.model.spec.tasks
    there = [index for index, task in enumerate(all_tasks) if task.name in table.columns]
    tasks = [all_tasks[index] for index in there] or all_tasks
    tally = Tally()
    known = None if trained_on is None else 0
    seen: list[bool] = []
    records = _usable_labels(table, runner.standardizer, trained_on, seen)
    truth = parse_targets(table.columns, records, [task.name for task in tasks])
    if not len(truth):
        raise UserError(f"{table.name} has a header but no rows; there is nothing to compare")
    absent = tuple(task.name for task in all_tasks if task not in tasks)
    if np.isnan(truth).all():
        targets = [task.name for task in all_tasks]
        besides = f"; {describe_absent(targets, table.columns)}" if absent else ""
        raise UserError(
            f"{table.name} has no row with a label; there is nothing to compare{besides}"
        )
    check_classes(truth, [task.name for task in tasks], [task.kind for task in tasks])
    predictions = np.full(truth.shape, np.nan)
    for index, row in enumerate(runner.rows(table, on_row)):
        tally.add(row)
        predictions[index] = row.predictions.mean(0)[there]
        if known is not None and not row.error:
            known += seen[index]
    usable = ~np.isnan(predictions).any(1)
    scores, mean = score_tasks(truth[usable], predictions[usable], tasks)
    return Evaluation(
        scores=scores,
        mean=mean,
        rows=tally.summary(),
        trained_on=known,
        absent=absent,
    )


def describe_absent(targets: Sequence[str], columns: Sequence[str]) -> str:
    """Which targets of a model a table has no column for, and what may have been meant."""
    absent = [name for name in targets if name not in columns]
    others = [name for name in columns if name not in targets]
    close = [(name, nearest(name, others)) for name in absent]
    meant = [f"{found!r} for {name!r}" for name, found in close if found]
    hint = f"; did you mean {', '.join(meant)}?" if meant else ""
    return f"not scored, for lack of a column: {list_names(absent)}{hint}"


def _usable_labels(
    table: Table, standardizer: Standardizer, trained_on: TrainedOn | None, seen: list[bool]
) -> Iterator[Record]:
    """The records, those without a molecule with its problem, so that their labels do not count.

    Notes in ``seen`` whether the molecule of each was trained on.
    """
    for record in table:
        result = standardizer(record)
        if isinstance(result, Rejected):
            seen.append(False)
            yield replace(record, problem=str(result))
        else:
            seen.append(trained_on is not None and result.canonical in trained_on)
            yield record
