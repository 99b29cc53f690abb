"""The input of `molweave.data.prepare`: a file of molecules or a folder of such files."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rdkit import Chem, rdBase

from molweave.chem.files import FORMATS, Source, open_source
from molweave.chem.read import open_table
from molweave.chem.table import Record
from molweave.data.manifest import FileRecord
from molweave.errors import UserError

COORDINATES = "coordinates"
"""Column of a Parquet file with x, y, z of every heavy atom, in the order of the SMILES."""


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
        record: the row, with the structure and coordinates where the file gives some.
        unusable: whether the file gives coordinates that do not fit the structure.
        after: the place of the next row.
    """

    source: str
    record: Record
    unusable: bool
    after: Place


def find_files(corpus: str | Path) -> tuple[Path, ...]:
    """The files of a corpus: the one named, or those of a folder by name.

    Raises:
        UserError: nothing is there, standard input, or a folder without tables of molecules.
    """
    if str(corpus) == "-":
        raise UserError("a corpus is a file or a folder: a pipe could not be read again to resume")
    path = Path(corpus)
    if not path.is_dir():
        return (path,)
    files = sorted(file for file in path.iterdir() if file.is_file() and _is_table(file))
    if not files:
        raise UserError(f"{path}: no table of molecules in this folder ({', '.join(FORMATS)})")
    return tuple(files)


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
        column = table.columns.index(COORDINATES) if COORDINATES in table.columns else None
        first = start.row if number == start.file else 0
        for record in table:
            if record.row < first:
                continue
            given = None if column is None else record.values[column]
            found = record
            if isinstance(given, list | np.ndarray):
                found = attach_coordinates(record, given)
            unusable = isinstance(given, list | np.ndarray) and found.mol is None
            yield CorpusRow(path.name, found, unusable, Place(number, record.row + 1))


def attach_coordinates(record: Record, given: list[object] | np.ndarray) -> Record:
    """The record with its structure read and ``given`` as the conformer.

    Args:
        record: a row with a SMILES.
        given: x, y, z of every heavy atom in the order of the SMILES, in angstrom, flat or by atom.

    Returns:
        ``record`` itself where the SMILES cannot be read or the coordinates do not fit it: another
        number of atoms, or values that are not finite numbers.
    """
    if not record.smiles or record.problem is not None:
        return record
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(record.smiles)
    if mol is None:
        return record
    try:
        positions = np.asarray(given, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return record
    if positions.size != 3 * mol.GetNumAtoms() or not np.isfinite(positions).all():
        return record
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.Set3D(True)
    conformer.SetPositions(positions.reshape(-1, 3))
    mol.AddConformer(conformer)
    return Record(record.row, record.values, record.smiles, mol)


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
