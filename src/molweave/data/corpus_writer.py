"""Writing a folder of shards so that a run killed at any moment can go on."""

import csv
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from molweave.chem.molecule import Rejected
from molweave.data.corpus import Place
from molweave.data.corpus_span import Draft
from molweave.data.manifest import (
    MANIFEST,
    PARTS,
    PROGRESS,
    Manifest,
    Origin,
    Span,
    write_whole,
)
from molweave.data.shard_file import ShardRows, write_shard
from molweave.errors import UserError
from molweave.paths import exists, is_folder, list_folder

REJECTS = "rejects.csv"
_REJECTS_HEADER = ("source", "row", "stage", "reason")
_SHARDS = tuple(
    name for part in PARTS for name in (f"{part}-[0-9]*.parquet", f".{part}-[0-9]*.parquet.tmp")
)


class CorpusWriter:
    """A folder of shards that is being written; a context manager.

    The corpus is cut into spans. The shards of a span are on disk before its line is added to the
    log ``progress.jsonl``, the first line of which is the origin. After the last span the manifest
    is written and the log removed. A new writer goes on after the last span that is sound: its
    line is whole, and its shards are as the line says.

    Args:
        folder: a new or empty folder, or that of an earlier run.
        origin: what decides the content.
        overwrite: whether to begin anew where an earlier run was.

    Attributes:
        folder: where the shards are.
        spans: what has been written.

    Raises:
        UserError: the folder holds something else, was begun from another origin, or cannot be
            written.
    """

    def __init__(self, folder: Path, origin: Origin, *, overwrite: bool = False) -> None:
        self.folder = folder
        self.spans: list[Span] = []
        self._origin = origin
        with ExitStack() as stack, self._explained():
            going_on = check_folder(folder) and not overwrite
            log_size = self._recover() if going_on else self._begin()
            self._log = stack.enter_context(_append_to(folder / PROGRESS, log_size))
            size = self.spans[-1].rejects_bytes if self.spans else 0
            self._rejects = stack.enter_context(_append_to(folder / REJECTS, size))
            text = TextIOWrapper(self._rejects, encoding="utf-8", newline="", write_through=True)
            self._table = csv.writer(stack.enter_context(text), lineterminator="\n")
            if not size:
                self._table.writerow(_REJECTS_HEADER)
            self._open = stack.pop_all()

    @property
    def place(self) -> Place:
        """Where in the corpus to go on."""
        return Place(self.spans[-1].file, self.spans[-1].row) if self.spans else Place()

    def written(self) -> Iterator[str]:
        """The canonical SMILES of every molecule in a shard."""
        for span in self.spans:
            for shard in span.shards:
                yield from ShardRows(self.folder / shard.file, shard).smiles.to_pylist()

    def reject(self, source: str, rejected: Rejected) -> None:
        """Add a line to the rejects file."""
        with self._explained():
            self._table.writerow((source, rejected.row, rejected.stage, rejected.reason))

    def commit(self, draft: Draft) -> None:
        """Write the shards of a span and log it: from here on it is not lost any more."""
        parts = [(part, [m for m in draft.molecules if m.part == part]) for part in PARTS]
        with self._explained():
            shards = tuple(
                write_shard(self.folder / self._shard_name(part), part, molecules, self._origin)
                for part, molecules in parts
                if molecules
            )
            _flush(self._rejects)
            span = Span(
                file=draft.place.file,
                row=draft.place.row,
                rows=draft.rows,
                rejected=dict(draft.rejected),
                coordinates=dict(draft.coordinates),
                unusable=draft.unusable,
                rejects_bytes=self._rejects.tell(),
                shards=shards,
            )
            self._log.write(_line(asdict(span)))
            _flush(self._log)
        self.spans.append(span)

    def finish(self) -> Manifest:
        """Write the manifest, which makes the corpus complete."""
        manifest = Manifest.of_spans(self._origin, self.spans)
        with self._explained():
            manifest.save(self.folder)
            self._open.close()
            (self.folder / PROGRESS).unlink()
        return manifest

    def _begin(self) -> int:
        """Start the log, then remove what an earlier run left; the size of the log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        line = _line(asdict(self._origin))
        write_whole(self.folder / PROGRESS, line)
        self._remove_others()
        return len(line)

    def _remove_others(self) -> None:
        """Remove the shards that are in no span, and a manifest, which speaks of another run."""
        kept = {shard.file for span in self.spans for shard in span.shards}
        for pattern in (MANIFEST, *_SHARDS):
            for path in self.folder.glob(pattern):
                if path.name not in kept:
                    path.unlink()

    def _recover(self) -> int:
        """Read the log up to the last sound span; the number of bytes up to there."""
        lines = (self.folder / PROGRESS).read_bytes().splitlines(keepends=True)
        check_origin(self.folder, read_origin(self.folder), self._origin)
        size = len(lines[0])
        for line in lines[1:]:
            span = self._read_span(line)
            if span is None:
                break
            self.spans.append(span)
            size += len(line)
        self._remove_others()
        return size

    def _read_span(self, line: bytes) -> Span | None:
        """The span of a line of the log; None where the line or what it tells of is not sound."""
        if not line.endswith(b"\n"):
            return None
        try:
            span = Span.from_json(json.loads(line))
            for shard in span.shards:
                if shard.file != self._shard_name(shard.part):
                    return None
                ShardRows(self.folder / shard.file, shard)
            sound = (self.folder / REJECTS).stat().st_size >= span.rejects_bytes
        except (ValueError, KeyError, TypeError, OSError, UserError):
            return None
        return span if sound else None

    def _shard_name(self, part: str) -> str:
        return f"{part}-{len(self.spans):05d}.parquet"

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self.folder}: cannot be written: {error.strerror or error}; make room or choose "
                "another place, then repeat the command: it goes on from here"
            ) from error

    def __enter__(self) -> Self:
        """The writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the files; where an input was refused before anything was done, remove them."""
        self._open.close()
        if isinstance(error, UserError) and not self.spans:
            for name in (PROGRESS, REJECTS):
                (self.folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                self.folder.rmdir()


def find_complete(folder: Path, origin: Origin) -> Manifest | None:
    """The manifest where a corpus of this origin is complete already; None where it is not.

    Raises:
        UserError: there is a complete corpus of another origin, or one of which a shard is gone or
            damaged.
    """
    if exists(folder / PROGRESS) or not exists(folder / MANIFEST):
        return None
    manifest = Manifest.load(folder)
    check_origin(folder, manifest.origin, origin)
    for shard in manifest.shards:
        ShardRows(folder / shard.file, shard)
    return manifest


def check_folder(folder: Path) -> bool:
    """Whether an earlier run left something in the folder.

    Raises:
        UserError: it is a file, or holds what is not ours or cannot be known as ours.
    """
    there = exists(folder)
    if there and not is_folder(folder):
        raise UserError(f"{folder}: is a file; give a folder")
    if exists(folder / PROGRESS):
        read_origin(folder)
        return True
    if exists(folder / MANIFEST):
        Manifest.load(folder)
        return True
    ours = {f".{PROGRESS}.tmp"}
    if there and any(path.name not in ours for path in list_folder(folder)):
        raise UserError(f"{folder}: holds other files; give a new or an empty folder")
    return False


def check_origin(folder: Path, before: Origin, now: Origin) -> None:
    """Raise a `UserError` that says what has changed, if anything."""
    changes = before.changes(now)
    if changes:
        raise UserError(
            f"{folder} was begun from something else: {'; '.join(changes)}; choose another folder, "
            "or begin anew with --overwrite"
        )


def read_origin(folder: Path) -> Origin:
    """The origin of a run that is not complete.

    Raises:
        UserError: the log is damaged.
    """
    path = folder / PROGRESS
    try:
        with path.open("rb") as stream:
            return Origin.from_json(json.loads(stream.readline()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged ({error!r}); choose another folder") from error


def _line(plain: Mapping[str, object]) -> bytes:
    return json.dumps(plain, allow_nan=False).encode() + b"\n"


def _flush(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _append_to(path: Path, size: int) -> BinaryIO:
    """Open a file that grows at ``size``, cutting off what is behind."""
    path.touch()
    stream = path.open("r+b")
    stream.truncate(size)
    stream.seek(size)
    return stream
