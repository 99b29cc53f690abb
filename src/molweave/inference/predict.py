"""Predictions for every row of a table, in its order."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molweave.chem.table import Table
from molweave.chem.write import TableWriter
from molweave.data.targets import Task
from molweave.inference.added import refuse_taken
from molweave.inference.stream import OnRow, Row, Runner
from molweave.inference.summary import PredictSummary, Tally
from molweave.methods.checkpoint import FittedModel


class PredictionColumns:
    """The columns that predictions add to a table, and their values for a row.

    Per task ``<task>_prob`` (probability of class 1) or ``<task>_pred`` (in the units of the
    training data) and, with an ensemble, ``<task>_std`` over its members; with details one
    ``weight_<modality>`` each; ``missing`` names modalities that could not be made, ``error`` why
    there is no prediction. A prefix, if there is one, precedes each of the names.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        modalities: Sequence[str],
        *,
        members: int,
        details: bool,
        prefix: str = "",
    ) -> None:
        """Columns for a model with these tasks and modalities."""
        self.members, self.details = members, details
        numbers: list[str] = []
        self.scales: dict[str, float] = {}
        for task in tasks:
            suffix = "prob" if task.kind == "classification" else "pred"
            mine = [f"{prefix}{task.name}_{suffix}"]
            mine += [f"{prefix}{task.name}_std"] if members > 1 else []
            numbers += mine
            self.scales |= dict.fromkeys(mine, task.scale)
        if details:
            numbers += [f"{prefix}weight_{name}" for name in modalities]
        self.numbers = tuple(numbers)
        texts = dict.fromkeys((f"{prefix}missing", f"{prefix}error"), np.dtype(str))
        self.types: dict[str, np.dtype[Any]] = dict.fromkeys(numbers, np.dtype(np.float64))
        self.types |= texts
        self.names = list(self.types)

    def values(self, row: Row) -> list[object]:
        """The values of the columns for one row; None where there is none."""
        numbers = row.predictions.mean(0)[:, None]
        if self.members > 1:
            numbers = np.column_stack([numbers, row.predictions.std(0)])
        values = [*numbers.ravel().tolist(), *(row.weights.tolist() if self.details else [])]
        plain = [None if row.error else value for value in values]
        return [*plain, row.lacks, row.error or None]


def columns_of(
    runner: Runner[FittedModel], table: Table, *, details: bool, prefix: str
) -> PredictionColumns:
    """The columns that this model adds to this table.

    Raises:
        UserError: the table already has one of them.
    """
    spec = runner.model.spec
    views = runner.model.members[0].method.modalities
    columns = PredictionColumns(
        spec.tasks, views, members=spec.members, details=details, prefix=prefix
    )
    refuse_taken(columns.names, table.columns)
    return columns


def predict_rows(
    runner: Runner[FittedModel],
    table: Table,
    columns: PredictionColumns,
    *,
    tally: Tally,
    on_row: OnRow | None = None,
) -> Iterator[list[object]]:
    """The input's values and the predictions of every row, in order, streaming."""
    for row in runner.rows(table, on_row):
        tally.add(row)
        yield [*row.record.values, *columns.values(row)]


def predict_file(
    runner: Runner[FittedModel],
    table: Table,
    out: str | Path,
    *,
    details: bool = False,
    prefix: str = "",
    overwrite: bool = False,
    on_row: OnRow | None = None,
) -> PredictSummary:
    """Predict a table of any length into a file, which appears when it is complete.

    Raises:
        UserError: the input already has a column of a prediction's name, or the output cannot be
            written.
    """
    tally = Tally()
    added = columns_of(runner, table, details=details, prefix=prefix)
    names = [*table.columns, *added.names]
    with TableWriter(
        out,
        names,
        overwrite,
        exact=table.columns,
        scales=added.scales,
        types={**table.types, **added.types},
    ) as writer:
        rows = predict_rows(runner, table, added, tally=tally, on_row=on_row)
        for values in rows:
            writer.write(values)
    return tally.summary()
