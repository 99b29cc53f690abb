"""Column names: which one holds the SMILES, and what the user may have meant."""

from collections import Counter
from collections.abc import Sequence

from molweave.errors import UserError
from molweave.wording import did_you_mean

SMILES_COLUMNS = ("smiles", "canonical_smiles", "smi", "structure", "mol", "drug")
"""Names that mean SMILES, compared without case, the first one found wins."""


def list_names(names: Sequence[str], limit: int = 20) -> str:
    """The names as one readable phrase, cut after ``limit`` of them."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def name_columns(header: Sequence[str]) -> tuple[str, ...]:
    """The fields of a header as column names.

    A spreadsheet that was saved with empty columns has several fields without text: these are
    called ``Unnamed: N``, N their 0-based position, as in pandas. A single one keeps its empty
    name.
    """
    nameless = sum(not field.strip() for field in header)
    if nameless < 2:
        return tuple(header)
    return tuple(
        field if field.strip() else f"Unnamed: {position}" for position, field in enumerate(header)
    )


def check_unique(names: Sequence[str], source: str) -> None:
    """Raise a `UserError` that names every column that occurs twice in ``source``."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(
            f"{source}: duplicate column names {list_names(twice)}; every column needs its own name"
        )


def find_column(name: str, columns: Sequence[str]) -> str | None:
    """The column called ``name``: exactly if there is one, else without regard to case.

    A blank in a name is as good as ``_``.
    """
    if name in columns:
        return name
    wanted = _fold(name)
    return next((column for column in columns if _fold(column) == wanted), None)


def _fold(name: str) -> str:
    """A name without case, with ``_`` for blanks."""
    return "_".join(name.casefold().split())


def look_for_smiles(columns: Sequence[str], asked: str | None = None) -> str | None:
    """The column that holds the SMILES: the one asked for, else the first of `SMILES_COLUMNS`."""
    for name in SMILES_COLUMNS if asked is None else (asked,):
        found = find_column(name, columns)
        if found is not None:
            return found
    return None


def find_smiles_column(columns: Sequence[str], asked: str | None, source: str) -> str:
    """The column of ``source`` that holds the SMILES.

    Args:
        columns: every column, in file order.
        asked: the name the user gave, or None to look for one of `SMILES_COLUMNS`.
        source: what the columns belong to, for the error message.

    Raises:
        UserError: there is no such column; the message lists those that there are.
    """
    found = look_for_smiles(columns, asked)
    if found is not None:
        return found
    if asked is None:
        raise UserError(
            f"{source}: no SMILES column; found {list_names(columns)}; "
            "name it with --smiles-column (smiles_column= in Python)"
        )
    meant = did_you_mean(asked, columns)
    raise UserError(f"{source}: no column {asked!r}; found {list_names(columns)}{meant}")
