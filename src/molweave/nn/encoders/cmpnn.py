"""Communicative message passing over atoms and directed bonds (Song et al., IJCAI 2020)."""

from typing import Protocol, runtime_checkable

import torch
from torch import nn

from molweave.nn.layers import segment_max, segment_sum
from molweave.nn.readout import Readout
from molweave.shapes import Float, Int, Tensor


@runtime_checkable
class GraphInput(Protocol):
    """Molecular graphs side by side, every bond in both directions."""

    @property
    def num_molecules(self) -> int:
        """Number of graphs."""

    @property
    def atoms(self) -> Float[Tensor, "A F"]:
        """Atom features x_v."""

    @property
    def bonds(self) -> Float[Tensor, "E G"]:
        """Bond features x_vw of each directed bond."""

    @property
    def source(self) -> Int[Tensor, " E"]:
        """Atom v of the directed bond v -> w."""

    @property
    def target(self) -> Int[Tensor, " E"]:
        """Atom w of the directed bond v -> w."""

    @property
    def reverse(self) -> Int[Tensor, " E"]:
        """Index of the directed bond w -> v."""

    @property
    def molecule(self) -> Int[Tensor, " A"]:
        """Graph of each atom."""


class CMPNN(nn.Module):
    r"""Communicative message passing neural network.

    .. math::
        h_v^0 &= ReLU(W_a x_v), \quad h_{vw}^0 = ReLU(W_b [x_v; x_{vw}]) \\
        m_v &= \Big(\sum_{u \in N(v)} h_{uv}\Big) \odot \max_{u \in N(v)} h_{uv} \\
        h_v &\leftarrow h_v + m_v \\
        h_{vw} &\leftarrow Dropout(ReLU(h_{vw}^0 + W_k (h_v - h_{wv}))) \\
        a_v &= W_o [m_v; h_v; h_v^0]

    `Readout` makes one vector of the a_v: it does not depend on the atom numbering, where the
    released code runs a recurrent network over the atoms in file order. An atom without bonds has
    m_v = 0.
    """

    def __init__(
        self, *, atom_width: int, bond_width: int, width: int, rounds: int, dropout: float
    ) -> None:
        """``rounds`` is K, the number of bond updates."""
        super().__init__()
        self.atom_input = nn.Linear(atom_width, width)
        self.bond_input = nn.Linear(atom_width + bond_width, width)
        self.updates = nn.ModuleList(nn.Linear(width, width) for _ in range(rounds))
        self.output = nn.Linear(3 * width, width)
        self.readout = Readout(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, part: GraphInput) -> Float[Tensor, "N D"]:
        """One vector per molecule."""
        num_atoms = len(part.atoms)
        atom_start = torch.relu(self.atom_input(part.atoms))
        bond_start = torch.relu(
            self.bond_input(torch.cat([part.atoms[part.source], part.bonds], dim=1))
        )

        def message(bond_state: Tensor) -> Tensor:
            total = segment_sum(bond_state, part.target, num_atoms)
            return total * segment_max(bond_state, part.target, num_atoms)

        atom, bond = atom_start, bond_start
        for update in self.updates:
            atom = atom + message(bond)
            delta = update(atom[part.source] - bond[part.reverse])
            bond = self.dropout(torch.relu(bond_start + delta))
        last = message(bond)
        states = self.output(torch.cat([last, atom + last, atom_start], dim=1))
        pooled: Tensor = self.readout(states, part.molecule, part.num_molecules)
        return pooled
