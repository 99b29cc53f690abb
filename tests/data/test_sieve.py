import itertools

import numpy as np
import pytest
from rdkit import Chem

from molweave.chem.molecule import Molecule
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record
from molweave.data import excluded as excluded_module
from molweave.data.excluded import Excluded
from molweave.data.sieve import choose_part

SAME = (
    ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC([NH3+])C(=O)[O-]", "[2H]C(C)(N)C(=O)O"),
    ("Oc1ccncc1", "O=c1cc[nH]cc1"),
    ("c1c[nH]cn1.Cl", "c1c[nH]c[nH+]1.[Br-]", "c1cnc[nH]1"),
    ("CCC(=O)[O-].[Na+]", "CCC(=O)O", "CCC(=O)O[Na]"),
    ("C/C=C/CO", "CC=CCO", "C/C=C\\CO"),
    ("CC[Mg]Br", "CC[Mg+].[Br-]"),
)
OTHERS = ("CC(N)C(N)=O", "Oc1cccnc1", "CCCO", "C=CCCO", "CCC(N)C(=O)O", "CC(=O)C(C)=O", "[Xe]")


def molecule(smiles: str) -> Molecule:
    found = Standardizer()(Record(0, (smiles,), smiles))
    assert isinstance(found, Molecule)
    return found


def key(smiles: str) -> str:
    return Chem.MolToInchiKey(Chem.MolFromSmiles(smiles))[:14]


@pytest.mark.parametrize("forms", SAME, ids=lambda forms: forms[0])
def test_every_form_of_an_excluded_molecule_is_found_and_no_other_one(forms):
    excluded = Excluded()
    excluded.add(molecule(forms[0]), "test.csv")
    for smiles in (*OTHERS, *itertools.chain.from_iterable(SAME)):
        expected = "test.csv" if smiles in forms else None
        assert excluded.find(molecule(smiles)) == expected, smiles


def test_the_short_cut_passes_over_nothing(odd_smiles, monkeypatch):
    smiles = [*itertools.chain.from_iterable(SAME), *OTHERS]
    skip = ("hydrogen", "wildcard", "1000 atoms")
    smiles += [text for name, text in odd_smiles.items() if name not in skip]
    excluded = Excluded()
    for text in smiles[::2]:
        excluded.add(molecule(text), "test.csv")
    quick = [excluded.find(molecule(text)) for text in smiles]
    monkeypatch.setattr(excluded_module, "_outline", lambda mol: b"")
    assert [excluded.find(molecule(text)) for text in smiles] == quick
    assert all(quick[::2])


def test_inchi_is_asked_only_where_it_may_matter(monkeypatch):
    excluded = Excluded()
    excluded.add(molecule("CCCO"), "test.csv")
    asked = []
    real = excluded_module._key
    monkeypatch.setattr(excluded_module, "_key", lambda mol: asked.append(mol) or real(mol))
    for text in ("CCO", "CC(C)O", "CCCN", "CCOC", "c1ccccc1"):
        assert excluded.find(molecule(text)) is None
    assert [Chem.MolToSmiles(mol) for mol in asked] == []
    assert excluded.find(molecule("OCCC")) == "test.csv"
    assert len(asked) == 1


def test_a_structure_that_inchi_cannot_name_is_its_smiles():
    large = "N[C@@H](C)C(=O)" * 300 + "O"
    assert key(large) == ""
    excluded = Excluded()
    excluded.add(molecule(large), "test.csv")
    assert excluded.find(molecule(large)) == "test.csv"
    assert excluded.find(molecule(large[15:])) is None


@pytest.mark.parametrize(
    "forms",
    [
        ("C[C@H](N)CC", "C[C@@H](N)CC", "CC(N)CC", "CC(N)CC.Cl", "[2H]C(C)(N)CC"),
        ("COc1ccccc1", "[2H]C([2H])([2H])Oc1ccccc1", "[13CH3]Oc1ccccc1", "[3H]COc1ccccc1"),
        ("N=C(N)C", "[H]/N=C(\\N)C", "[H]/N=C(/N)C"),
    ],
)
def test_stereoisomers_isotopes_and_salts_are_on_the_same_side(forms):
    for share in np.arange(0, 1, 0.02):
        assert len({choose_part(molecule(form), share) for form in forms}) == 1


def test_the_held_out_share_is_kept():
    pairs = itertools.combinations(range(1, 41), 2)
    molecules = [molecule(f"{'C' * left}O{'C' * right}") for left, right in pairs]
    held = sum(choose_part(item, 0.1) == "valid" for item in molecules)
    assert 50 < held < 107  # 780 molecules, 78 expected, standard deviation 8.4
    assert all(choose_part(item, 0.0) == "train" for item in molecules)
