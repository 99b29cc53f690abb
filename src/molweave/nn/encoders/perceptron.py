"""Encoder of a fixed-length vector, such as descriptors or a fingerprint."""

from typing import Protocol, runtime_checkable

import torch
from torch import nn

from molweave.nn.layers import FourierFeatures, mlp
from molweave.shapes import Float, Tensor


@runtime_checkable
class VectorInput(Protocol):
    """One vector per molecule."""

    @property
    def values(self) -> Float[Tensor, "N F"]:
        """One row of F numbers per molecule, each of the order of one."""


class Perceptron(nn.Module):
    """Two linear layers with ReLU, dropout on input and hidden units, layer normalisation."""

    def __init__(
        self, *, inputs: int, width: int, dropout: float, smooth: int = 0, fourier: int = 0
    ) -> None:
        """Map ``inputs`` numbers to ``width``.

        Args:
            inputs: F, the length of the vector.
            width: D, that of the output.
            dropout: on input and hidden units.
            smooth: how many of the numbers, the first, are continuous.
            fourier: of how many Fourier features of these the layers read instead of them; 0 to
                read the numbers themselves.
        """
        super().__init__()
        self.waves = FourierFeatures(smooth, fourier) if fourier else None
        self.dropout = nn.Dropout(dropout)
        read = inputs - smooth + fourier if fourier else inputs
        self.network = mlp((read, 2 * width, width), dropout=dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, part: VectorInput) -> Float[Tensor, "N D"]:
        """One vector per molecule."""
        values = part.values
        if self.waves is not None:
            smooth = self.waves.in_features
            values = torch.cat([self.waves(values[:, :smooth]), values[:, smooth:]], dim=1)
        out: Tensor = self.norm(self.network(self.dropout(values)))
        return out
