"""Complete message passing for 3D molecules (ComENet, Wang et al., NeurIPS 2022)."""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn import functional

from molweave.nn.blocks import Block, make_blocks
from molweave.nn.frames import SphericalBessel, look_around
from molweave.nn.layers import CategoricalEmbedding, segment_mean
from molweave.shapes import Float, Int, Tensor

_Y0 = math.sqrt(1 / (4 * math.pi))
_Y1 = math.sqrt(3 / (4 * math.pi))


@runtime_checkable
class PlacedAtoms(Protocol):
    """Atoms of conformers side by side."""

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
    def positions(self) -> Float[Tensor, "A 3"]:
        """Angstrom."""


@dataclass(frozen=True)
class Edges:
    """A block of molecules and what its atoms i see of their neighbours j.

    Attributes:
        block: the atoms.
        basis: ``n k`` rows and n columns a molecule: row (i, k), column j is the k-th basis
            function of the pair, 0 where j is no neighbour of i.
    """

    block: Block
    basis: Float[Tensor, "m nk n"]


class Convolution(nn.Module):
    r"""Atoms gather their neighbours, weighted by the geometry between them.

    .. math:: y_i = U \sum_j (W b_{ij}) \odot x_j + V x_i + c

    for basis functions b_ij. With the sum over j inside, :math:`W b_{ij}` is never made for single
    pairs: :math:`\sum_k W_k \odot \sum_j b_{ijk} x_j`, the inner sum being a product of matrices.
    """

    def __init__(self, basis: int, width: int) -> None:
        """``basis`` functions of a pair, ``width`` features of an atom."""
        super().__init__()
        self.filter = nn.Parameter(torch.empty(basis, width))
        nn.init.normal_(self.filter, std=basis**-0.5)
        self.gather = nn.Linear(width, width, bias=False)
        self.own = nn.Linear(width, width)

    def forward(self, atoms: Float[Tensor, "A D"], edges: list[Edges]) -> Float[Tensor, "A D"]:
        """New atom features, without activation."""
        pieces = []
        for edge in edges:
            block = edge.block
            seen = edge.basis @ block.pad(atoms)
            seen = seen.view(block.molecules, block.size, len(self.filter), -1)
            pieces.append(block.unpad((seen * self.filter).sum(2)))
        order = torch.cat([edge.block.atoms for edge in edges]).argsort()
        out: Tensor = self.gather(torch.cat(pieces)[order]) + self.own(atoms)
        return out


class Interaction(nn.Module):
    r"""One round of messages, sigma being x sigmoid(x).

    .. math::
        x &= \sigma(W_0 h), \quad
        y = W_c [\sigma(conv_{\theta\phi}(x)); \sigma(conv_\tau(x))] + x \\
        y &\leftarrow y + \sigma(L_r y), \quad r = 1, 2 \\
        h &\leftarrow h + W_f LN(y)
    """

    def __init__(self, local_basis: int, torsion_basis: int, width: int) -> None:
        """The numbers of basis functions of the two convolutions."""
        super().__init__()
        self.input = nn.Linear(width, width)
        self.local = Convolution(local_basis, width)
        self.torsion = Convolution(torsion_basis, width)
        self.join = nn.Linear(2 * width, width)
        self.residuals = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, width)

    def forward(
        self, atoms: Float[Tensor, "A D"], local: list[Edges], torsion: list[Edges]
    ) -> Float[Tensor, "A D"]:
        """Update the atoms."""
        x = functional.silu(self.input(atoms))
        near = functional.silu(self.local(x, local))
        far = functional.silu(self.torsion(x, torsion))
        y = self.join(torch.cat([near, far], dim=1)) + x
        for residual in self.residuals:
            y = y + functional.silu(residual(y))
        out: Tensor = atoms + self.output(self.norm(y))
        return out


class ComENet(nn.Module):
    r"""Message passing over all atoms within a cutoff that is complete in the geometry.

    Every pair of atoms within ``cutoff`` is described by (d, theta, phi, tau), see
    `molweave.nn.frames.look_around`, in two bases of N radial functions:

    .. math::
        b^{\theta\phi} = R_{ln}(d) Y_l^m(\theta, \phi), \quad b^{\tau} = R_{ln}(d) T_l(\tau),
        \quad l = 0, 1

    (4 N and 3 N functions), R being `molweave.nn.frames.SphericalBessel`. Both vanish at the
    cutoff. The output is LN of the mean over atoms of sigma(W h); it is invariant under rotation,
    translation and the order of atoms and differs between mirror images of a chiral conformer.

    Source: Wang et al. 2022, "ComENet: Towards Complete and Efficient Message Passing for 3D
    Molecular Graphs", arXiv:2206.08515. Ours: T_1 is cos(tau) and sin(tau), where Y_1^0(tau) is the
    cosine alone and tells no sign; the shortcut h + ...; and layer normalisation, where one over
    the atoms of a molecule would make single atoms alike and take away the mean that is read out.

    The matrices of a molecule of n atoms take 28 N n^2 bytes: 84 kB for 32 atoms, 84 MB for 1000.
    """

    def __init__(
        self,
        *,
        atom_cardinalities: tuple[int, ...],
        width: int,
        layers: int,
        radial: int = 3,
        cutoff: float = 8.0,
    ) -> None:
        """Build the network.

        Args:
            atom_cardinalities: categories of each column of the atom features.
            width: features of an atom and of the output.
            layers: rounds of messages.
            radial: N, radial functions for each l.
            cutoff: in angstrom.
        """
        super().__init__()
        self.cutoff = cutoff
        self.radial = SphericalBessel(radial, cutoff)
        self.embedding = CategoricalEmbedding(atom_cardinalities, width)
        self.layers = nn.ModuleList(
            Interaction(4 * radial, 3 * radial, width) for _ in range(layers)
        )
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, part: PlacedAtoms) -> Float[Tensor, "N D"]:
        """One vector per conformer."""
        local, torsion = [], []
        for block in make_blocks(part.molecule, part.num_molecules):
            angles, turns = self._bases(block, part.positions)
            local.append(Edges(block, angles))
            torsion.append(Edges(block, turns))
        atoms = functional.silu(self.embedding(part.atoms))
        for layer in self.layers:
            atoms = layer(atoms, local, torsion)
        states = functional.silu(self.output(atoms))
        pooled: Tensor = self.norm(segment_mean(states, part.molecule, part.num_molecules))
        return pooled

    def _bases(self, block: Block, positions: Float[Tensor, "A 3"]) -> tuple[Tensor, Tensor]:
        """The two bases of all pairs of a block, as `Edges.basis`."""
        found = look_around(block.pad(positions), block.mask(), self.cutoff)
        radial = self.radial(found.distance) * found.near[..., None, None]
        flat, steep = _Y0 * radial[..., 0, :], _Y1 * radial[..., 1, None, :]

        def rows(angular: Tensor) -> Tensor:
            products = (steep * angular[..., None]).flatten(-2)
            return torch.cat([flat, products], dim=-1).transpose(2, 3).flatten(1, 2)

        return rows(found.direction), rows(found.torsion)
