"""Recovering the relations of atom pairs: losses over masked pairs."""

import torch
from torch.nn import functional

from molweave.nn.objectives.score import masked_mean
from molweave.shapes import Bool, Float, Int, Tensor


def class_loss(
    logits: Float[Tensor, "N C ..."], target: Int[Tensor, "N ..."], mask: Bool[Tensor, "N ..."]
) -> Float[Tensor, ""]:
    """Mean cross-entropy over what is masked: pairs, bonds of a path, atoms."""
    losses = functional.cross_entropy(logits.float(), target, reduction="none")
    return masked_mean(losses, mask)


def distance_loss(
    predicted: Float[Tensor, "N n n"], distance: Float[Tensor, "N n n"], mask: Bool[Tensor, "N n n"]
) -> Float[Tensor, ""]:
    """Mean smooth L1 error over the masked pairs: quadratic below 1 angstrom, linear above."""
    losses = functional.smooth_l1_loss(predicted.float(), distance, reduction="none")
    return masked_mean(losses, mask)


def denoise_loss(
    predicted: Float[Tensor, "N n 3"], noise: Float[Tensor, "N n 3"], mask: Bool[Tensor, "N n"]
) -> Float[Tensor, ""]:
    r"""Mean over the masked atoms of :math:`1 - \cos(u_i, \epsilon_i - mean_j \epsilon_j)`.

    The mean of a molecule's noise is a translation, which no displacement between atoms can show.
    """
    inside = torch.where(mask[..., None], noise, 0.0)
    centre = inside.sum(1, keepdim=True) / mask.sum(1).clamp(min=1)[:, None, None]
    cosine = functional.cosine_similarity(predicted.float(), inside - centre, dim=-1)
    return masked_mean(1 - cosine, mask)
