import numpy as np
import torch

from molweave.chem import vocabulary
from molweave.modalities.sequence import PAD, VOCABULARY_SIZE, SequenceModality


def test_sample_spells_the_canonical_smiles(read) -> None:
    molecule = read("OC(=O)c1ccccc1Cl")
    sample = SequenceModality().featurize(molecule, None)
    assert sample.tokens.dtype == np.int64
    assert "".join(vocabulary.tokens()[i - 2] for i in sample.tokens) == molecule.canonical


def test_shorter_sequences_are_padded_at_the_end(read) -> None:
    modality = SequenceModality()
    samples = [modality.featurize(read(smiles), None) for smiles in ("CCO", "C", "CCCCl")]
    part = modality.collate(samples)
    carbon, oxygen, chlorine = (vocabulary.encode(token)[0] for token in ("C", "O", "Cl"))
    assert part.num_molecules == 3
    assert part.lengths.tolist() == [3, 1, 4]
    assert part.tokens.tolist() == [
        [carbon, carbon, oxygen, PAD],
        [carbon, PAD, PAD, PAD],
        [carbon, carbon, carbon, chlorine],
    ]
    assert part.tokens.dtype == torch.int64


def test_ids_fit_the_embedding(read, odd_smiles) -> None:
    modality = SequenceModality()
    for smiles in odd_smiles.values():
        tokens = modality.featurize(read(smiles), None).tokens
        assert tokens.min() > PAD
        assert tokens.max() < VOCABULARY_SIZE


def test_version_follows_the_vocabulary() -> None:
    assert SequenceModality().version.endswith(vocabulary.digest())
