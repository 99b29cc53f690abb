"""What a reader may yield for a row: a molecule, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
from rdkit import Chem


@dataclass(frozen=True, slots=True)
class Molecule:
    """A parsed and standardised structure.

    Attributes:
        row: 0-based row of the input (a header line does not count).
        smiles: the text of the input, unchanged.
        canonical: canonical isomeric SMILES after standardisation; the identity of the molecule.
        mol: the RDKit molecule read back from ``canonical``: heavy atoms, **canonical atom order**,
            so that nothing downstream can depend on the atom numbering of the input.
        coordinates: float32 (atoms, 3) in angstrom, in the order of ``mol``, when the input row
            carried a 3D structure of its own; else None.
        unfit: whether the row gave coordinates that do not fit its structure.
    """

    row: int
    smiles: str
    canonical: str
    mol: Chem.Mol
    coordinates: np.ndarray | None = None
    unfit: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """An input row that cannot be used.

    Attributes:
        row: 0-based row of the input.
        stage: where it failed: ``read``, ``parse`` or ``standardize``; in a corpus also
            ``duplicate`` and ``exclude``.
        reason: what was wrong, in a chemist's words.
    """

    row: int
    stage: str
    reason: str

    def __str__(self) -> str:
        """The text of the ``error`` column: ``stage: reason``."""
        return f"{self.stage}: {self.reason}"
