import numpy as np
import pytest
import torch
from rdkit import Chem

from molweave.modalities.graph import ATOM_WIDTH, BOND_WIDTH, GraphModality

MOLECULES = (
    "C",
    "[Na+].[Cl-]",
    "*CC",
    "[Og]",
    "[13CH3]O",
    "C[C@@H](O)/C=C/C#N",
    "F/C=C\\F",
    "O=C(Nc1ccc(F)cc1)c1ccc[nH]1",
    "F[P-](F)(F)(F)(F)F",
    "FP(F)(F)(F)F",
    "[O-]S(=O)(=O)[O-].[Fe+3]",
    "Cl[Pt@SP1](Cl)(<-[NH3])<-[NH3]",
    "[Fe-3]",
    "[SiH4]",
    "FS(F)(F)(F)(F)F",
    "F[U](F)(F)(F)(F)(F)(F)F",
)
HYBRIDIZATIONS = [
    *(Chem.HybridizationType.SP, Chem.HybridizationType.SP2, Chem.HybridizationType.SP3),
    *(Chem.HybridizationType.SP3D, Chem.HybridizationType.SP3D2),
]


def one_hot(value: object, choices: list) -> list[int]:
    """A position for every choice and one more for any other value."""
    encoding = [0] * (len(choices) + 1)
    encoding[choices.index(value) if value in choices else -1] = 1
    return encoding


def atom_features(atom: Chem.Atom) -> list[float]:
    """The table of the paper, written out once more."""
    return [
        *one_hot(atom.GetAtomicNum() - 1, list(range(100))),
        *one_hot(atom.GetTotalDegree(), [0, 1, 2, 3, 4, 5]),
        *one_hot(atom.GetFormalCharge(), [-1, -2, 1, 2, 0]),
        *one_hot(int(atom.GetChiralTag()), [0, 1, 2, 3]),
        *one_hot(atom.GetTotalNumHs(), [0, 1, 2, 3, 4]),
        *one_hot(atom.GetHybridization(), HYBRIDIZATIONS),
        1 if atom.GetIsAromatic() else 0,
        atom.GetMass() * 0.01,
    ]


def bond_features(bond: Chem.Bond) -> list[float]:
    kind = bond.GetBondType()
    return [
        1,
        kind == Chem.BondType.SINGLE,
        kind == Chem.BondType.DOUBLE,
        kind == Chem.BondType.TRIPLE,
        kind == Chem.BondType.AROMATIC,
        bond.GetIsConjugated(),
        bond.IsInRing(),
        *one_hot(int(bond.GetStereo()), [0, 1, 2, 3, 4, 5]),
    ]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_features_are_those_of_the_paper(smiles: str, read) -> None:
    mol = (molecule := read(smiles)).mol
    modality = GraphModality()
    part = modality.collate([modality.featurize(molecule, None)])
    expected = torch.tensor([atom_features(atom) for atom in mol.GetAtoms()])
    torch.testing.assert_close(part.atoms, expected.float())
    assert part.atoms.shape == (mol.GetNumAtoms(), ATOM_WIDTH)
    rows = [bond_features(bond) for bond in mol.GetBonds() for _ in range(2)]
    expected = torch.tensor(rows, dtype=torch.float32).reshape(-1, BOND_WIDTH)
    torch.testing.assert_close(part.bonds, expected)


def test_each_bond_is_there_in_both_directions(read) -> None:
    modality = GraphModality()
    molecules = [read(smiles) for smiles in ("CCO", "[Xe]", "C1CC1", "C.C")]
    part = modality.collate([modality.featurize(molecule, None) for molecule in molecules])
    assert part.source.tolist() == [0, 1, 1, 2, 4, 5, 5, 6, 6, 4]
    assert part.target.tolist() == [1, 0, 2, 1, 5, 4, 6, 5, 4, 6]
    assert part.reverse.tolist() == [1, 0, 3, 2, 5, 4, 7, 6, 9, 8]
    assert part.molecule.tolist() == [0, 0, 0, 1, 2, 2, 2, 3, 3]


def test_without_any_bond(read) -> None:
    modality = GraphModality()
    part = modality.collate([modality.featurize(read("[Xe]"), None)] * 2)
    assert part.atoms.shape == (2, ATOM_WIDTH)
    assert part.bonds.shape == (0, BOND_WIDTH)
    assert part.source.shape == part.target.shape == part.reverse.shape == (0,)


def test_isotopes_differ_in_mass_only(read) -> None:
    modality = GraphModality()
    light, heavy = (
        modality.collate([modality.featurize(read(smiles), None)]).atoms[0]
        for smiles in ("[CH4]", "[13CH4]")
    )
    assert torch.equal(light[:-1], heavy[:-1])
    assert light[-1].item() == pytest.approx(0.12011, abs=1e-5)
    assert heavy[-1].item() == pytest.approx(0.1300335, abs=1e-6)


def test_samples_are_compact(read) -> None:
    sample = GraphModality().featurize(read("CC(=O)Oc1ccccc1C(=O)O"), None)
    assert sample.atoms.dtype == sample.bonds.dtype == np.uint8
    size = sum(a.nbytes for a in (sample.atoms, sample.masses, sample.bonds, sample.ends))
    assert size == 13 * (7 + 4) + 13 * (4 + 8)
