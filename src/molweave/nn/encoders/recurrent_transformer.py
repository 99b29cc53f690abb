"""SMILES encoder of DMMRL: bidirectional LSTM, then a Transformer encoder."""

from typing import Protocol, runtime_checkable

import torch
from torch import nn

from molweave.nn.pairs import runs
from molweave.nn.recurrent import BidirectionalLSTM
from molweave.shapes import Float, Int, Tensor

_PAIR_BUDGET = 2**22
"""Pairs of tokens that are attended to at a time, padding included."""
_SPARE = 2**14
"""Pairs of tokens whose padding costs no more than another run of the LSTM."""


@runtime_checkable
class SequenceInput(Protocol):
    """Padded token sequences."""

    @property
    def tokens(self) -> Int[Tensor, "N L"]:
        """Token ids, 0 where padded."""

    @property
    def lengths(self) -> Int[Tensor, " N"]:
        """Number of real tokens of each sequence, at least 1."""


class RecurrentTransformer(nn.Module):
    """Token embedding, bidirectional LSTM, Transformer encoder, mean over real tokens.

    The LSTM never reads padding, and padding is masked in attention and mean, so that a sequence's
    vector does not depend on the others of its batch. Sequences of similar length are read
    together (`runs`), so that a long one costs its own pairs of tokens only.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        width: int,
        recurrent_layers: int,
        attention_layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
    ) -> None:
        """Build for token ids in ``[0, vocabulary_size)``; ``width`` is the output's."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width, padding_idx=0)
        self.recurrent = BidirectionalLSTM(width, layers=recurrent_layers, dropout=dropout)
        layer = nn.TransformerEncoderLayer(
            width, heads, feed_forward, dropout, batch_first=True, norm_first=False
        )
        self.attention = nn.TransformerEncoder(layer, attention_layers, enable_nested_tensor=False)

    def forward(self, part: SequenceInput) -> Float[Tensor, "N D"]:
        """One vector per sequence."""
        order = torch.argsort(part.lengths)
        lengths = part.lengths[order]
        sizes = lengths.tolist()
        pooled = [
            self._read(part.tokens[order[run], : sizes[run.stop - 1]], lengths[run])
            for run in runs(sizes, _PAIR_BUDGET, _SPARE)
        ]
        return torch.cat(pooled)[torch.argsort(order)]

    def _read(self, tokens: Int[Tensor, "N L"], lengths: Int[Tensor, " N"]) -> Float[Tensor, "N D"]:
        real = tokens != 0
        states = self.recurrent(self.embedding(tokens), lengths)
        states = self.attention(states, src_key_padding_mask=~real)
        states = torch.where(real[..., None], states, 0.0)
        return states.sum(1) / lengths[:, None]
