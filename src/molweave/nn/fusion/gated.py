"""Fusion of the shared codes of the modalities: gated attention, and its two simple rivals."""

import torch
from torch import nn

from molweave.shapes import Bool, Float, Tensor

FUSIONS = ("gated", "mean", "concat")


class Fusion(nn.Module):
    r"""Fuse M codes z_m, of which some may be missing, into one.

    ``gated`` (DMMRL), with u = [z_1; ...; z_M] and W_1: M d -> d/2:

    .. math::
        a &= softmax(W_2 \tanh(W_1 u + b_1) + b_2) \\
        fused &= LN\Big(\sum_m a_m z_m + mean_m z_m\Big)

    ``mean`` is LN(mean_m z_m) and ``concat`` LN(W u). A missing modality is left out of softmax
    and mean; in u a learned vector stands in its place.
    """

    def __init__(self, kind: str, *, num_modalities: int, width: int) -> None:
        """``kind`` is one of `FUSIONS`; ``width`` is d."""
        super().__init__()
        self.kind = kind
        self.norm = nn.LayerNorm(width)
        if kind != "mean":
            self.absent = nn.Parameter(torch.zeros(num_modalities, width))
        if kind == "gated":
            self.gate = nn.Sequential(
                nn.Linear(num_modalities * width, width // 2),
                nn.Tanh(),
                nn.Linear(width // 2, num_modalities),
            )
        elif kind == "concat":
            self.project = nn.Linear(num_modalities * width, width)

    def forward(
        self, codes: Float[Tensor, "B V D"], present: Bool[Tensor, "B V"]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B V"]]:
        """The fused code and the modality weights.

        Where no modality is present at all, the weights are 0 and the fused code is the norm's
        bias; with ``concat``, what the learned vectors give. ``mean`` and ``concat`` weigh the
        modalities that are present alike.
        """
        codes = torch.where(present[..., None], codes, 0.0)
        share = present.to(codes.dtype)
        share = share / share.sum(1, keepdim=True).clamp(min=1.0)
        mean = torch.einsum("bv,bvd->bd", share, codes)
        if self.kind == "mean":
            return self.norm(mean), share
        joined = torch.where(present[..., None], codes, self.absent).flatten(1)
        if self.kind == "concat":
            return self.norm(self.project(joined)), share
        scores = self.gate(joined)
        scores = scores.masked_fill(~present, torch.finfo(scores.dtype).min)
        weights = torch.where(present, torch.softmax(scores, dim=1), 0.0)
        return self.norm(torch.einsum("bv,bvd->bd", weights, codes) + mean), weights
