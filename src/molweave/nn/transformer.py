"""Pre-norm Transformer layers whose attention carries a bias."""

import torch
from torch import nn
from torch.nn import functional

from molweave.shapes import Float, Tensor


class DropPath(nn.Module):
    """Leaves a residual branch out of whole molecules at random (stochastic depth, Huang 2016)."""

    def __init__(self, probability: float) -> None:
        """Of leaving it out, in training only; the others are scaled up to keep the mean."""
        super().__init__()
        self.probability = probability

    def forward(self, branch: Float[Tensor, "N L D"]) -> Float[Tensor, "N L D"]:
        """The branch, 0 where it is left out."""
        if not self.training or self.probability == 0:
            return branch
        kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.probability
        return branch * kept / (1 - self.probability)


class TransformerLayer(nn.Module):
    r"""Attention and a feed-forward network, each on a normalised input with a residual.

    .. math::
        x \leftarrow x + softmax(Q K^T / \sqrt{d_h} + B) V W_o, \qquad
        x \leftarrow x + W_2 GELU(W_1 LN(x)), \qquad [Q, K, V] = W LN(x)
    """

    def __init__(
        self, *, width: int, heads: int, feed_forward: int, dropout: float, drop_path: float
    ) -> None:
        """``dropout`` is that of attention weights and activations."""
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.attention_norm = nn.LayerNorm(width)
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.network = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, feed_forward),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(feed_forward, width),
        )
        self.drop_path = DropPath(drop_path)

    def forward(
        self, states: Float[Tensor, "N L D"], bias: Float[Tensor, "N H L L"]
    ) -> Float[Tensor, "N L D"]:
        """Updated states; a bias of minus infinity hides a column from a row."""
        count, length, width = states.shape
        split = self.inputs(self.attention_norm(states)).view(count, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.to(query.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )
        mixed = self.output(mixed.transpose(1, 2).reshape(count, length, width))
        states = states + self.drop_path(mixed)
        out: Tensor = states + self.drop_path(self.network(states))
        return out
