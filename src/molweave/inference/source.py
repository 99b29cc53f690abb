"""What a user hands over, as a table."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from molweave.chem.read import open_table, table_from_frame, table_from_smiles
from molweave.chem.read_parquet import ListTable
from molweave.chem.smiles import is_smiles
from molweave.chem.table import Table
from molweave.chem.write import refuse_same_file
from molweave.errors import UserError
from molweave.events import Events
from molweave.inference.stream import OnRow
from molweave.paths import exists


def as_table(data: Any, smiles_column: str | None) -> Table:
    """A table, a file, a DataFrame or a list of SMILES or RDKit molecules as a table.

    Raises:
        UserError: something else, a file that cannot be read, or a column that is named for a list.
    """
    if isinstance(data, Table):
        return data
    if isinstance(data, str | Path):
        return open_table(data, smiles_column=smiles_column)
    if hasattr(data, "columns") and hasattr(data, "itertuples"):
        return table_from_frame(data, smiles_column=smiles_column)
    dimensions = getattr(data, "ndim", 1)
    if dimensions == 2 and data.shape[1] == 1:
        data, dimensions = data[:, 0], 1
    wrong = isinstance(data, bytes | Mapping) or hasattr(data, "columns") or dimensions != 1
    if wrong or not isinstance(data, Iterable):
        raise UserError(
            "data must be a file, a pandas DataFrame or a list of SMILES or RDKit molecules; found "
            f"{type(data).__name__}; put a single molecule into a list"
        )
    if smiles_column not in (None, ListTable.smiles_column, getattr(data, "name", None)):
        raise UserError(
            f"smiles_column={smiles_column!r} names a column, and a list of molecules has none; "
            "leave it out"
        )
    return table_from_smiles(list(data))


def molecules_of(data: Any, smiles_column: str | None) -> Table:
    """What to predict or embed, as a table; see `as_table`.

    Raises:
        UserError: a SMILES in the place of a file; says where it belongs.
    """
    if isinstance(data, str) and is_smiles(data) and not exists(Path(data[:200])):
        raise UserError(
            f"{data}: no such file; if it is a molecule, put it into a list, [{data!r}], or on the "
            f"command line: --smiles {shlex.quote(data)}"
        )
    return as_table(data, smiles_column)


def table_to_write(data: Any, out: str | Path, smiles_column: str | None) -> Table:
    """The input as a table, unless it is the file that would be written."""
    if isinstance(data, str | Path):
        refuse_same_file(data, out)
    return molecules_of(data, smiles_column)


def row_counter(events: Events | None, name: str) -> OnRow | None:
    """Tells ``events`` how many rows of the stage ``name`` are done."""
    if events is None:
        return None
    events.stage(name)
    return lambda done: events.advance(done, 0)
