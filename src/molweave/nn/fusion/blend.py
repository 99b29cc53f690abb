"""Blending: which relation of every atom pair a network gets to see."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from molweave.shapes import Bool, Float, Int, Tensor

SPD, EDGE, DISTANCE = range(3)
"""The relations of a pair, in the order of `Shown.pairs`."""


@dataclass(frozen=True)
class Shown:
    """What is shown of every pair and of every atom.

    Attributes:
        pairs: per pair, whether its shortest-path distance, its path and its distance are shown;
            one number stands for all pairs of a molecule when nothing is blended.
        atoms: per atom, whether its 2D and its 3D feature are shown; likewise.
    """

    pairs: Bool[Tensor, "N r c 3"]
    atoms: Bool[Tensor, "N r 2"]


def show(
    placed: Bool[Tensor, " N"],
    *,
    flat: bool | Bool[Tensor, " N"],
    spatial: bool | Bool[Tensor, " N"],
) -> Shown:
    """Everything of 2D (``flat``), of 3D (``spatial``), or of both, of every pair alike.

    A molecule without a conformer shows its 2D relations in any case.
    """
    three = placed & spatial
    two = ~three | flat
    return Shown(
        pairs=torch.stack([two, two, three], dim=1)[:, None, None],
        atoms=torch.stack([two, three], dim=1)[:, None],
    )


def blend(
    placed: Bool[Tensor, " N"],
    size: int,
    *,
    pairs: Sequence[float],
    spatial_atoms: float,
    symmetric: bool,
    generator: torch.Generator | None = None,
) -> Shown:
    r"""Draw one relation for every pair, and one feature for every atom.

    .. math:: S_{ij} \sim Categorical(p_{spd}, p_{edge}, p_{3D})

    independently for every pair of every molecule. A molecule without a conformer is drawn from
    its 2D relations, in the ratio of their probabilities.

    Args:
        placed: which molecules have a conformer.
        size: n, atoms that the molecules are padded to.
        pairs: the three probabilities.
        spatial_atoms: probability that an atom shows its 3D feature, else its 2D feature.
        symmetric: one draw for (i, j) and (j, i).
        generator: of the random numbers; None for torch's own.
    """
    count, device = len(placed), placed.device
    flat = sum(pairs[:DISTANCE])
    first = pairs[SPD] / flat if flat > 0 else 0.5
    chances = torch.tensor([[first, 1 - first, 0.0], list(pairs)], device=device)
    edges = chances.cumsum(1)[placed.long(), :DISTANCE]
    draw = torch.rand(count, size, size, device=device, generator=generator)
    if symmetric:
        draw = draw.triu() + draw.triu(1).mT
    choice = (draw[..., None] >= edges[:, None, None]).sum(-1)
    three = torch.rand(count, size, device=device, generator=generator) < spatial_atoms
    three = three & placed[:, None]
    return Shown(pairs=_one_hot(choice), atoms=torch.stack([~three, three], dim=-1))


def unblend(
    shown: Shown, placed: Bool[Tensor, " N"], whole: Sequence[float], draw: Float[Tensor, " N"]
) -> Shown:
    """Show some molecules as fine-tuning does: all of 2D, all of 3D, or everything of every pair.

    Args:
        shown: a blend.
        placed: which molecules have a conformer; the others show 2D where 3D was drawn.
        whole: the three probabilities; with the rest a molecule stays blended.
        draw: of each molecule, between 0 and 1.
    """
    edges = torch.tensor(whole, device=draw.device).cumsum(0)
    mode = (draw[:, None] >= edges).sum(1)
    entire = show(placed, flat=mode != 1, spatial=mode != 0)
    blended = (mode == len(whole))[:, None, None]
    return Shown(
        pairs=torch.where(blended[..., None], shown.pairs, entire.pairs),
        atoms=torch.where(blended, shown.atoms, entire.atoms),
    )


def _one_hot(choice: Int[Tensor, "N n n"]) -> Bool[Tensor, "N n n 3"]:
    return choice[..., None] == torch.arange(DISTANCE + 1, device=choice.device)
