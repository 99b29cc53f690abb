"""Which molecules make up a batch."""

import math
from collections.abc import Sequence

import numpy as np

Sizes = Sequence[int] | np.ndarray


def random_batches(sizes: Sizes, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Cut positions into random batches for training; every position is in exactly one.

    Batch sizes differ by at most one, so no epoch ends in a batch of one molecule unless
    ``batch_size`` is 1 or 2. A batch is a random sample: one of molecules of similar size would
    have a gradient, and statistics of batch normalisation, of that size. Within a batch the
    molecules come in ascending size, so that a network that pads can put similar ones together.

    Args:
        sizes: number of atoms (or any cost) of each molecule.
        batch_size: largest number of molecules in a batch, at least 1.
        seed: of the run, not negative.
        epoch: 0, 1, 2, ...; another order in each.

    Returns:
        int64 arrays of positions.

    Raises:
        ValueError: ``batch_size`` is below 1.
    """
    sizes = np.asarray(sizes)
    order = np.random.default_rng([seed, epoch]).permutation(len(sizes))
    return [batch[np.argsort(sizes[batch], kind="stable")] for batch in _cut(order, batch_size)]


def sorted_batches(sizes: Sizes, batch_size: int) -> list[np.ndarray]:
    """Cut positions into batches of similar size for evaluation, so that little is padded.

    In ascending size, equal sizes in input order; else as `random_batches`.
    """
    return _cut(np.argsort(np.asarray(sizes), kind="stable"), batch_size)


def _cut(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    count = math.ceil(len(order) / batch_size)
    edges = np.arange(1, count) * len(order) // max(count, 1)
    return np.split(order, edges) if count else []


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
