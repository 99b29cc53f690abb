"""From a corpus of molecules to shards for pre-training."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from molweave.chem.conformers import COORDINATE_SOURCES, ConformerSettings
from molweave.chem.read import open_table
from molweave.chem.standardize import Standardizer
from molweave.data.cache import ConformerCache
from molweave.data.corpus import describe_file, estimate_rows, find_files, find_unread, read_rows
from molweave.data.corpus_span import Draft, add_coordinates, read_draft
from molweave.data.corpus_writer import REJECTS, CorpusWriter, find_complete
from molweave.data.excluded import read_excluded
from molweave.data.manifest import Manifest, Origin
from molweave.data.sieve import Sieve
from molweave.errors import UserError
from molweave.events import Progress

_LIBRARIES = ("molweave", "rdkit", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """What decides the content of the shards, besides the corpus.

    Attributes:
        conformers: ``input`` takes the coordinates of the input where it has some and generates the
            others; ``generate`` always generates; ``none`` writes no coordinates.
        shard_size: molecules of a span, which becomes one training and one validation shard.
        valid_share: share of the molecules that is held out for validation, by `choose_part`.
        standardize: name of the standardiser.
        conformer: how conformers are generated.

    Raises:
        UserError: when a value makes no sense.
    """

    conformers: str = "input"
    shard_size: int = 10_000
    valid_share: float = 0.02
    standardize: str = "default"
    conformer: ConformerSettings = field(default_factory=ConformerSettings)

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.conformers not in COORDINATE_SOURCES:
            known = ", ".join(COORDINATE_SOURCES)
            raise UserError(f"conformers is one of {known}; found {self.conformers!r}")
        if self.shard_size < 1:
            raise UserError(f"shard_size is {self.shard_size}: use 1 or more")
        if not 0 <= self.valid_share < 1:
            raise UserError(f"the validation share is {self.valid_share}: use 0 or more, below 1")

    def to_json(self) -> dict[str, Any]:
        """Name to value, with the version of the standardiser and the key of the conformers."""
        return {
            "conformers": self.conformers,
            "shard_size": self.shard_size,
            "valid_share": self.valid_share,
            "standardizer": Standardizer(self.standardize).version,
            "conformer": None if self.conformers == "none" else self.conformer.key,
        }


@dataclass(frozen=True)
class PrepareResult:
    """What became of a corpus.

    Attributes:
        manifest: of the complete folder.
        resumed: rows that an earlier run had done.
        seconds: wall time of this run.
        skipped: excluded file to the number of its rows that are no molecules and excluded
            nothing; empty where nothing was left to do.
        unread: names in the folder of the corpus that were passed over: no tables of molecules.
    """

    manifest: Manifest
    resumed: int
    seconds: float
    skipped: Mapping[str, int] = field(default_factory=dict)
    unread: tuple[str, ...] = ()


def prepare(
    corpus: str | Path,
    out: str | Path,
    *,
    exclude: Sequence[str | Path] = (),
    smiles_column: str | None = None,
    settings: PrepareSettings | None = None,
    workers: int = 0,
    overwrite: bool = False,
    cache: ConformerCache | None = None,
    progress: Progress | None = None,
) -> PrepareResult:
    """Write a corpus as shards: standardised, each molecule once, with coordinates.

    The molecules keep the order of the input. Every row that is left out is in ``rejects.csv``
    (source, row, stage, reason). An interrupted run goes on where it stopped when it is called
    again, and ends with the same bytes; on a complete folder it does nothing.

    Args:
        corpus: a table of molecules or a folder of such tables, read in the order of their names. A
            Parquet file may have the column `molweave.chem.read_parquet.COORDINATES`.
        out: folder of the shards.
        exclude: tables whose molecules are left out, recognised by the first block of the InChIKey
            of the molecule or of its largest fragment.
        smiles_column: column of the corpus with the SMILES, and of tables in ``exclude`` that have
            none of a usual name; None looks for a usual name.
        settings: see `PrepareSettings`.
        workers: processes that generate conformers, 0 for one per core; they do not change the
            result.
        overwrite: whether to begin anew where an earlier run was.
        cache: where conformers are kept; None for the default place, opened when needed.
        progress: told the rows done and an estimate of all, both counted from where the run goes
            on, at least after every span.

    Raises:
        UserError: an input cannot be read, the folder cannot be written or holds something else,
            corpus or settings have changed since it was begun, or no molecule is left.
    """
    started = time.monotonic()
    settings = settings or PrepareSettings()
    files = find_files(corpus)
    excluded_files = [Path(path) for path in exclude]
    origin = _describe_run(settings, smiles_column, files, excluded_files)
    folder = Path(out)
    unread = find_unread(corpus, files, folder)
    complete = None if overwrite else find_complete(folder, origin)
    if complete is not None:
        seconds = time.monotonic() - started
        return PrepareResult(complete, complete.rows, seconds, unread=unread)
    standardizer = Standardizer(settings.standardize)
    excluded = read_excluded(excluded_files, standardizer, smiles_column=smiles_column)
    sieve = Sieve(standardizer, excluded, settings.valid_share)
    total = sum(map(estimate_rows, files))
    for path in files:
        open_table(path, smiles_column=smiles_column)
    with CorpusWriter(folder, origin, overwrite=overwrite) as writer:
        resumed = sum(span.rows for span in writer.spans)
        sieve.remember(writer.written())
        report = _Report(progress, total - resumed)
        rows = read_rows(files, smiles_column=smiles_column, start=writer.place)
        while draft := read_draft(rows, sieve, settings.shard_size, writer.reject):
            report.span(draft.rows)
            _commit(draft, writer, settings, workers=workers, cache=cache, report=report)
        if not writer.spans:
            raise UserError(f"{corpus}: no molecule to write; it has no rows")
        if not any(span.shards for span in writer.spans):
            raise _nothing_left(corpus, folder)
        manifest = writer.finish()
    report.end()
    seconds = time.monotonic() - started
    return PrepareResult(manifest, resumed, seconds, excluded.skipped, unread)


def _nothing_left(corpus: str | Path, folder: Path) -> UserError:
    return UserError(
        f"{corpus}: no molecule is left; see {folder / REJECTS}, then begin anew with --overwrite"
    )


def _describe_run(
    settings: PrepareSettings,
    smiles_column: str | None,
    files: Sequence[Path],
    excluded: Sequence[Path],
) -> Origin:
    return Origin(
        settings={**settings.to_json(), "smiles_column": smiles_column},
        versions={name: version(name) for name in _LIBRARIES},
        corpus=tuple(map(describe_file, files)),
        exclude=tuple(map(describe_file, excluded)),
    )


class _Report:
    """Turns the progress of a span into that of the run."""

    def __init__(self, progress: Progress | None, estimate: int) -> None:
        self._progress = progress
        self._estimate = estimate
        self._before = self._rows = 0

    def span(self, rows: int) -> None:
        """A span of so many rows begins."""
        self._before += self._rows
        self._rows = rows

    def __call__(self, done: int, total: int) -> None:
        """So many of the conformers of the span are there."""
        rows = self._before + self._rows * done // max(1, total)
        self._tell(rows, max(self._estimate, self._before + self._rows))

    def end(self) -> None:
        """The estimate gives way to the truth."""
        rows = self._before + self._rows
        self._tell(rows, rows)

    def _tell(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)


def _commit(
    draft: Draft,
    writer: CorpusWriter,
    settings: PrepareSettings,
    *,
    workers: int,
    cache: ConformerCache | None,
    report: _Report,
) -> None:
    """Give the molecules coordinates and write them."""
    add_coordinates(
        draft,
        settings.conformers,
        settings.conformer,
        workers=workers or os.cpu_count() or 1,
        cache=cache,
        progress=report,
    )
    writer.commit(draft)
    report(1, 1)
