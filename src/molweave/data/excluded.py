"""Molecules that must not be in a corpus, recognised in every form."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from rdkit import Chem, rdBase

from molweave.chem.molecule import Molecule
from molweave.chem.read import open_table
from molweave.chem.standardize import Standardizer, largest_fragment
from molweave.chem.table import Table
from molweave.errors import UserError
from molweave.wording import counted

_BLOCK = 14
_NON_METALS = frozenset((5, 6, 7, 8, 9, 14, 15, 16, 17, 34, 35, 53))


def main_fragment(molecule: Molecule) -> Chem.Mol:
    """The structure without counter-ions and solvents: the largest fragment of a mixture."""
    return largest_fragment(molecule.mol) if "." in molecule.canonical else molecule.mol


@dataclass
class Excluded:
    """The first blocks (connectivity) of the InChIKeys of molecules and of their main fragments.

    They do not tell stereoisomers, isotopes, protonation states and most tautomers apart. InChI is
    slow (RDKit starts a thread for each), so that it is asked only for a molecule with the same
    elements and degrees as an excluded one: what InChI calls equal has those in common, unless it
    has a metal, whose bonds InChI cuts.

    Attributes:
        skipped: file name to the number of its rows that are no molecules and exclude nothing.
    """

    skipped: dict[str, int] = field(default_factory=dict)
    _sources: dict[str, str] = field(default_factory=dict)
    _outlines: set[bytes] = field(default_factory=set)

    def add(self, molecule: Molecule, source: str) -> None:
        """Exclude a molecule, because of ``source``."""
        for mol in _parts(molecule):
            self._outlines.add(_outline(mol))
            self._sources.setdefault(_key(mol), source)

    def find(self, molecule: Molecule) -> str | None:
        """The source that excludes a molecule, by the whole or by its main fragment, if any."""
        if not self._sources:
            return None
        for mol in _parts(molecule):
            outline = _outline(mol)
            if outline and outline not in self._outlines:
                continue
            source = self._sources.get(_key(mol))
            if source is not None:
                return source
        return None


def read_excluded(
    files: Sequence[Path], standardizer: Standardizer, *, smiles_column: str | None = None
) -> Excluded:
    """The molecules of some tables; the source is the file name.

    A row that is no molecule excludes nothing; `Excluded.skipped` counts them by file.

    Args:
        files: the tables.
        standardizer: of the corpus.
        smiles_column: where the SMILES are in tables without a column of a usual name.

    Raises:
        UserError: a table cannot be read, has no SMILES column, or no molecule.
    """
    excluded = Excluded()
    for path in files:
        rows = useless = 0
        first = ""
        for record in _open(path, smiles_column):
            rows += 1
            molecule = standardizer(record)
            if isinstance(molecule, Molecule):
                excluded.add(molecule, path.name)
            else:
                useless += 1
                first = first or f"; the first is {record.smiles!r}: {molecule}"
        if rows == useless:
            raise UserError(
                f"{path} excludes nothing: none of its {counted(rows, 'row')} is a molecule{first}"
            )
        if useless:
            excluded.skipped[path.name] = useless
    return excluded


def _open(path: Path, smiles_column: str | None) -> Table:
    try:
        return open_table(path)
    except UserError:
        if smiles_column is None:
            raise
        return open_table(path, smiles_column=smiles_column)


def _parts(molecule: Molecule) -> tuple[Chem.Mol, ...]:
    main = main_fragment(molecule)
    return (main,) if main is molecule.mol else (main, molecule.mol)


def _key(mol: Chem.Mol) -> str:
    """The first block of the InChIKey; the SMILES of a structure that InChI cannot name."""
    with rdBase.BlockLogs():
        return Chem.MolToInchiKey(mol)[:_BLOCK] or Chem.MolToSmiles(mol)


def _outline(mol: Chem.Mol) -> bytes:
    """Element and heavy degree of every heavy atom, sorted; nothing for a structure with metals."""
    atoms: list[tuple[int, int]] = []
    for atom in mol.GetAtoms():
        number = atom.GetAtomicNum()
        if number == 1:
            continue
        if number not in _NON_METALS:
            return b""
        degree = sum(neighbor.GetAtomicNum() > 1 for neighbor in atom.GetNeighbors())
        atoms.append((number, degree))
    return bytes(chain.from_iterable(sorted(atoms)))
