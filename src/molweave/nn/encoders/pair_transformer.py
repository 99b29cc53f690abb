"""Transformer over atoms whose attention is biased by the relations of atom pairs."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from molweave.nn.fusion.blend import Shown, show
from molweave.nn.layers import CategoricalEmbedding
from molweave.nn.pair_bias import DistanceBias, PathBias
from molweave.nn.pairs import Pairs, RelationsInput, pad_pairs, runs
from molweave.nn.transformer import TransformerLayer
from molweave.shapes import Bool, Float, Tensor

DEGREES = 9
"""Classes of the number of bonds to heavy atoms; 8 and more are one."""
PAIR_BUDGET = 2**18
"""Padded pairs that are encoded at once: one large molecule does not make its batch mates large."""


@dataclass(frozen=True)
class PairStates:
    """What the encoder makes of molecules padded to n atoms.

    Attributes:
        graph: final state of the virtual token, one vector per molecule.
        atoms: final states of the atoms; those of padding carry no meaning.
        bias: the attention bias between atoms.
    """

    graph: Float[Tensor, "N D"]
    atoms: Float[Tensor, "N n D"]
    bias: Float[Tensor, "N H n n"]


class PairTransformer(nn.Module):
    r"""Atoms and a virtual graph token under attention with a bias from what is shown of each pair.

    .. math::
        softmax(Q K^T / \sqrt{d_h} + B), \qquad B_{ij} = \sum_{c \in \{1, 2, 3\}} S^c_{ij} b^c_{ij}

    S is one-hot when relations are blended and fixed when they are not. The bias between the token
    and any atom is a learned number per head; B is shared by all layers. An atom starts as

    .. math:: h_i = \sum_f E_f[f_i] + T^2_i E_{degree}[degree_i] + T^3_i s_i

    Sources: Transformer-M (Luo et al. 2022), MoleBLEND (Yu et al. 2024).
    """

    def __init__(
        self,
        *,
        atom_cardinalities: tuple[int, ...],
        paths: PathBias,
        distances: DistanceBias | None,
        width: int,
        layers: int,
        heads: int,
        feed_forward: int,
        dropout: float,
        drop_path: float,
    ) -> None:
        """``distances`` is None for a network that never reads coordinates."""
        super().__init__()
        self.atom = CategoricalEmbedding(atom_cardinalities, width)
        self.degree = nn.Embedding(DEGREES, width)
        self.token = nn.Parameter(torch.empty(width))
        self.token_bias = nn.Parameter(torch.zeros(heads))
        self.paths, self.distances = paths, distances
        self.layers = nn.ModuleList(
            TransformerLayer(
                width=width,
                heads=heads,
                feed_forward=feed_forward,
                dropout=dropout,
                drop_path=drop_path,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.degree.weight, std=0.3)
        nn.init.normal_(self.token)

    def forward(self, pairs: Pairs, shown: Shown) -> PairStates:
        """Read molecules as far as they are shown."""
        states, bias = self._inputs(pairs, shown)
        with_token = self._with_token(bias, pairs.real)
        for layer in self.layers:
            states = layer(states, with_token)
        states = self.norm(states)
        return PairStates(graph=states[:, 0], atoms=states[:, 1:], bias=bias)

    def graph(self, pairs: Pairs, shown: Shown) -> Float[Tensor, "N D"]:
        """`PairStates.graph` alone: the last layer updates no atom."""
        states, bias = self._inputs(pairs, shown)
        with_token = self._with_token(bias, pairs.real)
        *layers, last = self.layers
        for layer in layers:
            states = layer(states, with_token)
        out: Tensor = self.norm(cast(TransformerLayer, last).first(states, with_token))
        return out[:, 0]

    def tokens(
        self,
        part: RelationsInput,
        positions: Float[Tensor, "A 3"],
        placed: Bool[Tensor, " N"],
        *,
        flat: bool,
        spatial: bool,
    ) -> Float[Tensor, "N D"]:
        """The graph token of every molecule, nothing blended.

        Args:
            part: the relations.
            positions: of all atoms, in angstrom; 0 for molecules without a conformer.
            placed: which molecules have a conformer.
            flat: read the 2D relations of all; else of molecules without a conformer only.
            spatial: read the 3D relations of molecules that have a conformer.
        """
        graphs = []
        for run in runs(part.sizes, PAIR_BUDGET):
            pairs = pad_pairs(part, positions, placed, run)
            graphs.append(self.graph(pairs, show(pairs.placed, flat=flat, spatial=spatial)))
        return torch.cat(graphs)

    def _inputs(
        self, pairs: Pairs, shown: Shown
    ) -> tuple[Float[Tensor, "N L D"], Float[Tensor, "N H n n"]]:
        """The states of the token and the atoms before the first layer, and the bias of atoms."""
        two, three = shown.atoms.unbind(-1)
        degree = ((pairs.spd == 1) & pairs.both_real).sum(-1).clamp(max=DEGREES - 1)
        atoms = self.atom(pairs.atoms.flatten(0, 1)).view(*pairs.real.shape, -1)
        atoms = atoms + two[..., None] * self.degree(degree)
        first, second = self.paths(pairs)
        see_first, see_second, see_third = shown.pairs[..., None].unbind(3)
        bias = see_first * first + see_second * second
        if self.distances is not None:
            third, feature = self.distances(pairs)
            bias = bias + see_third * third
            atoms = atoms + three[..., None] * feature
        states = torch.cat([self.token.expand(len(atoms), 1, -1), atoms], dim=1)
        return states, bias.permute(0, 3, 1, 2)

    def _with_token(
        self, bias: Float[Tensor, "N H n n"], real: Bool[Tensor, "N n"]
    ) -> Float[Tensor, "N H L L"]:
        """The bias with a first row and column for the token, and padding hidden from all."""
        count, heads, size, _ = bias.shape
        token = self.token_bias.to(bias.dtype)[None, :, None, None]
        column = token.expand(count, heads, size, 1)
        row = token.expand(count, heads, 1, size + 1)
        full = torch.cat([row, torch.cat([column, bias], dim=3)], dim=2)
        padding = torch.cat([real.new_zeros(count, 1), ~real], dim=1)
        return full.masked_fill(padding[:, None, None], float("-inf"))
