"""Splits that the user made: a column of the table, or a file of row numbers."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from molweave.chem.molecule import Molecule
from molweave.data.findings import describe_rows
from molweave.data.splits import (
    PARTS,
    Split,
    copies,
    finish_split,
    hold_out,
    straddling,
)
from molweave.errors import UserError
from molweave.wording import counted

_PART_OF = {
    "train": 0,
    "training": 0,
    "valid": 1,
    "val": 1,
    "validation": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
    "": -1,
    "nan": -1,
    "none": -1,
}
_RANGE = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)
_VALID_FRACTION = 0.1


def split_from_column(
    labels: Sequence[object],
    molecules: Sequence[Molecule],
    *,
    column: str = "split",
    keep_copies: bool = False,
    seed: int = 0,
    labelled: np.ndarray | None = None,
) -> Split:
    """The split that a column spells out.

    A molecule that is in test is left out of train and valid, and one that is in valid out of
    train, so that test and valid stay as the user made them; ``notes`` say how many rows that
    were. Without any valid row, a tenth of the training molecules is drawn for it.

    Args:
        labels: ``train``, ``valid`` (or val, validation, dev), ``test`` or empty, one per molecule.
        molecules: the data set.
        column: name of the column, for messages.
        keep_copies: leave equal molecules where they are, and only note it. To compare with
            results from the same split elsewhere.
        seed: for drawing the valid part.
        labelled: which molecules have a label, bool (molecules,), and may be drawn; None for all.

    Raises:
        UserError: another value, or no training row.
    """
    part_of = np.empty(len(molecules), dtype=np.int64)
    for position, (label, molecule) in enumerate(zip(labels, molecules, strict=True)):
        text = "" if label is None else str(label).strip()
        if text.casefold() not in _PART_OF:
            raise UserError(
                f"column {column!r} has {text!r} in row {molecule.row} (rows count from 0, without "
                "the header): write train, valid or test, or leave it empty"
            )
        part_of[position] = _PART_OF[text.casefold()]
    return _finish(
        part_of, molecules, kind="column", keep_copies=keep_copies, seed=seed, labelled=labelled
    )


def split_from_file(
    path: str | Path,
    molecules: Sequence[Molecule],
    *,
    column: str | None = None,
    fold: int | None = None,
    rows: int | None = None,
    keep_copies: bool = False,
    seed: int = 0,
    labelled: np.ndarray | None = None,
) -> Split:
    """The split that a file of row numbers spells out; equal molecules as in `split_from_column`.

    JSON (the layout of chemprop): ``{"train": [0, 1], "val": [2], "test": [3]}``, where a part may
    also be text such as ``"0-99, 120"``; or a list of such objects, one per fold; or a list of the
    three lists. CSV: a column ``row`` and one or more columns with train, valid, test or nothing.
    Either may be gzipped, and split.json of a model folder is one too. Rows count from 0, without
    the header, rejected rows included.

    Args:
        path: ``.json``, ``.csv``, ``.json.gz`` or ``.csv.gz``.
        molecules: the data set; `Molecule.row` is what the file refers to.
        column: which column of a CSV file; needed when there are several.
        fold: which entry of a JSON list of folds, from 0; None for the first, or for a file of one
            split.
        rows: of the table, rejected ones included, none of which the file may go beyond; None
            where it is not known.
        keep_copies: see `split_from_column`.
        seed: see `split_from_column`.
        labelled: see `split_from_column`.

    Raises:
        UserError: an unreadable file, another layout, a fold that it does not have, a row in two
            parts or beyond the table, or rows of which less than half exist in the data set.
    """
    path = Path(path)
    text = _read_text(path)
    if is_json(path):
        listed, notes = _json_rows(text, path, fold, rows)
    else:
        listed, notes = _csv_rows(text, path, column), []
    for row in sorted(listed):
        _check_known(row, path, rows)
    part_of = np.array([listed.get(molecule.row, -1) for molecule in molecules], dtype=np.int64)
    unused = sum(part >= 0 for part in listed.values()) - int((part_of >= 0).sum())
    if unused > len(listed) / 2:
        last = max((molecule.row for molecule in molecules), default=-1)
        raise UserError(
            f"{unused} of {counted(len(listed), 'row')} in {path} are not in the data, whose last "
            f"row is {last}: is it the right file?"
        )
    if unused:
        notes.append(f"{counted(unused, 'row')} of the split file without a usable molecule")
    return _finish(
        part_of,
        molecules,
        kind="file",
        keep_copies=keep_copies,
        seed=seed,
        labelled=labelled,
        notes=notes,
    )


def _check_known(row: int, path: Path, rows: int | None) -> None:
    if rows is not None and row >= rows:
        raise UserError(
            f"{path} names row {row}, and the data have {counted(rows, 'row')}, counted from 0: "
            "is it the right file?"
        )


def is_json(path: str | Path) -> bool:
    """Whether `split_from_file` reads a file as JSON, by its name."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return (suffixes[:-1] if suffixes[-1:] == [".gz"] else suffixes)[-1:] == [".json"]


def split_rows(split: Split, molecules: Sequence[Molecule]) -> dict[str, list[int]]:
    """The split as row numbers of the input, in the layout that `split_from_file` reads."""
    names = {"train": "train", "valid": "val", "test": "test"}
    return {
        names[part]: [molecules[position].row for position in positions]
        for part, positions in split.parts.items()
    }


def _finish(
    part_of: np.ndarray,
    molecules: Sequence[Molecule],
    *,
    kind: str,
    keep_copies: bool,
    seed: int,
    labelled: np.ndarray | None,
    notes: Sequence[str] = (),
) -> Split:
    """Deal with equal molecules, a missing valid part and rows in no part."""
    noted = list(notes)
    outside = int((part_of < 0).sum())
    if outside:
        noted.append(f"{counted(outside, 'usable row')} in no part")
    seen = part_of.copy()
    if labelled is not None:
        seen[~labelled] = -1
    shared = straddling(molecules, seen)
    left_out: list[int] = []
    for group in shared if not keep_copies else ():
        lower = group[(seen[group] >= 0) & (seen[group] < seen[group].max())]
        part_of[lower] = -1
        left_out += (molecules[position].row for position in lower)
    if shared and keep_copies:
        noted.append(
            f"{counted(len(shared), 'molecule')} in more than one part (same canonical SMILES)"
        )
    elif shared:
        noted.append(
            f"{counted(len(left_out), 'row')} left out: an equal molecule is in valid or test "
            f"({describe_rows(sorted(left_out))})"
        )
    if (part_of == 0).any() and not (part_of == 1).any():
        groups = copies(molecules)
        if labelled is not None:
            groups = [group[labelled[group]] for group in groups]
        hold_out(part_of, groups, _VALID_FRACTION, np.random.default_rng(seed))
        noted.append("no valid rows were given: a tenth of the training molecules was drawn")
    if not (part_of == 2).any():
        noted.append("no test rows were given")
    return finish_split(part_of, kind=kind, seed=seed, notes=noted, needed=PARTS[:2])


def _read_text(path: Path) -> str:
    """The text of a file, unzipped when its name ends in .gz."""
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path.suffix.lower() == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the split file {path}: {error}") from error


def _csv_rows(text: str, path: Path, column: str | None) -> dict[int, int]:
    """Row to part number, from a CSV file."""
    reader = csv.DictReader(io.StringIO(text, newline=None))
    columns = [name for name in reader.fieldnames or () if name != "row"]
    if "row" not in (reader.fieldnames or ()) or not columns:
        raise UserError(
            f"{path} needs a column 'row' and a split column; found {reader.fieldnames}"
        )
    if column is None and len(columns) > 1:
        raise UserError(f"{path} holds several splits: choose one of {', '.join(columns)}")
    chosen = column or columns[0]
    if chosen not in columns:
        raise UserError(f"{path} has no column {chosen!r}: choose one of {', '.join(columns)}")
    rows: dict[int, int] = {}
    for record in reader:
        row, part = (record["row"] or "").strip(), (record[chosen] or "").strip()
        if not row.isdecimal() or part.casefold() not in _PART_OF or int(row) in rows:
            raise UserError(
                f"line {reader.line_num} of {path} has row {row!r} and {chosen} {part!r}: each row "
                "number may come once, with train, valid, test or nothing"
            )
        rows[int(row)] = _PART_OF[part.casefold()]
    return rows


def _json_rows(
    text: str, path: Path, fold: int | None, known: int | None
) -> tuple[dict[int, int], list[str]]:
    """Row to part number, from a JSON file, and a note which fold of several it is."""
    notes: list[str] = []
    wrong = UserError(
        f'{path} is not a split: write {{"train": [rows], "val": [rows], "test": [rows]}}, '
        "or a list of such objects"
    )
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {error}") from error
    if isinstance(found, list) and found and all(isinstance(item, dict) for item in found):
        if not 0 <= (fold or 0) < len(found):
            raise UserError(
                f"{path} holds {counted(len(found), 'fold')}, counted from 0, so there is no fold "
                f"{fold}"
            )
        if len(found) > 1:
            notes.append(f"fold {fold or 0} of {len(found)}, counted from 0")
        found = found[fold or 0]
    elif fold is not None:
        raise UserError(f"{path} holds one split, not a list of folds; leave the fold {fold} out")
    elif isinstance(found, list) and len(found) == len(PARTS):
        found = dict(zip(PARTS, found, strict=True))
    if not isinstance(found, Mapping):
        raise wrong
    parts = found.get("rows", found)
    if not isinstance(parts, Mapping) or "train" not in parts:
        raise wrong
    return _part_rows(parts, path, wrong, known), notes


def _part_rows(
    parts: Mapping[str, object], path: Path, wrong: UserError, known: int | None
) -> dict[int, int]:
    rows: dict[int, int] = {}
    for name, listed in parts.items():
        if name not in _PART_OF or name == "":
            raise wrong
        for row in _expand(listed, path, wrong, known):
            if row in rows:
                raise UserError(f"row {row} is twice in {path}: each row may be in one part, once")
            rows[row] = _PART_OF[name]
    return rows


def _expand(listed: object, path: Path, wrong: UserError, known: int | None) -> list[int]:
    """Row numbers from a list of them or from text such as ``0-99, 120`` (both ends count)."""
    if isinstance(listed, str):
        rows: list[int] = []
        for piece in filter(None, (piece.strip() for piece in listed.split(","))):
            match = _RANGE.fullmatch(piece)
            if match is None:
                raise wrong
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                raise UserError(f"{path} has the rows {piece}: write the lower end first")
            _check_known(last, path, known)
            rows.extend(range(first, last + 1))
        return rows
    if not isinstance(listed, list):
        raise wrong
    if not all(isinstance(row, int) and not isinstance(row, bool) and row >= 0 for row in listed):
        raise wrong
    return listed
