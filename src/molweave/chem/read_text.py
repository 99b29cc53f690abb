"""Tables in delimited text (CSV, TSV) and in SMILES files."""

import csv
import re
from collections.abc import Iterator
from io import TextIOWrapper

from molweave.chem.columns import (
    check_unique,
    find_smiles_column,
    list_names,
    look_for_smiles,
    name_columns,
)
from molweave.chem.files import Source
from molweave.chem.smiles import parse_smiles
from molweave.chem.table import Record, Table
from molweave.errors import UserError

_FIELD_LIMIT = 2**31 - 1
_HEADER_WORDS = ("smiles", "canonical_smiles", "smi")
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_SHORTEST_STRUCTURE = 5
_SMILES_LINE = re.compile(r"(\S+)(?:[ \t]+(\|[^|]*\|))?(?:[ \t]+(.*))?")


class DelimitedTable(Table):
    """Comma- or tab-separated text with a header line.

    A header that has no SMILES column when it is split at the delimiter of its file type, but has
    one when it is split at another common one (semicolon, tab, comma), is split at that one. A line
    ``sep=;`` above the header, as Excel reads it, names the delimiter. Quoted fields may hold
    delimiters and line ends. Every line that is not blank is a row; a blank line between rows is a
    row with a problem; blank lines at the end are nothing.
    """

    def __init__(self, source: Source, smiles_column: str | None = None) -> None:
        self.name = source.name
        self._source = source
        with source.text() as text:
            header = next((line for line in text if line.strip()), None)
        if header is None:
            raise UserError(f"{source.name}: the file is empty (blank lines only)")
        if csv.field_size_limit() < _FIELD_LIMIT:
            csv.field_size_limit(_FIELD_LIMIT)
        named = _SEPARATOR.fullmatch(header)
        self._above_header = named is not None
        if named is not None:
            self._delimiter = named[1]
        else:
            self._delimiter = _find_delimiter(header, _DELIMITERS[source.format], smiles_column)
        with source.text() as text:
            found = next(self._filled_rows(text), None)
            if found is None:
                raise UserError(f"{source.name}: no header below the line {header.strip()!r}")
            self.columns = name_columns(found[1])
        check_unique(self.columns, source.name)
        try:
            self.smiles_column = find_smiles_column(self.columns, smiles_column, source.name)
        except UserError as error:
            if not any(map(_is_structure, self.columns)):
                raise
            raise UserError(
                f"{source.name}: the first line holds data ({list_names(self.columns, 3)}); "
                "put a line with column names above it"
            ) from error

    def __iter__(self) -> Iterator[Record]:
        width = len(self.columns)
        position = self.columns.index(self.smiles_column)
        row = 0
        with self._source.text() as text:
            rows = self._filled_rows(text)
            next(rows)
            for blank, fields in rows:
                for _ in range(blank):
                    yield Record(row, ("",) * width, None, problem="empty line")
                    row += 1
                problem = None
                if len(fields) != width:
                    problem = f"{len(fields)} fields where the header has {width}"
                    fields = (fields + [""] * width)[:width]
                yield Record(row, tuple(fields), fields[position], problem=problem)
                row += 1

    def _filled_rows(self, text: TextIOWrapper) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not blank, the header first, each with the number of blanks before."""
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=self._delimiter)
        blank = 0
        start = 1
        above = self._above_header
        for fields in reader:
            if lines.ended:
                raise UserError(
                    f'{self.name}: line {start}: a quote (") opens in this row and is never closed'
                )
            start = reader.line_num + 1
            if not fields or (len(fields) == 1 and fields[0].isspace()):
                blank += 1
            elif above:
                above = False
            else:
                yield blank, fields
                blank = 0


def _find_delimiter(header: str, own: str, smiles_column: str | None) -> str:
    marks = [own, *(mark for mark in ",;\t" if mark != own)]
    there = [mark for mark in marks if mark in header]
    for mark in there:
        fields = next(csv.reader([header], delimiter=mark))
        if look_for_smiles(fields, smiles_column) is not None:
            return mark
    return there[0] if there else own


class _Lines:
    """The lines of a text; ``ended`` says whether one more was asked for than there are.

    The csv module asks for a line beyond the last one, and yet gives a row, only when that row ends
    inside a quoted field.
    """

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        yield from self._text
        self.ended = True


class SmilesFileTable(Table):
    """A SMILES file: on every line a SMILES, a blank, and a name that may be missing.

    The columns are ``smiles`` and ``name``. A first line whose first word is a usual column name
    (``smiles``, say) is a header and names the columns, of which there may be more: separated by
    tabs if it has tabs, else by blanks. A line without a tab behind its SMILES is split at blanks.
    What a line lacks is empty, what it has too much goes to the last column.
    """

    def __init__(self, source: Source, smiles_column: str | None = None) -> None:
        self.name = source.name
        self._source = source
        with source.text() as text:
            first = next(filter(None, map(str.strip, text)), "")
        _refuse_delimited(first, source.name)
        self._has_header = _is_header(first)
        by_tabs = self._has_header and "\t" in first and not first.split("\t")[0].split()[1:]
        self._mark = "\t" if by_tabs else None
        names = first.split(self._mark) if self._has_header else ["smiles"]
        self.columns = tuple(map(str.strip, names)) if len(names) > 1 else (names[0], "name")
        check_unique(self.columns, source.name)
        self.smiles_column = self.columns[0]
        if smiles_column is not None:
            self.smiles_column = find_smiles_column(self.columns, smiles_column, source.name)
        if self.smiles_column != self.columns[0]:
            raise UserError(
                f"{source.name}: in a SMILES file the first word of a line is the SMILES, not the "
                f"{self.smiles_column}; leave --smiles-column out (smiles_column= in Python)"
            )

    def __iter__(self) -> Iterator[Record]:
        row, blank = 0, 0
        width = len(self.columns)
        header = self._has_header
        with self._source.text() as text:
            for line in text:
                if not line.strip():
                    blank += not header
                    continue
                if header:
                    header = False
                    continue
                for _ in range(blank):
                    yield Record(row, ("",) * width, None, problem="empty line")
                    row += 1
                blank = 0
                values = self._split(line.rstrip("\n"))
                yield Record(row, (*values, *[""] * (width - len(values))), values[0])
                row += 1

    def _split(self, line: str) -> tuple[str, ...]:
        others = len(self.columns) - 1
        if self._mark is not None and self._mark in line:
            smiles, *rest = map(str.strip, line.split(self._mark, others))
            if not smiles or not _split_smiles_line(smiles)[1]:
                return smiles, *rest
        smiles, text = _split_smiles_line(line.strip())
        return smiles, *text.split(None, others - 1)


def _is_structure(text: str) -> bool:
    return len(text) >= _SHORTEST_STRUCTURE and parse_smiles(text) is not None


def _refuse_delimited(first: str, name: str) -> None:
    for mark in ",;":
        if mark in first and first.partition(mark)[0].strip().casefold() in _HEADER_WORDS:
            raise UserError(
                f"{name}: the first line, {first!r}, is the header of a table with {mark!r} "
                "between the columns, not of a SMILES file; rename the file to .csv"
            )


def _is_header(line: str) -> bool:
    words = line.split(maxsplit=1)
    return bool(words) and words[0].casefold() in _HEADER_WORDS


def _split_smiles_line(line: str) -> tuple[str, str]:
    match = _SMILES_LINE.fullmatch(line)
    if match is None:
        return line, ""
    smiles, extension, name = match.groups(default="")
    return (f"{smiles} {extension}" if extension else smiles), name
