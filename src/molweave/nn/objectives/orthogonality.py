"""Terms that keep the private code free of what the shared code says."""

import torch
from torch.nn import functional

from molweave.shapes import Float, Tensor


def cross_correlation(
    shared: Float[Tensor, "N S"], private: Float[Tensor, "N P"]
) -> Float[Tensor, ""]:
    r"""Mean squared correlation between every shared and every private dimension.

    .. math:: \frac{1}{d_s d_p} \|C\|_F^2, \quad C = \hat{Z}_s^T \hat{Z}_p / N

    where the columns of Z-hat have mean 0 and variance 1 over the batch.
    """
    correlation = _standardise(shared).T @ _standardise(private) / len(shared)
    return correlation.square().mean()


def _standardise(codes: Tensor) -> Tensor:
    centred = codes - codes.mean(0)
    return centred / torch.sqrt(centred.square().mean(0) + 1e-6)


def absolute_cosine(
    shared: Float[Tensor, "N D"], private: Float[Tensor, "N D"]
) -> Float[Tensor, ""]:
    """Mean over molecules of |cos(z^s, z^p)|; the two codes need the same width."""
    return functional.cosine_similarity(shared, private, dim=1).abs().mean()


ORTHOGONALITY = {"correlation": cross_correlation, "cosine": absolute_cosine}
