"""The files of results: one row a run, appended as soon as the run has ended."""

import csv
import fcntl
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

COLUMNS = (
    "method",
    "preset",
    "pretrained",
    "dataset",
    "split",
    "seed",
    "metric",
    "valid",
    "test",
    "fit_seconds",
    "predict_seconds",
    "peak_rss_mb",
    "device",
    "version",
    "date",
    "command",
)
"""The columns of a file of results, see README.md."""

KEY = ("method", "preset", "pretrained", "dataset", "split", "seed")
"""What tells two runs apart."""

Row = Mapping[str, str]


def read_rows(path: Path, columns: Sequence[str] = COLUMNS) -> list[dict[str, str]]:
    """Every row of a file of results; none where the file does not exist.

    Raises:
        SystemExit: the file has other columns.
    """
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != tuple(columns):
            raise SystemExit(f"{path} is not a file of results: its columns are other ones")
        return list(reader)


def key_of(row: Row) -> tuple[str, ...]:
    """What tells the run of a row from all others."""
    return tuple(row[name] for name in KEY)


def append_row(path: Path, row: Row, columns: Sequence[str] = COLUMNS) -> None:
    """Add one row in one write: a stop leaves no half of it, two processes do not mix theirs."""
    if tuple(row) != tuple(columns):
        raise ValueError(f"a row needs the columns {columns}, found {tuple(row)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
        if not os.fstat(handle).st_size:
            writer.writeheader()
        writer.writerow(row)
        os.write(handle, text.getvalue().encode())
        os.fsync(handle)
    finally:
        os.close(handle)
