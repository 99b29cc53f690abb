"""Bemis-Murcko scaffolds: the ring systems of a molecule and the linkers between them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from molweave.chem.molecule import Molecule
from molweave.chem.smiles import parse_smiles


def scaffold(mol: Chem.Mol, *, chirality: bool = True) -> str:
    """SMILES of the Bemis-Murcko scaffold; ``""`` for a molecule without rings.

    Args:
        mol: a sanitised molecule.
        chirality: keep stereo marks, so that enantiomers have different scaffolds.
    """
    return str(MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=chirality))


def group_positions(keys: Iterable[str]) -> list[np.ndarray]:
    """Positions that share a key, ascending within a group; groups in order of first appearance."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for position, key in enumerate(keys):
        groups[key].append(position)
    return [np.array(group, dtype=np.int64) for group in groups.values()]


def scaffold_groups(molecules: Sequence[Molecule], *, chirality: bool = True) -> list[np.ndarray]:
    """Positions of the molecules that share a scaffold, see `scaffold`.

    All molecules without rings form one group. Equal molecules are always in the same group: the
    scaffold is computed once per canonical SMILES, from the first row that has it.

    With chirality the scaffold is taken from the text of that row, as published splits do. RDKit
    leaves marks of double bonds whose substituents were cut off, and which of them stay depends on
    the order of the atoms: for about 1 molecule in 200 the canonical form has another scaffold.
    """
    known: dict[str, str] = {}
    for molecule in molecules:
        if molecule.canonical not in known:
            mol = _as_written(molecule) if chirality else molecule.mol
            known[molecule.canonical] = scaffold(mol, chirality=chirality)
    return group_positions(known[molecule.canonical] for molecule in molecules)


def _as_written(molecule: Molecule) -> Chem.Mol:
    """The molecule with the atoms in the order of the input, unless standardising changed it."""
    mol = parse_smiles(molecule.smiles)
    if mol is None or Chem.MolToSmiles(mol) != molecule.canonical:
        return molecule.mol
    return mol
