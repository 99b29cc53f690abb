"""Which molecules to train on, to choose on and to test on."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molweave.chem.molecule import Molecule
from molweave.chem.scaffolds import group_positions, scaffold_groups
from molweave.errors import UserError
from molweave.wording import counted

PARTS = ("train", "valid", "test")


class ImpossibleSplitError(UserError):
    """A split that these molecules do not allow: ``problem``, and ``advice`` what to do."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem, advice)
        self.problem = problem
        self.advice = advice

    def __str__(self) -> str:
        """One line: the problem and the advice."""
        return f"{self.problem}: {self.advice}"


@dataclass(frozen=True, eq=False)
class Split:
    """Three disjoint sets of positions in a data set.

    Attributes:
        train, valid, test: int64 positions, ascending. A position may be in none of them.
        kind: ``scaffold``, ``scaffold-balanced``, ``random``, ``column``, ``file`` or ``k-fold``.
        seed: what the split was drawn with; 0 where nothing is drawn.
        notes: one line each: first the sizes, then what was moved or left out and why.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    kind: str
    seed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, np.ndarray]:
        """Name to positions, in the order train, valid, test."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    @property
    def summary(self) -> str:
        """A line for a terminal: the kind and the notes."""
        return f"split {self.kind}: {'; '.join(self.notes)}"

    def without(self, unusable: np.ndarray, note: str) -> "Split":
        """The split without the positions of a mask, bool (n,), which a note tells of."""
        kept = {name: part[~unusable[part]] for name, part in self.parts.items()}
        notes = (f"sizes: {describe_sizes(kept)}", *self.notes[1:], note)
        return replace(self, **kept, notes=notes)

    @property
    def sha256(self) -> str:
        """Identity of the split: digest over part names, sizes and little-endian positions."""
        digest = hashlib.sha256()
        for name, positions in self.parts.items():
            digest.update(f"{name} {len(positions)}\n".encode())
            digest.update(positions.astype("<i8").tobytes())
        return digest.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain lists and text, for a JSON file; ``positions`` holds the three parts."""
        return {
            "kind": self.kind,
            "seed": self.seed,
            "notes": list(self.notes),
            "sha256": self.sha256,
            "positions": {name: positions.tolist() for name, positions in self.parts.items()},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Split":
        """The split that `to_json` described.

        Raises:
            UserError: a field is missing, or the indices do not have the stored digest.
        """
        try:
            stored_parts = [stored["positions"][name] for name in PARTS]
            train, valid, test = (np.array(part, dtype=np.int64) for part in stored_parts)
            notes = tuple(str(note) for note in stored["notes"])
            split = cls(train, valid, test, str(stored["kind"]), int(stored["seed"]), notes)
            expected = stored["sha256"]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"not a stored split ({error!r}): make the split again") from error
        if split.sha256 != expected:
            raise UserError(
                f"the stored split was altered: its digest is {split.sha256[:12]}, not "
                f"{str(expected)[:12]}: make the split again"
            )
        return split


def make_split(
    kind: str,
    molecules: Sequence[Molecule],
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
) -> Split:
    """Split molecules; equal molecules (by canonical SMILES) always land in the same part.

    ``scaffold``: groups of one Bemis-Murcko scaffold with chirality, sorted by (size, first
    position), both descending; a group goes to train while it fits, else to valid while train and
    valid fit, else to test (the rule of pretrain-gnns). Deterministic.

    ``scaffold-balanced``: scaffolds without chirality; groups larger than half of valid or test
    come first, in random order, then the others, in random order; each goes to the first part of
    train, valid, test that it fits into (the rule of chemprop 1).

    ``random``: a random permutation is cut; then copies of a molecule follow its first row.

    Args:
        kind: ``scaffold``, ``scaffold-balanced`` or ``random``.
        molecules: the data set.
        seed: for the two that draw.
        fractions: of train, valid and test; they add up to 1; test may be 0.

    Raises:
        UserError: an unknown kind or wrong fractions.
        ImpossibleSplitError: a part that stays empty.
    """
    if kind not in _MAKERS:
        raise UserError(f"unknown split {kind!r}: use one of {', '.join(_MAKERS)}")
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6 or min(fractions[:2]) == 0:
        raise UserError(
            f"split fractions {'/'.join(f'{part:g}' for part in fractions)} must be positive "
            "(test may be 0) and add up to 1"
        )
    part_of, notes = _MAKERS[kind](molecules, seed, fractions)
    needed = PARTS if fractions[2] else PARTS[:2]
    drawn = 0 if kind == "scaffold" else seed
    return finish_split(part_of, kind=kind, seed=drawn, notes=notes, needed=needed)


def kfold(
    molecules: Sequence[Molecule],
    folds: int,
    *,
    seed: int = 0,
    valid_fraction: float = 0.1,
) -> list[Split]:
    """K-fold cross-validation: every molecule is tested exactly once.

    Groups of equal molecules in random order, larger ones first, go to the smallest fold so far. In
    each split, a random ``valid_fraction`` of what is not tested becomes valid, whole groups again.

    Args:
        molecules: the data set.
        folds: 2 or more.
        seed: of the draw.
        valid_fraction: share of the molecules outside the fold that is held out to choose on.

    Raises:
        UserError: a wrong option.
        ImpossibleSplitError: too few groups for so many folds.
    """
    if not 0 < valid_fraction < 1:
        raise UserError(f"the valid fraction {valid_fraction} must lie between 0 and 1")
    if folds < 2:
        raise UserError(f"k-fold needs at least 2 folds; found {folds}")
    groups = copies(molecules)
    if len(groups) < folds + 1:
        raise ImpossibleSplitError(
            f"{folds} folds need at least {folds + 1} groups of molecules, found {len(groups)}",
            "use fewer folds or more molecules",
        )
    rng = np.random.default_rng(seed)
    order = sorted(rng.permutation(len(groups)), key=lambda index: -len(groups[index]))
    sizes = [0] * folds
    fold_of = np.zeros(len(molecules), dtype=np.int64)
    for index in order:
        smallest = int(np.argmin(sizes))
        fold_of[groups[index]] = smallest
        sizes[smallest] += len(groups[index])
    splits = []
    for fold in range(folds):
        part_of = np.where(fold_of == fold, 2, 0)
        hold_out(part_of, groups, valid_fraction, rng)
        notes = (f"fold {fold + 1} of {folds}",)
        splits.append(finish_split(part_of, kind="k-fold", seed=seed, notes=notes))
    return splits


def finish_split(
    part_of: np.ndarray,
    *,
    kind: str,
    seed: int = 0,
    notes: Sequence[str] = (),
    needed: Sequence[str] = PARTS,
) -> Split:
    """A split from one part number per position.

    Args:
        part_of: int (n,): 0 train, 1 valid, 2 test, -1 none.
        kind: see `Split`.
        seed: see `Split`.
        notes: see `Split`; a note with the sizes is put before them.
        needed: the parts that must not be empty.

    Raises:
        ImpossibleSplitError: a needed part is empty.
    """
    train, valid, test = (np.flatnonzero(part_of == part).astype(np.int64) for part in range(3))
    parts = {"train": train, "valid": valid, "test": test}
    line = describe_sizes(parts)
    for name in needed:
        if not len(parts[name]):
            say = " (random, say)" if kind.startswith("scaffold") else ""
            raise ImpossibleSplitError(
                f"the {kind} split leaves the {name} part empty ({'; '.join((line, *notes))})",
                f"use another kind of split{say}, other fractions or more molecules",
            )
    return Split(train, valid, test, kind, seed, (f"sizes: {line}", *notes))


def describe_sizes(parts: Mapping[str, np.ndarray]) -> str:
    """``train 80, valid 10, test 10``."""
    return ", ".join(f"{name} {len(part)}" for name, part in parts.items())


def straddling(molecules: Sequence[Molecule], part_of: np.ndarray) -> list[np.ndarray]:
    """Groups of equal molecules whose members are in more than one part (-1 is no part)."""
    groups = (group[part_of[group] >= 0] for group in copies(molecules))
    return [group for group in groups if len(set(part_of[group].tolist())) > 1]


def copies(molecules: Sequence[Molecule]) -> list[np.ndarray]:
    """Positions of equal molecules (same canonical SMILES), one array per distinct molecule."""
    return group_positions(molecule.canonical for molecule in molecules)


def hold_out(
    part_of: np.ndarray, groups: Sequence[np.ndarray], fraction: float, rng: np.random.Generator
) -> None:
    """Draw about ``fraction`` of part 0 as part 1, in place: whole groups, one at least.

    Members of a group that are in another part, or in none, stay there.
    """
    members = (group[part_of[group] == 0] for group in groups)
    free = [group for group in members if len(group)]
    if len(free) < 2:
        return
    wanted = fraction * sum(len(group) for group in free)
    held = 0
    for index in rng.permutation(len(free)):
        if held + len(free[index]) <= max(wanted, 1):
            part_of[free[index]] = 1
            held += len(free[index])
    if not held:
        part_of[min(free, key=len)] = 1


Fractions = tuple[float, float, float]
Parted = tuple[np.ndarray, tuple[str, ...]]


def _share(fraction: float, total: int) -> float:
    """So many of ``total``; a sum of fractions such as 0.7 + 0.1 is a little off."""
    return round(fraction * total, 9)


def _scaffold(molecules: Sequence[Molecule], _seed: int, fractions: Fractions) -> Parted:
    groups = scaffold_groups(molecules)
    groups.sort(key=lambda group: (len(group), group[0]), reverse=True)
    total = len(molecules)
    train_limit = _share(fractions[0], total)
    both_limit = _share(fractions[0] + fractions[1], total) if fractions[2] else total
    part_of = np.full(total, 2)
    train = valid = 0
    for group in groups:
        if train + len(group) <= train_limit:
            part_of[group] = 0
            train += len(group)
        elif train + valid + len(group) <= both_limit:
            part_of[group] = 1
            valid += len(group)
    return part_of, _describe_scaffolds(groups)


def _describe_scaffolds(groups: Sequence[np.ndarray]) -> tuple[str, ...]:
    """How many there are, and how many molecules share one where that is most of them."""
    total, largest = sum(map(len, groups)), max(map(len, groups), default=0)
    shared = (f"{largest} of {total} molecules share one",) if 2 * largest > total else ()
    return (counted(len(groups), "scaffold"), *shared)


def _scaffold_balanced(molecules: Sequence[Molecule], seed: int, fractions: Fractions) -> Parted:
    groups = scaffold_groups(molecules, chirality=False)
    limits = [_share(fraction, len(molecules)) for fraction in fractions]
    half = min(limit for limit in limits[1:] if limit) / 2
    rng = np.random.default_rng(seed)
    shuffled = [groups[index] for index in rng.permutation(len(groups))]
    shuffled.sort(key=lambda group: len(group) <= half)
    last = 2 if fractions[2] else 1
    part_of = np.full(len(molecules), last)
    sizes = [0, 0]
    for group in shuffled:
        for part in range(last):
            if sizes[part] + len(group) <= limits[part]:
                part_of[group] = part
                sizes[part] += len(group)
                break
    return part_of, _describe_scaffolds(groups)


def _random(molecules: Sequence[Molecule], seed: int, fractions: Fractions) -> Parted:
    order = np.random.default_rng(seed).permutation(len(molecules))
    train = int(_share(fractions[0], len(molecules)))
    both = int(_share(fractions[0] + fractions[1], len(molecules)))
    both = both if fractions[2] else len(molecules)
    part_of = np.full(len(molecules), 2)
    part_of[order[:train]] = 0
    part_of[order[train:both]] = 1
    moved = 0
    for group in straddling(molecules, part_of):
        moved += int((part_of[group] != part_of[group[0]]).sum())
        part_of[group] = part_of[group[0]]
    note = f"{counted(moved, 'row')} moved to the part of an equal molecule (same canonical SMILES)"
    return part_of, (note,) if moved else ()


_MAKERS = {"scaffold": _scaffold, "scaffold-balanced": _scaffold_balanced, "random": _random}
SPLITS = tuple(_MAKERS)
"""The kinds that `make_split` knows."""
