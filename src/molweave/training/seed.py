"""One function sets every seed."""

import random

import numpy as np
import torch


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Seed Python, NumPy and torch from ``(seed, epoch)``.

    Training seeds at the start of every epoch, so that an epoch depends on the state it starts
    from and on nothing that ran before: a resumed run continues exactly as the uninterrupted one.
    """
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(mixed)
