"""What to predict: reading target columns, telling their kind, scaling them."""

import math
import numbers
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from molweave.chem.columns import check_unique, list_names
from molweave.chem.table import Record
from molweave.errors import UserError
from molweave.wording import counted, did_you_mean

KINDS = ("classification", "regression")
FEWEST_ROWS = 10

_SHOWN = 10
_NAMED = 3
_LARGEST = float(np.finfo(np.float32).max)
_MISSING = frozenset({"", "na", "nan", "none", "null", "n/a", "#n/a", "<na>", "nat"})
_FLAGS = {"true": 1.0, "false": 0.0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)


@dataclass(frozen=True)
class Task:
    """A column to predict.

    Attributes:
        name: the column.
        kind: ``classification`` (0 or 1) or ``regression``.
        mean: mean of the training labels; 0 for classification.
        scale: standard deviation of the training labels (n in the denominator); 1 for
            classification. A model learns ``(value - mean) / scale``.
    """

    name: str
    kind: str
    mean: float = 0.0
    scale: float = 1.0


def target_indices(columns: Sequence[str], names: Sequence[str]) -> list[int]:
    """Where the target columns are.

    Raises:
        UserError: no name given, a name twice, or a column that does not exist (lists the columns
            and the nearest name).
    """
    if not names:
        raise UserError("no target column was given: name at least one column to predict")
    check_unique(names, "targets")
    for name in names:
        if name not in columns:
            meant = did_you_mean(name, columns)
            raise UserError(f"no target column {name!r}; found {list_names(columns)}{meant}")
    return [list(columns).index(name) for name in names]


def read_target(value: object) -> float:
    """One target value; NaN where it is missing (empty, NaN, NA, None).

    Args:
        value: text, a number, a boolean or None. ``True`` and ``False`` are 1 and 0.

    Raises:
        ValueError: text, a censored value such as ``<5``, infinity, or a number beyond single
            precision; says what to do.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool | np.bool_):
        return float(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        if math.isnan(number) or abs(number) <= _LARGEST:
            return number
    text = str(value).strip()
    lowered = text.casefold()
    if lowered in _MISSING:
        return math.nan
    if lowered in _FLAGS:
        return _FLAGS[lowered]
    if _NUMBER.fullmatch(text) and abs(float(text)) <= _LARGEST:
        return float(text)
    raise ValueError(_remedy(text))


def _remedy(text: str) -> str:
    """What to do about a value that cannot be a target."""
    if text.startswith(("<", ">", "≤", "≥", "=<", "=>", "~")):
        return (
            "a value below or above a limit is not a number; leave the field empty, or write a "
            "number if you decide that the limit stands for the value"
        )
    if _NUMBER.fullmatch(text):
        return f"a target must be a number of at most {_LARGEST:.1e} in size; use another unit"
    if _THOUSANDS.fullmatch(text):
        return "write decimals with a point, and thousands without a comma between them"
    if _DECIMAL_COMMA.fullmatch(text):
        return "write decimals with a point, not a comma"
    return "a target must be a number; write classes as 0 and 1, leave unknown fields empty"


def parse_targets(
    columns: Sequence[str], records: Iterable[Record], names: Sequence[str]
) -> np.ndarray:
    """The target columns of a table.

    Args:
        columns: the columns of the table.
        records: its rows, in order.
        names: the target columns.

    Returns:
        float64 (rows, T), NaN where missing and in rows that could not be read.

    Raises:
        UserError: see `target_indices`; a value that `read_target` refuses, with its row, its
            remedy, the other such rows of the column, and the other columns with such values.
    """
    indices = target_indices(columns, names)
    rows: list[list[float]] = []
    refused: dict[str, list[_Refused]] = {}
    for record in records:
        row = [math.nan] * len(indices)
        for task, index in enumerate(indices if record.problem is None else ()):
            try:
                row[task] = read_target(record.values[index])
            except ValueError as error:
                wrong = _Refused(record.row, str(record.values[index]).strip(), str(error))
                refused.setdefault(names[task], []).append(wrong)
        rows.append(row)
    if refused:
        raise _refusal(refused)
    return np.array(rows, dtype=np.float64).reshape(-1, len(indices))


class _Refused(NamedTuple):
    row: int
    text: str
    why: str


def _refusal(refused: Mapping[str, Sequence[_Refused]]) -> UserError:
    """The first value of the first column in full, the rows of its others, the other columns."""
    name, *names = refused
    first, *others = refused[name]
    more = ""
    if others:
        shown = ", ".join(str(item.row) for item in others[:_SHOWN])
        more = f"and {counted(len(others), 'more row')}: {shown}"
        more += ", ...; " if len(others) > _SHOWN else "; "
    return UserError(
        f"target {name!r} is {first.text!r} in row {first.row} ({more}rows count from 0, without "
        f"the header): {first.why}"
        + (f"; such values are in {list_names(names)}, too" if names else "")
    )


def check_targets(targets: np.ndarray, names: Sequence[str]) -> None:
    """Refuse targets that nothing can be learnt from.

    Args:
        targets: float (rows, T), NaN where missing; only rows with a usable molecule.
        names: the tasks.

    Raises:
        UserError: a task without any label, or fewer than 10 rows with one.
    """
    measured = ~np.isnan(targets)
    empty = [name for name, any_ in zip(names, measured.any(axis=0), strict=True) if not any_]
    if empty:
        raise UserError(
            f"no usable row has a value in the target {list_names(empty)}: "
            "fill in the column or name another one"
        )
    usable = int(measured.any(axis=1).sum())
    if usable < FEWEST_ROWS:
        raise UserError(
            f"only {counted(usable, 'row')} with both a usable molecule and a target value: "
            f"at least {FEWEST_ROWS} are needed"
        )


def find_kinds(
    targets: np.ndarray,
    names: Sequence[str],
    given: str | Mapping[str, str] | None = None,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
) -> tuple[str, ...]:
    """The kind of every task: as given, else classification where all labels are 0 or 1.

    Args:
        targets: float (rows, T), NaN where missing.
        names: the tasks.
        given: one kind for all tasks, or a kind by task name; tasks not named are inferred.
        rows: see `check_classes`.

    Raises:
        UserError: an unknown kind or task, or a classification task with labels besides 0 and 1.
    """
    asked = dict.fromkeys(names, given) if isinstance(given, str) else dict(given or {})
    for name, kind in asked.items():
        check_kind(kind)
        if name not in names:
            raise UserError(
                f"a kind was given for {name!r}, which is not a target: {list_names(names)}"
            )
    binary = (np.isnan(targets) | np.isin(targets, (0.0, 1.0))).all(axis=0)
    kinds = tuple(
        asked.get(name, "classification" if two else "regression")
        for name, two in zip(names, binary, strict=True)
    )
    check_classes(targets, names, kinds, rows)
    return kinds


def describe_tasks(names: Sequence[str], kinds: Sequence[str]) -> str:
    """``y: regression``; of more than three tasks how many there are of each kind."""
    if len(names) <= _NAMED:
        return ", ".join(f"{name}: {kind}" for name, kind in zip(names, kinds, strict=True))
    counts = [f"{kinds.count(kind):,} {kind}" for kind in KINDS if kind in kinds]
    return f"{len(names):,} targets: {', '.join(counts)}"


def check_kind(kind: str) -> None:
    """Refuse an unknown kind of task.

    Raises:
        UserError: lists the known ones.
    """
    if kind not in KINDS:
        raise UserError(f"unknown kind of task {kind!r}: use one of {', '.join(KINDS)}")


def check_classes(
    targets: np.ndarray,
    names: Sequence[str],
    kinds: Sequence[str],
    rows: Sequence[int] | np.ndarray | None = None,
) -> None:
    """Refuse classification labels other than 0 and 1.

    Args:
        targets: float (rows, T), NaN where missing.
        names: the tasks.
        kinds: of the tasks.
        rows: the row of the input of every row of ``targets``; None where they are the same.

    Raises:
        UserError: names the task, the first such row of the input and its value.
    """
    for column, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        values = targets[:, column]
        wrong = np.flatnonzero(~(np.isnan(values) | np.isin(values, (0.0, 1.0))))
        if kind == "classification" and len(wrong):
            row = wrong[0] if rows is None else rows[wrong[0]]
            raise UserError(
                f"target {name!r} is a classification task but has the value "
                f"{values[wrong[0]]:g} in row {row} (rows count from 0, without the "
                "header): write its classes as 0 and 1, or make it a regression task"
            )


def fit_tasks(
    targets: np.ndarray, train_rows: np.ndarray, names: Sequence[str], kinds: Sequence[str]
) -> tuple[Task, ...]:
    """The tasks with their scaling, from the training rows only.

    Args:
        targets: float (rows, T), NaN where missing.
        train_rows: int (n,), the rows of ``targets`` to train on.
        names: the tasks.
        kinds: the kind of each, see `find_kinds`.

    Raises:
        UserError: a task whose training labels are all missing, of one class, or all equal.
    """
    tasks = []
    constant: list[str] = []
    for column, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        values = targets[train_rows, column]
        values = values[~np.isnan(values)]
        if not len(values):
            raise UserError(
                f"target {name!r} has no value in the training part: choose another split or target"
            )
        if values.min() == values.max():
            constant.append(f"{name} = {values[0]:g}")
        elif kind == "classification":
            tasks.append(Task(name, kind))
        else:
            tasks.append(Task(name, kind, float(values.mean()), float(values.std())))
    if constant:
        raise UserError(
            f"the training part has one class or value only: {list_names(constant)}; "
            "leave the target out, add data or choose another split"
        )
    return tuple(tasks)


def positive_weights(
    targets: np.ndarray, train_rows: np.ndarray, tasks: Sequence[Task]
) -> np.ndarray:
    """How much a positive must weigh to balance the classes: negatives / positives.

    Args:
        targets: float (rows, T), NaN where missing.
        train_rows: int (n,), the rows that are counted.
        tasks: as `fit_tasks` made them from the same rows, so both classes occur.

    Returns:
        float64 (T,); 1 for regression tasks.
    """
    labels = targets[train_rows]
    positive = (labels == 1.0).sum(axis=0)
    negative = (labels == 0.0).sum(axis=0)
    classes = np.array([task.kind == "classification" for task in tasks])
    return np.where(classes, negative / np.maximum(positive, 1), 1.0)
