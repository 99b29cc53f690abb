"""Geometry encoder of GEM (Fang et al., Nat. Mach. Intell. 2022): bonds and bond angles."""

import math
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from molweave.nn.layers import CategoricalEmbedding, RadialBasis, mlp, segment_sum
from molweave.nn.readout import Readout
from molweave.shapes import Float, Int, Tensor


@runtime_checkable
class GeometryInput(Protocol):
    """Conformers side by side as an atom-bond graph and a bond-angle graph."""

    @property
    def num_molecules(self) -> int:
        """Number of conformers."""

    @property
    def atoms(self) -> Int[Tensor, "A F"]:
        """Categorical atom features."""

    @property
    def molecule(self) -> Int[Tensor, " A"]:
        """Conformer of each atom."""

    @property
    def bonds(self) -> Int[Tensor, "M G"]:
        """Categorical bond features."""

    @property
    def bond_ends(self) -> Int[Tensor, "2 M"]:
        """The two atoms of each bond."""

    @property
    def bond_length(self) -> Float[Tensor, " M"]:
        """Angstrom."""

    @property
    def angle_bonds(self) -> Int[Tensor, "2 K"]:
        """Two bonds that share an atom; both orders are listed."""

    @property
    def angle(self) -> Float[Tensor, " K"]:
        """Angle between the two bonds at their common atom, radians."""


class GINEBlock(nn.Module):
    r"""Graph isomorphism layer with edge states, normalised, with a residual.

    .. math:: h_v \leftarrow h_v + Dropout(ReLU(LN(MLP(h_v + \sum_{u \in N(v)} (h_u + e_{uv})))))
    """

    def __init__(self, width: int, dropout: float) -> None:
        """Node and edge states have ``width`` features."""
        super().__init__()
        self.network = mlp((width, 2 * width, width))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        nodes: Float[Tensor, "n D"],
        edges: Float[Tensor, "e D"],
        source: Int[Tensor, " e"],
        target: Int[Tensor, " e"],
    ) -> Float[Tensor, "n D"]:
        """Update the node states from their neighbours."""
        total = segment_sum(nodes[source] + edges, target, len(nodes))
        update = torch.relu(self.norm(self.network(nodes + total)))
        out: Tensor = nodes + self.dropout(update)
        return out


class GeoGNN(nn.Module):
    """GINE blocks that alternate between the bond-angle graph and the atom-bond graph.

    In every layer the bonds, embedded from their type and length, hear of the angles to the bonds
    that they touch; then the atoms hear of those bonds. Lengths and angles enter through radial
    bases (centres 0 to 2 angstrom and 0 to pi, step 0.1, gamma 10), so the output is invariant
    under rotation and translation. `Readout` makes one vector of the atoms.
    """

    def __init__(
        self,
        *,
        atom_cardinalities: tuple[int, ...],
        bond_cardinalities: tuple[int, ...],
        width: int,
        layers: int,
        dropout: float,
    ) -> None:
        """Build ``layers`` pairs of blocks of ``width`` features."""
        super().__init__()
        self.length_basis = RadialBasis(0.0, 2.0, 0.1, gamma=10.0)
        self.angle_basis = RadialBasis(0.0, math.pi, 0.1, gamma=10.0)
        self.atom_embedding = CategoricalEmbedding(atom_cardinalities, width)
        self.bond_embeddings = nn.ModuleList(
            CategoricalEmbedding(bond_cardinalities, width) for _ in range(layers)
        )
        self.lengths = nn.ModuleList(
            nn.Linear(self.length_basis.width, width) for _ in range(layers)
        )
        self.angles = nn.ModuleList(nn.Linear(self.angle_basis.width, width) for _ in range(layers))
        self.bond_blocks = nn.ModuleList(GINEBlock(width, dropout) for _ in range(layers))
        self.atom_blocks = nn.ModuleList(GINEBlock(width, dropout) for _ in range(layers))
        self.readout = Readout(width)

    def forward(self, part: GeometryInput) -> Float[Tensor, "N D"]:
        """One vector per conformer."""
        length_basis = self.length_basis(part.bond_length)
        angle_basis = self.angle_basis(part.angle)
        source = torch.cat([part.bond_ends[0], part.bond_ends[1]])
        target = torch.cat([part.bond_ends[1], part.bond_ends[0]])
        atoms = self.atom_embedding(part.atoms)
        for embed, length, angle, bond_block, atom_block in zip(
            self.bond_embeddings,
            self.lengths,
            self.angles,
            self.bond_blocks,
            self.atom_blocks,
            strict=True,
        ):
            bonds = embed(part.bonds) + length(length_basis)
            bonds = bond_block(bonds, angle(angle_basis), part.angle_bonds[0], part.angle_bonds[1])
            atoms = atom_block(atoms, torch.cat([bonds, bonds]), source, target)
        pooled: Tensor = self.readout(atoms, part.molecule, part.num_molecules)
        return pooled
