"""The input of `molweave.data.prepare`: a file of molecules or a folder of such files."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from molweave.chem.files import FORMATS, Source, open_source
from molweave.chem.read import open_table
from molweave.chem.table import Record
from molweave.data.manifest import FileRecord
from molweave.errors import UserError
from molweave.paths import are_same, exists, is_file, is_folder, list_folder


@dataclass(frozen=True)
class Place:
    """Where to go on reading: a file, by its number, and the row in it."""

    file: int = 0
    row: int = 0


@dataclass(frozen=True, slots=True)
class CorpusRow:
    """A row of the corpus.

    Attributes:
        source: name of its file.
        record: the row.
        after: the place of the next row.
    """

    source: str
    record: Record
    after: Place


def find_files(corpus: str | Path) -> tuple[Path, ...]:
    """The files of a corpus: the one named, or those of a folder by name.

    Raises:
        UserError: nothing is there, a pipe, or a folder without tables of molecules.
    """
    if not str(corpus).strip():
        raise UserError("the name of the corpus is empty; give a file or a folder")
    path = Path(corpus)
    folder = is_folder(path)
    if str(corpus) == "-" or (exists(path) and not (folder or is_file(path))):
        raise UserError("a corpus is a file or a folder: a pipe could not be read again to resume")
    if not folder:
        return (path,)
    files = [file for file in list_folder(path) if is_file(file) and _is_table(file)]
    if not files:
        raise UserError(f"{path}: no table of molecules in this folder ({', '.join(FORMATS)})")
    return tuple(files)


def find_unread(corpus: str | Path, files: Sequence[Path], out: Path) -> tuple[str, ...]:
    """Names in the folder of a corpus that are none of its files, less hidden ones and ``out``.

    Files of other suffixes, folders, and links that lead nowhere; none where the corpus is a file.
    """
    path = Path(corpus)
    if not is_folder(path):
        return ()
    read = set(files)
    return tuple(
        found.name
        for found in list_folder(path)
        if found not in read and not found.name.startswith(".") and not are_same(found, out)
    )


def describe_file(path: Path) -> FileRecord:
    """Name, size and checksum of an input file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileRecord(name=path.name, bytes=path.stat().st_size, sha256=digest)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def estimate_rows(path: Path) -> int:
    """Nearly the number of rows, for the time left: quoted line ends and blank lines count too.

    Raises:
        UserError: the file cannot be read to its end.
    """
    source = open_source(path)
    if source.format == "parquet":
        return _count_parquet(source)
    with source.text(None) as text:
        if source.format == "sdf":
            return sum(line.startswith("$$$$") for line in text)
        header = source.format in ("csv", "tsv")
        return sum(1 for _ in text) - header


def read_rows(
    files: Sequence[Path], *, smiles_column: str | None = None, start: Place | None = None
) -> Iterator[CorpusRow]:
    """Every row from ``start`` on, file after file.

    Raises:
        UserError: a file cannot be read, or has no SMILES column.
    """
    start = start or Place()
    for number, path in enumerate(files[start.file :], start=start.file):
        table = open_table(path, smiles_column=smiles_column)
        first = start.row if number == start.file else 0
        for record in table:
            if record.row >= first:
                yield CorpusRow(path.name, record, Place(number, record.row + 1))


def _is_table(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return bool(suffixes) and suffixes[-1] in FORMATS and not path.name.startswith(".")


def _count_parquet(source: Source) -> int:
    import pyarrow
    from pyarrow import parquet

    try:
        return int(parquet.read_metadata(source.path).num_rows)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{source.name}: not a readable Parquet file: {error}") from error
