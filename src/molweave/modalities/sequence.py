"""The sequence modality: the tokens of the canonical SMILES."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from molweave.chem import vocabulary
from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.modalities.base import Modality, Part
from molweave.shapes import Int, Tensor

PAD = vocabulary.PAD
VOCABULARY_SIZE = len(vocabulary.tokens()) + 2
"""Number of token ids: the vocabulary, padding (0) and unknown (1)."""


@dataclass(frozen=True)
class SequenceSample:
    """The token ids of one molecule, int64 (tokens,)."""

    tokens: np.ndarray


@dataclass(frozen=True)
class SequencePart(Part):
    """Token ids side by side.

    Attributes:
        tokens: ids, `PAD` after the end of each sequence.
        lengths: number of tokens of each molecule.
    """

    tokens: Int[Tensor, "N L"]
    lengths: Int[Tensor, " N"]


class SequenceModality(Modality[SequenceSample]):
    """Canonical SMILES through the one fixed vocabulary of `molweave.chem.vocabulary`."""

    name: ClassVar[str] = "sequence"

    @property
    def version(self) -> str:
        """Changes with the tokenizer or the vocabulary."""
        return f"sequence-1-{vocabulary.digest()}"

    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> SequenceSample:
        """Tokenize the canonical SMILES; never missing, no cap on the length."""
        return SequenceSample(np.array(vocabulary.encode(molecule.canonical), dtype=np.int64))

    def collate(self, samples: Sequence[SequenceSample]) -> SequencePart:
        """Pad to the longest sequence of the batch."""
        lengths = np.array([len(sample.tokens) for sample in samples], dtype=np.int64)
        tokens = np.full((len(samples), lengths.max()), PAD, dtype=np.int64)
        tokens[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(
            [sample.tokens for sample in samples]
        )
        return SequencePart(
            num_molecules=len(samples),
            tokens=torch.from_numpy(tokens),
            lengths=torch.from_numpy(lengths),
        )
