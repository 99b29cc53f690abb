"""Supervised loss over tasks with missing labels."""

import torch
from torch.nn import functional

from molweave.shapes import Bool, Float, Tensor


def property_loss(
    outputs: Float[Tensor, "B T"],
    targets: Float[Tensor, "B T"],
    mask: Bool[Tensor, "B T"],
    *,
    classification: Bool[Tensor, " T"],
    positive_weight: Float[Tensor, " T"],
) -> Float[Tensor, ""]:
    """Mean over measured labels of the binary cross-entropy or the squared error.

    Args:
        outputs: logits, or standardised predictions.
        targets: 0/1, or standardised values.
        mask: True where a label was measured; the others do not count.
        classification: True for the columns that are classes.
        positive_weight: weight of a positive label, per task.
    """
    cross_entropy = functional.binary_cross_entropy_with_logits(
        outputs, targets.clamp(0, 1), pos_weight=positive_weight, reduction="none"
    )
    squared = (outputs - targets).square()
    losses = torch.where(classification, cross_entropy, squared)
    return torch.where(mask, losses, 0.0).sum() / mask.sum().clamp(min=1)
