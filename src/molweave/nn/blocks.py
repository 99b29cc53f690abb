"""Molecules of a similar size as dense blocks, for what looks at every pair of their atoms."""

from dataclasses import dataclass

import torch

from molweave.shapes import Bool, Float, Int, Tensor

_STEP = 8


@dataclass(frozen=True)
class Block:
    """Molecules that are padded to the same number of atoms.

    Attributes:
        molecules: m, how many.
        size: n, atoms that each is padded to.
        atoms: which atoms of the batch are here.
        places: where each of them is, 0 to m * n - 1.
    """

    molecules: int
    size: int
    atoms: Int[Tensor, " a"]
    places: Int[Tensor, " a"]

    def pad(self, values: Float[Tensor, "A D"]) -> Float[Tensor, "m n D"]:
        """Rows of the atoms of this block, 0 where there is no atom."""
        out = values.new_zeros(self.molecules * self.size, values.shape[1])
        out = out.index_copy(0, self.places, values[self.atoms])
        return out.view(self.molecules, self.size, -1)

    def unpad(self, padded: Float[Tensor, "m n D"]) -> Float[Tensor, "a D"]:
        """Back to the rows of `atoms`."""
        return padded.flatten(0, 1)[self.places]

    def mask(self) -> Bool[Tensor, "m n"]:
        """True where there is an atom."""
        out = torch.zeros(self.molecules * self.size, dtype=torch.bool, device=self.places.device)
        return out.index_fill(0, self.places, True).view(self.molecules, self.size)


def make_blocks(molecule: Int[Tensor, " A"], num_molecules: int) -> list[Block]:
    """Every atom in one block, padded to the next multiple of 8 of its own molecule's size.

    So the size of a molecule's block depends on no other molecule, and less than a third of the
    work on pairs is padding for a molecule of 24 atoms.

    Args:
        molecule: the molecule of each atom, in any order.
        num_molecules: how many there are.
    """
    counts = torch.bincount(molecule, minlength=num_molecules)
    order = molecule.argsort(stable=True)
    rank = torch.empty_like(order)
    first = counts.cumsum(0) - counts
    rank[order] = torch.arange(len(order), device=order.device) - first[molecule[order]]
    sizes = (counts + _STEP - 1) // _STEP * _STEP
    blocks = []
    for size in sorted(set(sizes.tolist()) - {0}):
        inside = sizes == size
        atoms = inside[molecule].nonzero()[:, 0]
        number = inside.cumsum(0) - 1
        places = number[molecule[atoms]] * size + rank[atoms]
        blocks.append(Block(int(inside.sum()), size, atoms, places))
    return blocks
