"""Recovering what an atom and what a molecule is: losses over masked atoms and molecules."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from molweave.nn.objectives.relations import class_loss
from molweave.nn.objectives.score import masked_mean
from molweave.shapes import Bool, Float, Int, Tensor


def feature_loss(
    logits: Float[Tensor, "N n C"],
    features: Int[Tensor, "N n F"],
    cardinalities: Sequence[int],
    mask: Bool[Tensor, "N n"],
) -> Float[Tensor, ""]:
    """Mean cross-entropy of the categorical features of the masked atoms.

    Args:
        logits: of all classes of all features, one feature after the other.
        features: the classes.
        cardinalities: F numbers of classes, which add up to C.
        mask: the atoms that count.
    """
    parts = torch.split(logits, list(cardinalities), dim=-1)
    losses = [
        class_loss(part.movedim(-1, 1), wanted.long(), mask)
        for part, wanted in zip(parts, features.unbind(-1), strict=True)
    ]
    return torch.stack(losses).mean()


def value_loss(
    predicted: Float[Tensor, "N D"], values: Float[Tensor, "N D"], mask: Bool[Tensor, " N"]
) -> Float[Tensor, ""]:
    """Mean squared error over the masked molecules."""
    return masked_mean((predicted.float() - values).square().mean(1), mask)


def bit_loss(
    logits: Float[Tensor, "N D"], bits: Bool[Tensor, "N D"], mask: Bool[Tensor, " N"]
) -> Float[Tensor, ""]:
    """Mean binary cross-entropy over the masked molecules."""
    losses = functional.binary_cross_entropy_with_logits(
        logits.float(), bits.float(), reduction="none"
    )
    return masked_mean(losses.mean(1), mask)
