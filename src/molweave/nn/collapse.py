"""Measures of a collapse: embeddings of different molecules that become one."""

import torch

from molweave.shapes import Float, Tensor


@torch.no_grad()
def effective_rank(embeddings: Float[Tensor, "B D"]) -> float:
    r"""Dimensions that embeddings really use (Roy and Vetterli, EUSIPCO 2007).

    .. math:: \exp\Big(-\sum_i p_i \log p_i\Big), \qquad p_i = \sigma_i / \sum_j \sigma_j

    with :math:`\sigma` the singular values of the embeddings about their mean: at most the
    smaller of D and B - 1; 1 where all lie on a line, 0 where all are the same.
    """
    exact = embeddings.cpu().double()  # MPS has no double precision
    centred = exact - exact.mean(0)
    values: Tensor = torch.linalg.svdvals(centred)
    total = values.sum()
    if total <= 1e-9 * max(embeddings.shape):
        return 0.0
    return float(torch.exp(torch.special.entr(values / total).sum()))


@torch.no_grad()
def spread(embeddings: Float[Tensor, "B D"]) -> float:
    """Standard deviation over the molecules, mean over the dimensions."""
    return float(embeddings.float().std(0, correction=0).mean())
