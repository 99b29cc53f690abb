"""Means over masked values that can be added up over batches."""

from dataclasses import dataclass

import torch

from molweave.shapes import Bool, Float, Tensor


@dataclass(frozen=True)
class Score:
    """A mean that can be taken over many batches: sums of totals over sums of counts."""

    total: Float[Tensor, ""]
    count: Float[Tensor, ""]

    def __add__(self, other: "Score") -> "Score":
        """The score of both together."""
        return Score(self.total + other.total, self.count + other.count)

    @property
    def mean(self) -> float:
        """NaN when nothing was counted."""
        return float(self.total / self.count) if self.count > 0 else float("nan")


def score(values: Float[Tensor, "..."], mask: Bool[Tensor, "..."]) -> Score:
    """Sum and number of the values where ``mask`` is True."""
    return Score(torch.where(mask, values, 0.0).sum(), mask.sum().to(values.dtype))


def masked_mean(values: Float[Tensor, "..."], mask: Bool[Tensor, "..."]) -> Float[Tensor, ""]:
    """Mean of the values where ``mask`` is True; 0 where it never is."""
    found = score(values, mask)
    return found.total / found.count.clamp(min=1)
