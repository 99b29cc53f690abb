"""Molecules whose only difference is their length, and any others."""

from collections.abc import Iterable

from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.read import table_from_smiles
from molweave.chem.standardize import Standardizer


def standardized(smiles: Iterable[str]) -> list[Molecule | Rejected]:
    """One per SMILES, the rows counted from 0."""
    return list(map(Standardizer(), table_from_smiles(list(smiles))))


def chains(count: int) -> list[Molecule | Rejected]:
    """Methane, ethane, propane, ..."""
    return standardized("C" * (length + 1) for length in range(count))
