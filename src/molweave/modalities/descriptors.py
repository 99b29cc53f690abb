"""The descriptors modality: a fixed-length vector of counts and physical descriptors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from molweave.chem import descriptors
from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.modalities.base import Modality, Part
from molweave.shapes import Float, Tensor

WIDTH = descriptors.WIDTH
"""Length of the vector of a molecule."""
PHYSICAL = len(descriptors.NAMES)
"""How many of its values are physical descriptors, its first ones."""


@dataclass(frozen=True)
class DescriptorsSample:
    """The vector of one molecule, float32 (`WIDTH`,)."""

    values: np.ndarray


@dataclass(frozen=True)
class DescriptorsPart(Part):
    """Descriptor vectors side by side, `WIDTH` wide; every value is finite and scaled."""

    values: Float[Tensor, "N D"]


class DescriptorsModality(Modality[DescriptorsSample]):
    """Scaled RDKit descriptors and a folded count fingerprint, see `chem.descriptors`."""

    name: ClassVar[str] = "descriptors"

    @property
    def version(self) -> str:
        """Changes with the descriptors or the constants that scale them."""
        return f"descriptors-1-{descriptors.digest()}"

    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> DescriptorsSample:
        """Compute the vector; never missing."""
        return DescriptorsSample(descriptors.describe(molecule.mol))

    def collate(self, samples: Sequence[DescriptorsSample]) -> DescriptorsPart:
        """Stack the vectors."""
        values = np.stack([sample.values for sample in samples])
        return DescriptorsPart(num_molecules=len(samples), values=torch.from_numpy(values))
