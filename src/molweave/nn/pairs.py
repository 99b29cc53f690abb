"""Atoms and pairs of atoms, from flat to padded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from molweave.shapes import Bool, Float, Int, Shaped, Tensor, UInt


@runtime_checkable
class RelationsInput(Protocol):
    """Molecules laid end to end, without padding."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of atoms of every molecule."""

    @property
    def atoms(self) -> UInt[Tensor, "A F"]:
        """Categorical features; column 0 is the element."""

    @property
    def spd(self) -> UInt[Tensor, " P"]:
        """Class of the shortest-path distance of every pair, row by row of each molecule."""

    @property
    def hops(self) -> UInt[Tensor, "P k"]:
        """Class of each of the first k bonds along that path, 0 beyond its end."""


SPARE = 2**12
"""Pairs of atoms whose padding costs no more than another run."""


@dataclass(frozen=True)
class Pairs:
    """N molecules padded to n atoms.

    Attributes:
        atoms: categorical features; column 0 is the element.
        real: False for padding.
        spd: class of the shortest-path distance.
        hops: class of each of the first k bonds of the path, 0 beyond its end.
        positions: in angstrom; 0 for molecules without a conformer.
        placed: which molecules have a conformer.
    """

    atoms: Int[Tensor, "N n F"]
    real: Bool[Tensor, "N n"]
    spd: Int[Tensor, "N n n"]
    hops: Int[Tensor, "N n n k"]
    positions: Float[Tensor, "N n 3"]
    placed: Bool[Tensor, " N"]

    @property
    def both_real(self) -> Bool[Tensor, "N n n"]:
        """Pairs without padding, an atom with itself included."""
        return self.real[:, :, None] & self.real[:, None, :]

    @property
    def different(self) -> Bool[Tensor, "N n n"]:
        """Pairs of two different atoms, without padding."""
        itself = torch.eye(self.real.shape[1], dtype=torch.bool, device=self.real.device)
        return self.both_real & ~itself

    @property
    def distance(self) -> Float[Tensor, "N n n"]:
        """Of all positions, in angstrom; exact where matrix products would round."""
        exact = "donot_use_mm_for_euclid_dist"
        return torch.cdist(self.positions, self.positions, compute_mode=exact)


def runs(sizes: Sequence[int], budget: int, spare: int = SPARE) -> Iterator[slice]:
    """Cut molecules into consecutive runs that take little memory and time when padded.

    A run of k molecules of at most n atoms has k n^2 <= ``budget`` padded pairs, unless it is a
    single molecule. It ends, too, before padding would cost more than another run: ``spare`` pairs
    of it besides a quarter of the real ones.
    """
    start, largest, real = 0, 0, 0
    for index, size in enumerate(sizes):
        widened, real = max(largest, size), real + size**2
        padded = (index - start + 1) * widened**2
        if index > start and padded > min(budget, 1.25 * real + spare):
            yield slice(start, index)
            start, widened, real = index, size, size**2
        largest = widened
    yield slice(start, len(sizes))


def pad_pairs(
    part: RelationsInput,
    positions: Float[Tensor, "A 3"],
    placed: Bool[Tensor, " N"],
    run: slice,
) -> Pairs:
    """The molecules of a run, padded to the largest of them.

    Args:
        part: molecules laid end to end.
        positions: of all atoms of the part.
        placed: which molecules of the part have a conformer.
        run: which molecules to take.
    """
    sizes = part.sizes[run]
    before = part.sizes[: run.start]
    atoms = slice(sum(before), sum(before) + sum(sizes))
    first_pair = sum(size**2 for size in before)
    pairs = slice(first_pair, first_pair + sum(size**2 for size in sizes))
    device = part.atoms.device
    counts = torch.tensor(sizes, device=device)
    real = torch.arange(max(sizes), device=device) < counts[:, None]
    both = real[:, :, None] & real[:, None, :]
    return Pairs(
        atoms=_spread(part.atoms[atoms], real).int(),
        real=real,
        spd=_spread(part.spd[pairs], both).int(),
        hops=_spread(part.hops[pairs], both).int(),
        positions=_spread(positions[atoms], real),
        placed=placed[run],
    )


def _spread(rows: Shaped[Tensor, "m ..."], where: Bool[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Lay rows into the True places of ``where``, in order; 0 elsewhere."""
    trailing = rows.shape[1:]
    out = rows.new_zeros(*where.shape, *trailing)
    mask = where.reshape(*where.shape, *(1 for _ in trailing)).expand_as(out)
    return out.masked_scatter_(mask, rows)
