import numpy as np
import pytest
import torch
from rdkit.Chem import rdFingerprintGenerator

from molweave.modalities.fingerprint import RADIUS, WIDTH, FingerprintModality

MOLECULES = ("CCO", "CC(=O)Oc1ccccc1C(=O)O", "[Na+].[Cl-]", "C" * 40)


def test_part_counts_every_environment(read) -> None:
    modality = FingerprintModality()
    molecules = [read(smiles) for smiles in MOLECULES]
    part = modality.collate([modality.featurize(molecule, None) for molecule in molecules])
    assert part.num_molecules == len(MOLECULES)
    assert part.values.shape == (len(MOLECULES), WIDTH)
    assert part.values.dtype == torch.float32
    unfolded = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS)
    for molecule, values in zip(molecules, part.values.numpy(), strict=True):
        expected = np.zeros(WIDTH)
        found = unfolded.GetSparseCountFingerprint(molecule.mol).GetNonzeroElements()
        for identifier, count in found.items():
            expected[identifier % WIDTH] += count
        np.testing.assert_allclose(np.expm1(values), expected, rtol=1e-5)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_sample_takes_what_the_molecule_needs(read, smiles: str) -> None:
    sample = FingerprintModality().featurize(read(smiles), None)
    assert 0 < len(sample.positions) == len(sample.values) < 100
    assert (np.diff(sample.positions) > 0).all()


def test_version_names_the_kind() -> None:
    assert FingerprintModality().version == "fingerprint-1-ecfp6-4096"
