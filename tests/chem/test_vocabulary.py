import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from molweave.chem import vocabulary

MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
    "C[C@]12CC[C@H]3[C@@H](CCc4cc(O)ccc34)[C@@H]1CC[C@@H]2O",
    "ClC(Br)(I)F",
    "BrC1=CC=C(Cl)C=C1",
    "C/C=C/C(=O)O",
    "F/C=C\\F",
    "C#N",
    "C1CC1.C1CCC1",
    "[Na+].[O-]C(=O)c1ccccc1",
    "c1cc[nH]c1",
    "c1cc[se]c1",
    "c1ccsc1",
    "c1ccoc1",
    "[O-][N+](=O)c1ccccc1",
    "B(O)(O)c1ccccc1",
    "OP(=O)(O)O",
    "CS(=O)(=O)C",
    "C[S@](=O)c1ccccc1",
    "C[Si](C)(C)C",
    "[Fe+2]",
    "CC[Hg]CC",
    "Cl[Pt](Cl)(<-[NH3])<-[NH3]",
    "[13CH3]O",
    "[2H]C([2H])([2H])O",
    "[NH4+]",
    "[CH3]",
    "[Xe]",
    "[H][H]",
    "*c1ccccc1",
    "[*:1]CC",
    "[CH3:7]O",
    "C[N+](C)(C)CCO",
    "c1ccc2c(c1)ccc1ccccc12",
    "O=C1c2ccccc2C(=O)N1",
    "[O-]Cl(=O)(=O)=O",
    "OB1OB(O)OB(O)O1",
    "C1=CC=[N+](C=C1)[O-]",
    "N#[N+][N-]c1ccccc1",
    "[C-]#[O+]",
    "O=[As](O)(O)c1ccccc1",
    "C[n+]1ccccc1",
    "[K+].[I-]",
    "F[P-](F)(F)(F)(F)F",
    "S(F)(F)(F)(F)(F)F",
    "C1C2CC3CC1CC(C2)C3",
    "[18F]CCO",
    "N[C@@H](CS)C(=O)N[C@@H](Cc1c[nH]c2ccccc12)C(=O)O",
    "[Og]",
)
# every ring stays open until the second half, so that closures above 9 are needed
CROWDED = "C1%10C%11C%12C%13C2C3C4C5C6C7C8C9C1CCC2CC3CC4CC5CC6CC7CC8CC9CC%10CC%11CC%12CC%13"
NOT_ATOMS = frozenset("()./\\-=#$:~") | {"->", "<-"}


def canonical(smiles: str) -> str:
    return Chem.MolToSmiles(Chem.MolFromSmiles(smiles))


@pytest.mark.parametrize("smiles", [*MOLECULES, CROWDED])
def test_tokens_are_the_atoms_of_rdkit_in_order(smiles: str) -> None:
    text = canonical(smiles)
    tokens = vocabulary.tokenize(text)
    assert "".join(tokens) == text
    atoms = [t for t in tokens if t not in NOT_ATOMS and not t.strip("%()").isdigit()]
    mol = Chem.MolFromSmiles(text)
    assert len(atoms) == mol.GetNumAtoms()
    for token, atom in zip(atoms, mol.GetAtoms(), strict=True):
        alone = Chem.AtomFromSmiles(token)
        assert alone.GetAtomicNum() == atom.GetAtomicNum()
        assert alone.GetFormalCharge() == atom.GetFormalCharge()


@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    assert "".join(vocabulary.tokenize(text)) == text
    assert len(vocabulary.encode(text)) == len(vocabulary.tokenize(text))


def test_multi_character_tokens() -> None:
    smiles = "Cl[C@@H](Br)[nH]%12%(100)->[Fe+2]"
    assert vocabulary.tokenize(smiles) == [
        *("Cl", "[C@@H]", "(", "Br", ")", "[nH]", "%12", "%(100)", "->", "[Fe+2]"),
    ]


def test_identifiers_are_the_positions_in_the_list() -> None:
    tokens = vocabulary.tokens()
    assert len(set(tokens)) == len(tokens)
    for index, token in enumerate(tokens):
        assert vocabulary.encode(token) == [index + 2]
    assert (vocabulary.PAD, vocabulary.UNKNOWN) == (0, 1)


def test_everything_outside_brackets_is_known() -> None:
    rings = [*map(str, range(10)), *(f"%{n}" for n in range(10, 100))]
    plain = [*"BCNOPSFI", "Cl", "Br", *"bcnops*", *NOT_ATOMS, *rings]
    assert set(plain) <= set(vocabulary.tokens())


@pytest.mark.parametrize(
    ("token", "read_as"),
    [
        ("[nH:3]", "[nH]"),
        ("[15NH4+:12]", "[NH4+]"),
        ("[13C@@H]", "[C@@H]"),
        ("[57Fe+2]", "[Fe+2]"),
        ("[Se@@]", "[Se]"),
        ("[Si@@H]", "[SiH]"),
        ("[Fe@OH12-4]", "[Fe]"),
        ("[Pt@SP1+2]", "[Pt+2]"),
        ("[Fe+9]", "[Fe]"),
        ("[nH-9]", "[n]"),
    ],
)
def test_rare_bracket_atoms_are_read_as_the_closest_known_one(token: str, read_as: str) -> None:
    assert token not in vocabulary.tokens()
    assert vocabulary.encode(token) == vocabulary.encode(read_as) != [vocabulary.UNKNOWN]


@pytest.mark.parametrize("token", ["[Og]", "[Lr+3]", "%(100)", "é", "[", "[]", "[12]"])
def test_what_the_vocabulary_cannot_express_is_unknown(token: str) -> None:
    assert vocabulary.encode(token) == [vocabulary.UNKNOWN]


def test_the_shipped_list_says_where_it_came_from() -> None:
    record = json.loads(vocabulary.PATH.read_text(encoding="utf-8"))
    assert record["minimum"] >= 1
    assert "ChEMBL" in record["source"]
    assert "/" not in record["source"]


def test_the_digest_follows_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    before = vocabulary.digest()
    assert len(before) == 8
    changed = (*vocabulary.tokens()[:-1], "[changed]")
    monkeypatch.setattr(vocabulary, "tokens", lambda: changed)
    assert vocabulary.digest.__wrapped__() != before
