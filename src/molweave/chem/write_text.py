"""Writing delimited text."""

import csv
import gzip
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from io import BufferedWriter, TextIOBase, TextIOWrapper
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

_DIGITS = 6
_ALL_DIGITS = 17


class _ShortEnds:
    """Writes rows that end in a carriage return and a line feed without the former.

    The csv module quotes a field for a line end in it only if the character is in its own line end,
    and a lone carriage return that is not quoted would be read back as the end of the row.
    """

    def __init__(self, stream: TextIOBase) -> None:
        self._stream = stream

    def write(self, row: str) -> None:
        self._stream.write(row[:-2] + "\n")


class TextSink:
    """Delimited text on a stream, header first, lines ending in a line feed.

    Args:
        stream: where the text goes.
        stack: closes the stream and what is below it.
        columns: the column names.
        exact: positions of the columns whose floats are written in full.
        scales: positions of columns to how much their values vary, see `TableWriter`.
        delimiter: comma or tab.
    """

    def __init__(
        self,
        stream: TextIOBase,
        stack: ExitStack,
        columns: Sequence[str],
        exact: frozenset[int],
        scales: Mapping[int, float],
        delimiter: str,
    ) -> None:
        self._stream = stream
        self._stack = stack
        self._exact, self._scales = exact, scales
        self._writer = csv.writer(_ShortEnds(stream), delimiter=delimiter, lineterminator="\r\n")
        self._header = tuple(columns)
        self._started = False

    @classmethod
    def on_stdout(
        cls, columns: Sequence[str], exact: frozenset[int], scales: Mapping[int, float]
    ) -> Self:
        """Comma-separated text on standard output, which stays open; UTF-8 where it takes bytes."""
        sys.stdout.flush()
        stack = ExitStack()
        stream = cast("TextIOBase", sys.stdout)
        if hasattr(sys.stdout, "buffer"):
            stream = TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
            stack.callback(stream.detach)
        return cls(stream, stack, columns, exact, scales, ",")

    @classmethod
    def on_file(
        cls,
        path: Path,
        columns: Sequence[str],
        exact: frozenset[int],
        scales: Mapping[int, float],
        *,
        delimiter: str,
        zipped: bool,
    ) -> Self:
        """A new file; gzipped, it has no time stamp, so that equal rows give equal bytes."""
        stack = ExitStack()
        stream: BufferedWriter | gzip.GzipFile = stack.enter_context(path.open("xb"))
        if zipped:
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0)
            stream = stack.enter_context(packed)
        text = stack.enter_context(TextIOWrapper(stream, encoding="utf-8", newline=""))
        return cls(text, stack, columns, exact, scales, delimiter)

    def write(self, values: Sequence[object]) -> None:
        """Add a row."""
        self._start()
        self._writer.writerow(
            [
                value if isinstance(value, str) else self._text(position, value)
                for position, value in enumerate(values)
            ]
        )

    def _text(self, position: int, value: object) -> str:
        return _as_text(value, position in self._exact, self._scales.get(position, math.inf))

    def close(self) -> None:
        """Flush, and close what was opened here."""
        self._start()
        self._stream.flush()
        self._stack.close()

    def _start(self) -> None:
        """Write the header, once: nothing is on standard output before there is a row to follow."""
        if not self._started:
            self._writer.writerow(self._header)
            self._started = True

    def abandon(self) -> None:
        """Close what was opened here."""
        self._stack.close()


def _as_text(value: Any, exact: bool, scale: float) -> str:
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return repr(value) if exact else f"{value:.{_digits(value, scale)}g}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(_as_text(item, exact, scale) for item in value)}]"
    return str(value)


def _digits(value: float, scale: float) -> int:
    """Significant digits: six of what exceeds ``scale``, too."""
    if not 0 < scale < abs(value) < math.inf:
        return _DIGITS
    return min(_DIGITS + math.ceil(math.log10(abs(value) / scale)), _ALL_DIGITS)
