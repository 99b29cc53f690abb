"""The image modality: the skeletal drawing of a molecule, as a chemist sees it."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image

from molweave.chem.conformers import Conformer
from molweave.chem.depict import IMAGE_SIZE, draw_image
from molweave.chem.molecule import Molecule
from molweave.modalities.base import Missing, Modality, Part
from molweave.shapes import Tensor, UInt


@dataclass(frozen=True)
class ImageSample:
    """The drawing of one molecule as the bytes of a PNG, 2 to 10 kB."""

    png: bytes


@dataclass(frozen=True)
class ImagePart(Part):
    """Drawings side by side: red, green and blue, 0 to 255, on white (255).

    Height and width are `chem.depict.IMAGE_SIZE`.
    """

    pixels: UInt[Tensor, "N 3 h w"]


class ImageModality(Modality[ImageSample]):
    """The 2D depiction of RDKit with fixed options, see `chem.depict.draw_image`.

    Every molecule is drawn at one size; an encoder that wants fewer pixels averages them, so that
    the samples, their version and a model folder know nothing of sizes.
    """

    name: ClassVar[str] = "image"

    @property
    def version(self) -> str:
        """Changes with the drawing."""
        return "image-1"

    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> ImageSample | Missing:
        """Draw the molecule; missing when it has too many atoms for a drawing."""
        try:
            return ImageSample(draw_image(molecule.mol))
        except ValueError as error:
            return Missing(f"no drawing: {error}")

    def collate(self, samples: Sequence[ImageSample]) -> ImagePart:
        """Decode the drawings, colours innermost in memory, as PNG has them and GPUs like them."""
        pixels = np.empty((len(samples), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
        for place, sample in zip(pixels, samples, strict=True):
            with Image.open(io.BytesIO(sample.png)) as image:
                place[...] = np.asarray(image.convert("RGB"))
        return ImagePart(
            num_molecules=len(samples), pixels=torch.from_numpy(pixels).permute(0, 3, 1, 2)
        )
