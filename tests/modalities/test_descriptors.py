import numpy as np
import torch

from molweave.chem import descriptors
from molweave.modalities.descriptors import WIDTH, DescriptorsModality


def test_part_stacks_the_vectors(read) -> None:
    modality = DescriptorsModality()
    molecules = [read(smiles) for smiles in ("CCO", "c1ccccc1", "[Na+].[Cl-]")]
    part = modality.collate([modality.featurize(molecule, None) for molecule in molecules])
    assert part.num_molecules == 3
    assert part.values.shape == (3, WIDTH)
    assert part.values.dtype == torch.float32
    expected = np.stack([descriptors.describe(molecule.mol) for molecule in molecules])
    assert np.array_equal(part.values.numpy(), expected)


def test_version_follows_the_constants() -> None:
    assert DescriptorsModality().version.endswith(descriptors.digest())
