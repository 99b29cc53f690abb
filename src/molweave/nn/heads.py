"""Heads that turn an embedding into predictions, and atom states into those of pairs and atoms."""

import torch
from torch import nn
from torch.nn import functional

from molweave.shapes import Bool, Float, Tensor

HEADS = ("mlp", "linear")
"""Kinds of `PropertyHead`."""


class PropertyHead(nn.Module):
    """One output per task, from an embedding of width d.

    ``mlp``: dropout, Linear(d, d/2), ReLU, dropout, Linear(d/2, T). ``linear``: dropout,
    Linear(d, T). Outputs are logits for classification and standardised values for regression.
    """

    def __init__(self, *, inputs: int, tasks: int, dropout: float, kind: str = "mlp") -> None:
        """``inputs`` is d, ``tasks`` is T, ``kind`` one of `HEADS`."""
        super().__init__()
        hidden = [nn.Linear(inputs, inputs // 2), nn.ReLU(), nn.Dropout(dropout)]
        self.network = nn.Sequential(
            nn.Dropout(dropout),
            *(hidden if kind == "mlp" else ()),
            nn.Linear(inputs // 2 if kind == "mlp" else inputs, tasks),
        )

    def forward(self, embedding: Float[Tensor, "B D"]) -> Float[Tensor, "B T"]:
        """Raw outputs."""
        out: Tensor = self.network(embedding)
        return out


class StateHead(nn.Module):
    """What is to be read from each state alone: Linear, GELU, LayerNorm, Linear."""

    def __init__(self, *, inputs: int, outputs: int) -> None:
        """``inputs`` is the width of the states."""
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(inputs, inputs), nn.GELU(), nn.LayerNorm(inputs), nn.Linear(inputs, outputs)
        )

    def forward(self, states: Float[Tensor, "... D"]) -> Float[Tensor, "... C"]:
        """Raw outputs."""
        out: Tensor = self.network(states)
        return out


class PairHead(nn.Module):
    r"""C numbers for every ordered pair of atoms, bilinear in the two states.

    .. math::
        r_i = LN(GELU(W_r h_i)), \quad l_j = LN(GELU(W_l h_j)), \quad
        y^c_{ij} = r_i^T W_c l_j + b_c

    Contracted as :math:`(r_i^T W_c) l_j`: memory is N n C max(w, n), with w the width of r and l,
    where the outer products of all pairs would take N n^2 w^2.
    """

    def __init__(self, *, inputs: int, outputs: int, width: int = 32) -> None:
        """``outputs`` is C, ``width`` that of r and l."""
        super().__init__()
        self.row = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.LayerNorm(width))
        self.column = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.LayerNorm(width))
        self.weight = nn.Parameter(torch.empty(width, outputs, width))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.normal_(self.weight, std=1 / width)

    def forward(self, atoms: Float[Tensor, "N n D"]) -> Float[Tensor, "N C n n"]:
        """The outputs of all pairs, row atom first."""
        width, outputs, _ = self.weight.shape
        half = self.row(atoms) @ self.weight.view(width, -1)
        half = half.unflatten(-1, (outputs, width)).transpose(1, 2)
        out: Tensor = half @ self.column(atoms).mT[:, None]
        return out + self.bias[:, None, None]


class DistanceHead(nn.Module):
    r"""A distance for every pair of atoms, in angstrom, the same in both directions.

    .. math:: d_{ij} = \tfrac12 (f_{ij} + f_{ji}), \qquad f_{ij} = w^T GELU(y_{ij}) + b

    with y the ``channels`` outputs of a `PairHead`: a single bilinear form is too stiff for a
    distance, which is no inner product.
    """

    def __init__(self, *, inputs: int, channels: int = 16) -> None:
        """``inputs`` is the width of the atom states."""
        super().__init__()
        self.pairs = PairHead(inputs=inputs, outputs=channels)
        self.mix = nn.Conv2d(channels, 1, kernel_size=1)

    def forward(self, atoms: Float[Tensor, "N n D"]) -> Float[Tensor, "N n n"]:
        """Distances of all pairs."""
        one_way: Tensor = self.mix(functional.gelu(self.pairs(atoms)))[:, 0]
        return 0.5 * (one_way + one_way.mT)


class DisplacementHead(nn.Module):
    r"""A vector per atom that turns with the molecule.

    .. math::
        u_i = \sum_{j \ne i} w_{ij} \frac{p_j - p_i}{d_{ij}}, \quad
        w_{ij} = \sum_h a^h_{ij} v^h_j, \quad
        a^h = softmax(Q^h K^{hT} / \sqrt{d_h} + B^h), \quad v = W_v h

    The weights are scalars of an invariant network, so u is equivariant under rotation and
    reflection and invariant under translation.
    """

    def __init__(self, *, inputs: int, heads: int) -> None:
        """``inputs`` is the width of the atom states, ``heads`` that of the attention bias B."""
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(inputs, 2 * inputs)
        self.value = nn.Linear(inputs, heads)

    def forward(
        self,
        atoms: Float[Tensor, "N n D"],
        bias: Float[Tensor, "N H n n"],
        positions: Float[Tensor, "N n 3"],
        distance: Float[Tensor, "N n n"],
        different: Bool[Tensor, "N n n"],
    ) -> Float[Tensor, "N n 3"]:
        """The vectors; 0 for an atom without another one.

        Args:
            atoms: final atom states h.
            bias: B of the encoder.
            positions: p.
            distance: d.
            different: pairs of two different real atoms.
        """
        count, size, _ = atoms.shape
        split = self.inputs(atoms).view(count, size, 2, self.heads, -1)
        query, key = split.permute(2, 0, 3, 1, 4)
        scores = query @ key.mT * query.shape[-1] ** -0.5 + bias
        hidden = ~different[:, None]
        scores = scores.float().masked_fill(hidden, torch.finfo(torch.float32).min)
        attention = torch.softmax(scores, dim=-1).masked_fill(hidden, 0.0)
        weight = torch.einsum("nhij,njh->nij", attention, self.value(atoms).float())
        weight = weight / distance.clamp(min=1e-3)
        return weight @ positions - weight.sum(-1, keepdim=True) * positions
