"""One shard: a Parquet file of molecules with their coordinates."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from molweave.data.manifest import Origin, Shard, write_whole
from molweave.errors import UserError

_DESCRIPTION = (
    "float16 x y z of every heavy atom, flattened, in the atom order of the SMILES, "
    "in angstrom relative to the centroid; null where there are none"
)


@dataclass(frozen=True, slots=True)
class CorpusMolecule:
    """A molecule on its way into a shard.

    Attributes:
        canonical: canonical SMILES.
        coordinates: float32 (atoms, 3) in angstrom, in the atom order of ``canonical``, or None.
        source: name of the file it comes from.
        part: ``train`` or ``valid``.
    """

    canonical: str
    coordinates: np.ndarray | None
    source: str
    part: str


class Sample(NamedTuple):
    """A molecule of a shard.

    Attributes:
        smiles: canonical SMILES.
        coordinates: float32 (atoms, 3) in angstrom relative to the centroid, in the atom order of
            ``smiles``; None where there are none.
    """

    smiles: str
    coordinates: np.ndarray | None


def write_shard(
    path: Path, part: str, molecules: Sequence[CorpusMolecule], origin: Origin
) -> Shard:
    """Write a shard: columns ``smiles``, ``coordinates``, ``source``; settings in the metadata.

    Equal molecules and settings give equal bytes.
    """
    import pyarrow
    from pyarrow import parquet

    metadata = {
        "coordinates": _DESCRIPTION,
        "settings": json.dumps(dict(origin.settings)),
        "versions": json.dumps(dict(origin.versions)),
    }
    points = [_centred(molecule.coordinates) for molecule in molecules]
    columns = {
        "smiles": pyarrow.array([m.canonical for m in molecules], pyarrow.string()),
        "coordinates": pyarrow.array(points, pyarrow.list_(pyarrow.float16())),
        "source": pyarrow.array([m.source for m in molecules], pyarrow.string()),
    }
    buffer = io.BytesIO()
    table = pyarrow.table(columns).replace_schema_metadata(metadata)
    parquet.write_table(table, buffer, compression="zstd", use_dictionary=["source"])
    content = buffer.getvalue()
    write_whole(path, content)
    return Shard(
        file=path.name,
        part=part,
        rows=len(molecules),
        with_coordinates=sum(point is not None for point in points),
        sha256=hashlib.sha256(content).hexdigest(),
    )


class ShardRows:
    """The molecules of a shard, in memory as they are on disk.

    Args:
        path: the file.
        shard: what the manifest says of it.

    Raises:
        UserError: the file is gone, cut short, empty, or not the one of the manifest.
    """

    def __init__(self, path: Path, shard: Shard) -> None:
        table = _read_table(path, _read_checked(path, shard))
        if table.num_rows != shard.rows or not shard.rows:
            raise UserError(
                f"{path}: {table.num_rows} molecules, the manifest says {shard.rows}; "
                "prepare the corpus again with --overwrite"
            )
        self.smiles = table.column("smiles").combine_chunks()
        lists = table.column("coordinates").combine_chunks()
        self._missing = lists.is_null().to_numpy(zero_copy_only=False)
        self._offsets = lists.offsets.to_numpy()
        self._values = lists.values.to_numpy()

    def __len__(self) -> int:
        """Number of molecules."""
        return len(self.smiles)

    def __getitem__(self, row: int) -> Sample:
        """The molecule of a row."""
        smiles: str = self.smiles[row].as_py()
        if self._missing[row]:
            return Sample(smiles, None)
        values = self._values[self._offsets[row] : self._offsets[row + 1]]
        return Sample(smiles, values.astype(np.float32).reshape(-1, 3))


def _centred(coordinates: np.ndarray | None) -> np.ndarray | None:
    if coordinates is None:
        return None
    centred = coordinates.astype(np.float64)
    centred -= centred.mean(axis=0)
    flat: np.ndarray = centred.astype(np.float16).reshape(-1)
    return flat


def _read_checked(path: Path, shard: Shard) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; copy the folder or prepare the "
            "corpus again with --overwrite"
        ) from error
    if not content:
        raise UserError(
            f"{path}: the shard is empty; copy the folder or prepare the corpus again with "
            "--overwrite"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != shard.sha256:
        raise UserError(
            f"{path}: the checksum is {found[:12]}, the manifest says {shard.sha256[:12]}: cut "
            "short or changed; copy the folder or prepare the corpus again with --overwrite"
        )
    return content


def _read_table(path: Path, content: bytes) -> Any:
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.read_table(io.BytesIO(content), columns=["smiles", "coordinates"])
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable shard: {error}; prepare it again") from error
