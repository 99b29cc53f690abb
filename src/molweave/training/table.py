"""A labelled table as training needs it: its usable rows, and the identity of the data."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molweave.chem.columns import look_for_smiles
from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record, Table
from molweave.data.targets import parse_targets, target_indices
from molweave.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TrainingTable:
    """The usable rows of a table, with their targets.

    Attributes:
        name: of the input.
        rows: number of rows of the input.
        records: the usable records.
        molecules: their structures.
        targets: float64 (molecules, tasks).
        rejected: the other rows.
        sha256: digest over the canonical SMILES and targets: the identity of the data.
        coordinates_sha256: digest over the 3D coordinates that the input gave; None without any.
        smiles_column: the column of the SMILES where it has to be named, else None.
    """

    name: str
    rows: int
    records: tuple[Record, ...]
    molecules: tuple[Molecule, ...]
    targets: np.ndarray
    rejected: tuple[Rejected, ...]
    sha256: str
    coordinates_sha256: str | None = None
    smiles_column: str | None = None

    @property
    def labelled(self) -> np.ndarray:
        """Which molecules have a label, bool (molecules,)."""
        measured: np.ndarray = ~np.isnan(self.targets).all(axis=1)
        return measured


def read_training_table(
    table: Table, names: Sequence[str], standardizer: Standardizer
) -> TrainingTable:
    """Read a table; rows that cannot be used are kept aside with their reason.

    Args:
        table: what to read.
        names: the target columns; none to look at the structures only.
        standardizer: of the structures.

    Raises:
        UserError: see `parse_targets`, which is given the usable rows only; also when the table
            has no rows.
    """
    records = tuple(table)
    if not records:
        raise UserError(f"{table.name} has a header but no rows; nothing can be learnt from it")
    if names:
        target_indices(table.columns, names)
    results = [standardizer(record) for record in records]
    molecules = tuple(result for result in results if isinstance(result, Molecule))
    usable = tuple(
        record
        for record, result in zip(records, results, strict=True)
        if isinstance(result, Molecule)
    )
    targets = np.empty((len(usable), 0))
    if names:
        targets = parse_targets(table.columns, usable, names)
    digest = hashlib.sha256()
    for molecule, values in zip(molecules, targets, strict=True):
        digest.update(f"{molecule.canonical}\t{values.tolist()}\n".encode())
    return TrainingTable(
        name=table.name,
        rows=len(records),
        records=usable,
        molecules=molecules,
        targets=targets,
        rejected=tuple(result for result in results if isinstance(result, Rejected)),
        sha256=digest.hexdigest(),
        coordinates_sha256=_coordinates_digest(molecules),
        smiles_column=_column_to_name(table),
    )


def check_usable(table: Table, data: TrainingTable) -> None:
    """Refuse a table without a single molecule.

    Args:
        table: what was read.
        data: what came of it.

    Raises:
        UserError: names the column of the structures and what is wrong with the first of them.
    """
    if not data.molecules:
        first = data.rejected[0]
        column = f" in the column {table.smiles_column!r}" if table.smiles_column else ""
        raise UserError(
            f"{table.name}: no row of {data.rows} has a usable molecule{column}; row {first.row}: "
            f"{first}"
        )


def _coordinates_digest(molecules: Sequence[Molecule]) -> str | None:
    """Digest over positions and little-endian coordinates of the molecules that have some."""
    digest, found = hashlib.sha256(), False
    for position, molecule in enumerate(molecules):
        if molecule.coordinates is not None:
            found = True
            digest.update(f"{position}\n".encode())
            digest.update(molecule.coordinates.astype("<f4").tobytes())
    return digest.hexdigest() if found else None


def _column_to_name(table: Table) -> str | None:
    """The column of the SMILES, unless it is the one that is taken when none is named."""
    return None if look_for_smiles(table.columns) == table.smiles_column else table.smiles_column
