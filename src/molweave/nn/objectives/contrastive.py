"""Contrastive alignment of two views of the same molecules."""

import torch
from torch.nn import functional

from molweave.shapes import Float, Tensor


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
