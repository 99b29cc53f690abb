"""Optimisers, learning-rate schedules and the moving average of weights."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from molweave.shapes import Tensor
from molweave.training.config import TrainConfig


def make_optimizer(
    model: nn.Module,
    config: TrainConfig,
    depths: Mapping[str, int] | None = None,
    rates: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """Adam or AdamW; biases and normalisation weights do not decay.

    The ``factor`` of a group, see `make_groups`, is ``layer_decay`` to the power of how many layers
    it lies below the top, times that of ``rates``.

    Args:
        model: frozen parameters are left out.
        config: the optimisation.
        depths: layer of every parameter by name, see `Method.depths`; None for one layer.
        rates: factors by beginnings of names, see `Method.learning_rate_factors`.
    """
    layers = depths or {}
    top = max(layers.values(), default=0)
    factors = {
        name: config.layer_decay ** (top - depth) * _longest(rates or {}, name)
        for name, depth in layers.items()
    }
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    optimizer = kind(
        make_groups(model, config.weight_decay, factors),
        lr=config.learning_rate,
        fused=None if config.precision == "16-mixed" else True,  # Fabric would refuse to clip
    )
    set_rate(optimizer, config.learning_rate)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


def learning_rate(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of the 0-based optimiser step ``step``.

    ``cosine``: linear from 0 over the warm-up, then half a cosine to 0. ``noam``: linear from half
    the peak to the peak, then down to half the peak with the inverse square root of the step. The
    warm-up ends an epoch before the training at the latest; of one epoch it is a single step.
    """
    peak = config.learning_rate
    warmup = max(1, min(config.warmup_epochs, config.epochs - 1) * steps_per_epoch)
    total = config.epochs * steps_per_epoch
    if config.schedule == "constant":
        return peak
    if config.schedule == "noam":
        if step < warmup:
            return peak * (0.5 + 0.5 * (step + 1) / warmup)
        return peak * max(0.5, math.sqrt(warmup / (step + 1)))
    return _cosine(peak, step, warmup, total)


def warmup_cosine(peak: float, step: int, steps: int, warmup: float) -> float:
    """The rate of the 0-based step: linear over the share ``warmup``, then half a cosine to 0."""
    first = max(1, round(warmup * steps))
    return _cosine(peak, step, first, max(first + 1, steps))


def _cosine(peak: float, step: int, warmup: int, total: int) -> float:
    """Linear over ``warmup`` steps, then half a cosine to 0 at ``total``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def make_groups(
    model: nn.Module, weight_decay: float, factors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Parameter groups: biases and normalisation weights do not decay, and some learn slower.

    Args:
        model: its parameters with gradients are grouped.
        weight_decay: of weights with more than one dimension.
        factors: factor on the learning rate by the beginning of the parameter's name; the longest
            beginning counts. It is in ``factor`` of each group.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        factor = _longest(factors, name)
        decay = weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay, "factor": factor}
        for (factor, decay), parameters in groups.items()
    ]


def _longest(factors: Mapping[str, float], name: str) -> float:
    """The factor of the longest beginning of a name; 1 without one."""
    fits = [prefix for prefix in factors if name.startswith(prefix)]
    return factors[max(fits, key=len)] if fits else 1.0


class WeightAverage:
    """Exponential moving average of a model's weights and statistics of batch normalisation.

    Other buffers are copied: a mean over time of counters or of stored codes has no meaning.
    After n updates the decay in force is min(decay, (1 + n) / (10 + n)), so that early averages
    forget the initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the current weights; with decay 0 the average is the model itself."""
        self.decay = decay
        self.updates = 0
        self.weights = {name: p.detach().clone() for name, p in model.state_dict().items()}
        self._averaged = {name for name, _ in model.named_parameters()} | {
            f"{place}.{name}".lstrip(".")
            for place, module in model.named_modules()
            if isinstance(module, nn.modules.batchnorm._NormBase)
            for name in ("running_mean", "running_var")
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the current weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.decay else 0.0
        for name, value in model.state_dict().items():
            kept = self.weights[name]
            if name in self._averaged:
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)

    def restore(self, weights: Mapping[str, Tensor], updates: int) -> None:
        """Go on from what ``weights`` was after so many updates."""
        self.weights = {
            name: value.to(self.weights[name].device) for name, value in weights.items()
        }
        self.updates = updates

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """In the block the model holds the average, after it its own weights again."""
        if not self.decay:
            yield
            return
        current = {name: value.clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.weights)
        yield
        model.load_state_dict(current)
