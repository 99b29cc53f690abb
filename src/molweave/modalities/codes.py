"""Atoms and bonds as small category codes, shared by the graph and the geometry modality.

The categories are those of chemprop (Yang et al. 2019, J. Chem. Inf. Model. 59, 3370); the last
category of a property means "any other value", except for aromaticity, conjugation and ring.
"""

import numpy as np
from rdkit import Chem

ATOM_CARDINALITIES = (101, 7, 6, 5, 6, 6, 2)
"""Categories of an atom's atomic number, degree (hydrogens counted), formal charge, chirality tag,
number of hydrogens, hybridisation and aromaticity, the columns of `read_atoms`."""
BOND_CARDINALITIES = (5, 7, 2, 2)
"""Categories of a bond's type, stereo, conjugation and ring membership, the columns of
`read_bonds`."""

_CHARGE = {-1: 0, -2: 1, 1: 2, 2: 3, 0: 4}
_HYBRIDIZATION = {
    Chem.HybridizationType.SP: 0,
    Chem.HybridizationType.SP2: 1,
    Chem.HybridizationType.SP3: 2,
    Chem.HybridizationType.SP3D: 3,
    Chem.HybridizationType.SP3D2: 4,
}
_BOND_TYPE = {
    Chem.BondType.SINGLE: 0,
    Chem.BondType.DOUBLE: 1,
    Chem.BondType.TRIPLE: 2,
    Chem.BondType.AROMATIC: 3,
}


def read_atoms(mol: Chem.Mol) -> tuple[np.ndarray, np.ndarray]:
    """The atoms of a molecule as codes.

    Atomic number z is code z - 1, so that hydrogen is 0; a dummy atom and z > 100 are code 100.

    Returns:
        Codes, uint8 (atoms, 7), in the order of `ATOM_CARDINALITIES`, and the masses in dalton,
        float32 (atoms,).
    """
    codes: list[int] = []
    masses: list[float] = []
    for atom in map(mol.GetAtomWithIdx, range(mol.GetNumAtoms())):  # twice as fast as GetAtoms
        number = atom.GetAtomicNum()
        codes += (
            number - 1 if 1 <= number <= 100 else 100,
            min(atom.GetTotalDegree(), 6),
            _CHARGE.get(atom.GetFormalCharge(), 5),
            min(int(atom.GetChiralTag()), 4),
            min(atom.GetTotalNumHs(), 5),
            _HYBRIDIZATION.get(atom.GetHybridization(), 5),
            atom.GetIsAromatic(),
        )
        masses.append(atom.GetMass())
    return _table(codes, len(ATOM_CARDINALITIES)), np.array(masses, dtype=np.float32)


def read_bonds(mol: Chem.Mol) -> tuple[np.ndarray, np.ndarray]:
    """The bonds of a molecule as codes.

    Returns:
        Codes, uint8 (bonds, 4), in the order of `BOND_CARDINALITIES`, and the two atoms of each
        bond, int32 (2, bonds).
    """
    codes: list[int] = []
    ends: list[int] = []
    for bond in map(mol.GetBondWithIdx, range(mol.GetNumBonds())):
        codes += (
            _BOND_TYPE.get(bond.GetBondType(), 4),
            min(int(bond.GetStereo()), 6),
            bond.GetIsConjugated(),
            bond.IsInRing(),
        )
        ends += (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return _table(codes, len(BOND_CARDINALITIES)), np.array(ends, dtype=np.int32).reshape(-1, 2).T


def _table(codes: list[int], width: int) -> np.ndarray:
    return np.frombuffer(bytes(codes), dtype=np.uint8).reshape(-1, width)
