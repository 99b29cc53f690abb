"""One vector per molecule: what it tells apart, and what it must not."""

import torch

from molweave.nn.readout import Readout


def test_twice_the_molecule_is_another_one() -> None:
    readout, atoms = Readout(8), torch.randn(5, 8)
    once = torch.zeros(5, dtype=torch.int64)
    alone, doubled = readout(atoms, once, 1), readout(torch.cat([atoms, atoms]), once.repeat(2), 1)
    assert (alone - doubled).abs().max() > 0.01


def test_neighbours_in_the_batch_and_empty_molecules() -> None:
    readout, atoms = Readout(8), torch.randn(5, 8)
    found = readout(atoms, torch.tensor([2, 0, 0, 2, 2]), 4)
    torch.testing.assert_close(found[0], readout(atoms[1:3], torch.zeros(2, dtype=int), 1)[0])
    torch.testing.assert_close(found[2], readout(atoms[[0, 3, 4]], torch.zeros(3, dtype=int), 1)[0])
    torch.testing.assert_close(found[1], found[3])
    assert found.isfinite().all()
