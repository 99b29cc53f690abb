"""Attention biases from the relations of atom pairs: paths (2D) and distances (3D)."""

import torch
from torch import nn
from torch.nn import functional

from molweave.nn.layers import CategoricalEmbedding
from molweave.nn.pairs import Pairs
from molweave.shapes import Float, Tensor


class PathBias(nn.Module):
    r"""One number per head from the shortest path between two atoms.

    .. math::
        b^1_{ij} = E_{spd}[spd_{ij}], \qquad
        b^2_{ij} = \frac{1}{D_{ij}} \sum_{k \le K} e_{ijk} W_k, \quad
        e_{ijk} = mean_f E_{edge}[f \text{ of hop } k], \quad D_{ij} = clip(spd_{ij}, 1, K)

    over the hops that exist. As a hop is one of few joint classes, :math:`e W_k` is looked up in a
    table of all classes and positions, and no vector per hop of each pair is ever made.

    Source: Ying et al. 2021 (Graphormer). Both biases start with a standard deviation near 0.5,
    so that attention sees the structure from the first step on.
    """

    classes: Tensor
    starts: Tensor

    def __init__(
        self,
        *,
        spd_classes: int,
        bonds: tuple[tuple[int, ...], ...],
        bond_cardinalities: tuple[int, ...],
        hops: int,
        heads: int,
    ) -> None:
        """Build for ``hops`` (K) hops and ``bonds``, the features f of every joint class of a hop.

        Args:
            spd_classes: number of classes of the shortest-path distance.
            bonds: features of the hops of code 1, 2, ...; code 0 is no hop.
            bond_cardinalities: categories of each feature.
            hops: K.
            heads: attention heads.
        """
        super().__init__()
        self.spd = nn.Embedding(spd_classes, heads)
        self.edge = CategoricalEmbedding(bond_cardinalities, heads)
        self.hop_weight = nn.Parameter(torch.empty(hops, heads, heads))
        self.register_buffer("classes", torch.tensor(bonds), persistent=False)
        starts = torch.arange(hops, dtype=torch.int32) * (len(bonds) + 1)
        self.register_buffer("starts", starts, persistent=False)
        nn.init.normal_(self.spd.weight, std=0.5)
        nn.init.normal_(self.hop_weight, std=1.5 * heads**-0.5)

    def forward(self, pairs: Pairs) -> tuple[Float[Tensor, "N n n H"], Float[Tensor, "N n n H"]]:
        """The biases b1 and b2."""
        mean = self.edge(self.classes) / self.classes.shape[1]
        table = functional.pad(mean @ self.hop_weight, (0, 0, 1, 0))
        index = (pairs.hops + self.starts).flatten(0, 2)
        total = functional.embedding_bag(index, table.flatten(0, 1), mode="sum")
        length = pairs.spd.clamp(1, len(self.starts))
        second = total.view(*length.shape, -1) / length[..., None]
        return self.spd(pairs.spd), second


class DistanceBias(nn.Module):
    r"""One number per head from a distance, and a vector per atom from all its distances.

    .. math::
        x_{ij} = \gamma_{z_i z_j} d_{ij} + \beta_{z_i z_j}, \quad
        \phi^k_{ij} = \exp\Big(-\tfrac12 \big((x_{ij} - \mu_k) / \sigma_k\big)^2\Big), \quad
        b^3_{ij} = MLP(\phi_{ij}), \quad s_i = W_s \sum_{j \ne i} \phi_{ij}

    with an affine for every ordered pair of elements z. The means start evenly spaced over 0 to
    ``reach`` and the widths at twice their spacing, so that every distance of a drug-like molecule
    excites a few kernels; W_s starts small.

    Source: Luo et al. 2022 (Transformer-M).
    """

    def __init__(
        self, *, elements: int, kernels: int, reach: float, heads: int, width: int
    ) -> None:
        """Build for ``elements`` classes of atoms.

        Args:
            elements: number of classes of z.
            kernels: number of Gaussians.
            reach: the distance of the last mean, in angstrom.
            heads: attention heads.
            width: of the atom vectors s.
        """
        super().__init__()
        self.elements = elements
        self.scale = nn.Embedding(elements**2, 1)
        self.shift = nn.Embedding(elements**2, 1)
        self.means = nn.Parameter(torch.linspace(0.0, reach, kernels))
        self.widths = nn.Parameter(torch.full((kernels,), 2 * reach / (kernels - 1)))
        self.mlp = nn.Sequential(nn.Linear(kernels, kernels), nn.GELU(), nn.Linear(kernels, heads))
        self.atom = nn.Linear(kernels, width, bias=False)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)
        nn.init.normal_(self.atom.weight, std=0.02)

    def forward(self, pairs: Pairs) -> tuple[Float[Tensor, "N n n H"], Float[Tensor, "N n D"]]:
        """The bias b3 and the atom feature s."""
        element = pairs.atoms[..., 0]
        ordered = element[:, :, None] * self.elements + element[:, None, :]
        x = self.scale(ordered) * pairs.distance[..., None] + self.shift(ordered)
        inverse = 1 / self.widths.abs().clamp(min=0.01)
        kernels = torch.exp(-0.5 * (x * inverse - self.means * inverse).square())
        others = pairs.different.to(kernels.dtype)
        total = (others[:, :, None] @ kernels)[:, :, 0]
        return self.mlp(kernels), self.atom(total)
