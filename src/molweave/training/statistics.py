"""Statistics of batch normalisation for the weights as they are.

In training they are means over many steps, during which the weights move: while the learning rate
is high, evaluation with them is far from what the network does in training.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from molweave.data.batch import Batch
from molweave.methods.base import Method

_Norm = nn.modules.batchnorm._BatchNorm


@torch.no_grad()
def estimate_statistics(method: Method, batches: Callable[[], Iterable[Batch]]) -> None:
    """Set every running mean and variance to their means over some batches.

    All else is as in evaluation and stays as it is: dropout, augmentation, stored codes. A network
    without batch normalisation is left alone, and ``batches`` is not called.

    Args:
        method: the network.
        batches: called once; what to take the statistics of.
    """
    norms = [module for module in method.modules() if isinstance(module, _Norm)]
    if not norms:
        return
    modes = {module: module.training for module in method.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    method.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.training = True
    try:
        for batch in batches():
            method.encode(batch)
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def statistics_of(method: Method, batches: Callable[[], Iterable[Batch]]) -> Iterator[None]:
    """In the block the statistics are those of `estimate_statistics`, after it as they were."""
    kept = {
        name: value.clone()
        for place, norm in method.named_modules()
        if isinstance(norm, _Norm)
        for name, value in norm.state_dict(prefix=f"{place}.").items()
    }
    estimate_statistics(method, batches)
    try:
        yield
    finally:
        method.load_state_dict(kept, strict=False)
