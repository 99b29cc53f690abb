"""Conformers on disk: made once, shared by every run and process."""

import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from molweave.chem.conformers import Conformer, ConformerSettings, generate_conformers
from molweave.chem.smiles import atom_symbols
from molweave.data.cache_file import (
    default_cache_path,
    explain,
    is_damaged,
    move_aside,
    open_database,
)
from molweave.events import Progress

_CHUNK = 500
_COMMIT_RESULTS = 50
_COMMIT_SECONDS = 5.0
_SELECT = """
SELECT canonical, origin, failure, coordinates, checksum FROM conformers
WHERE settings = (SELECT id FROM settings WHERE key = ?) AND canonical IN
"""

Row = tuple[str, str, str | None, bytes | None, int]
"""``canonical, origin, failure, coordinates, checksum`` of one stored conformer."""

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class CacheStats:
    """What a cache holds.

    Attributes:
        path: its file.
        entries: conformers of all settings, the failed ones included.
        failures: how many of them say that a molecule has no conformer.
        bytes: size on disk.
    """

    path: Path
    entries: int
    failures: int
    bytes: int


class ConformerCache:
    """Conformers in one SQLite file, keyed by canonical SMILES, settings and algorithm version.

    Any number of processes may use one file; a kill at any time loses at most what was not yet
    written. An entry whose checksum or number of atoms is wrong counts as missing. A damaged file
    is renamed to ``*.damaged-<time>`` with a warning, and a new one begun. A context manager.

    Args:
        path: the file; by default `default_cache_path`.

    Raises:
        UserError: here and in every method, when the file cannot be written, or is something else
            than a conformer cache.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self.path = path if path is not None else default_cache_path()
        self._do(lambda _: None)

    def get_many(
        self, canonical: Sequence[str], settings: ConformerSettings
    ) -> dict[str, Conformer]:
        """The stored conformers of these molecules, without those that have no sound entry."""

        def select(database: sqlite3.Connection) -> dict[str, Conformer]:
            found: dict[str, Conformer] = {}
            for start in range(0, len(canonical), _CHUNK):
                chunk = canonical[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                rows = database.execute(f"{_SELECT} ({marks})", (settings.key, *chunk))
                for row in rows:
                    conformer = _unpack(row)
                    if conformer is not None:
                        found[row[0]] = conformer
            return found

        return self._do(select)

    def put_many(self, items: Iterable[tuple[str, Conformer]], settings: ConformerSettings) -> None:
        """Store conformers, all or none, replacing older entries.

        A failure is stored too, a time-out included: with the same settings it would cost the same
        time again. One from a dead worker process is not, for another try may succeed.
        """
        rows = [_pack(name, conformer) for name, conformer in items if not conformer.transient]

        def insert(database: sqlite3.Connection) -> None:
            database.execute("BEGIN IMMEDIATE")
            try:
                database.execute("INSERT OR IGNORE INTO settings (key) VALUES (?)", (settings.key,))
                (number,) = database.execute(
                    "SELECT id FROM settings WHERE key = ?", (settings.key,)
                ).fetchone()
                database.executemany(
                    "INSERT OR REPLACE INTO conformers (settings, canonical, origin, failure, "
                    "coordinates, checksum) VALUES (?, ?, ?, ?, ?, ?)",
                    [(number, *row) for row in rows],
                )
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

        self._do(insert)

    def stats(self) -> CacheStats:
        """How much is stored, and where."""
        entries, failures = self._do(
            lambda database: database.execute(
                "SELECT count(*), count(failure) FROM conformers"
            ).fetchone()
        )
        parts = [self.path, Path(f"{self.path}-wal")]
        size = sum(part.stat().st_size for part in parts if part.exists())
        return CacheStats(path=self.path, entries=entries, failures=failures, bytes=size)

    def close(self) -> None:
        """Let go of the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        """Let go of the file."""
        self.close()

    def __enter__(self) -> Self:
        """The cache itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of the file."""
        self.close()

    def _do(self, operation: Callable[[sqlite3.Connection], ResultT]) -> ResultT:
        """Run ``operation``, once more with a new file when this one turns out to be damaged."""
        with self._lock:
            for repeated in (False, True):
                try:
                    return operation(self._connect())
                except sqlite3.DatabaseError as error:
                    self.close()
                    if repeated or not is_damaged(error):
                        raise explain(self.path, error) from error
                    move_aside(self.path, error)
        raise AssertionError("the second try returns or raises")

    def _connect(self) -> sqlite3.Connection:
        # A connection must not be used on the other side of a fork.
        if self._connection is None or self._process != os.getpid():
            self._connection = open_database(self.path)
            self._process = os.getpid()
        return self._connection


def load_conformers(
    canonical: Sequence[str],
    settings: ConformerSettings,
    *,
    cache: ConformerCache,
    workers: int,
    progress: Progress | None = None,
) -> dict[str, Conformer]:
    """The conformers of many molecules, from the cache or else made and stored.

    New ones are written every 50 results or 5 seconds and when the loop ends for any reason, so
    that an interrupted run goes on where it stopped.

    Args:
        canonical: canonical SMILES, repeats allowed.
        settings: see `ConformerSettings`.
        cache: where to look and to store.
        workers: how many processes make the missing ones.
        progress: called with how many different molecules are done, and how many there are.

    Returns:
        One conformer per different SMILES, in the order of their first appearance.

    Raises:
        UserError: when the cache cannot be used, or ``workers`` is below 1.
        MolweaveError: when a worker process cannot be started.
    """
    names = list(dict.fromkeys(canonical))
    found = cache.get_many(names, settings)
    missing = [name for name in names if name not in found]
    report = progress or (lambda _done, _total: None)
    report(len(found), len(names))
    waiting: list[tuple[str, Conformer]] = []
    written = time.monotonic()
    results = generate_conformers(missing, settings, workers=workers)
    try:
        for name, conformer in results:
            found[name] = conformer
            waiting.append((name, conformer))
            report(len(found), len(names))
            if len(waiting) >= _COMMIT_RESULTS or time.monotonic() - written > _COMMIT_SECONDS:
                cache.put_many(waiting, settings)
                waiting = []
                written = time.monotonic()
    finally:
        results.close()
        if waiting:
            cache.put_many(waiting, settings)
    return {name: found[name] for name in names}


def _pack(canonical: str, conformer: Conformer) -> Row:
    points = conformer.coordinates
    blob = None if points is None else np.ascontiguousarray(points, dtype="<f4").tobytes()
    checksum = _checksum(canonical, conformer.origin, conformer.failure, blob)
    return canonical, conformer.origin, conformer.failure, blob, checksum


def _unpack(row: tuple[Any, ...]) -> Conformer | None:
    """The stored conformer; None when the entry is not sound, whatever the file holds."""
    canonical, origin, failure, blob, checksum = row
    if not isinstance(blob, bytes | None):
        return None
    if checksum != _checksum(canonical, origin, failure, blob):
        return None
    if blob is None:
        return Conformer(coordinates=None, origin=origin, failure=failure) if failure else None
    low, high = _atom_bounds(canonical)
    points = np.frombuffer(blob, dtype="<f4").astype(np.float32)
    if points.size % 3 or not low <= points.size // 3 <= high:
        return None
    return Conformer(coordinates=points.reshape(-1, 3), origin=origin, failure=failure)


def _checksum(canonical: str, origin: str, failure: str | None, blob: bytes | None) -> int:
    return zlib.crc32(blob or b"", zlib.crc32(json.dumps([canonical, origin, failure]).encode()))


def _atom_bounds(canonical: str) -> tuple[int, int]:
    """Least and most atoms of a SMILES: RDKit keeps some hydrogens in brackets, not others."""
    symbols = atom_symbols(canonical)
    return len(symbols) - sum(symbol == "[H]" for symbol in symbols), len(symbols)
