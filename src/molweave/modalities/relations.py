"""The relations modality: shortest paths between all atoms, and the bonds along them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from rdkit import Chem

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.modalities import codes
from molweave.modalities.base import Modality, Part
from molweave.shapes import Tensor, UInt

ATOM_CARDINALITIES = (*codes.ATOM_CARDINALITIES, 5, 2)
"""Categories of an atom: those of `codes.read_atoms`, radical electrons (4 and more are one), and
ring membership; the nine properties of the Open Graph Benchmark."""
FAR = 20
"""The largest distance that is told apart; a longer shortest path counts as this one."""
UNREACHABLE = FAR + 1
"""The distance of two atoms that no path joins (a salt, say)."""
HOPS = 5
"""How many bonds of a path are kept, from its start."""
NO_HOP = 0
"""The code of a hop beyond the end of a path."""

_TYPES, _STEREOS, _CONJUGATIONS, _ = codes.BOND_CARDINALITIES
_DOUBLE = 1
BOND_CARDINALITIES = (_TYPES, _STEREOS, _CONJUGATIONS)
"""Categories of a bond's type, stereo and conjugation, the columns of `BONDS`."""
BONDS = tuple(
    (kind, stereo, conjugated)
    for kind in range(_TYPES)
    for stereo in range(_STEREOS if kind == _DOUBLE else 1)
    for conjugated in range(_CONJUGATIONS)
)
"""The joint classes of a bond; hop code c > 0 is ``BONDS[c - 1]``. Only double bonds have a
stereo."""

_JOINT = np.zeros(BOND_CARDINALITIES, dtype=np.uint8)
for _code, (_kind, _stereo, _conjugated) in enumerate(BONDS, start=NO_HOP + 1):
    _JOINT[_kind, slice(None) if _kind != _DOUBLE else _stereo, _conjugated] = _code


@dataclass(frozen=True)
class RelationsSample:
    """One molecule of n atoms.

    Attributes:
        atoms: uint8 (n, 9), below `ATOM_CARDINALITIES`.
        spd: uint8 (n, n), bonds on the shortest path from row to column: 0 to `FAR`, or
            `UNREACHABLE`.
        hops: uint8 (n, n, 5), the bonds of that path in order, `NO_HOP` after its end.
    """

    atoms: np.ndarray
    spd: np.ndarray
    hops: np.ndarray


@dataclass(frozen=True)
class RelationsPart(Part):
    """Atoms and pairs of atoms laid end to end, without padding.

    Attributes:
        sizes: number of atoms n of every molecule; kept on the host, where padding is planned.
        atoms: categories of each atom, below `ATOM_CARDINALITIES`.
        spd: of all n * n pairs of each molecule, row by row; see `RelationsSample`.
        hops: bonds along the path of each pair.
    """

    sizes: tuple[int, ...]
    atoms: UInt[Tensor, "A 9"]
    spd: UInt[Tensor, " P"]
    hops: UInt[Tensor, "P 5"]


class RelationsModality(Modality[RelationsSample]):
    """What the 2D structure says of every pair of atoms (Transformer-M, MoleBLEND).

    Of several shortest paths between two atoms, the one that always steps to the neighbour of the
    lowest canonical index. Memory is 6 bytes for each pair of atoms.
    """

    name: ClassVar[str] = "relations"

    @property
    def version(self) -> str:
        """Changes with the features."""
        return "relations-1"

    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> RelationsSample:
        """Find every shortest path; never missing."""
        mol = molecule.mol
        bonds, ends = codes.read_bonds(mol)
        kinds = _JOINT[bonds[:, 0], bonds[:, 1], bonds[:, 2]]
        neighbours = _neighbours(ends, mol.GetNumAtoms())
        distance, joined = shortest_paths(neighbours)
        spd = np.where(joined, np.minimum(distance, FAR), UNREACHABLE).astype(np.uint8)
        step = first_steps(neighbours, np.where(joined, distance, np.int32(-1)))
        return RelationsSample(atoms=_read_atoms(mol), spd=spd, hops=_walk(step, ends, kinds))

    def collate(self, samples: Sequence[RelationsSample]) -> RelationsPart:
        """Lay the atoms and the pairs end to end."""
        return RelationsPart(
            num_molecules=len(samples),
            sizes=tuple(len(sample.atoms) for sample in samples),
            atoms=torch.from_numpy(np.concatenate([sample.atoms for sample in samples])),
            spd=torch.from_numpy(np.concatenate([sample.spd.ravel() for sample in samples])),
            hops=torch.from_numpy(
                np.concatenate([sample.hops.reshape(-1, HOPS) for sample in samples])
            ),
        )


def shortest_paths(neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bonds on the shortest path between all atoms.

    All balls grow together: what is within d + 1 bonds of an atom is what is within d bonds of its
    neighbours. That is n^2 (diameter) (degree) operations on bytes, where Floyd and Warshall's n^3
    take half a minute for 1,000 atoms.

    Args:
        neighbours: int (n, slots), see `_neighbours`.

    Returns:
        Distances, int32 (n, n), without meaning where no path is; and where one is, bool (n, n).
    """
    count = len(neighbours)
    ball = np.eye(count, dtype=bool)
    distance = np.zeros((count, count), dtype=np.int32)
    inside = count
    while True:
        grown = ball.copy()
        for slot in neighbours.T:
            grown |= ball[slot]
        inside, before = int(np.count_nonzero(grown)), inside
        if inside == before:
            return distance, ball
        distance += ~ball
        ball = grown


def first_steps(neighbours: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """The atom after the first on the path from row to column.

    The neighbour of the lowest index that is one bond nearer; the row itself where there is no
    path or no step to make.

    Args:
        neighbours: int (n, slots), ascending in every row.
        distance: int32 (n, n), -1 where no path is.
    """
    step = np.repeat(np.arange(len(distance), dtype=np.int32)[:, None], len(distance), axis=1)
    nearer = np.where(distance > 0, distance - 1, np.int32(-2))
    for slot in neighbours.T[::-1]:
        np.copyto(step, slot[:, None], where=distance[slot] == nearer)
    return step


def _neighbours(ends: np.ndarray, count: int) -> np.ndarray:
    """Bonded atoms of every atom, int32 (atoms, largest degree), ascending.

    Atoms with fewer are filled up with themselves, which changes nothing in either algorithm.
    """
    atom, other = np.concatenate([ends, ends[::-1]], axis=1)
    order = np.lexsort((other, atom))
    atom, other = atom[order], other[order]
    degree = np.bincount(atom, minlength=count)
    table = np.repeat(np.arange(count, dtype=np.int32)[:, None], degree.max(initial=0), axis=1)
    table[atom, np.arange(len(atom)) - (np.cumsum(degree) - degree)[atom]] = other
    return table


def _walk(step: np.ndarray, ends: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """The first `HOPS` bonds of every path, uint8 (n, n, 5)."""
    count = len(step)
    bond = np.full((count, count), NO_HOP, dtype=np.uint8)
    bond[ends[0], ends[1]] = bond[ends[1], ends[0]] = kinds
    hops = np.empty((count, count, HOPS), dtype=np.uint8)
    column = np.arange(count)
    here = np.repeat(column[:, None], count, axis=1)
    for hop in range(HOPS):
        following = step[here, column]
        hops[:, :, hop] = bond[here, following]
        here = following
    return hops


def _read_atoms(mol: Chem.Mol) -> np.ndarray:
    atoms, _ = codes.read_atoms(mol)
    more = [
        (min(atom.GetNumRadicalElectrons(), 4), atom.IsInRing())
        for atom in map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))
    ]
    return np.concatenate([atoms, np.array(more, dtype=np.uint8).reshape(-1, 2)], axis=1)
