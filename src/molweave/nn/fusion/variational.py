"""Variational head of one modality: shared and private latent codes of a pooled vector."""

from dataclasses import dataclass

import torch
from torch import nn

from molweave.shapes import Float, Tensor

LOG_VARIANCE_BOUND = 10.0
INITIAL_LOG_VARIANCE = -4.0


@dataclass(frozen=True)
class Latent:
    """A Gaussian code: mean, log variance, and the sample z (the mean in evaluation)."""

    mean: Float[Tensor, "N D"]
    log_variance: Float[Tensor, "N D"]
    sample: Float[Tensor, "N D"]


class Branch(nn.Module):
    """Hidden state to one Gaussian code, with a residual linear path."""

    def __init__(self, hidden: int, width: int, dropout: float) -> None:
        """``hidden`` is H, ``width`` the size of the code."""
        super().__init__()
        self.nonlinear = nn.Sequential(
            nn.Linear(hidden, hidden // 2),
            nn.ReLU(),
            nn.LayerNorm(hidden // 2),
            nn.Dropout(dropout),
        )
        self.residual = nn.Linear(hidden, hidden // 2)
        self.mean = nn.Linear(hidden // 2, width)
        self.log_variance = nn.Linear(hidden // 2, width)
        nn.init.constant_(self.log_variance.bias, INITIAL_LOG_VARIANCE)

    def forward(self, hidden: Float[Tensor, "N H"]) -> Latent:
        """z = mu + exp(logvar / 2) eps in training, z = mu in evaluation."""
        state = self.nonlinear(hidden) + self.residual(hidden)
        mean = self.mean(state)
        log_variance = self.log_variance(state).clamp(-LOG_VARIANCE_BOUND, LOG_VARIANCE_BOUND)
        sample = mean
        if self.training:
            sample = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return Latent(mean, log_variance, sample)


class VariationalHead(nn.Module):
    """Split a modality's vector h_m into a shared code z_m^s and a private code z_m^p."""

    def __init__(
        self, *, inputs: int, hidden: int, shared: int, private: int, dropout: float
    ) -> None:
        """Sizes: d = ``inputs``, H = ``hidden``, d_s = ``shared``, d_p = ``private``."""
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.LayerNorm(hidden), nn.Dropout(dropout)
        )
        self.shared = Branch(hidden, shared, dropout)
        self.private = Branch(hidden, private, dropout)

    def forward(self, pooled: Float[Tensor, "N D"]) -> tuple[Latent, Latent]:
        """The shared and the private code."""
        hidden = self.trunk(pooled)
        return self.shared(hidden), self.private(hidden)


class Decoder(nn.Module):
    """Reconstruct h_m from [z_m^s; z_m^p]: Linear, ReLU, LayerNorm, Linear."""

    def __init__(self, *, shared: int, private: int, hidden: int, outputs: int) -> None:
        """``outputs`` is the width of h_m."""
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(shared + private, hidden),
            nn.ReLU(),
            nn.LayerNorm(hidden),
            nn.Linear(hidden, outputs),
        )

    def forward(
        self, shared: Float[Tensor, "N S"], private: Float[Tensor, "N P"]
    ) -> Float[Tensor, "N D"]:
        """The reconstruction."""
        out: Tensor = self.network(torch.cat([shared, private], dim=1))
        return out
