"""Small blocks that every encoder uses: segment reductions, bases, multilayer perceptron."""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional

from molweave.shapes import Float, Int, Tensor


def segment_sum(
    values: Float[Tensor, "n D"], segment: Int[Tensor, " n"], num_segments: int
) -> Float[Tensor, "s D"]:
    """Sum of the rows of each segment; 0 for an empty segment."""
    out = values.new_zeros(num_segments, values.shape[1])
    return out.index_add_(0, segment, values)


def segment_counts(segment: Int[Tensor, " n"], num_segments: int) -> Int[Tensor, "s 1"]:
    """Number of rows of each segment, to divide by: 1 for an empty segment."""
    return torch.bincount(segment, minlength=num_segments).clamp(min=1)[:, None]


def segment_mean(
    values: Float[Tensor, "n D"], segment: Int[Tensor, " n"], num_segments: int
) -> Float[Tensor, "s D"]:
    """Mean of the rows of each segment; 0 for an empty segment."""
    counts = segment_counts(segment, num_segments)
    return segment_sum(values, segment, num_segments) / counts.to(values.dtype)


def segment_max(
    values: Float[Tensor, "n D"], segment: Int[Tensor, " n"], num_segments: int
) -> Float[Tensor, "s D"]:
    """Largest value of each column in each segment; 0 for an empty segment."""
    out = values.new_zeros(num_segments, values.shape[1])
    index = segment[:, None].expand_as(values)
    return out.scatter_reduce(0, index, values, reduce="amax", include_self=False)


class RadialBasis(nn.Module):
    """Gaussian radial basis exp(-gamma (x - c_k)^2) with fixed, evenly spaced centres c_k."""

    centres: Tensor

    def __init__(self, start: float, stop: float, step: float, gamma: float) -> None:
        """Centres ``start, start + step, ...`` below ``stop``; ``gamma`` in units of 1/x^2."""
        super().__init__()
        count = math.ceil((stop - start) / step)
        self.register_buffer("centres", start + step * torch.arange(count), persistent=False)
        self.gamma = gamma

    @property
    def width(self) -> int:
        """Number of basis functions."""
        return len(self.centres)

    def forward(self, x: Float[Tensor, " n"]) -> Float[Tensor, "n k"]:
        """Expand every number into its basis values."""
        return torch.exp(-self.gamma * (x[:, None] - self.centres) ** 2)


class FourierFeatures(nn.Linear):
    r"""cos(Wx + b), learnt from random features of a Gaussian kernel.

    As it starts, with :math:`W \sim N(0, 2\gamma / F)` and :math:`b \sim U(0, 2\pi)`, the inner
    product of two molecules is in proportion to :math:`\exp(-\gamma |x - x'|^2 / F)` (Rahimi and
    Recht, NeurIPS 2007).
    """

    def __init__(self, inputs: int, features: int, *, gamma: float = 2.0) -> None:
        """F = ``inputs`` numbers of the order of one to ``features``."""
        super().__init__(inputs, features)
        nn.init.normal_(self.weight, std=math.sqrt(2 * gamma / inputs))
        nn.init.uniform_(self.bias, 0.0, 2 * math.pi)

    def forward(self, x: Float[Tensor, "n F"]) -> Float[Tensor, "n k"]:
        """The features, of mean square 1/16."""
        return torch.cos(super().forward(x)) / math.sqrt(8)


class CategoricalEmbedding(nn.Module):
    """Sum of one learned vector per categorical column: x_i = sum_f E_f[code_if]."""

    offsets: Tensor

    def __init__(self, cardinalities: tuple[int, ...], width: int) -> None:
        """One table of ``cardinality`` rows per column, stored as one."""
        super().__init__()
        starts = torch.tensor((0, *cardinalities[:-1])).cumsum(0)
        self.register_buffer("offsets", starts, persistent=False)
        self.table = nn.EmbeddingBag(sum(cardinalities), width, mode="sum")
        nn.init.normal_(self.table.weight, std=len(cardinalities) ** -0.5)

    def forward(self, codes: Int[Tensor, "n F"]) -> Float[Tensor, "n D"]:
        """Embed integer codes, column f in [0, cardinality_f)."""
        out: Tensor = self.table(codes + self.offsets)
        return out


class _AnyBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation that also takes a single value of each channel in training.

    One value has no variance: it is normalised by the running statistics, as in evaluation.
    """

    def forward(self, input: Float[Tensor, "n D *more"]) -> Float[Tensor, "n D *more"]:
        """Normalise every channel; running statistics move in training with two values or more."""
        if self.training and input.numel() <= input.shape[1]:
            return self.settled(input)
        return super().forward(input)

    def settled(self, input: Float[Tensor, "n D *more"]) -> Float[Tensor, "n D *more"]:
        """Normalise by the running statistics, in training, too, and leave them as they are."""
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class BatchNorm(_AnyBatchNorm, nn.BatchNorm1d):
    """Of vectors, (n, D)."""


class BatchNorm2d(_AnyBatchNorm, nn.BatchNorm2d):
    """Of images, (n, D, height, width)."""


def mlp(sizes: tuple[int, ...], *, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU and dropout between them."""
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        if index:
            layers += [nn.ReLU(), nn.Dropout(dropout)]
        layers.append(nn.Linear(inputs, outputs))
    return nn.Sequential(*layers)
