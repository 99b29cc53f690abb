"""Pre-norm Transformer layers whose attention carries a bias."""

import torch
from torch import nn
from torch.nn import functional

from molweave.nn.linear import Linear, linear
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
        self.inputs = Linear(width, 3 * width)
        self.output = Linear(width, width)
        self.network = nn.Sequential(
            nn.LayerNorm(width),
            Linear(width, feed_forward),
            nn.GELU(),
            nn.Dropout(dropout),
            Linear(feed_forward, width),
        )
        self.drop_path = DropPath(drop_path)

    def forward(
        self, states: Float[Tensor, "N L D"], bias: Float[Tensor, "N H L L"]
    ) -> Float[Tensor, "N L D"]:
        """Updated states; a bias of minus infinity hides a column from a row."""
        query, key, value = self._split(self.inputs(self.attention_norm(states)), 3)
        return self._update(states, query, key, value, bias)

    def first(
        self, states: Float[Tensor, "N L D"], bias: Float[Tensor, "N H L L"]
    ) -> Float[Tensor, "N 1 D"]:
        """The first updated state alone, which takes a third of the work of all."""
        normal, width = self.attention_norm(states), states.shape[-1]
        weight, shift = self.inputs.weight, self.inputs.bias
        one = linear(normal[:, :1], weight[:width], shift[:width])
        others = linear(normal, weight[width:], shift[width:])
        (query,), (key, value) = self._split(one, 1), self._split(others, 2)
        return self._update(states[:, :1], query, key, value, bias[:, :, :1])

    def _split(self, joined: Float[Tensor, "N L M"], parts: int) -> Float[Tensor, "p N H L d"]:
        """Projections laid side by side, apart and by head."""
        count, length, _ = joined.shape
        return joined.view(count, length, parts, self.heads, -1).permute(2, 0, 3, 1, 4)

    def _update(
        self,
        states: Float[Tensor, "N R D"],
        query: Float[Tensor, "N H R d"],
        key: Float[Tensor, "N H L d"],
        value: Float[Tensor, "N H L d"],
        bias: Float[Tensor, "N H R L"],
    ) -> Float[Tensor, "N R D"]:
        mixed = functional.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.to(query.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )
        mixed = self.output(mixed.transpose(1, 2).flatten(2))
        states = states + self.drop_path(mixed)
        out: Tensor = states + self.drop_path(self.network(states))
        return out
