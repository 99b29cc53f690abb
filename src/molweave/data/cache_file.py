"""The SQLite file below the conformer cache: where it is, how it is opened, what can go wrong."""

import logging
import os
import sqlite3
import sys
import time
from pathlib import Path

from molweave.errors import UserError
from molweave.paths import is_file, is_folder

logger = logging.getLogger(__name__)

FILE_NAME = "conformers.sqlite"

_FORMAT = 1
_HEADER = b"SQLite format 3\x00"
_BUSY_SECONDS = 60.0
_RETRY_SECONDS = 0.05
_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS conformers (
    settings INTEGER NOT NULL,
    canonical TEXT NOT NULL,
    origin TEXT NOT NULL,
    failure TEXT,
    coordinates BLOB,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (settings, canonical)
) WITHOUT ROWID
"""
_ELSEWHERE = "set MOLWEAVE_CACHE to a file or folder that can be written"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REASONS = {
    sqlite3.SQLITE_CORRUPT: "it is damaged",
    sqlite3.SQLITE_NOTADB: "it is damaged",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened for writing",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_BUSY: f"another process has held it for {_BUSY_SECONDS:g} s",
    sqlite3.SQLITE_LOCKED: f"another process has held it for {_BUSY_SECONDS:g} s",
}


def default_cache_path() -> Path:
    """Where conformers are kept: ``$MOLWEAVE_CACHE`` (a file or a folder), else the user's cache.

    The user's cache is ``$XDG_CACHE_HOME`` or ``~/.cache`` on Linux, ``~/Library/Caches`` on macOS
    and ``%LOCALAPPDATA%`` on Windows, each with ``molweave/conformers.sqlite`` below it.

    Raises:
        UserError: it is in a home directory that is not known.
    """
    chosen = os.environ.get("MOLWEAVE_CACHE")
    if chosen:
        path = _expand(chosen)
        return path / FILE_NAME if is_folder(path) or not path.suffix else path
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expand(base) / "molweave" / FILE_NAME


def _expand(place: str) -> Path:
    try:
        return Path(place).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"the conformer cache would be in {place}, and there is no such home directory; "
            f"{_ELSEWHERE}"
        ) from error


def open_database(path: Path) -> sqlite3.Connection:
    """Open the file for reading and writing, and create it and its tables when there are none.

    Raises:
        UserError: when it is something else than a conformer cache, or of another version.
        sqlite3.DatabaseError: see `is_damaged` and `explain`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the folder of the conformer cache {path} cannot be made ({error.strerror}): "
            f"{_ELSEWHERE}"
        ) from error
    _refuse_foreign_file(path)
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        database = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(path, database)
            return database
        except BaseException as error:
            database.close()
            # Two processes that switch a new file to WAL at once do not wait for each other.
            if not _has_code(error, _BUSY) or time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_SECONDS)


def _refuse_foreign_file(path: Path) -> None:
    """A damaged cache is moved aside, but never a table of the user named by mistake."""
    if path.suffix in (".sqlite", ".sqlite3", ".db") or not is_file(path):
        return
    with path.open("rb") as stream:
        start = stream.read(len(_HEADER))
    if start and start != _HEADER:
        raise UserError(f"{path} is not a conformer cache: {_ELSEWHERE}")


def _prepare(path: Path, database: sqlite3.Connection) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version not in (0, _FORMAT) or (version == 0 and tables):
        found = f"format {version}" if version else "tables of another program"
        raise UserError(f"{path} is not a conformer cache of this version ({found}): {_ELSEWHERE}")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if version == 0:
        database.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_FORMAT}")
        database.execute("COMMIT")
    elif tables == 0:
        raise UserError(f"{path} has lost its tables: delete it")


def _has_code(error: BaseException, codes: tuple[int, ...]) -> bool:
    return isinstance(error, sqlite3.Error) and _code(error) in codes


def _code(error: sqlite3.Error) -> int:
    """The primary result code of SQLite: the low byte of the extended one."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether the error means that the content of the file is broken."""
    return _has_code(error, _DAMAGED)


def explain(path: Path, error: sqlite3.Error) -> Exception:
    """The error as something the user can mend; unchanged when it is a bug."""
    reason = _REASONS.get(_code(error))
    if reason is None:
        return error
    return UserError(f"the conformer cache {path} cannot be used, {reason}: {_ELSEWHERE}")


def move_aside(path: Path, error: sqlite3.Error) -> None:
    """Rename a damaged file, unless another process has done so by now.

    Raises:
        UserError: when it cannot be renamed.
    """
    if _is_sound(path):
        return
    target = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    logger.warning(
        "the conformer cache %s is damaged (%s): moved to %s, a new one is begun",
        path,
        error,
        target.name,
    )
    try:
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        path.rename(target)
    except FileNotFoundError:
        return
    except OSError as problem:
        raise UserError(
            f"the conformer cache {path} is damaged and cannot be moved ({problem.strerror}): "
            "end what uses it and delete it"
        ) from problem


def _is_sound(path: Path) -> bool:
    try:
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        try:
            return bool(database.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",))
        finally:
            database.close()
    except sqlite3.DatabaseError as error:
        return not is_damaged(error)
