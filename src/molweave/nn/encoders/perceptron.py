"""Encoder of a fixed-length vector, such as descriptors or a fingerprint."""

from typing import Protocol, runtime_checkable

from torch import nn

from molweave.nn.layers import mlp
from molweave.shapes import Float, Tensor


@runtime_checkable
class VectorInput(Protocol):
    """One vector per molecule."""

    @property
    def values(self) -> Float[Tensor, "N F"]:
        """One row of F numbers per molecule, each of the order of one."""


class Perceptron(nn.Module):
    """Two linear layers with ReLU, dropout on input and hidden units, layer normalisation."""

    def __init__(self, *, inputs: int, width: int, dropout: float) -> None:
        """Map ``inputs`` numbers to ``width``."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.network = mlp((inputs, 2 * width, width), dropout=dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, part: VectorInput) -> Float[Tensor, "N D"]:
        """One vector per molecule."""
        out: Tensor = self.norm(self.network(self.dropout(part.values)))
        return out
