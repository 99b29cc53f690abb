"""Joining the arrays of several molecules into tensors."""

from collections.abc import Sequence

import numpy as np
import torch

from molweave.shapes import Int, Tensor


def offsets(sizes: Sequence[int]) -> np.ndarray:
    """Where each molecule starts when ``sizes`` items each are laid end to end, int64."""
    return np.cumsum([0, *sizes[:-1]], dtype=np.int64)


def join_indices(indices: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """Index arrays (2, n_i) of single molecules as one (2, sum n_i) of the batch, int64.

    Args:
        indices: per molecule, what points into its own items.
        sizes: how many items each molecule has.
    """
    shift = np.repeat(offsets(sizes), [index.shape[1] for index in indices])
    joined: np.ndarray = np.concatenate(indices, axis=1).astype(np.int64) + shift
    return joined


def owners(sizes: Sequence[int]) -> Int[Tensor, " A"]:
    """The molecule (0, 1, ...) of every item, where molecule i has ``sizes[i]`` of them."""
    return torch.from_numpy(np.repeat(np.arange(len(sizes), dtype=np.int64), sizes))
