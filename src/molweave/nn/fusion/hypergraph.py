"""A hypergraph over molecules: every molecule and those most like it form one hyperedge."""

from typing import Self

import torch
from torch import nn
from torch.nn import functional

from molweave.nn.layers import BatchNorm
from molweave.shapes import Float, Int, Tensor

HYPERGRAPHS = ("hypergraph", "knn", "none")


@torch.no_grad()
def nearest(codes: Float[Tensor, "B D"], count: int) -> Int[Tensor, "B k"]:
    """The ``count`` molecules most similar to each by cosine, itself first; all if B is less."""
    similarity = cosines(codes, codes)
    similarity.fill_diagonal_(torch.inf)
    return similarity.topk(min(count, len(codes)), dim=1).indices


@torch.no_grad()
def cosines(codes: Float[Tensor, "B D"], others: Float[Tensor, "R D"]) -> Float[Tensor, "B R"]:
    """The cosine of every pair, in single precision: who is near must not be rounded."""
    with torch.autocast(codes.device.type, enabled=False):
        directions = functional.normalize(codes.float(), dim=1)
        return directions @ functional.normalize(others.float(), dim=1).T


def incidence(codes: Float[Tensor, "B D"], count: int) -> Float[Tensor, "B B"]:
    """H, with H_ij = 1 where molecule i belongs to hyperedge j: j and its nearest, ``count``."""
    members = nearest(codes, count)
    return codes.new_zeros(len(codes), len(codes)).scatter(1, members, 1.0).T


def propagation(
    codes: Float[Tensor, "B D"], count: int, *, kind: str, symmetric: bool
) -> Float[Tensor, "B B"]:
    r"""The operator G that mixes the molecules of a batch; no gradient reaches ``codes``.

    ``hypergraph``, with D_v and D_e the row and column sums of H (Feng et al., AAAI 2019):

    .. math:: G = D_v^{-1} H D_e^{-1} H^T \quad or \quad D_v^{-1/2} H D_e^{-1} H^T D_v^{-1/2}

    ``knn`` is the plain graph A = max(H, H^T), which has self loops: D^-1 A, or D^-1/2 A D^-1/2.
    ``none`` is the identity, and so is every kind with ``count`` 1.

    Args:
        codes: what molecules are compared by.
        count: k, the size of a hyperedge.
        kind: one of `HYPERGRAPHS`.
        symmetric: normalise symmetrically instead of as a random walk.
    """
    if kind == "none":
        return torch.eye(len(codes), dtype=codes.dtype, device=codes.device)
    edges = incidence(codes, count)
    if kind == "knn":
        joined = torch.maximum(edges, edges.T)
        degree = joined.sum(1)
    else:
        degree = edges.sum(1)
        joined = (edges / edges.sum(0)) @ edges.T
    if symmetric:
        return joined * degree.rsqrt()[:, None] * degree.rsqrt()
    return joined / degree[:, None]


class HypergraphLayer(nn.Module):
    r"""One convolution over the hypergraph of a batch, with a residual path.

    .. math:: g = G\,h + c\,W, \qquad h = ReLU(BN(c\,\Theta))

    In training G is that of the batch (`propagation`). A prediction must not depend on its batch
    mates, so in evaluation the hypergraph of a molecule is one hyperedge: the molecule and the
    k - 1 nearest of R stored codes of molecules seen in training (``references``), which makes
    G h the mean of their h. As in training, a molecule has the weight 1/k in its own row. A frozen
    layer is always in evaluation mode: its references and statistics never change.
    """

    references: Tensor

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        neighbours: int,
        kind: str,
        symmetric: bool,
        references: int,
        frozen: bool,
    ) -> None:
        """Build the layer.

        Args:
            inputs: width of c.
            outputs: width of g.
            neighbours: k, the size of a hyperedge, the molecule itself included.
            kind: one of `HYPERGRAPHS`.
            symmetric: see `propagation`.
            references: R.
            frozen: whether `train` leaves the layer in evaluation mode.
        """
        super().__init__()
        self.frozen = frozen
        self.kind, self.neighbours, self.symmetric = kind, neighbours, symmetric
        self.theta = nn.Linear(inputs, outputs, bias=False)
        self.norm = BatchNorm(outputs)
        self.residual = nn.Linear(inputs, outputs)
        self.register_buffer("references", torch.zeros(references, inputs))
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Training mode, where the layer is not frozen."""
        return super().train(mode and not self.frozen)

    def forward(self, codes: Float[Tensor, "B C"]) -> Float[Tensor, "B D"]:
        """The structure-aware embedding g of every molecule."""
        mixed = self._from_batch(codes) if self.training else self._from_references(codes)
        out: Tensor = mixed + self.residual(codes)
        return out

    def _states(self, codes: Tensor) -> Tensor:
        return torch.relu(self.norm(self.theta(codes)))

    def _from_batch(self, codes: Tensor) -> Tensor:
        fresh = codes.detach().float()
        operator = propagation(fresh, self.neighbours, kind=self.kind, symmetric=self.symmetric)
        newest = torch.cat([fresh, self.references])[: len(self.references)]
        self.references.copy_(newest)
        return operator @ self._states(codes)

    def _from_references(self, codes: Tensor) -> Tensor:
        states = self._states(codes)
        others = min(self.neighbours - 1, len(self.references))
        if self.kind == "none" or others == 0:
            return states
        found = cosines(codes, self.references).topk(others, dim=1).indices
        stored = torch.relu(self.norm.settled(self.theta(self.references)))
        neighbours = stored[found].sum(1)
        return (states + neighbours) / (1 + others)
