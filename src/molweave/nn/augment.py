"""Random changes of images that leave the molecule the same."""

import math

import torch
from torch import nn
from torch.nn import functional

from molweave.shapes import Float, Tensor

_LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness of ITU-R BT.601."""

_KNOTS = 10
"""Knots along a side of the field of displacements: about a bond length apart."""


class ImageAugmentation(nn.Module):
    """Turns, mirrors, warps and greys images at random, each on its own; acts in training only.

    Images are ink on paper that is 0 everywhere, so that what a rotation uncovers is paper. A
    mirror turns the letters around and shows a wedged bond of the other enantiomer: an encoder
    trained with ``flip`` above 0 learns not to see chirality. ``jitter`` moves the atoms of a
    drawing each its own way, without a new drawing: a field of random displacements, smooth within
    a bond length.
    """

    luminance: Tensor

    def __init__(
        self,
        *,
        rotation: float = 180.0,
        flip: float = 0.0,
        grey: float = 0.2,
        jitter: float = 0.0,
    ) -> None:
        """Choose how much.

        Args:
            rotation: largest angle in degrees, in either direction.
            flip: probability of a mirror image.
            grey: probability of an image without colours.
            jitter: standard deviation of the displacements, as a share of the side of the image.
        """
        super().__init__()
        self.rotation = math.radians(rotation)
        self.flip = flip
        self.grey = grey
        self.jitter = jitter
        self.register_buffer("luminance", torch.tensor(_LUMINANCE), persistent=False)

    def forward(self, ink: Float[Tensor, "N 3 h w"]) -> Float[Tensor, "N 3 h w"]:
        """Changed images in training, the same images in evaluation."""
        if not self.training:
            return ink
        draws = torch.rand(3, len(ink), device=ink.device, dtype=ink.dtype)
        angle = (2 * draws[0] - 1) * self.rotation
        side = 1 - 2 * (draws[1] < self.flip).to(ink.dtype)
        turned = turn(ink, angle, side, self._shift(ink))
        brightness = torch.einsum("nchw,c->nhw", turned, self.luminance)[:, None]
        return torch.where((draws[2] < self.grey)[:, None, None, None], brightness, turned)

    def _shift(self, ink: Float[Tensor, "N c h w"]) -> Float[Tensor, "N h w 2"] | None:
        """Random displacements in units of half a side; None without jitter."""
        if self.jitter == 0:
            return None
        shape = (len(ink), 2, _KNOTS, _KNOTS)
        knots = torch.randn(shape, device=ink.device, dtype=ink.dtype) * (2 * self.jitter)
        field = functional.interpolate(
            knots, size=ink.shape[2:], mode="bicubic", align_corners=True
        )
        return field.permute(0, 2, 3, 1)


def turn(
    ink: Float[Tensor, "N c h w"],
    angle: Float[Tensor, " N"],
    side: Float[Tensor, " N"],
    shift: Float[Tensor, "N h w 2"] | None = None,
) -> Float[Tensor, "N c h w"]:
    """Rotate images about their middle, bilinear, 0 where nothing was.

    Args:
        ink: the images.
        angle: in radians; positive turns anticlockwise as seen.
        side: 1, or -1 to mirror left and right first.
        shift: where besides that each pixel comes from, to the right and down in half sides.
    """
    cos, sin, nothing = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = [torch.stack([side * cos, -side * sin, nothing], 1), torch.stack([sin, cos, nothing], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(ink.shape), align_corners=False)
    grid = grid if shift is None else grid + shift
    return functional.grid_sample(ink, grid, align_corners=False)
