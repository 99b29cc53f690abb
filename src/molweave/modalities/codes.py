"""Atoms and bonds as small category codes, shared by the graph and the geometry modality.

The categories are those of chemprop (Yang et al. 2019, J. Chem. Inf. Model. 59, 3370); the last
category of a property means "any other value", except for aromaticity, conjugation and ring.
"""

import numpy as np
from rdkit import Chem

ATOM_CARDINALITIES = (101, 7, 6, 5, 6, 6, 2)
"""Categories of an atom's atomic number, degree (hydrogens counted), formal charge, chirality tag,
number of hydrogens, hybridisation and aromaticity, the columns of `atom_codes`."""
BOND_CARDINALITIES = (5, 7, 2, 2)
"""Categories of a bond's type, stereo, conjugation and ring membership, the columns of
`bond_codes`."""

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


def atom_codes(mol: Chem.Mol) -> np.ndarray:
    """Codes of every atom, uint8 (atoms, 7), in the order of `ATOM_CARDINALITIES`.

    Atomic number z is code z - 1, so that hydrogen is 0; a dummy atom and z > 100 are code 100.
    """
    codes: list[int] = []
    for atom in mol.GetAtoms():
        codes += (
            (atom.GetAtomicNum() - 1) if 1 <= atom.GetAtomicNum() <= 100 else 100,
            min(atom.GetTotalDegree(), 6),
            _CHARGE.get(atom.GetFormalCharge(), 5),
            min(int(atom.GetChiralTag()), 4),
            min(atom.GetTotalNumHs(), 5),
            _HYBRIDIZATION.get(atom.GetHybridization(), 5),
            atom.GetIsAromatic(),
        )
    return np.frombuffer(bytes(codes), dtype=np.uint8).reshape(-1, len(ATOM_CARDINALITIES))


def bond_codes(mol: Chem.Mol) -> np.ndarray:
    """Codes of every bond, uint8 (bonds, 4), in the order of `BOND_CARDINALITIES`."""
    codes: list[int] = []
    for bond in mol.GetBonds():
        codes += (
            _BOND_TYPE.get(bond.GetBondType(), 4),
            min(int(bond.GetStereo()), 6),
            bond.GetIsConjugated(),
            bond.IsInRing(),
        )
    return np.frombuffer(bytes(codes), dtype=np.uint8).reshape(-1, len(BOND_CARDINALITIES))


def bond_ends(mol: Chem.Mol) -> np.ndarray:
    """The two atoms of every bond, int32 (2, bonds)."""
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
    return np.array(ends, dtype=np.int32).reshape(-1, 2).T
