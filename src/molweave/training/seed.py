"""One function sets every seed, and another gives the caller's random numbers back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def own_generators() -> Iterator[None]:
    """After the block the global generators of Python, NumPy and torch are as they were before."""
    python, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 - the caller's own
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numbers)  # noqa: NPY002


def seed_everything(seed: int, number: int = 0) -> None:
    """Seed Python, NumPy and torch from ``(seed, number)``.

    Training seeds at the start of every epoch, pre-training at that of every step, so that it
    depends on the state it starts from and on nothing that ran before: a resumed run continues
    exactly as the uninterrupted one.

    Args:
        seed: of the run.
        number: of the epoch, or of the step and process.
    """
    mixed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(mixed)
