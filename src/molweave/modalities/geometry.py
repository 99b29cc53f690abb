"""The geometry modality: bond lengths, bond angles and positions of one conformer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.modalities import batching, codes
from molweave.modalities.base import Missing, Modality, Part
from molweave.shapes import Float, Int, Tensor

ATOM_CARDINALITIES = codes.ATOM_CARDINALITIES
BOND_CARDINALITIES = codes.BOND_CARDINALITIES


@dataclass(frozen=True)
class GeometrySample:
    """One molecule with a conformer.

    Attributes:
        atoms: uint8 (atoms, 7), see `codes.read_atoms`.
        bonds: uint8 (bonds, 4), see `codes.read_bonds`.
        ends: int32 (2, bonds), the two atoms of each bond.
        lengths: float32 (bonds,), in angstrom.
        pairs: int32 (2, angles), two different bonds that share an atom, in both orders.
        angles: float32 (angles,), between the two bonds at the atom they share, in radians.
        positions: float32 (atoms, 3), in angstrom, their mean at the origin.
    """

    atoms: np.ndarray
    bonds: np.ndarray
    ends: np.ndarray
    lengths: np.ndarray
    pairs: np.ndarray
    angles: np.ndarray
    positions: np.ndarray


@dataclass(frozen=True)
class GeometryPart(Part):
    """Conformers side by side: an atom-bond graph and a bond-angle graph.

    Attributes:
        atoms: categories of each atom, below `ATOM_CARDINALITIES`.
        molecule: the molecule of each atom, ascending.
        bonds: categories of each undirected bond, below `BOND_CARDINALITIES`.
        bond_ends: the two atoms of each bond.
        bond_length: in angstrom.
        angle_bonds: from which bond to which; every pair of bonds at an atom in both directions.
        angle: between the two bonds, 0 to pi, in radians.
        positions: in angstrom, the mean over each molecule at the origin.
    """

    atoms: Int[Tensor, "A 7"]
    molecule: Int[Tensor, " A"]
    bonds: Int[Tensor, "M 4"]
    bond_ends: Int[Tensor, "2 M"]
    bond_length: Float[Tensor, " M"]
    angle_bonds: Int[Tensor, "2 K"]
    angle: Float[Tensor, " K"]
    positions: Float[Tensor, "A 3"]


class GeometryModality(Modality[GeometrySample]):
    """Categorical atoms and bonds, bond lengths and the real bond angles of a conformer.

    The two graphs of GEM (Fang et al. 2022, Nat. Mach. Intell. 4, 127), without self loops: a
    bond angle is one between two different bonds that share an atom.
    """

    name: ClassVar[str] = "geometry"
    needs_conformer: ClassVar[bool] = True

    @property
    def version(self) -> str:
        """Changes with the features."""
        return "geometry-1"

    def featurize(
        self, molecule: Molecule, conformer: Conformer | None
    ) -> GeometrySample | Missing:
        """Measure the conformer; missing when there is none.

        Raises:
            ValueError: the conformer has another number of atoms than the molecule.
        """
        if conformer is None or conformer.coordinates is None:
            reason = conformer.failure if conformer else None
            return Missing(f"no conformer: {reason}" if reason else "no conformer")
        mol = molecule.mol
        if conformer.coordinates.shape != (mol.GetNumAtoms(), 3):
            raise ValueError(
                f"conformer of shape {conformer.coordinates.shape} for {mol.GetNumAtoms()} atoms"
            )
        if not np.isfinite(conformer.coordinates).all():
            return Missing("no conformer: coordinates are not finite")
        positions = conformer.coordinates.astype(np.float64)
        atoms, _ = codes.read_atoms(mol)
        bonds, ends = codes.read_bonds(mol)
        pairs, angles = bond_angles(ends, positions)
        lengths = np.linalg.norm(positions[ends[1]] - positions[ends[0]], axis=1)
        return GeometrySample(
            atoms=atoms,
            bonds=bonds,
            ends=ends,
            lengths=lengths.astype(np.float32),
            pairs=pairs.astype(np.int32),
            angles=angles.astype(np.float32),
            positions=(positions - positions.mean(axis=0)).astype(np.float32),
        )

    def collate(self, samples: Sequence[GeometrySample]) -> GeometryPart:
        """Lay the graphs end to end."""
        sizes = [len(sample.atoms) for sample in samples]
        bonds = [len(sample.bonds) for sample in samples]

        def joined(name: str, kind: type[np.generic]) -> Tensor:
            arrays = [getattr(sample, name) for sample in samples]
            return torch.from_numpy(np.concatenate(arrays).astype(kind, copy=False))

        return GeometryPart(
            num_molecules=len(samples),
            atoms=joined("atoms", np.int64),
            molecule=batching.owners(sizes),
            bonds=joined("bonds", np.int64),
            bond_ends=torch.from_numpy(batching.join_indices([s.ends for s in samples], sizes)),
            bond_length=joined("lengths", np.float32),
            angle_bonds=torch.from_numpy(batching.join_indices([s.pairs for s in samples], bonds)),
            angle=joined("angles", np.float32),
            positions=joined("positions", np.float32),
        )


def bond_angles(ends: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every angle between two different bonds that share an atom.

    With u and v from the shared atom to the other ends, the angle is atan2(|u x v|, u . v), exact
    near 0 and pi too.

    Args:
        ends: int (2, bonds), the two atoms of each bond.
        positions: float (atoms, 3).

    Returns:
        Ordered pairs of bonds, int (2, angles), and the angles in radians, float (angles,).
    """
    bonds = np.arange(ends.shape[1])
    atom = np.concatenate([ends[0], ends[1]])
    order = np.argsort(atom, kind="stable")
    atom = atom[order]
    other = np.concatenate([ends[1], ends[0]])[order]
    bond = np.concatenate([bonds, bonds])[order]
    degree = np.bincount(atom, minlength=len(positions))
    start = np.cumsum(degree) - degree
    first = np.repeat(np.arange(len(atom)), degree[atom])
    block = np.cumsum(degree[atom]) - degree[atom]
    second = np.arange(len(first)) - np.repeat(block - start[atom], degree[atom])
    first, second = first[first != second], second[first != second]
    centre = positions[atom]
    vectors = positions[other] - centre
    u, v = vectors[first], vectors[second]
    cross = np.linalg.norm(np.cross(u, v), axis=1)
    angles = np.arctan2(cross, np.einsum("ij,ij->i", u, v))
    return np.stack([bond[first], bond[second]]), angles
