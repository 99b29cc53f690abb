"""Tables in Parquet files and tables already in memory."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from rdkit import Chem

from molweave.chem.columns import check_unique, find_smiles_column
from molweave.chem.diagnose import describe_size
from molweave.chem.files import Source
from molweave.chem.table import Record, Table
from molweave.errors import UserError

if TYPE_CHECKING:
    import pandas
    import pyarrow

COORDINATES = "coordinates"
"""Column of a Parquet file or DataFrame with x, y, z of every heavy atom, in angstrom, in the order
of the SMILES: one flat list, or a list of atoms."""

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
                schema = file.schema_arrow
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{source.name}: not a readable Parquet file: {error}") from error
        self.columns = tuple(schema.names)
        check_unique(self.columns, source.name)
        self.smiles_column = find_smiles_column(self.columns, smiles_column, source.name)
        self.types = {field.name: field.type for field in schema if _is_told(field.type)}

    def __iter__(self) -> Iterator[Record]:
        import pyarrow
        from pyarrow import parquet

        read = _RecordReader(self.columns, self.smiles_column)
        row = 0
        try:
            with parquet.ParquetFile(self._source.path) as file:
                for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                    columns = [column.to_pylist() for column in batch.columns]
                    for values in zip(*columns, strict=True):
                        yield read(row, values)
                        row += 1
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{self.name}: damaged Parquet file: {error}") from error


def _is_told(kind: "pyarrow.DataType") -> bool:
    """Whether Python values alone can be read back as this type."""
    import pyarrow

    if pyarrow.types.is_union(kind) or isinstance(kind, pyarrow.BaseExtensionType):
        return False
    return all(_is_told(kind.field(position).type) for position in range(kind.num_fields))


class FrameTable(Table):
    """A pandas DataFrame; its index is not a column."""

    def __init__(self, frame: "pandas.DataFrame", smiles_column: str | None = None) -> None:
        self.name = "DataFrame"
        self.columns = tuple(str(column) for column in frame.columns)
        self._frame = frame
        check_unique(self.columns, self.name)
        self.smiles_column = find_smiles_column(self.columns, smiles_column, self.name)
        kinds = zip(self.columns, frame.dtypes, strict=True)
        self.types = {name: found for name, kind in kinds if (found := _number_type(kind))}

    def __iter__(self) -> Iterator[Record]:
        read = _RecordReader(self.columns, self.smiles_column)
        for row, values in enumerate(self._frame.itertuples(index=False, name=None)):
            yield read(row, tuple(map(_python_value, values)))


def _number_type(
    kind: "np.dtype[Any] | pandas.api.extensions.ExtensionDtype",
) -> "pyarrow.DataType | None":
    """That of a column of numbers or truth values, which may be missing at first or all through."""
    import pyarrow
    from pandas.api import types

    if types.is_bool_dtype(kind):
        return pyarrow.bool_()
    if types.is_signed_integer_dtype(kind):
        return pyarrow.int64()
    return pyarrow.float64() if types.is_float_dtype(kind) else None


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
            yield record_of_values(row, (_python_value(item),), 0)


class _RecordReader:
    """Makes the records of a table of Python values, with the coordinates that it may hold."""

    def __init__(self, columns: Sequence[str], smiles_column: str) -> None:
        self._smiles = columns.index(smiles_column)
        self._coordinates = columns.index(COORDINATES) if COORDINATES in columns else None

    def __call__(self, row: int, values: tuple[object, ...]) -> Record:
        record = record_of_values(row, values, self._smiles)
        if self._coordinates is None:
            return record
        return replace(record, coordinates=_read_coordinates(values[self._coordinates]))


def _read_coordinates(given: object) -> np.ndarray | None:
    """A list as float64 (atoms, 3), of no atoms where it is not of finite numbers in threes."""
    if not isinstance(given, list | np.ndarray):
        return None
    try:
        numbers = np.asarray(list(given), dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty(0)
    threes = numbers.size % 3 == 0 if numbers.ndim == 1 else numbers.shape[1:] == (3,)
    if not threes or not np.isfinite(numbers).all():
        numbers = np.empty(0)
    return numbers.reshape(-1, 3)


def record_of_values(row: int, values: tuple[object, ...], position: int) -> Record:
    """A record of Python values whose SMILES, or RDKit molecule, is the one at ``position``."""
    smiles = values[position]
    if isinstance(smiles, Chem.Mol):
        problem = describe_size(smiles)
        text = None if problem else Chem.MolToSmiles(smiles)
        shown = (*values[:position], text, *values[position + 1 :])
        return Record(row, shown, text, None if problem else smiles, problem)
    if smiles is None or isinstance(smiles, str):
        return Record(row, values, smiles)
    if isinstance(smiles, float) and math.isnan(smiles):
        return Record(row, values, None)
    kind = type(smiles).__name__
    return Record(row, values, None, problem=f"the SMILES is not text but {kind} {smiles!r}")


def _python_value(value: object) -> object:
    """None for the missing values of pandas, numpy scalars as Python values."""
    if is_missing(value):
        return None
    if hasattr(value, "item") and not isinstance(value, np.ndarray):
        return cast("object", value.item())
    return value


def is_missing(value: object) -> bool:
    """Whether a value is NA or NaT of pandas, which need not be imported for it."""
    return type(value).__name__ in ("NAType", "NaTType")
