import json
import math

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import (
    Crippen,
    Descriptors,
    Lipinski,
    rdFingerprintGenerator,
    rdMolDescriptors,
)

from molweave.chem import descriptors

MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C[C@]12CC[C@H]3[C@@H](CCc4cc(O)ccc34)[C@@H]1CC[C@@H]2O",
    "[Na+].[O-]C(=O)c1ccccc1",
    "FC(F)(F)c1ccc(Br)cc1S(=O)(=O)N",
    "C",
    "[Fe+2]",
)
RDKIT = {
    "exactmw": Descriptors.ExactMolWt,
    "CrippenClogP": Crippen.MolLogP,
    "CrippenMR": Crippen.MolMR,
    "tpsa": Descriptors.TPSA,
    "labuteASA": Descriptors.LabuteASA,
    "lipinskiHBD": Lipinski.NHOHCount,
    "lipinskiHBA": Lipinski.NOCount,
    "NumHeavyAtoms": Descriptors.HeavyAtomCount,
    "FractionCSP3": Descriptors.FractionCSP3,
    "NumRings": Descriptors.RingCount,
    "NumAromaticRings": Descriptors.NumAromaticRings,
    "chi0v": Descriptors.Chi0v,
    "chi1n": Descriptors.Chi1n,
    "kappa1": Descriptors.Kappa1,
    "hallKierAlpha": Descriptors.HallKierAlpha,
    "SlogP_VSA2": Descriptors.SlogP_VSA2,
    "SlogP_VSA12": Descriptors.SlogP_VSA12,
    "SMR_VSA10": Descriptors.SMR_VSA10,
    "PEOE_VSA1": Descriptors.PEOE_VSA1,
    "PEOE_VSA14": Descriptors.PEOE_VSA14,
    "MQN12": Descriptors.HeavyAtomCount,
    "MQN19": rdMolDescriptors.CalcNumRotatableBonds,
    "MaxPartialCharge": Descriptors.MaxPartialCharge,
    "MinPartialCharge": Descriptors.MinPartialCharge,
    "FormalCharge": Chem.GetFormalCharge,
    "NumFragments": lambda mol: Chem.MolToSmiles(mol).count(".") + 1,
}


@pytest.mark.parametrize("smiles", MOLECULES)
def test_every_name_holds_what_it_says(smiles: str) -> None:
    values = dict(
        zip(
            descriptors.NAMES,
            descriptors.raw_descriptors(Chem.MolFromSmiles(smiles)),
            strict=True,
        )
    )
    for name, compute in RDKIT.items():
        assert values[name] == pytest.approx(compute(Chem.MolFromSmiles(smiles))), name


@pytest.mark.parametrize("smiles", MOLECULES)
def test_scaling_can_be_undone(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    table = json.loads(descriptors.PATH.read_text(encoding="utf-8"))["descriptors"]
    assert set(table) == set(descriptors.NAMES)
    values = descriptors.describe(mol)
    for name, value, raw in zip(
        descriptors.NAMES, values, descriptors.raw_descriptors(mol), strict=False
    ):
        logged, mean, std = table[name]
        assert abs(value) <= descriptors.CLIP
        if abs(value) < descriptors.CLIP:
            back = float(value) * std + mean
            back = math.copysign(math.expm1(abs(back)), back) if logged else back
            assert back == pytest.approx(raw, rel=1e-3, abs=1e-3), name


@pytest.mark.parametrize("smiles", MOLECULES)
def test_fingerprint_counts_every_environment(smiles: str) -> None:
    mol = Chem.MolFromSmiles(smiles)
    counts = np.expm1(descriptors.describe(mol)[len(descriptors.NAMES) :])
    unfolded = rdFingerprintGenerator.GetMorganGenerator(radius=2).GetSparseCountFingerprint(mol)
    expected = np.zeros(descriptors.FINGERPRINT_BITS)
    for identifier, count in unfolded.GetNonzeroElements().items():
        expected[identifier % descriptors.FINGERPRINT_BITS] += count
    np.testing.assert_allclose(counts, expected, rtol=1e-5)


def test_every_value_is_finite_and_bounded(odd_smiles) -> None:
    for kind, smiles in odd_smiles.items():
        values = descriptors.describe(Chem.MolFromSmiles(smiles))
        assert values.shape == (descriptors.WIDTH,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all(), kind
        assert abs(values[: len(descriptors.NAMES)]).max() <= descriptors.CLIP, kind


def test_an_undefined_descriptor_is_the_mean() -> None:
    mol = Chem.MolFromSmiles("C[Pt](Cl)(Cl)N")  # no Gasteiger parameters for platinum
    position = descriptors.NAMES.index("MaxPartialCharge")
    assert np.isnan(descriptors.raw_descriptors(mol)[position])
    assert descriptors.describe(mol)[position] == 0.0


def test_signed_log() -> None:
    values = np.array([-math.e + 1, 0.0, math.e - 1, math.inf])
    np.testing.assert_allclose(descriptors.signed_log(values), [-1, 0, 1, math.inf])


def test_enantiomers_are_alike() -> None:
    left, right = (
        descriptors.describe(Chem.MolFromSmiles(smiles))
        for smiles in ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O")
    )
    assert np.array_equal(left, right)


def test_the_constants_say_where_they_came_from() -> None:
    record = json.loads(descriptors.PATH.read_text(encoding="utf-8"))
    assert "ChEMBL" in record["source"]
    assert "/" not in record["source"]
    assert all(std > 0 for _, _, std in record["descriptors"].values())


def test_the_digest_follows_the_constants(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors.digest()
    changed = tmp_path / "statistics.json"
    changed.write_bytes(descriptors.PATH.read_bytes().replace(b"5", b"6", 1))
    monkeypatch.setattr(descriptors, "PATH", changed)
    assert descriptors.digest.__wrapped__() != before
