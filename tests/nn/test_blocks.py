import torch

from molweave.nn.blocks import make_blocks


def test_every_atom_has_one_place_among_those_of_its_molecule() -> None:
    sizes = [3, 24, 9, 8, 1, 17, 24]
    molecule = torch.repeat_interleave(torch.arange(7), torch.tensor(sizes))
    molecule = molecule[torch.randperm(len(molecule))]
    values = torch.randn(len(molecule), 2)
    blocks = make_blocks(molecule, 7)
    assert sorted(block.size for block in blocks) == [8, 16, 24]
    assert sorted(torch.cat([block.atoms for block in blocks]).tolist()) == list(range(86))
    seen = []
    for block in blocks:
        padded, mask = block.pad(values), block.mask()
        assert padded.shape == (block.molecules, block.size, 2)
        assert torch.equal(block.unpad(padded), values[block.atoms])
        assert (padded[~mask] == 0).all()
        for row, there in zip(padded, mask, strict=True):
            (index,) = {int(m) for m in molecule[(values[:, None] == row[there]).all(2).any(1)]}
            assert sizes[index] == int(there.sum()) > block.size - 8
            assert torch.equal(row[there], values[molecule == index])
            seen.append(index)
    assert sorted(seen) == list(range(7))


def test_a_molecule_without_atoms_has_no_place() -> None:
    (block,) = make_blocks(torch.tensor([0, 2, 2]), 3)
    assert (block.molecules, block.size) == (2, 8)
    assert block.places.tolist() == [0, 8, 9]
