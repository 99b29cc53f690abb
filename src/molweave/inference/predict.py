"""Predictions for every row of a table, in its order."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molweave.chem.table import Table
from molweave.chem.write import TableWriter
from molweave.data.targets import Task
from molweave.inference.added import name_added
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
        columns: Sequence[str],
        prefix: str,
    ) -> None:
        """Columns for a model with these tasks and modalities.

        Raises:
            UserError: see `name_added`, for the columns of the input and the prefix.
        """
        self.members, self.details = members, details
        scales: dict[str, float] = {}
        for task in tasks:
            suffix = "prob" if task.kind == "classification" else "pred"
            scales[f"{task.name}_{suffix}"] = task.scale
            if members > 1:
                scales[f"{task.name}_std"] = task.scale
        weights = [f"weight_{name}" for name in modalities] if details else []
        self.names = name_added([*scales, *weights, "missing", "error"], columns, prefix)
        self.numbers = self.names[:-2]
        self.scales = dict(zip(self.names, scales.values(), strict=False))
        self.types: dict[str, np.dtype[Any]] = {
            **dict.fromkeys(self.numbers, np.dtype(np.float64)),
            **dict.fromkeys(self.names[-2:], np.dtype(str)),
        }

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
    return PredictionColumns(
        spec.tasks,
        views,
        members=spec.members,
        details=details,
        columns=table.columns,
        prefix=prefix,
    )


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
