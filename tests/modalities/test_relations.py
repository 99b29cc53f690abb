"""Shortest paths, their bonds and atom categories, against plain searches and RDKit."""

from collections import deque
from itertools import pairwise

import numpy as np
import pytest
from rdkit import Chem

from molweave.modalities import codes
from molweave.modalities.relations import (
    BONDS,
    FAR,
    HOPS,
    NO_HOP,
    UNREACHABLE,
    RelationsModality,
    RelationsSample,
    first_steps,
    shortest_paths,
)

SMILES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@@H](O)[C@H](N)/C=C/Cl",
    "C1C2CC3CC1CC(C2)C3",
    "O=C1CCCCCCCCCCCCCCO1",
    "CC(C)NCC(O)COc1cccc2ccccc12.Cl",
    "Cl[Pt](Cl)(<-[NH3])<-[NH3]",
    "C" * 30,
)


def distances(mol: Chem.Mol, start: int) -> dict[int, int]:
    """Breadth-first search, one atom at a time."""
    found, queue = {start: 0}, deque([start])
    while queue:
        atom = queue.popleft()
        for neighbour in mol.GetAtomWithIdx(atom).GetNeighbors():
            if neighbour.GetIdx() not in found:
                found[neighbour.GetIdx()] = found[atom] + 1
                queue.append(neighbour.GetIdx())
    return found


def path(mol: Chem.Mol, start: int, end: int) -> list[int]:
    """Atoms from start to end, always to the lowest neighbour that is one bond nearer."""
    left = distances(mol, end)
    atoms = [start]
    while atoms[-1] != end:
        neighbours = (a.GetIdx() for a in mol.GetAtomWithIdx(atoms[-1]).GetNeighbors())
        atoms.append(min(a for a in neighbours if left[a] == left[atoms[-1]] - 1))
    return atoms


def bond_features(mol: Chem.Mol, first: int, second: int) -> tuple[int, int, int]:
    bond = mol.GetBondBetweenAtoms(first, second)
    kinds = ("SINGLE", "DOUBLE", "TRIPLE", "AROMATIC")
    name = str(bond.GetBondType())
    kind = kinds.index(name) if name in kinds else 4
    stereo = min(int(bond.GetStereo()), 6) if name == "DOUBLE" else 0
    return kind, stereo, int(bond.GetIsConjugated())


@pytest.fixture
def featurize(read):
    def make(smiles: str) -> tuple[Chem.Mol, RelationsSample]:
        molecule = read(smiles)
        found = RelationsModality().featurize(molecule, None)
        assert isinstance(found, RelationsSample)
        return molecule.mol, found

    return make


@pytest.mark.parametrize("smiles", SMILES)
def test_distances_and_paths_are_those_of_a_plain_search(featurize, smiles):
    mol, sample = featurize(smiles)
    count = mol.GetNumAtoms()
    assert sample.spd.dtype == sample.hops.dtype == sample.atoms.dtype == np.uint8
    for start in range(count):
        found = distances(mol, start)
        for end in range(count):
            hops = sample.hops[start, end].tolist()
            if end not in found:
                assert sample.spd[start, end] == UNREACHABLE
                assert hops == [NO_HOP] * HOPS
                continue
            assert sample.spd[start, end] == min(found[end], FAR)
            atoms = path(mol, start, end)[: HOPS + 1]
            bonds = [bond_features(mol, *pair) for pair in pairwise(atoms)]
            assert [BONDS[code - 1] for code in hops if code != NO_HOP] == bonds
            assert hops[len(bonds) :] == [NO_HOP] * (HOPS - len(bonds))


def test_distances_are_those_of_rdkit(featurize, odd_smiles):
    for kind, smiles in odd_smiles.items():
        if kind != "1000 atoms":
            mol, sample = featurize(smiles)
            expected = Chem.GetDistanceMatrix(mol)
            clear = np.where(expected < 1e6, np.minimum(expected, FAR), UNREACHABLE)
            np.testing.assert_array_equal(sample.spd, clear, err_msg=kind)


def test_a_thousand_atoms_take_six_bytes_a_pair(featurize, odd_smiles):
    mol, sample = featurize(odd_smiles["1000 atoms"])
    count = mol.GetNumAtoms()
    assert count > 1000
    assert sample.spd.nbytes + sample.hops.nbytes == 6 * count**2
    for start, end in ((0, count - 1), (500, 3), (7, 8)):
        atoms = path(mol, start, end)
        assert sample.spd[start, end] == min(len(atoms) - 1, FAR)
        bonds = [bond_features(mol, *pair) for pair in pairwise(atoms)][:HOPS]
        assert [BONDS[code - 1] for code in sample.hops[start, end] if code] == bonds


def test_a_single_atom_has_an_empty_path(featurize):
    _, sample = featurize("C")
    assert sample.spd.tolist() == [[0]]
    assert sample.hops.tolist() == [[[NO_HOP] * HOPS]]


def test_bonds_outside_the_table_have_a_class(read):
    molecule = read("[NH3]->[Fe]")
    sample = RelationsModality().featurize(molecule, None)
    assert BONDS[sample.hops[0, 1, 0] - 1][0] == codes.BOND_CARDINALITIES[0] - 1
    mol = Chem.MolFromSmiles("CC=CC")
    mol.GetBondWithIdx(1).SetStereo(Chem.BondStereo.STEREOANY)
    mol.GetBondWithIdx(0).SetStereo(Chem.BondStereo.STEREOATROPCW)
    odd = type(molecule)(0, "CC=CC", "CC=CC", mol)
    hops = RelationsModality().featurize(odd, None).hops
    assert BONDS[hops[1, 2, 0] - 1] == (1, int(Chem.BondStereo.STEREOANY), 0)
    assert BONDS[hops[0, 1, 0] - 1] == (0, 0, 0)


def test_every_bond_has_one_joint_class():
    assert len(set(BONDS)) == len(BONDS) == 22
    assert {kind for kind, _, _ in BONDS} == set(range(codes.BOND_CARDINALITIES[0]))


def test_atoms_have_nine_properties(featurize):
    _, sample = featurize("C[C]1CC1")
    assert sample.atoms.shape == (4, 9)
    assert sample.atoms[:, -2:].tolist() == [[0, 0], [1, 1], [0, 1], [0, 1]]


def test_steps_go_to_the_lowest_atom_of_several():
    square = np.array([[1, 3], [0, 2], [1, 3], [0, 2]], dtype=np.int32)
    distance, joined = shortest_paths(square)
    assert joined.all()
    assert distance.tolist() == [[0, 1, 2, 1], [1, 0, 1, 2], [2, 1, 0, 1], [1, 2, 1, 0]]
    step = first_steps(square, distance)
    assert (step[0, 2], step[2, 0], step[1, 3], step[3, 1]) == (1, 1, 0, 0)
    assert step.diagonal().tolist() == [0, 1, 2, 3]


def test_pairs_are_laid_end_to_end_without_padding(featurize):
    samples = [featurize(smiles)[1] for smiles in ("CCO", "C", "CC")]
    part = RelationsModality().collate(samples)
    assert part.sizes == (3, 1, 2)
    assert part.atoms.shape == (6, 9)
    assert part.spd.tolist() == [0, 1, 2, 1, 0, 1, 2, 1, 0, 0, 0, 1, 1, 0]
    assert part.hops.shape == (14, HOPS)
