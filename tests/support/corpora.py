"""Folders of shards without any chemistry in the making, and what is in a folder of shards."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet

from molweave.chem.standardize import Standardizer
from molweave.data.corpus import Place
from molweave.data.corpus_span import Draft
from molweave.data.corpus_writer import CorpusWriter
from molweave.data.manifest import Origin
from molweave.data.shard_file import CorpusMolecule

ORIGIN = Origin(
    settings={"standardizer": Standardizer().version}, versions={}, corpus=(), exclude=()
)


def chain(number: int) -> str:
    return "C" * (number + 1)


def write_corpus(folder: Path, sizes, *, valid: int = 0, placed: bool = False) -> list[str]:
    """One span per size; every third molecule has coordinates. The SMILES of the training part.

    With ``placed`` every second molecule of the validation part has some, too, else none.
    """
    names = []
    with CorpusWriter(folder, ORIGIN) as writer:
        for number, size in enumerate(sizes):
            draft = Draft(Place(0, number + 1), rows=size)
            for _ in range(size):
                name = chain(len(names))
                draft.molecules.append(CorpusMolecule(name, made_up(name), "made up", "train"))
                names.append(name)
            for extra in range(valid):
                name = "O" * (number * valid + extra + 1)
                points = np.random.default_rng(extra).normal(size=(len(name), 3)).astype(np.float32)
                given = points if placed and extra % 2 == 0 else None
                draft.molecules.append(CorpusMolecule(name, given, "made up", "valid"))
            writer.commit(draft)
        writer.finish()
    return names


def made_up(name: str) -> np.ndarray | None:
    """Coordinates for every third chain, another for each."""
    if len(name) % 3:
        return None
    return np.random.default_rng(len(name)).normal(size=(len(name), 3)).astype(np.float32)


def rows_of(folder: Path, part: str) -> list[dict[str, object]]:
    """Every row of the shards of a part, as Parquet has them."""
    files = sorted(folder.glob(f"{part}-*.parquet"))
    return [row for file in files for row in pyarrow.parquet.read_table(file).to_pylist()]


def smiles_of(folder: Path) -> list[str]:
    """The SMILES of both parts, sorted."""
    return sorted(
        str(row["smiles"]) for part in ("train", "valid") for row in rows_of(folder, part)
    )


def contents(folder: Path) -> dict[str, str]:
    """File name to SHA-256."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def manifest_of(folder: Path) -> dict[str, object]:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
