"""Reading tables of molecules: every row of the input becomes one record, in order."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from molweave.chem.files import Source, open_source
from molweave.chem.read_parquet import FrameTable, ListTable, ParquetTable
from molweave.chem.read_sdf import SdfTable
from molweave.chem.read_text import DelimitedTable, SmilesFileTable
from molweave.chem.table import Record, Table
from molweave.errors import UserError

if TYPE_CHECKING:
    import pandas

__all__ = ["Record", "Table", "open_table", "table_from_frame", "table_from_smiles"]

_READERS: dict[str, Callable[[Source, str | None], Table]] = {
    "csv": DelimitedTable,
    "tsv": DelimitedTable,
    "smi": SmilesFileTable,
    "sdf": SdfTable,
    "parquet": ParquetTable,
}


def open_table(
    path: str | Path, *, smiles_column: str | None = None, format: str | None = None
) -> Table:
    """Open a file of molecules.

    Args:
        path: a .csv, .tsv, .txt, .smi, .sdf, .mol or .parquet file; each also gzipped; ``-`` reads
            standard input, of which the first line tells whether it is a SMILES file.
        smiles_column: the column that holds the SMILES, exact or without regard to case; None looks
            for a usual name (`molweave.chem.columns.SMILES_COLUMNS`).
        format: ``csv``, ``tsv``, ``smi``, ``sdf`` or ``parquet`` where the suffix does not tell.

    Raises:
        UserError: the file cannot be opened, is empty, has no or duplicate columns, or no SMILES
            column. Iterating raises it too, where the file turns out to be damaged further on.
    """
    source = open_source(path, format, has_header=smiles_column is not None)
    return _READERS[source.format](source, smiles_column)


def table_from_frame(frame: "pandas.DataFrame", *, smiles_column: str | None = None) -> Table:
    """A table over the rows of a DataFrame, found by the same column rules as a file."""
    return FrameTable(frame, smiles_column)


def table_from_smiles(smiles: Iterable[object]) -> Table:
    """A table with the one column ``smiles``.

    Args:
        smiles: texts, or RDKit molecules, which keep their 3D conformer; None and NaN are rows
            without a SMILES.

    Raises:
        UserError: ``smiles`` is one string, not a sequence of them.
    """
    if isinstance(smiles, str):
        raise UserError(f"expected a list of SMILES, got the text {smiles!r}; put it into a list")
    return ListTable(smiles)
