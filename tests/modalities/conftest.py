"""Molecules and conformers for the tests of single modalities."""

from collections.abc import Callable

import numpy as np
import pytest
from rdkit import Chem

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule


@pytest.fixture
def read() -> Callable[[str], Molecule]:
    def make(smiles: str) -> Molecule:
        canonical = Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
        return Molecule(0, smiles, canonical, Chem.MolFromSmiles(canonical))

    return make


@pytest.fixture
def placed() -> Callable[..., Conformer]:
    def make(coordinates: object) -> Conformer:
        return Conformer(np.array(coordinates, dtype=np.float32), "input", None)

    return make
