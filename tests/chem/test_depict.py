import re
import xml.etree.ElementTree as ET

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molweave.chem.depict import MOST_ATOMS, draw_molecule

SVG = "{http://www.w3.org/2000/svg}"
ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def test_every_bond_and_hetero_atom_is_drawn():
    mol = Chem.MolFromSmiles("C[C@H](N)C(=O)Oc1ccc(Cl)cc1")
    root = ET.fromstring(draw_molecule(mol))
    bonds = {
        name
        for path in root.iter(f"{SVG}path")
        for name in re.findall(r"bond-\d+", path.get("class", ""))
    }
    assert len(bonds) == mol.GetNumBonds()
    letters = "".join(text.text or "" for text in root.iter(f"{SVG}text"))
    assert sorted(re.findall(r"Cl|[A-Z]", letters)) == ["Cl", "H", "N", "O", "O"]


def test_size_and_transparent_background():
    root = ET.fromstring(draw_molecule(Chem.MolFromSmiles(ASPIRIN), width=300, height=111))
    assert root.get("viewBox") == "0 0 300 111"
    assert not list(root.iter(f"{SVG}rect"))


def test_drawing_depends_on_the_graph_alone_and_leaves_the_molecule():
    mol = Chem.MolFromSmiles(ASPIRIN)
    embedded = Chem.AddHs(mol)
    AllChem.EmbedMolecule(embedded, randomSeed=1)
    embedded = Chem.RemoveHs(embedded)
    before = embedded.GetConformer().GetPositions().copy()
    assert draw_molecule(embedded) == draw_molecule(mol)
    assert (embedded.GetConformer().GetPositions() == before).all()
    assert mol.GetNumConformers() == 0
    assert mol.GetBondWithIdx(4).GetIsAromatic()


def test_stereo_is_shown():
    flat, left, right = (
        draw_molecule(Chem.MolFromSmiles(text))
        for text in ("CC(N)C(=O)O", "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O")
    )
    assert len({flat, left, right}) == 3


def test_odd_molecules(odd_smiles):
    for name, smiles in odd_smiles.items():
        mol = Chem.MolFromSmiles(smiles)
        if mol.GetNumHeavyAtoms() <= MOST_ATOMS:
            assert ET.fromstring(draw_molecule(mol)).tag == f"{SVG}svg", name


def test_molecule_that_cannot_be_kekulized_is_drawn():
    mol = Chem.MolFromSmiles("c1cccc1", sanitize=False)
    mol.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(mol)
    assert "bond-4" in draw_molecule(mol)


def test_too_large():
    with pytest.raises(ValueError, match="151 heavy atoms"):
        draw_molecule(Chem.MolFromSmiles("C" * (MOST_ATOMS + 1)))
