from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molweave.data.sampler import fitting_pieces, random_batches, sorted_batches
from molweave.methods import apply
from molweave.training import finetune

SIZES = np.random.default_rng(0).integers(5, 80, size=1003)


@given(
    sizes=st.lists(st.integers(1, 60), max_size=300),
    batch_size=st.integers(1, 40),
    epoch=st.integers(0, 3),
)
def test_every_position_is_in_exactly_one_batch(sizes, batch_size, epoch):
    for batches in (
        random_batches(sizes, batch_size, seed=7, epoch=epoch),
        sorted_batches(sizes, batch_size),
    ):
        counts = [len(batch) for batch in batches]
        found = np.concatenate(batches) if batches else np.array([], dtype=int)
        assert sorted(found.tolist()) == list(range(len(sizes)))
        assert all(0 < count <= batch_size for count in counts)
        assert not counts or max(counts) - min(counts) <= 1
        assert len(batches) == -(-len(sizes) // batch_size)


def _run(seed=1, epoch=0):
    return [batch.tolist() for batch in random_batches(SIZES, 32, seed=seed, epoch=epoch)]


def test_random_batches_depend_on_seed_and_epoch_only():
    assert _run() == _run()
    assert _run() != _run(epoch=1)
    assert _run() != _run(seed=2)
    assert _run(seed=1, epoch=2) != _run(seed=2, epoch=1)


def test_a_random_batch_is_a_sample_of_all_sizes_in_ascending_order():
    batches = [SIZES[batch] for batch in _run()]
    assert all((np.diff(sizes) >= 0).all() for sizes in batches)
    spread = np.std([sizes.mean() for sizes in batches])
    assert spread == pytest.approx(np.std(SIZES) / 32**0.5, rel=0.4)


def test_an_epoch_mixes_molecules_beyond_their_neighbours():
    mates = [
        {pair for batch in _run(epoch=epoch) for pair in combinations(sorted(batch), 2)}
        for epoch in (0, 1)
    ]
    assert len(mates[0] & mates[1]) < 0.1 * len(mates[0])


def test_sorted_batches_ascend_and_keep_the_order_of_equal_sizes():
    batches = sorted_batches([9, 3, 3, 7, 1], 2)
    assert np.concatenate(batches).tolist() == [4, 1, 2, 3, 0]


def test_batch_size_below_one():
    with pytest.raises(ValueError, match="at least 1"):
        random_batches([1, 2], 0, seed=0, epoch=0)


def test_pieces_of_a_batch_fit_and_hold_every_molecule():
    sizes = np.array([3, 5, 40, 7, 9, 11, 100])
    batch = np.array([0, 1, 3, 4, 5, 2, 6])
    pieces = fitting_pieces(batch, sizes, 500)
    assert sorted(np.concatenate(pieces)) == sorted(batch)
    assert [piece.tolist() for piece in pieces] == [[6], [2], [3, 4, 5], [0, 1]]
    assert [len(piece) for piece in fitting_pieces(batch, sizes, 500)] == [1, 1, 3, 2]
    assert all(len(p) * sizes[p].max() ** 2 <= 500 for p in pieces if len(p) > 1)


def test_a_batch_that_fits_is_left_as_it_is():
    batch = np.array([2, 0, 1])
    (piece,) = fitting_pieces(batch, np.array([10, 10, 10]), 300)
    assert piece.tolist() == [2, 0, 1]
    (piece,) = fitting_pieces(batch, np.array([0, 0, 0]), 3)
    assert len(piece) == 3


def test_no_batch_of_ordinary_molecules_is_cut():
    assert len(fitting_pieces(np.arange(128), np.full(128, 150), apply._MOST_PAIRS)) == 1
    assert len(fitting_pieces(np.arange(32), np.full(32, 492), finetune.MOST_PAIRS)) == 1
