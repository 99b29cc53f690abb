"""The one shape that every input takes: named columns and a record for every row."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the input, usable or not.

    Attributes:
        row: 0-based row; a header line does not count.
        values: one per column of the table: the text exactly as found (CSV, TSV, SMI, SDF) or
            Python values (Parquet, DataFrame); None where the row has nothing for the column.
        smiles: text of the SMILES column; for an SDF record the canonical SMILES of its structure;
            None where there is none.
        mol: the structure of an SDF record, hydrogens removed, with its conformer.
        problem: why the row could not be read (ragged row, unreadable SDF block), else None.
        coordinates: float64 (atoms, 3) in angstrom, in the order of ``smiles``, as a column of a
            Parquet file or DataFrame gives them; of no atoms where it holds something else; None
            where there are none.
    """

    row: int
    values: tuple[object, ...]
    smiles: str | None
    mol: Chem.Mol | None = None
    problem: str | None = None
    coordinates: np.ndarray | None = None


class Table(ABC):
    """Named columns and, each time it is iterated, one `Record` for every row in input order.

    Iterating streams: memory does not grow with the number of rows.

    Attributes:
        name: what to call the input in messages: its path, ``standard input``, ``DataFrame``.
        columns: the column names, all different.
        smiles_column: the one of ``columns`` that holds the SMILES.
        types: the Arrow type of a column, for those of which the input tells it.
    """

    name: str
    columns: tuple[str, ...]
    smiles_column: str
    types: "Mapping[str, pyarrow.DataType]" = MappingProxyType({})

    @abstractmethod
    def __iter__(self) -> Iterator[Record]:
        """Every row, in order, from the start."""
