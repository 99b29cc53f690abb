"""Tables in SDF: structures with properties and, where the file has them, 3D coordinates."""

import re
from collections.abc import Iterator, Sequence
from io import TextIOWrapper

from rdkit import Chem, rdBase

from molweave.chem.columns import find_smiles_column
from molweave.chem.diagnose import describe_problems, describe_size
from molweave.chem.files import Source
from molweave.chem.table import Record, Table
from molweave.errors import UserError

_STRUCTURE = "smiles"
_TITLE = "name"
_PROPERTY = re.compile(r">[^<]*<([^>]+)>")


class SdfTable(Table):
    """An SDF file: a record for every block, whether or not it can be read.

    The columns are ``smiles``, ``name`` (the title line) and the properties in the order in which
    they first occur. Where a property is itself called ``name``, the title line is the column
    ``title``. The structure is that of the block, and so is the text of the column ``smiles``; a
    property of that name, which may mean another molecule, is the column ``smiles_property``. But
    if the user names a property or the title line as the SMILES column, its text is the structure,
    the block is not read, and there is no column of its SMILES.
    """

    def __init__(self, source: Source, smiles_column: str | None = None) -> None:
        self.name = source.name
        self._source = source
        with source.text(None) as text:
            properties = _property_names(text, source.name)
        self._title = _free("title", properties) if _TITLE in properties else _TITLE
        own = tuple(dict.fromkeys([self._title, *properties]))
        self.smiles_column = _STRUCTURE
        if smiles_column is not None:
            known = tuple(dict.fromkeys([_STRUCTURE, *own]))
            self.smiles_column = find_smiles_column(known, smiles_column, source.name)
        self._as_text = smiles_column is not None and self.smiles_column in own
        self._beside = _free(f"{_STRUCTURE}_property", properties)
        if self._as_text:
            self.columns = own
        else:
            renamed = (self._beside if name == _STRUCTURE else name for name in own)
            self.columns = (_STRUCTURE, *renamed)

    def __iter__(self) -> Iterator[Record]:
        with self._source.text(None) as text:
            for row, lines in enumerate(_blocks(text)):
                yield self._record(row, lines)

    def _record(self, row: int, lines: list[str]) -> Record:
        block, properties = _split_block(lines)
        values = {self._title: block[0].strip() if block else "", **properties}
        if self._as_text:
            smiles = values.get(self.smiles_column)
            return Record(row, tuple(map(values.get, self.columns)), smiles)
        mol, problem = read_molblock("\n".join(block) + "\n")
        smiles = None if mol is None else Chem.MolToSmiles(mol)
        if _STRUCTURE in values:
            values[self._beside] = values.pop(_STRUCTURE)
        if smiles is not None:
            values[_STRUCTURE] = smiles
        return Record(row, tuple(map(values.get, self.columns)), smiles, mol, problem)


def _free(name: str, taken: Sequence[str]) -> str:
    """The name, lengthened until no property has it."""
    while name in taken:
        name += "_"
    return name


def read_molblock(block: str) -> tuple[Chem.Mol | None, str | None]:
    """The structure of a molblock, hydrogens removed, or None and what is wrong with it."""
    with rdBase.BlockLogs():
        try:
            mol = Chem.MolFromMolBlock(block)
            if mol is not None:
                too_large = describe_size(mol)
                return (None, too_large) if too_large else (mol, None)
            raw = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False)
        except RuntimeError:
            raw = None
        if raw is not None:
            return None, describe_problems(raw)
    return None, _describe_block(block)


def _describe_block(block: str) -> str:
    lines = block.splitlines()
    if not any(line.startswith("M  END") for line in lines):
        return "unreadable SDF block: no 'M  END' line"
    if len(lines) < 4 or not re.search(r"V[23]000", lines[3]):
        return "unreadable SDF block: line 4 is not a V2000 or V3000 counts line"
    return "unreadable SDF block: atoms or bonds do not fit the counts line or hold bad values"


def _blocks(text: TextIOWrapper) -> Iterator[list[str]]:
    """The lines of every record, without its ``$$$$``; blank text after the last is nothing."""
    lines: list[str] = []
    for line in text:
        if line.startswith("$$$$"):
            yield lines
            lines = []
        else:
            lines.append(line.rstrip("\n"))
    if any(line.strip() for line in lines):
        yield lines


def _property_names(text: TextIOWrapper, source: str) -> list[str]:
    names: dict[str, None] = {}
    seen = False
    for line in text:
        seen = seen or bool(line.strip())
        if line[0] == ">" and (match := _PROPERTY.match(line)):
            names[match.group(1)] = None
    if not seen:
        raise UserError(f"{source}: the file is empty")
    return list(names)


def _split_block(lines: list[str]) -> tuple[list[str], dict[str, str]]:
    """The molblock of a record and its properties; values of several lines keep their line ends."""
    end = next((i + 1 for i, line in enumerate(lines) if line.startswith("M  END")), None)
    if end is None:
        end = next((i for i, line in enumerate(lines) if _PROPERTY.match(line)), len(lines))
    properties: dict[str, str] = {}
    name: str | None = None
    value: list[str] = []
    for line in [*lines[end:], ""]:
        match = _PROPERTY.match(line) if name is None else None
        if match:
            name, value = match.group(1), []
        elif name is not None and line.strip():
            value.append(line)
        elif name is not None:
            properties[name] = "\n".join(value)
            name = None
    return lines[:end], properties
