"""The graph modality: atoms and directed bonds with the features of chemprop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.modalities import batching, codes
from molweave.modalities.base import Modality, Part
from molweave.shapes import Float, Int, Tensor

ATOM_WIDTH = 133
"""Features of an atom: one-hot codes (131), aromatic (1), atomic mass / 100 (1)."""
BOND_WIDTH = 14
"""Features of a bond: 1, one-hot type (4), conjugated, in a ring, one-hot stereo (7)."""


@dataclass(frozen=True)
class GraphSample:
    """One molecule as compact codes.

    Attributes:
        atoms: uint8 (atoms, 7), see `codes.read_atoms`.
        masses: float32 (atoms,), in dalton.
        bonds: uint8 (bonds, 4), see `codes.read_bonds`.
        ends: int32 (2, bonds), the two atoms of each bond.
    """

    atoms: np.ndarray
    masses: np.ndarray
    bonds: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class GraphPart(Part):
    """Molecular graphs side by side.

    Directed bonds 2k and 2k + 1 are the two directions of bond k.

    Attributes:
        atoms: features of each atom, `ATOM_WIDTH` wide.
        bonds: features of each directed bond, `BOND_WIDTH` wide, equal for both directions.
        source: the atom where each directed bond starts.
        target: the atom where it ends.
        reverse: the same bond in the other direction.
        molecule: the molecule of each atom, ascending.
    """

    atoms: Float[Tensor, "A 133"]
    bonds: Float[Tensor, "E 14"]
    source: Int[Tensor, " E"]
    target: Int[Tensor, " E"]
    reverse: Int[Tensor, " E"]
    molecule: Int[Tensor, " A"]


class GraphModality(Modality[GraphSample]):
    """The 133 atom and 14 bond features of chemprop version 1 on the 2D structure.

    Source: Yang et al. 2019, J. Chem. Inf. Model. 59, 3370, supporting information; the atom
    features are those that chemprop 2 calls ``v1``.
    """

    name: ClassVar[str] = "graph"

    @property
    def version(self) -> str:
        """Changes with the features."""
        return "graph-1"

    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> GraphSample:
        """Read the codes of every atom and bond; never missing."""
        atoms, masses = codes.read_atoms(molecule.mol)
        bonds, ends = codes.read_bonds(molecule.mol)
        return GraphSample(atoms=atoms, masses=masses, bonds=bonds, ends=ends)

    def collate(self, samples: Sequence[GraphSample]) -> GraphPart:
        """Expand the codes and lay the graphs end to end."""
        sizes = [len(sample.atoms) for sample in samples]
        atoms = np.concatenate([sample.atoms for sample in samples])
        masses = np.concatenate([sample.masses for sample in samples])
        bonds = np.concatenate([sample.bonds for sample in samples])
        ends = batching.join_indices([sample.ends for sample in samples], sizes)
        return GraphPart(
            num_molecules=len(samples),
            atoms=torch.from_numpy(_atom_features(atoms, masses)),
            bonds=torch.from_numpy(np.repeat(_bond_features(bonds), 2, axis=0)),
            source=torch.from_numpy(ends.T.flatten()),
            target=torch.from_numpy(ends[::-1].T.flatten()),
            reverse=torch.arange(2 * len(bonds)) ^ 1,
            molecule=batching.owners(sizes),
        )


def _atom_features(atoms: np.ndarray, masses: np.ndarray) -> np.ndarray:
    *categories, _ = codes.ATOM_CARDINALITIES
    starts = np.cumsum([0, *categories])[:-1]
    features = np.zeros((len(atoms), ATOM_WIDTH), dtype=np.float32)
    features[np.arange(len(atoms))[:, None], atoms[:, :-1] + starts] = 1.0
    features[:, -2] = atoms[:, -1]
    features[:, -1] = 0.01 * masses
    return features


def _bond_features(bonds: np.ndarray) -> np.ndarray:
    kind, stereo, conjugated, ring = bonds.T
    kinds, stereos, *_ = codes.BOND_CARDINALITIES
    return np.concatenate(
        [
            np.ones((len(bonds), 1), dtype=np.float32),
            np.eye(kinds, kinds - 1, dtype=np.float32)[kind],
            np.stack([conjugated, ring], axis=1).astype(np.float32),
            np.eye(stereos, dtype=np.float32)[stereo],
        ],
        axis=1,
    )
