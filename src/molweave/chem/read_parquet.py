"""Tables in Parquet files and tables already in memory."""

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from rdkit import Chem

from molweave.chem.columns import check_unique, find_smiles_column
from molweave.chem.diagnose import describe_size
from molweave.chem.files import Source
from molweave.chem.table import Record, Table
from molweave.errors import UserError

if TYPE_CHECKING:
    import pandas

_BATCH_ROWS = 4096


class ParquetTable(Table):
    """A Parquet file, read a batch of rows at a time."""

    def __init__(self, source: Source, smiles_column: str | None = None) -> None:
        import pyarrow
        from pyarrow import parquet

        self.name = source.name
        self._source = source
        try:
            with parquet.ParquetFile(source.path) as file:
                self.columns = tuple(file.schema_arrow.names)
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{source.name}: not a readable Parquet file: {error}") from error
        check_unique(self.columns, source.name)
        self.smiles_column = find_smiles_column(self.columns, smiles_column, source.name)

    def __iter__(self) -> Iterator[Record]:
        import pyarrow
        from pyarrow import parquet

        position = self.columns.index(self.smiles_column)
        row = 0
        try:
            with parquet.ParquetFile(self._source.path) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                    columns = [column.to_pylist() for column in batch.columns]
                    for values in zip(*columns, strict=True):
                        yield record_of_values(row, values, position)
                        row += 1
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{self.name}: damaged Parquet file: {error}") from error


class FrameTable(Table):
    """A pandas DataFrame; its index is not a column."""

    def __init__(self, frame: "pandas.DataFrame", smiles_column: str | None = None) -> None:
        self.name = "DataFrame"
        self.columns = tuple(str(column) for column in frame.columns)
        self._frame = frame
        check_unique(self.columns, self.name)
        self.smiles_column = find_smiles_column(self.columns, smiles_column, self.name)

    def __iter__(self) -> Iterator[Record]:
        position = self.columns.index(self.smiles_column)
        for row, values in enumerate(self._frame.itertuples(index=False, name=None)):
            yield record_of_values(row, tuple(map(_python_value, values)), position)


class ListTable(Table):
    """A list of SMILES, the one column of which is called ``smiles``.

    An item that is an RDKit molecule is taken as it is, with its conformer.
    """

    name = "SMILES list"
    columns = ("smiles",)
    smiles_column = "smiles"

    def __init__(self, smiles: Iterable[object]) -> None:
        self._smiles = list(smiles)

    def __iter__(self) -> Iterator[Record]:
        for row, item in enumerate(self._smiles):
            if isinstance(item, Chem.Mol):
                problem = describe_size(item)
                text = None if problem else Chem.MolToSmiles(item)
                yield Record(row, (text,), text, None if problem else item, problem)
            else:
                yield record_of_values(row, (_python_value(item),), 0)


def record_of_values(row: int, values: tuple[object, ...], position: int) -> Record:
    """A record of Python values whose SMILES is the one at ``position``."""
    smiles = values[position]
    if smiles is None or isinstance(smiles, str):
        return Record(row, values, smiles)
    if isinstance(smiles, float) and math.isnan(smiles):
        return Record(row, values, None)
    kind = type(smiles).__name__
    return Record(row, values, None, problem=f"the SMILES is not text but {kind} {smiles!r}")


def _python_value(value: object) -> object:
    """None for the missing values of pandas (NA, NaT), numpy scalars as Python values."""
    kind = type(value).__name__
    if kind in ("NAType", "NaTType"):
        return None
    return cast("object", value.item()) if hasattr(value, "item") and kind != "ndarray" else value
