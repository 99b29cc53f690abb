"""Files of molecules, and what the readers made of them."""

import gzip
from pathlib import Path

from molweave.chem.read import Record


def put(folder: Path, name: str, content: str | bytes) -> Path:
    """A file of this content, gzipped where its name says so."""
    path = folder / name
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def problems(records: list[Record]) -> list[str | None]:
    """Why rows could not be read."""
    return [record.problem for record in records]


def smiles(records: list[Record]) -> list[str | None]:
    """The SMILES of the rows."""
    return [record.smiles for record in records]
