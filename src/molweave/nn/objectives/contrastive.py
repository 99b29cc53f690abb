"""Contrastive alignment of two views of the same molecules."""

import itertools
from collections.abc import Mapping

import torch
from torch.nn import functional

from molweave.shapes import Bool, Float, Tensor


def info_nce(
    first: Float[Tensor, "N D"], second: Float[Tensor, "N D"], *, temperature: float
) -> Float[Tensor, ""]:
    r"""Symmetric InfoNCE with in-batch negatives (van den Oord et al. 2018).

    .. math:: -\frac{1}{2N} \sum_i \Big[
        \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}} + \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}} \Big],
        \quad s_{ij} = \cos(x_i, y_j) / \tau

    Row i of ``first`` and of ``second`` are the same molecule. With unrelated codes it is near
    log N; with a single molecule it is 0.
    """
    scores = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T
    scores = scores / temperature
    labels = torch.arange(len(first), device=first.device)
    forward = functional.cross_entropy(scores, labels)
    backward = functional.cross_entropy(scores.T, labels)
    return 0.5 * (forward + backward)


def contrast_modalities(
    codes: Mapping[str, Tensor], present: Mapping[str, Bool[Tensor, " B"]], *, temperature: float
) -> Float[Tensor, ""]:
    """Mean of `info_nce` over all pairs of modalities, of the molecules that have both.

    Args:
        codes: modality to codes, (B, D).
        present: modality to who has it.
        temperature: tau.

    Returns:
        The mean over the pairs that at least two molecules have; 0 where there is none.
    """
    values = []
    for first, second in itertools.combinations(codes, 2):
        both = present[first] & present[second]
        if int(both.sum()) > 1:
            values.append(
                info_nce(codes[first][both], codes[second][both], temperature=temperature)
            )
    if not values:
        return next(iter(codes.values())).new_zeros(())
    return torch.stack(values).mean()


@torch.no_grad()
def retrieved(first: Float[Tensor, "N D"], second: Float[Tensor, "N D"]) -> Bool[Tensor, " N"]:
    """Where row i of ``second`` is, by cosine, the row most similar to row i of ``first``."""
    scores = functional.normalize(first, dim=1) @ functional.normalize(second, dim=1).T
    return scores.argmax(1) == torch.arange(len(first), device=first.device)
