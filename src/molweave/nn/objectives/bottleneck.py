"""Terms that keep latent codes close to the prior N(0, I)."""

import torch

from molweave.shapes import Float, Tensor


def kl_divergence(
    mean: Float[Tensor, "N D"], log_variance: Float[Tensor, "N D"]
) -> Float[Tensor, ""]:
    r"""Mean over molecules and dimensions of KL(N(mu, sigma^2) || N(0, 1)).

    .. math:: 0.5 (\mu^2 + e^{logvar} - 1 - logvar)
    """
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).mean()


def maximum_mean_discrepancy(
    samples: Float[Tensor, "N D"], reference: Float[Tensor, "R D"]
) -> Float[Tensor, ""]:
    r"""Squared maximum mean discrepancy of two samples (biased estimate, at least 0).

    .. math:: mean\,k(x, x') + mean\,k(y, y') - 2\,mean\,k(x, y), \quad
        k(x, y) = \exp(-\|x - y\|^2 / (2 h^2))

    The bandwidth h is the median distance between different points of the pooled sample; no
    gradient flows through it (Gretton et al., JMLR 2012).
    """
    points = torch.cat([samples, reference])
    squared = (points[:, None] - points[None]).square().sum(-1)
    upper = torch.triu_indices(len(points), len(points), offset=1, device=points.device)
    bandwidth = squared.detach()[upper[0], upper[1]].median().clamp(min=1e-6)
    kernel = torch.exp(-squared / (2 * bandwidth))
    n = len(samples)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()
