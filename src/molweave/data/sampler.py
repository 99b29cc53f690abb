"""Batches of molecules of similar size, so that little padding is computed."""

import math
from collections.abc import Sequence

import numpy as np

_WINDOW = 16


def bucketed_batches(
    sizes: Sequence[int] | np.ndarray, batch_size: int, *, shuffle: bool, seed: int, epoch: int
) -> list[np.ndarray]:
    """Cut positions into batches; every position is in exactly one.

    Batch sizes differ by at most one, so no epoch ends in a batch of one molecule.

    Shuffled: the positions are permuted, sorted by size within windows of 16 batches, cut into
    batches, and the batches are permuted; all of it a function of ``(seed, epoch)`` only. Not
    shuffled: ascending size, equal sizes in input order; ``seed`` and ``epoch`` have no effect.

    Args:
        sizes: number of atoms (or any cost) of each molecule.
        batch_size: largest number of molecules in a batch, at least 1.
        shuffle: for training.
        seed: of the run, not negative.
        epoch: 0, 1, 2, ...

    Returns:
        int64 arrays of positions.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    sizes = np.asarray(sizes)
    count = math.ceil(len(sizes) / batch_size)
    if not count:
        return []
    edges = np.arange(1, count) * len(sizes) // count
    if not shuffle:
        return np.split(np.argsort(sizes, kind="stable"), edges)
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(sizes))
    windows = np.split(order, edges[_WINDOW - 1 :: _WINDOW])
    order = np.concatenate([window[np.argsort(sizes[window], kind="stable")] for window in windows])
    batches = np.split(order, edges)
    return [batches[index] for index in rng.permutation(count)]


def fitting_pieces(batch: np.ndarray, sizes: np.ndarray, most_pairs: int) -> list[np.ndarray]:
    """Cut a batch of very large molecules into pieces that fit into memory.

    Attention over the tokens of a molecule needs memory that grows with the square of its size.

    Args:
        batch: int positions, the largest molecules last where the pieces shall be few.
        sizes: number of atoms of every molecule that a position may name.
        most_pairs: limit of molecules times squared atoms of the largest one.

    Returns:
        The pieces, from the end of ``batch`` on; ``batch`` itself where it fits. None holds one
        molecule only where that can be helped, for batch statistics are undefined there.
    """
    pieces = []
    while len(batch):
        count = max(1, most_pairs // max(1, int(sizes[batch].max())) ** 2)
        if count > 2 and len(batch) == count + 1:
            count -= 1
        pieces.append(batch[-count:])
        batch = batch[:-count]
    return pieces
