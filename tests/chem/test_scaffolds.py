import pytest
from rdkit import Chem

from molweave.chem.molecule import Molecule
from molweave.chem.read import table_from_smiles
from molweave.chem.scaffolds import group_positions, scaffold, scaffold_groups
from molweave.chem.standardize import Standardizer


def _molecules(*smiles):
    results = [Standardizer()(record) for record in table_from_smiles(smiles)]
    assert all(isinstance(result, Molecule) for result in results)
    return results


def _groups(*smiles, **options):
    return [group.tolist() for group in scaffold_groups(_molecules(*smiles), **options)]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1"),
        ("CCO", ""),
        ("[Na+].[Cl-]", ""),
        ("CCc1ccc(CCN2CCOCC2)cc1", "c1ccc(CCN2CCOCC2)cc1"),
        ("O=C1CCCCC1C", "O=C1CCCCC1"),
    ],
)
def test_rings_and_linkers_remain(smiles, expected):
    expected = Chem.CanonSmiles(expected) if expected else ""
    assert scaffold(Chem.MolFromSmiles(smiles)) == expected


def test_chirality_tells_enantiomers_apart():
    left = Chem.MolFromSmiles("C1CC[C@H](c2ccccc2)OC1")
    right = Chem.MolFromSmiles("C1CC[C@@H](c2ccccc2)OC1")
    assert scaffold(left) != scaffold(right)
    assert scaffold(left, chirality=False) == scaffold(right, chirality=False)


def test_groups_in_order_of_first_appearance():
    assert [group.tolist() for group in group_positions("abacb")] == [[0, 2], [1, 4], [3]]


def test_molecules_without_rings_form_one_group():
    assert _groups("CCO", "c1ccccc1C", "CCN", "OCc1ccccc1") == [[0, 2], [1, 3]]


def test_enantiomeric_scaffolds_are_two_groups_only_with_chirality():
    pair = ("CC1CC[C@H](c2ccccc2)OC1", "CC1CC[C@@H](c2ccccc2)OC1")
    assert _groups(*pair) == [[0], [1]]
    assert _groups(*pair, chirality=False) == [[0, 1]]


@pytest.mark.parametrize("order", [1, -1])
def test_equal_molecules_share_a_group_however_they_are_written(order):
    # RDKit gives these two spellings of one molecule different scaffolds: the marks of the double
    # bond outlive the substituents that they refer to, depending on the order of the atoms
    written = [
        "N\\C(=C(/C#N)\\c1ccccc1C(F)(F)F)\\Sc2ccc(N)cc2",
        Chem.CanonSmiles("N\\C(=C(/C#N)\\c1ccccc1C(F)(F)F)\\Sc2ccc(N)cc2"),
    ][::order]
    assert len({scaffold(Chem.MolFromSmiles(smiles)) for smiles in written}) == 2
    assert _groups(*written, "CCO") == [[0, 1], [2]]


def test_the_scaffold_is_that_of_the_standardised_molecule():
    full = Standardizer("full")
    salt, base = (
        full(record) for record in table_from_smiles(["c1ccccc1CN.c1ccncc1", "NCc1ccccc1"])
    )
    assert salt.canonical == base.canonical
    alone = [full(record) for record in table_from_smiles(["NCc1ccccc1.c1ccncc1", "Cc1ccccc1"])]
    assert [group.tolist() for group in scaffold_groups(alone)] == [[0, 1]]
