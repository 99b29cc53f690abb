"""Writing tables row by row: the whole file appears at the end, or nothing does."""

import os
import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from molweave.chem.columns import check_unique
from molweave.chem.write_parquet import ParquetSink
from molweave.chem.write_text import TextSink
from molweave.errors import UserError
from molweave.paths import are_same, exists, is_file, is_folder

if TYPE_CHECKING:
    import pyarrow

OUTPUT_FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""File name suffix to output format; the text formats may be followed by ``.gz``."""


class TableWriter:
    """Writes a table row by row; a context manager.

    The rows go to a temporary file in the folder of ``path``, which is renamed to ``path`` when the
    ``with`` block ends without an error and removed when it does not. Text is written as it is
    (quoted where the format needs it), None and NaN as an empty field (null in Parquet), floats
    with six significant digits in text (more where ``scales`` says so) and in full in Parquet.

    Args:
        path: the output; the suffix gives the format (`OUTPUT_FORMATS`); ``-`` is CSV on standard
            output.
        columns: the column names, all different.
        overwrite: whether ``path`` may exist already.
        exact: columns whose floats are written in full in text too (the input's own, say).
        scales: column to how much its values vary, above 0: values that are larger than that get
            more digits in text, down to a millionth of it.
        metadata: texts stored in the schema of a Parquet file; text formats have no place for it.
        types: Arrow or numpy types of columns of a Parquet file, ``np.dtype(("f4", 300))`` for
            vectors; that of a column which is not among them is inferred from the first rows.

    Raises:
        UserError: ``path`` exists, is not a file, has an unknown suffix, or cannot be written (no
            such folder, no permission, disk full); a row does not fit the columns.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[str],
        overwrite: bool = False,
        *,
        exact: Collection[str] = (),
        scales: Mapping[str, float] | None = None,
        metadata: Mapping[str, str] | None = None,
        types: "Mapping[str, np.dtype[Any] | pyarrow.DataType] | None" = None,
    ) -> None:
        self.columns = tuple(columns)
        check_unique(self.columns, str(path))
        self._name = str(path)
        if not self._name.strip():
            raise UserError("the name of the output is empty; give a file")
        self._exact = frozenset(self.columns.index(column) for column in exact)
        self._scales = {self.columns.index(name): scale for name, scale in (scales or {}).items()}
        self._metadata = dict(metadata or {})
        self._types = dict(types or {})
        self._sink: TextSink | ParquetSink | None = None
        self._path: Path | None = None
        self._temporary: Path | None = None
        if self._name != "-":
            self._path = Path(os.path.realpath(path))
            self._format, self._zipped = output_format(self._path)
            check_output(self._path, overwrite)
            self._temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}.tmp")

    def __enter__(self) -> Self:
        """Create the temporary file."""
        try:
            self._sink = self._open()
        except OSError as error:
            self._remove()
            raise self._failed(error) from error
        return self

    def write(self, values: Sequence[object]) -> None:
        """Add a row: one value for every column."""
        if self._sink is None:
            raise ValueError("TableWriter.write outside its with block")
        if len(values) != len(self.columns):
            raise ValueError(f"{len(values)} values for {len(self.columns)} columns")
        try:
            self._sink.write(values)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failed(error) from error

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Rename the temporary file to the output, or remove it after an error."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        done = False
        try:
            if kind is None:
                sink.close()
                if self._temporary is not None and self._path is not None:
                    self._temporary.replace(self._path)
                done = True
        except BrokenPipeError:
            raise
        except OSError as failure:
            raise self._failed(failure) from failure
        finally:
            if not done:
                with suppress(OSError):
                    sink.abandon()
                self._remove()

    def _open(self) -> TextSink | ParquetSink:
        if self._temporary is None:
            return TextSink.on_stdout(self.columns, self._exact, self._scales)
        if self._format == "parquet":
            self._temporary.open("xb").close()
            return ParquetSink(self._temporary, self.columns, self._metadata, self._types)
        return TextSink.on_file(
            self._temporary,
            self.columns,
            self._exact,
            self._scales,
            delimiter="," if self._format == "csv" else "\t",
            zipped=self._zipped,
        )

    def _remove(self) -> None:
        if self._temporary is not None:
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> UserError:
        reason = error.strerror or str(error)
        if self._path is None:
            return UserError(
                f"standard output cannot be written: {reason}; what is there is incomplete"
            )
        return UserError(f"{self._name}: cannot be written: {reason}; nothing was left behind")


def output_format(path: Path) -> tuple[str, bool]:
    """The format that the suffix of ``path`` asks for, and whether to compress it.

    Raises:
        UserError: the suffix is not one of `OUTPUT_FORMATS` (text also with ``.gz``).
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    if zipped:
        suffixes.pop()
    found = OUTPUT_FORMATS.get(suffixes[-1]) if suffixes else None
    if found is None or (zipped and found == "parquet"):
        raise UserError(
            f"{path}: cannot write this file type; use one of {', '.join(OUTPUT_FORMATS)} "
            "(text also with .gz)"
        )
    return found, zipped


def check_output(path: Path, overwrite: bool) -> None:
    """Raise a `UserError` unless a file may be created or, if allowed, replaced at ``path``."""
    if is_folder(path):
        raise UserError(f"{path}: is a folder; give a file name")
    if exists(path):
        if not is_file(path):
            raise UserError(f"{path}: is not a regular file; choose another output")
        if not overwrite:
            raise UserError(f"{path}: already exists; choose another name or pass --overwrite")
    elif not is_folder(path.parent):
        raise UserError(f"{path}: there is no folder {path.parent}; create it first")


def refuse_same_file(source: str | Path, output: str | Path) -> None:
    """Raise a `UserError` when ``output`` is the file that ``source`` is read from.

    ``-`` (standard input, standard output) is never the same file.
    """
    if "-" in (str(source), str(output)):
        return
    if are_same(Path(source), Path(output)):
        raise UserError(f"{output}: the output is the input file; choose another name")
