"""Columns that are added to those of an input."""

from collections.abc import Sequence

from molweave.errors import UserError


def refuse_taken(added: Sequence[str], columns: Sequence[str]) -> None:
    """Refuse a table that already has one of the columns.

    Args:
        added: the columns to add.
        columns: those of the table.

    Raises:
        UserError: names the column.
    """
    for name in added:
        if name in columns:
            raise UserError(
                f"the input already has a column {name!r}; rename it, so that it is not "
                "overwritten, or give the new columns a prefix"
            )
