"""Encoder of 2D relations: the graph token of a pair-biased Transformer."""

import torch
from torch import nn

from molweave.nn.encoders.pair_transformer import PairTransformer
from molweave.nn.pairs import RelationsInput
from molweave.shapes import Float, Tensor


class RelationsEncoder(nn.Module):
    """`PairTransformer.tokens` of the 2D relations, normalised and mapped to another width."""

    def __init__(self, encoder: PairTransformer, *, inputs: int, width: int) -> None:
        """``inputs`` is the width of the tokens of ``encoder``, ``width`` that of the output."""
        super().__init__()
        self.encoder = encoder
        self.out = nn.Sequential(nn.LayerNorm(inputs), nn.Linear(inputs, width))

    def forward(self, part: RelationsInput) -> Float[Tensor, "N D"]:
        """One vector per molecule."""
        device = part.atoms.device
        positions = torch.zeros(len(part.atoms), 3, device=device)
        placed = torch.zeros(len(part.sizes), dtype=torch.bool, device=device)
        tokens = self.encoder.tokens(part, positions, placed, flat=True, spatial=False)
        out: Tensor = self.out(tokens)
        return out
