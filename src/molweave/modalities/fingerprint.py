"""The fingerprint modality: how often each circular environment occurs in a molecule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from rdkit.Chem import rdFingerprintGenerator

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.modalities.base import Modality, Part
from molweave.shapes import Float, Tensor

RADIUS = 3
"""Bonds from the centre of an environment to its rim, at most (ECFP6)."""
WIDTH = 4096
"""Length of the folded fingerprint."""
_generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=WIDTH)


@dataclass(frozen=True)
class FingerprintSample:
    """The environments of one molecule.

    Attributes:
        positions: where they fold to, int64 (environments,), ascending, below `WIDTH`.
        values: log(1 + n) of their counts n, float32 (environments,).
    """

    positions: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class FingerprintPart(Part):
    """Fingerprints side by side: log(1 + n), 0 for what does not occur."""

    values: Float[Tensor, "N D"]


class FingerprintModality(Modality[FingerprintSample]):
    """Counts of circular environments (Rogers and Hahn 2010, ECFP6), folded."""

    name: ClassVar[str] = "fingerprint"

    @property
    def version(self) -> str:
        """Changes with the kind of fingerprint."""
        return f"fingerprint-1-ecfp{2 * RADIUS}-{WIDTH}"

    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> FingerprintSample:
        """Count the environments; never missing."""
        counts = _generator.GetCountFingerprintAsNumPy(molecule.mol)
        positions = np.flatnonzero(counts)
        return FingerprintSample(positions, np.log1p(counts[positions].astype(np.float32)))

    def collate(self, samples: Sequence[FingerprintSample]) -> FingerprintPart:
        """Unfold every molecule into a row of its own."""
        values = torch.zeros(len(samples), WIDTH)
        sizes = [len(sample.positions) for sample in samples]
        rows = np.repeat(np.arange(len(samples)), sizes)
        positions = np.concatenate([sample.positions for sample in samples])
        values[rows, positions] = torch.from_numpy(
            np.concatenate([sample.values for sample in samples])
        )
        return FingerprintPart(num_molecules=len(samples), values=values)
