"""Tables in delimited text (CSV, TSV) and in SMILES files."""

import csv
import re
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from molweave.chem.columns import check_unique, find_smiles_column
from molweave.chem.files import Source
from molweave.chem.table import Record, Table
from molweave.errors import UserError

if TYPE_CHECKING:
    from _csv import Reader

_FIELD_LIMIT = 2**31 - 1
_DELIMITERS = {"csv": ",", "tsv": "\t"}
_SMILES_LINE = re.compile(r"(\S+)(?:[ \t]+(\|[^|]*\|))?(?:[ \t]+(.*))?")


class DelimitedTable(Table):
    """Comma- or tab-separated text with a header line.

    A header without the delimiter of its file type but with another common one (semicolon, tab,
    comma) is split at that one. Quoted fields may hold delimiters and line ends. Every line that is
    not blank is a row; a blank line between rows is a row with a problem; blank lines at the end
    are nothing.
    """

    def __init__(self, source: Source, smiles_column: str | None = None) -> None:
        self.name = source.name
        self._source = source
        with source.text() as text:
            header = next((line for line in text if line.strip()), None)
        if header is None:
            raise UserError(f"{source.name}: the file is empty")
        own = _DELIMITERS[source.format]
        others = [mark for mark in ",;\t" if mark != own and mark in header]
        self._delimiter = own if own in header or not others else others[0]
        with source.text() as text:
            self.columns = tuple(next(fields for fields in self._reader(text) if fields))
        check_unique(self.columns, source.name)
        self.smiles_column = find_smiles_column(self.columns, smiles_column, source.name)

    def __iter__(self) -> Iterator[Record]:
        width = len(self.columns)
        position = self.columns.index(self.smiles_column)
        with self._source.text() as text:
            rows = self._rows(text)
            next(fields for fields in rows if not _is_blank(fields))
            row, blank = 0, 0
            for fields in rows:
                if _is_blank(fields):
                    blank += 1
                    continue
                for _ in range(blank):
                    yield Record(row, ("",) * width, None, problem="empty line")
                    row += 1
                blank = 0
                problem = None
                if len(fields) != width:
                    problem = f"{len(fields)} fields where the header has {width}"
                    fields = (fields + [""] * width)[:width]
                yield Record(row, tuple(fields), fields[position], problem=problem)
                row += 1

    def _rows(self, text: IO[str]) -> Iterator[list[str]]:
        rows = self._reader(text)
        while True:
            start = rows.line_num + 1
            try:
                yield next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                raise UserError(f"{self.name}: line {start}: {error}") from error

    def _reader(self, text: IO[str]) -> "Reader":
        if csv.field_size_limit() < _FIELD_LIMIT:
            csv.field_size_limit(_FIELD_LIMIT)
        return csv.reader(text, delimiter=self._delimiter)


class SmilesFileTable(Table):
    """A SMILES file: on every line a SMILES, a blank, and a name that may be missing.

    The columns are ``smiles`` and ``name``. A first line whose first word is a usual column name
    (``smiles``, say) is taken for a header.
    """

    columns = ("smiles", "name")

    def __init__(self, source: Source, smiles_column: str | None = None) -> None:
        self.name = source.name
        self._source = source
        self.smiles_column = find_smiles_column(self.columns, smiles_column, source.name)

    def __iter__(self) -> Iterator[Record]:
        with self._source.text() as text:
            row, blank = 0, 0
            for number, line in enumerate(text):
                line = line.strip()
                if number == 0 and line.split(maxsplit=1)[:1] and _is_header(line):
                    continue
                if not line:
                    blank += 1
                    continue
                for _ in range(blank):
                    yield Record(row, ("", ""), None, problem="empty line")
                    row += 1
                blank = 0
                smiles, name = _split_smiles_line(line)
                yield Record(row, (smiles, name), smiles)
                row += 1


def _is_blank(fields: list[str]) -> bool:
    return not fields or (len(fields) == 1 and fields[0] != "" and not fields[0].strip())


def _is_header(line: str) -> bool:
    return line.split(maxsplit=1)[0].casefold() in ("smiles", "canonical_smiles", "smi")


def _split_smiles_line(line: str) -> tuple[str, str]:
    match = _SMILES_LINE.fullmatch(line)
    if match is None:
        return line, ""
    smiles, extension, name = match.groups(default="")
    return (f"{smiles} {extension}" if extension else smiles), name
