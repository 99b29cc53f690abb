import math

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolTransforms

from molweave.chem.conformers import Conformer
from molweave.modalities.base import Missing
from molweave.modalities.geometry import (
    ATOM_CARDINALITIES,
    BOND_CARDINALITIES,
    GeometryModality,
    bond_angles,
)

MODALITY = GeometryModality()
TETRAHEDRON = [[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
HEXAGON = [[1.4 * math.cos(k * math.pi / 3), 1.4 * math.sin(k * math.pi / 3), 2] for k in range(6)]


def rotation(generator: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.linalg.det(q)


def test_bent_molecule(read, placed) -> None:
    half = math.radians(103.1) / 2
    ends = [[1.41 * math.sin(half), 1.41 * math.cos(half), 0]]
    part = MODALITY.collate(
        [
            MODALITY.featurize(
                read("FOF"), placed([ends[0], [0, 0, 0], [-ends[0][0], ends[0][1], 0]])
            )
        ]
    )
    assert part.bond_ends.tolist() == [[0, 1], [1, 2]]
    torch.testing.assert_close(part.bond_length, torch.tensor([1.41, 1.41]))
    assert sorted(part.angle_bonds.T.tolist()) == [[0, 1], [1, 0]]
    torch.testing.assert_close(part.angle, torch.full((2,), math.radians(103.1)))


def test_tetrahedron(read, placed) -> None:
    molecule = read("C(F)(Cl)(Br)I")
    centre = next(atom.GetIdx() for atom in molecule.mol.GetAtoms() if atom.GetSymbol() == "C")
    corners = iter(TETRAHEDRON[1:])
    coordinates = [TETRAHEDRON[0] if i == centre else next(corners) for i in range(5)]
    part = MODALITY.collate([MODALITY.featurize(molecule, placed(coordinates))])
    torch.testing.assert_close(part.bond_length, torch.full((4,), math.sqrt(3.0)))
    assert sorted(map(tuple, part.angle_bonds.T.tolist())) == [
        (i, j) for i in range(4) for j in range(4) if i != j
    ]
    torch.testing.assert_close(part.angle, torch.full((12,), math.acos(-1 / 3)))


def test_ring(read, placed) -> None:
    part = MODALITY.collate([MODALITY.featurize(read("c1ccccc1"), placed(HEXAGON))])
    torch.testing.assert_close(part.bond_length, torch.full((6,), 1.4))
    torch.testing.assert_close(part.angle, torch.full((12,), 2 * math.pi / 3))
    assert part.positions.mean(dim=0).abs().max() < 1e-6


def test_straight_and_folded(read, placed) -> None:
    molecule = read("CC#CC")
    straight = MODALITY.featurize(molecule, placed([[x, 0, 0] for x in (0, 1.5, 2.7, 4.2)]))
    np.testing.assert_allclose(straight.angles, math.pi)
    folded = MODALITY.featurize(molecule, placed([[x, 0, 0] for x in (0, 1.5, 0.3, 1.8)]))
    np.testing.assert_allclose(folded.angles, 0.0)


@pytest.mark.parametrize("smiles", ["[Na+].[Cl-]", "[Xe]", "CC", "C.CC"])
def test_no_angle(smiles: str, read, placed) -> None:
    molecule = read(smiles)
    coordinates = np.eye(3)[: molecule.mol.GetNumAtoms()]
    part = MODALITY.collate([MODALITY.featurize(molecule, placed(coordinates))] * 2)
    assert part.angle_bonds.shape == (2, 0)
    assert part.angle.shape == (0,)
    assert part.bond_ends.shape == (2, 2 * molecule.mol.GetNumBonds())


@pytest.mark.parametrize(
    "smiles", ["CC(=O)Oc1ccccc1C(=O)O", "C1C2CC3CC1CC(C2)C3", "FS(F)(F)(F)(F)F", "CCO.Cl"]
)
def test_against_rdkit(smiles: str, read, placed) -> None:
    molecule = read(smiles)
    mol = Chem.Mol(molecule.mol)
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=7) == 0
    conformer = mol.GetConformer()
    sample = MODALITY.featurize(molecule, placed(conformer.GetPositions()))
    ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
    lengths = [rdMolTransforms.GetBondLength(conformer, i, j) for i, j in ends]
    np.testing.assert_allclose(sample.lengths, lengths, atol=1e-5)
    expected = {
        (first, second): rdMolTransforms.GetAngleRad(
            conformer,
            *(set(ends[first]) - set(ends[second])),
            *(set(ends[first]) & set(ends[second])),
            *(set(ends[second]) - set(ends[first])),
        )
        for first in range(len(ends))
        for second in range(len(ends))
        if len(set(ends[first]) & set(ends[second])) == 1
    }
    found = dict(zip(map(tuple, sample.pairs.T.tolist()), sample.angles, strict=True))
    assert found.keys() == expected.keys()
    assert len(found) == len(sample.angles)
    for pair, angle in expected.items():
        assert found[pair] == pytest.approx(angle, abs=1e-5)


def test_rotation_and_translation_change_nothing(read, placed) -> None:
    generator = np.random.default_rng(0)
    molecule = read("CC(=O)Oc1ccccc1C(=O)O")
    coordinates = generator.normal(size=(13, 3)) * 2
    turn = rotation(generator)
    first = MODALITY.featurize(molecule, placed(coordinates))
    second = MODALITY.featurize(molecule, placed(coordinates @ turn.T + [5, -3, 8]))
    np.testing.assert_allclose(first.lengths, second.lengths, atol=1e-5)
    np.testing.assert_allclose(first.angles, second.angles, atol=1e-5)
    np.testing.assert_allclose(first.positions @ turn.T, second.positions, atol=1e-5)
    assert np.array_equal(first.pairs, second.pairs)


def test_number_of_angles_of_every_degree() -> None:
    generator = np.random.default_rng(1)
    for arms in range(8):
        ends = np.array([[0] * arms, range(1, arms + 1)], dtype=np.int32)
        pairs, angles = bond_angles(ends, generator.normal(size=(arms + 1, 3)))
        assert pairs.shape == (2, arms * (arms - 1))
        assert len({*map(tuple, pairs.T.tolist())}) == len(angles) == arms * (arms - 1)


def test_categories_fit_the_embeddings(read, odd_smiles) -> None:
    generator = np.random.default_rng(0)
    for smiles in odd_smiles.values():
        molecule = read(smiles)
        shape = (molecule.mol.GetNumAtoms(), 3)
        conformer = Conformer(generator.normal(size=shape).astype(np.float32), "input", None)
        part = MODALITY.collate([MODALITY.featurize(molecule, conformer)])
        assert part.atoms.shape[1] == len(ATOM_CARDINALITIES)
        assert part.bonds.shape[1] == len(BOND_CARDINALITIES)
        assert (part.atoms < torch.tensor(ATOM_CARDINALITIES)).all()
        assert (part.bonds < torch.tensor(BOND_CARDINALITIES)).all()


def test_categories_by_hand(read, placed) -> None:
    sample = MODALITY.featurize(read("C=O"), placed([[0, 0, 0], [1.2, 0, 0]]))
    # number, degree, charge (4 = neutral), chirality, hydrogens, hybridisation (1 = SP2), aromatic
    assert sample.atoms.tolist() == [[5, 3, 4, 0, 2, 1, 0], [7, 1, 4, 0, 0, 1, 0]]
    assert sample.bonds.tolist() == [[1, 0, 0, 0]]  # double, no stereo, not conjugated, no ring


def test_missing_says_why(read) -> None:
    molecule = read("CCO")
    assert MODALITY.featurize(molecule, None) == Missing("no conformer")
    failed = Conformer(None, "failed", "embedding timed out")
    assert MODALITY.featurize(molecule, failed) == Missing("no conformer: embedding timed out")
    holes = Conformer(np.full((3, 3), np.nan, dtype=np.float32), "input", None)
    missing = MODALITY.featurize(molecule, holes)
    assert isinstance(missing, Missing)
    assert "finite" in missing.reason


def test_a_conformer_of_another_molecule_is_an_error(read, placed) -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) for 3 atoms"):
        MODALITY.featurize(read("CCO"), placed([[0, 0, 0], [1, 0, 0]]))
