"""Graph isomorphism network with bond features (Hu et al., ICLR 2020)."""

import torch
from torch import nn

from molweave.nn.encoders.cmpnn import GraphInput
from molweave.nn.layers import BatchNorm, mlp, segment_mean, segment_sum
from molweave.shapes import Float, Int, Tensor


class GINLayer(nn.Module):
    r"""One update of the atoms from their neighbours.

    .. math:: h_v \leftarrow BN(MLP(\sum_{u \in N(v) \cup \{v\}} (h_u + e_{uv})))

    with e_uv = W x_uv for a bond and e_vv = s, a learned vector. W has no bias: the first bond
    feature is always 1. As W is linear, it is applied to the sum of an atom's bonds.
    """

    def __init__(self, bond_width: int, width: int) -> None:
        """Atoms have ``width`` features, bonds ``bond_width``."""
        super().__init__()
        self.bond = nn.Linear(bond_width, width, bias=False)
        self.loop = nn.Parameter(torch.empty(width))
        nn.init.normal_(self.loop, std=bond_width**-0.5)
        self.network = mlp((width, 2 * width, width))
        self.norm = BatchNorm(width)

    def forward(
        self,
        atoms: Float[Tensor, "A D"],
        bonds: Float[Tensor, "A G"],
        source: Int[Tensor, " E"],
        target: Int[Tensor, " E"],
    ) -> Float[Tensor, "A D"]:
        """New atom states; ``bonds`` is the sum of the features of each atom's bonds."""
        neighbours = segment_sum(atoms[source], target, len(atoms))
        out: Tensor = self.norm(self.network(atoms + neighbours + self.bond(bonds) + self.loop))
        return out


class GIN(nn.Module):
    r"""Layers of `GINLayer` with ReLU between them, dropout after each, mean read-out.

    Source: Hu et al. 2020, "Strategies for Pre-training Graph Neural Networks", arXiv:1905.12265:
    5 layers of width 300, the last without ReLU, and the mean of its atoms as the molecule. There
    atoms and bonds are embeddings of two categories each; here linear maps of chemprop's features.
    """

    def __init__(
        self, *, atom_width: int, bond_width: int, width: int, layers: int, dropout: float
    ) -> None:
        """``layers`` updates of ``width`` features."""
        super().__init__()
        self.atom_input = nn.Linear(atom_width, width)
        self.layers = nn.ModuleList(GINLayer(bond_width, width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def forward(self, part: GraphInput) -> Float[Tensor, "N D"]:
        """One vector per molecule."""
        bonds = segment_sum(part.bonds, part.target, len(part.atoms))
        atoms = self.atom_input(part.atoms)
        for number, layer in enumerate(self.layers):
            atoms = torch.relu(atoms) if number else atoms
            atoms = self.dropout(layer(atoms, bonds, part.source, part.target))
        return segment_mean(atoms, part.molecule, part.num_molecules)
