"""A linear layer that is fast on any processor."""

import platform
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from molweave.shapes import Float, Tensor


def _is_of_intel() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = platform.processor()
    return "GenuineIntel" in text


_ONEDNN = (
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    and not _is_of_intel()
)


class Linear(nn.Linear):
    """torch's linear layer, computed by oneDNN on the processors of other makers than Intel.

    torch leaves single-precision products to MKL, which makes no use of AVX-512 on them: there
    oneDNN is twice as fast, and on Intel's up to twice as slow. The results agree to rounding.
    """

    def forward(self, input: Float[Tensor, "... I"]) -> Float[Tensor, "... O"]:
        """x W^T + b."""
        return linear(input, self.weight, self.bias)


def linear(
    x: Float[Tensor, "... I"], weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"]
) -> Float[Tensor, "... O"]:
    """x W^T + b, see `Linear`."""
    if not _suits_onednn(x, weight):
        return functional.linear(x, weight, bias)
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        out: Tensor = _Differentiable.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    return _product(x, weight, bias)


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return (
        _ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class _Differentiable(torch.autograd.Function):
    """The product with its gradients: dX = dY W, dW = dY^T X, db = sum of dY."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows = gradients[0].reshape(-1, weight.shape[0]).contiguous()
        inputs = x.reshape(-1, weight.shape[1])
        to_x, to_weight, to_bias = ctx.needs_input_grad
        return (
            _product(rows, weight.t(), None).view_as(x) if to_x else None,
            _product(rows.t(), inputs.contiguous().t(), None) if to_weight else None,
            rows.sum(0) if to_bias else None,
        )
