"""A memory bank of anchors: typical embeddings that others are read through."""

import torch
from torch import distributed, nn
from torch.nn import functional

from molweave.shapes import Float, Tensor

DECAY = 0.99
"""Of the moving average of how much every anchor is used, per step."""
DEAD = 0.1
"""An anchor is dead below this share of what it would have if all were used alike."""


class MemoryBank(nn.Module):
    r"""K anchors of width D that embeddings address by similarity.

    .. math:: a_{ik} = softmax_k(\cos(g_i, Mem_k) / T), \qquad r_i = \sum_k a_{ik} Mem_k

    The weighted sum is a weighted average, as the weights add up to 1 (the code released for
    HGM2R, TPAMI 2023, divides by K once more, which shrinks every r towards 0).

    In training, anchors that (nearly) no molecule addresses are put in the place of embeddings of
    the batch: at the first step all of them, later those whose usage has decayed. Where several
    processes train, the batch of the first one is the one.
    """

    anchors: Tensor
    usage: Tensor

    def __init__(self, *, anchors: int, width: int, temperature: float, frozen: bool) -> None:
        """Build the bank.

        Args:
            anchors: K.
            width: D.
            temperature: T of the addressing.
            frozen: the anchors are no parameters, and nothing ever changes them.
        """
        super().__init__()
        self.temperature, self.frozen = temperature, frozen
        start = torch.randn(anchors, width) * width**-0.5
        if frozen:
            self.register_buffer("anchors", start)
        else:
            self.anchors = nn.Parameter(start)
        self.register_buffer("usage", torch.zeros(anchors))

    def address(self, embeddings: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """How much of every anchor each molecule reads; rows sum to 1."""
        return torch.softmax(self.similarity(embeddings) / self.temperature, dim=1)

    def similarity(self, embeddings: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """The cosine of every molecule and every anchor."""
        known = functional.normalize(self.anchors, dim=1)
        return (functional.normalize(embeddings, dim=1) @ known.T).float()

    def forward(self, embeddings: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """What every molecule reads, r; in training usage is counted and dead anchors moved.

        Several processes that train have to call it together, those without a molecule, too.
        """
        if self.training and not self.frozen:
            self._revive(embeddings.detach())
        weights = self.address(embeddings)
        if self.training and not self.frozen and len(weights):
            self.usage.lerp_(weights.detach().mean(0), 1 - DECAY)
        return weights @ self.anchors

    @torch.no_grad()
    def _revive(self, embeddings: Tensor) -> None:
        """Put dead anchors in the place of different molecules of the batch, as far as they go."""
        dead = self.dead.nonzero()[: len(embeddings), 0]
        chosen = torch.randperm(len(embeddings), device=embeddings.device)[: len(dead)]
        self.anchors[dead] = embeddings[chosen].to(self.anchors.dtype)
        self.usage[dead] = 1 / len(self.usage)
        if distributed.is_available() and distributed.is_initialized():
            distributed.broadcast(self.anchors, 0)
            distributed.broadcast(self.usage, 0)

    @property
    def dead(self) -> Tensor:
        """Bool (K,): anchors that hardly any molecule addresses."""
        return self.usage < DEAD / len(self.usage)


def perplexity(usage: Float[Tensor, " K"]) -> float:
    """exp of the entropy of shares of the addressing: how many anchors are in use, 1 to K."""
    exact = usage.cpu().double()  # MPS has no double precision
    share = exact / exact.sum().clamp(min=1e-12)
    return float(torch.exp(torch.special.entr(share).sum()))
