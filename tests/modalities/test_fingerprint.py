import numpy as np
import pytest
import torch
from rdkit.Chem import rdFingerprintGenerator

from molweave.chem.molecule import Molecule
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record
from molweave.modalities.fingerprint import RADIUS, WIDTH, FingerprintModality


def test_part_counts_every_environment(odd_smiles) -> None:
    modality = FingerprintModality()
    read, texts = Standardizer(), ("CCO", "CC(=O)Oc1ccccc1C(=O)O", "C" * 40, *odd_smiles.values())
    found = [read(Record(0, (smiles,), smiles)) for smiles in texts]
    molecules = [molecule for molecule in found if isinstance(molecule, Molecule)]
    part = modality.collate([modality.featurize(molecule, None) for molecule in molecules])
    assert part.num_molecules == len(molecules) > 10
    assert part.values.shape == (len(molecules), WIDTH)
    assert part.values.dtype == torch.float32
    unfolded = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS)
    for molecule, values in zip(molecules, part.values.numpy(), strict=True):
        expected = np.zeros(WIDTH)
        found = unfolded.GetSparseCountFingerprint(molecule.mol).GetNonzeroElements()
        for identifier, count in found.items():
            expected[identifier % WIDTH] += count
        np.testing.assert_allclose(np.expm1(values), expected, rtol=1e-5)


@pytest.mark.parametrize("smiles", ["C", "CC(=O)Oc1ccccc1C(=O)O", "C" * 40])
def test_sample_takes_what_the_molecule_needs(read, smiles: str) -> None:
    sample = FingerprintModality().featurize(read(smiles), None)
    assert 0 < len(sample.positions) == len(sample.values) < 100
    assert (np.diff(sample.positions) > 0).all()


def test_version_names_the_kind() -> None:
    assert FingerprintModality().version == "fingerprint-1-ecfp6-4096"
