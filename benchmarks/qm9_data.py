"""QM9 as the benchmark reads it: structures, DFT geometries and targets in the usual units."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas

from molweave.chem.table import Record, Table
from molweave.errors import UserError

MEV_PER_HARTREE = 27211.386245988
UNITS: dict[str, tuple[str, float]] = {
    "mu": ("D", 1.0),
    "alpha": ("a0^3", 1.0),
    "homo": ("meV", MEV_PER_HARTREE),
    "lumo": ("meV", MEV_PER_HARTREE),
    "gap": ("meV", MEV_PER_HARTREE),
    "r2": ("a0^2", 1.0),
    "zpve": ("meV", MEV_PER_HARTREE),
    "u0": ("meV", MEV_PER_HARTREE),
    "u298": ("meV", MEV_PER_HARTREE),
    "h298": ("meV", MEV_PER_HARTREE),
    "g298": ("meV", MEV_PER_HARTREE),
    "cv": ("cal/(mol K)", 1.0),
}
"""Target to the unit of the literature, and what the value of the file is multiplied with."""
TOTAL_ENERGIES = ("u0", "u298", "h298", "g298")
"""Targets that are learnt as what a sum over the atoms' elements leaves."""
MISMATCH = 1
"""The status of a geometry that does not fit its SMILES."""


@dataclass(frozen=True, kw_only=True)
class QM9:
    """The whole data set, row by row.

    Attributes:
        smiles: n texts.
        targets: target to float64 (n,), in the unit of `UNITS`.
        usable: bool (n,), whether the geometry fits the SMILES.
        counts: int64 (n, elements), atoms of every element, hydrogens too.
        first: int64 (n + 1,), where the atoms of each row begin.
        elements: uint8 (atoms,), atomic numbers of all rows one after the other.
        positions: float32 (atoms, 3), in angstrom.
    """

    smiles: Sequence[str]
    targets: dict[str, np.ndarray]
    usable: np.ndarray
    counts: np.ndarray
    first: np.ndarray
    elements: np.ndarray
    positions: np.ndarray

    def heavy(self, row: int) -> np.ndarray:
        """float64 (atoms, 3) of the atoms that are no hydrogens, in the order of the SMILES."""
        atoms = slice(self.first[row], self.first[row + 1])
        return self.positions[atoms][self.elements[atoms] > 1].astype(np.float64)


def read_qm9(table: Path, geometry: Path) -> QM9:
    """Read ``qm9.csv.gz`` and ``qm9_geometry.npz``, whose rows are the same molecules.

    Raises:
        UserError: a file is not there, a target is missing, or the rows are not as many.
    """
    for path in (table, geometry):
        if not path.is_file():
            raise UserError(f"{path}: there is no such file; see benchmarks/README.md")
    frame = pandas.read_csv(table)
    missing = [name for name in ("smiles", *UNITS) if name not in frame]
    if missing:
        raise UserError(f"{table}: no column {missing[0]!r}; found {', '.join(frame.columns)}")
    with np.load(geometry) as arrays:
        sizes, elements = arrays["n_atoms"].astype(np.int64), arrays["z"]
        positions, status = arrays["pos"], arrays["status"]
    if len(frame) != len(sizes):
        raise UserError(f"{table} has {len(frame)} rows and {geometry} has {len(sizes)}")
    first = np.concatenate([[0], np.cumsum(sizes)])
    kinds = np.unique(elements)
    counts = np.stack([np.add.reduceat(elements == kind, first[:-1]) for kind in kinds], axis=1)
    return QM9(
        smiles=frame["smiles"].tolist(),
        targets={name: frame[name].to_numpy() * factor for name, (_, factor) in UNITS.items()},
        usable=status != MISMATCH,
        counts=counts.astype(np.int64),
        first=first,
        elements=elements,
        positions=positions,
    )


def split_rows(data: QM9, *, train: int, held_out: int, seed: int) -> dict[str, np.ndarray]:
    """Part name to rows, drawn at random.

    Test and validation are the first of the permutation, so that they are the same for every size
    of the training part.

    Raises:
        UserError: there are too few rows.
    """
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(data.usable))
    if train + 2 * held_out > len(rows):
        raise UserError(
            f"{len(rows)} rows are usable, too few for {train} to train and twice {held_out}: "
            "lower --train-size or --held-out"
        )
    test, valid, rest = np.split(rows, [held_out, 2 * held_out])
    return {"train": rest[:train], "valid": valid, "test": test}


def subtract_elements(energies: np.ndarray, counts: np.ndarray, train: np.ndarray) -> np.ndarray:
    """What is left of the energies without a sum over elements, fitted to the training rows.

    E_i - sum_e n_ie a_e, where a minimises the squares of that over the training rows. An error of
    the rest is the error of the energy.

    Args:
        energies: float64 (n,).
        counts: (n, elements), atoms of every element.
        train: the training rows.
    """
    share, *_ = np.linalg.lstsq(counts[train].astype(np.float64), energies[train], rcond=None)
    return energies - counts @ share


class QM9Table(Table):
    """The rows of a split as a table with targets, geometry and a column ``part``."""

    name = "qm9"
    smiles_column = "smiles"

    def __init__(self, data: QM9, parts: dict[str, np.ndarray], targets: Sequence[str]) -> None:
        """Choose rows and targets; total energies are without the elements' share."""
        self.columns = ("smiles", *targets, "part")
        self._data = data
        self._rows = [(row, part) for part, rows in parts.items() for row in sorted(rows.tolist())]
        self._values = [
            subtract_elements(data.targets[name], data.counts, parts["train"])
            if name in TOTAL_ENERGIES
            else data.targets[name]
            for name in targets
        ]

    def __iter__(self) -> Iterator[Record]:
        for position, (row, part) in enumerate(self._rows):
            smiles = self._data.smiles[row]
            values = (smiles, *(float(column[row]) for column in self._values), part)
            yield Record(position, values, smiles, coordinates=self._data.heavy(row))
