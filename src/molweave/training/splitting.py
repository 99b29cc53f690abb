"""The split that a user asked for, by name, column or file."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from molweave.chem.molecule import Molecule
from molweave.chem.table import Record
from molweave.data.given_splits import is_json, split_from_column, split_from_file
from molweave.data.splits import SPLITS, ImpossibleSplitError, Split, kfold, make_split
from molweave.errors import UserError
from molweave.paths import exists
from molweave.wording import counted, nearest


def choose_split(
    choice: str,
    molecules: Sequence[Molecule],
    *,
    columns: Sequence[str],
    records: Sequence[Record],
    seed: int,
    rows: int | None = None,
    labelled: np.ndarray | None = None,
) -> Split:
    """Split the molecules as ``choice`` says.

    A split that is drawn takes the labelled molecules alone, so that every part has its share of
    the labels; the others are in no part.

    Args:
        choice: a kind of `make_split` (``random``; ``random:90/10/0`` names the shares of train,
            valid and test), ``column:NAME``, ``file:PATH``, ``file:PATH#COLUMN`` of a table or
            ``file:PATH#FOLD`` of a JSON list of folds, which count from 0.
        molecules: the usable molecules.
        columns: the columns of their table.
        records: their rows.
        seed: of the splits that are drawn.
        rows: of the table, rejected ones included; a file that names others is refused. None
            where it is not known.
        labelled: which molecules have a label, bool (molecules,); None for all.

    Raises:
        UserError: the column does not exist, the shares are not three numbers that add up to 100
            or 1, or see `make_split`, `split_from_column` and `split_from_file`.
    """
    check_choice(choice)
    kind, _, rest = choice.partition(":")
    if kind == "column":
        if rest not in columns:
            hint = nearest(rest, columns)
            raise UserError(
                f"there is no split column {rest!r}{f' (did you mean {hint!r}?)' if hint else ''}; "
                f"the columns are: {', '.join(columns)}"
            )
        index = list(columns).index(rest)
        labels = [record.values[index] for record in records]
        return split_from_column(labels, molecules, column=rest, seed=seed, labelled=labelled)
    if kind == "file":
        path, column, fold = _place(rest)
        return split_from_file(
            path,
            molecules,
            column=column,
            fold=fold,
            rows=rows,
            seed=seed,
            labelled=labelled,
        )
    if labelled is None or labelled.all():
        return _draw(kind, rest, molecules, seed)
    kept = np.flatnonzero(labelled)
    try:
        drawn = _draw(kind, rest, [molecules[int(position)] for position in kept], seed)
    except ImpossibleSplitError as error:
        count = f"{counted(len(kept), 'molecule')} with a label"
        raise ImpossibleSplitError(f"{error.problem}, of {count}", error.advice) from error
    return replace(drawn, **{name: kept[part] for name, part in drawn.parts.items()})


def _draw(kind: str, rest: str, molecules: Sequence[Molecule], seed: int) -> Split:
    """The split of a kind that is drawn, with the fold or the shares that follow it."""
    if kind == "k-fold":
        fold, folds = _fold(rest)
        return kfold(molecules, folds, seed=seed)[fold - 1]
    if not rest:
        return make_split(kind, molecules, seed=seed)
    return make_split(kind, molecules, seed=seed, fractions=_fractions(rest))


def check_choice(choice: str) -> None:
    """Refuse a split that `choose_split` would not understand, before any data are read.

    Raises:
        UserError: an unknown kind, or shares or a fold that are not written as they should be.
    """
    kind, _, rest = choice.partition(":")
    if kind == "column" and rest:
        return
    if kind == "file" and rest:
        _place(rest)
    elif kind == "k-fold":
        _fold(rest)
    elif kind not in SPLITS:
        raise UserError(
            f"unknown split {kind!r}: use {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, with shares "
            "as in random:90/5/5, k-fold:2/5, column:NAME or file:PATH"
        )
    elif rest:
        _fractions(rest)


def _place(text: str) -> tuple[str, str | None, int | None]:
    """``folds.json#2`` as path, column of a table and fold of a JSON list."""
    path, mark, which = text.rpartition("#")
    if not mark or exists(Path(text)):
        return text, None, None
    if not which:
        return path, None, None
    if not is_json(path):
        return path, which, None
    if not which.isdecimal():
        raise UserError(
            f"{path} is JSON: # is followed by the number of a fold, counted from 0; found "
            f"{which!r}"
        )
    return path, None, int(which)


def _fractions(text: str) -> tuple[float, float, float]:
    """``80/10/10`` as shares that add up to 1."""
    try:
        train, valid, test = (float(share) for share in text.split("/"))
        total = train + valid + test
        if not math.isfinite(total):
            raise ValueError(text)
    except ValueError as error:
        raise UserError(
            f"the shares of train, valid and test are written as 80/10/10; found {text!r}"
        ) from error
    if not any(math.isclose(total, whole, rel_tol=1e-6) for whole in (1, 100)):
        raise UserError(
            f"the shares of train, valid and test must add up to 100 (or to 1); found {text!r}, "
            f"which adds up to {total:g}"
        )
    return train / total, valid / total, test / total


def _fold(text: str) -> tuple[int, int]:
    """``2/5`` as the numbers 2 and 5."""
    fold, _, folds = text.partition("/")
    if fold.isdecimal() and folds.isdecimal() and 1 <= int(fold) <= int(folds):
        return int(fold), int(folds)
    raise UserError(f"k-fold needs a fold and their number, k-fold:2/5 say; found {text!r}")
