"""Padding of flat pairs, against a loop over molecules."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import make_batch

from molweave.nn.pairs import SPARE, pad_pairs, runs

SMILES = ("CCO", "C", "CC(=O)Oc1ccccc1C(=O)O", "CCN.Cl")


def test_padded_molecules_are_the_flat_ones():
    part = make_batch(SMILES).parts["relations"]
    positions = torch.randn(len(part.atoms), 3)
    placed = torch.tensor([True, False, True, True])
    for run in (slice(0, 4), slice(1, 3), slice(3, 4)):
        pairs = pad_pairs(part, positions, placed, run)
        sizes = part.sizes[run]
        assert pairs.real.sum(1).tolist() == list(sizes)
        assert pairs.real.shape[1] == max(sizes)
        assert torch.equal(pairs.placed, placed[run])
        atom = sum(part.sizes[: run.start])
        pair = sum(size**2 for size in part.sizes[: run.start])
        for index, size in enumerate(sizes):
            assert torch.equal(pairs.atoms[index, :size], part.atoms[atom : atom + size].int())
            assert torch.equal(pairs.positions[index, :size], positions[atom : atom + size])
            spd = part.spd[pair : pair + size**2].view(size, size).int()
            hops = part.hops[pair : pair + size**2].view(size, size, -1).int()
            assert torch.equal(pairs.spd[index, :size, :size], spd)
            assert torch.equal(pairs.hops[index, :size, :size], hops)
            assert not pairs.spd[index, size:].any()
            assert not pairs.hops[index, :, size:].any()
            assert int(pairs.both_real[index].sum()) == size**2
            assert int(pairs.different[index].sum()) == size**2 - size
            atom, pair = atom + size, pair + size**2


@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.integers(1, 3000))
def test_runs_take_every_molecule_once_and_keep_to_the_budget(sizes, budget):
    found = list(runs(sizes, budget))
    assert [index for run in found for index in range(run.start, run.stop)] == [*range(len(sizes))]
    for number, run in enumerate(found):
        part = sizes[run]
        assert len(part) == 1 or len(part) * max(part) ** 2 <= budget
        if number:
            longer = [*sizes[found[number - 1]], part[0]]
            padded = len(longer) * max(longer) ** 2
            wasted = padded - sum(size**2 for size in longer)
            assert padded > budget or wasted > SPARE + 0.25 * sum(size**2 for size in longer)


def test_a_run_ends_before_padding_costs_more_than_another_run():
    small, large = [8] * 20, [60] * 3
    assert list(runs(small + large, 10**9)) == [slice(0, 20), slice(20, 23)]
    assert list(runs([20, 21, 22, 23, 24] * 12, 10**9)) == [slice(0, 60)]
