"""Opening input files: formats, compression, text encoding and standard input."""

import gzip
import os
import re
import shutil
import sys
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedIOBase, BufferedReader, TextIOWrapper
from pathlib import Path
from typing import cast

from molweave.chem.columns import SMILES_COLUMNS
from molweave.chem.smiles import is_smiles
from molweave.errors import UserError
from molweave.paths import exists, is_file, is_folder

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "tsv",
    ".smi": "smi",
    ".smiles": "smi",
    ".sdf": "sdf",
    ".sd": "sdf",
    ".mol": "sdf",
    ".parquet": "parquet",
    ".pq": "parquet",
}
"""File name suffix to format; each may be followed by ``.gz``."""

_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SPOOL_BLOCK = 1 << 20
_LOOKED_AT = 1 << 10


@dataclass(frozen=True)
class Source:
    """An input file on disk.

    Attributes:
        path: where its bytes are (for standard input and zipped Parquet, a temporary copy).
        name: what to call it in messages.
        format: one of the values of `FORMATS`.
    """

    path: Path
    name: str
    format: str

    @contextmanager
    def bytes(self) -> Iterator[gzip.GzipFile | BufferedReader]:
        """The bytes of the file, decompressed.

        Reading errors inside the ``with`` block (compression, disk) become a `UserError`.
        """
        try:
            with _open_bytes(self.path) as stream:
                yield stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(
                f"{self.name}: the gzip data is cut short or damaged ({error}); "
                "fetch the file again"
            ) from error
        except OSError as error:
            raise UserError(f"{self.name}: cannot be read: {error.strerror or error}") from error

    @contextmanager
    def text(self, newline: str | None = "") -> Iterator[TextIOWrapper]:
        """The text of the file, decompressed; ``newline`` is that of `open`.

        Reading errors inside the ``with`` block (also of the encoding) become a `UserError`.
        """
        try:
            with (
                self.bytes() as stream,
                TextIOWrapper(stream, encoding="utf-8-sig", newline=newline) as text,
            ):
                yield text
        except UnicodeDecodeError as error:
            raise UserError(_describe_bad_encoding(self)) from error


def open_source(path: str | Path, format: str | None = None, *, has_header: bool = False) -> Source:
    """Find and check an input file.

    Args:
        path: the file; ``-`` for standard input, which like a pipe, or Parquet inside gzip, is
            copied to a temporary file.
        format: one of the values of `FORMATS`; None takes it from the suffix (for standard input
            and pipes from the first bytes, CSV when they tell nothing).
        has_header: whether standard input is known to start with column names if it is text; else
            text that starts with a SMILES is a SMILES file.

    Raises:
        UserError: no name, no such file, a folder, an empty file, an unknown suffix or format.
    """
    if format is not None and format not in FORMATS.values():
        known = ", ".join(dict.fromkeys(FORMATS.values()))
        raise UserError(f"unknown input format {format!r}; use one of {known}")
    if not str(path).strip():
        raise UserError("the name of the input is empty; give a file")
    if str(path) == "-":
        if sys.stdin is None:
            raise UserError("standard input is closed; give a file")
        stdin = cast("BufferedIOBase", sys.stdin.buffer)
        source = _spool(stdin, "standard input", format, has_header)
    else:
        path = Path(path)
        _check_readable(path)
        if is_file(path):
            source = Source(path, str(path), format or format_of(path))
        else:
            with path.open("rb") as pipe:
                source = _spool(pipe, str(path), format, has_header)
    zipped = _check_content(source)
    return _unpack(source) if zipped and source.format == "parquet" else source


def format_of(path: Path) -> str:
    """The format that the suffix of ``path`` stands for.

    Raises:
        UserError: the suffix is not one of `FORMATS` (with ``.gz`` or without).
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    found = FORMATS.get(suffixes[-1]) if suffixes else None
    if found is None:
        raise UserError(
            f"{path}: unknown file type {path.suffix or '(no suffix)'!r}; "
            f"use one of {', '.join(FORMATS)} (each also with .gz)"
        )
    return found


def _check_readable(path: Path) -> None:
    if is_folder(path):
        raise UserError(f"{path}: is a folder; give a file")
    if not exists(path):
        raise UserError(f"{path}: no such file")
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: no permission to read it")


def _check_content(source: Source) -> bool:
    """Refuse what holds no table; whether the file is zipped."""
    try:
        with source.path.open("rb") as stream:
            start = stream.read(len(_GZIP_MAGIC))
    except OSError as error:
        raise UserError(f"{source.name}: cannot be read: {error.strerror}") from error
    zipped = start == _GZIP_MAGIC
    called_zipped = source.path.suffix.lower() == ".gz"
    if called_zipped and start and not zipped:
        raise UserError(f"{source.name}: not a gzip file although it is called .gz; rename it")
    with source.bytes() as stream:
        start = stream.read(_LOOKED_AT)
    if not start:
        raise UserError(f"{source.name}: the input is empty")
    if source.format != "parquet" and b"\0" in start and not start.startswith(_UTF16_MARKS):
        raise UserError(
            f"{source.name}: holds NUL bytes, as UTF-16 and binary data do; save it as UTF-8 text"
        )
    return zipped


def _unpack(source: Source) -> Source:
    """A decompressed copy: Parquet is read from its end, which gzip cannot."""
    with source.bytes() as stream:
        return _spool(stream, source.name, source.format, False)


def _open_bytes(path: Path) -> gzip.GzipFile | BufferedReader:
    with path.open("rb") as stream:
        zipped = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _describe_bad_encoding(source: Source) -> str:
    with _open_bytes(source.path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                if number == 1 and line.startswith(_UTF16_MARKS):
                    return f"{source.name}: the text is UTF-16; save it as UTF-8"
                return (
                    f"{source.name}: line {number} is not UTF-8 (byte 0x{line[error.start]:02x} "
                    f"at position {error.start + 1}); save the file as UTF-8"
                )
    return f"{source.name}: the text is not UTF-8; save the file as UTF-8"


def _spool(stream: BufferedIOBase, name: str, format: str | None, has_header: bool) -> Source:
    """A temporary copy of a stream, removed when the source is no longer in use."""
    place = "a temporary file"
    try:
        handle, copy = tempfile.mkstemp(prefix="molweave-input-")
        path = Path(copy)
        place = str(path.parent)
        with ExitStack() as stack:
            stack.callback(_discard, path)
            with os.fdopen(handle, "wb") as spool:
                shutil.copyfileobj(stream, spool, _SPOOL_BLOCK)
            source = Source(path, name, format or _sniff_format(path, has_header))
            weakref.finalize(source, stack.pop_all().close)
            return source
    except gzip.BadGzipFile:
        raise
    except OSError as error:
        raise UserError(
            f"{name}: cannot be copied to {place}: {error.strerror}; make room or set TMPDIR"
        ) from error


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _sniff_format(path: Path, has_header: bool) -> str:
    try:
        with _open_bytes(path) as stream:
            start = stream.read(1 << 16)
    except (OSError, EOFError, zlib.error):
        return "csv"
    if start.startswith(_PARQUET_MAGIC):
        return "parquet"
    if b"M  END" in start or b"$$$$" in start:
        return "sdf"
    text = start.decode("utf-8-sig", errors="replace")
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not has_header and _starts_smiles_file(first):
        return "smi"
    between_tabs = set(_names(first, "\t")) & set(SMILES_COLUMNS)
    return "tsv" if "\t" in first and ("," not in first or between_tabs) else "csv"


def _names(line: str, marks: str) -> list[str]:
    return [name.strip(' "').casefold() for name in re.split(marks, line)]


def _starts_smiles_file(line: str) -> bool:
    """Whether a first line is a SMILES with or without a name, and no header of a table."""
    names = _names(line, r"[,;\t]")
    word = line.split(maxsplit=1)[:1]
    return not set(names) & set(SMILES_COLUMNS) and any(map(is_smiles, word))
