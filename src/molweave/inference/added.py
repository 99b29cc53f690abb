"""Columns that are added to those of an input."""

from collections.abc import Sequence

from molweave.errors import UserError


def name_added(names: Sequence[str], columns: Sequence[str], prefix: str) -> list[str]:
    """The names of the columns to add, each after the prefix.

    Args:
        names: what the new columns are called without a prefix.
        columns: those of the input.
        prefix: what to put before each name; nothing if empty.

    Raises:
        UserError: the prefix is no text, or the input has a column of such a name.
    """
    if not isinstance(prefix, str):
        raise UserError(f"prefix must be text, found {prefix!r}")
    added = [f"{prefix}{name}" for name in names]
    for name in added:
        if name in columns:
            raise UserError(
                f"the input already has a column {name!r}; rename it, so that it is not "
                "overwritten, or choose another prefix (--prefix, prefix= in Python)"
            )
    return added
