"""Writing Parquet in row groups, with the types that are told or those of the first group."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molweave.errors import UserError

if TYPE_CHECKING:
    import pyarrow

_GROUP_ROWS = 16_384


class ParquetSink:
    """A Parquet file that grows by row groups.

    The type of a column that is not told is that of its values in the first row group (text when
    all are missing or when they have no type in common). NaN and None are stored as null.

    Args:
        path: the file to create.
        columns: the column names.
        metadata: texts to store with the schema.
        types: column name to Arrow or numpy type; one of numpy with a shape makes a fixed-size
            list.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        metadata: Mapping[str, str],
        types: "Mapping[str, np.dtype[Any] | pyarrow.DataType]",
    ) -> None:
        self._path = path
        self._columns = tuple(columns)
        self._metadata = dict(metadata)
        self._told = dict(types)
        self._rows: list[tuple[object, ...]] = []
        self._written = 0
        self._types: list[pyarrow.DataType] | None = None
        self._writer: Any = None

    def write(self, values: Sequence[object]) -> None:
        """Add a row; every full group of rows goes to the file."""
        self._rows.append(tuple(map(_plain, values)))
        if len(self._rows) == _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        """Write the last row group and the footer."""
        if self._rows or self._writer is None:
            self._flush()
        self._writer.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        import pyarrow
        from pyarrow import parquet

        columns = list(zip(*self._rows, strict=True)) or [()] * len(self._columns)
        if self._types is None:
            self._types = [
                _arrow_type(self._told[name]) if name in self._told else _infer(values)
                for name, values in zip(self._columns, columns, strict=True)
            ]
        arrays = [
            self._array(name, values, kind)
            for name, values, kind in zip(self._columns, columns, self._types, strict=True)
        ]
        table = pyarrow.Table.from_arrays(arrays, names=list(self._columns))
        if self._metadata:
            table = table.replace_schema_metadata(self._metadata)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._written += len(self._rows)
        self._rows.clear()

    def _array(
        self, name: str, values: Sequence[object], kind: "pyarrow.DataType"
    ) -> "pyarrow.Array[Any]":
        import pyarrow

        try:
            if isinstance(self._told.get(name), np.dtype) and pyarrow.types.is_nested(kind):
                return _vectors(values, kind)
            if pyarrow.types.is_string(kind):
                values = [v if v is None or isinstance(v, str) else str(v) for v in values]
            return pyarrow.array(values, type=kind)
        except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise self._mixed(name, values) from error

    def _mixed(self, name: str, values: Sequence[object]) -> UserError:
        kinds = sorted({type(value).__name__ for value in values if value is not None})
        last = self._written + len(values)
        return UserError(
            f"column {name!r} holds {' and '.join(kinds)} values up to row {last}, which do not "
            "fit the values above them; a Parquet column has one type, write .csv instead"
        )


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def _arrow_type(told: "np.dtype[Any] | pyarrow.DataType") -> "pyarrow.DataType":
    import pyarrow

    if isinstance(told, pyarrow.DataType):
        return told
    base = pyarrow.from_numpy_dtype(told.base)
    return pyarrow.list_(base, told.shape[0]) if told.shape else base


def _infer(values: Sequence[object]) -> "pyarrow.DataType":
    import pyarrow

    if all(value is None for value in values):
        return pyarrow.string()
    try:
        return pyarrow.array(values).type
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
        return pyarrow.string()


def _vectors(values: Sequence[object], kind: "pyarrow.DataType") -> "pyarrow.Array[Any]":
    """Vectors of one length as a fixed-size list array, null where a value is None."""
    import pyarrow

    width = kind.list_size
    stacked = np.zeros((len(values), width), dtype=kind.value_type.to_pandas_dtype())
    missing = np.array([value is None for value in values], dtype=bool)
    for position, value in enumerate(values):
        if value is not None:
            vector = np.asarray(value)
            if vector.shape != (width,):
                raise ValueError(f"a vector of shape {vector.shape} among those of {width}")
            stacked[position] = vector
    return pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(stacked.reshape(-1)), type=kind, mask=pyarrow.array(missing)
    )
