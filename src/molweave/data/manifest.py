"""What a folder of shards says of itself: where it came from, its parts, counts and checksums."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from molweave.errors import UserError

MANIFEST = "manifest.json"
PROGRESS = "progress.jsonl"
"""The log of a run; where it exists, the folder is not complete."""

PARTS = ("train", "valid")
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """An input file: its name without the folder, its size and its SHA-256."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Everything that decides the content of the shards.

    Attributes:
        settings: name to value, in the types of JSON.
        versions: library name to version.
        corpus: the files with the molecules, in the order they are read.
        exclude: the files whose molecules are left out.
    """

    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    corpus: tuple[FileRecord, ...]
    exclude: tuple[FileRecord, ...]

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `asdict`."""
        return cls(
            settings=plain["settings"],
            versions=plain["versions"],
            corpus=tuple(FileRecord(**item) for item in plain["corpus"]),
            exclude=tuple(FileRecord(**item) for item in plain["exclude"]),
        )

    def changes(self, now: "Origin") -> list[str]:
        """What differs ``now``, in words; empty when nothing does."""
        return [
            *changed_values(self.settings, now.settings),
            *changed_values(self.versions, now.versions),
            *_changed_files(self.corpus, now.corpus, "corpus file"),
            *_changed_files(self.exclude, now.exclude, "excluded file"),
        ]


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A Parquet file of molecules.

    Attributes:
        file: its name.
        part: ``train`` or ``valid``.
        rows: how many molecules.
        with_coordinates: how many of them have coordinates.
        sha256: of the file.
    """

    file: str
    part: str
    rows: int
    with_coordinates: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of the corpus that has been written: a line of the log.

    Attributes:
        file: number of the file where the next span begins.
        row: the row there.
        rows: rows read.
        rejected: reason to number of rows left out.
        coordinates: origin of the coordinates to number of molecules.
        unusable: given coordinates that do not fit their structure.
        rejects_bytes: size of the rejects file so far.
        shards: what was written: the training part, the validation part, or one of them.
    """

    file: int
    row: int
    rows: int
    rejected: Mapping[str, int]
    coordinates: Mapping[str, int]
    unusable: int
    rejects_bytes: int
    shards: tuple[Shard, ...]

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """The inverse of `asdict`."""
        return cls(**{**plain, "shards": tuple(Shard(**item) for item in plain["shards"])})


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A complete corpus.

    Attributes:
        origin: what it was made of, and how.
        rows: rows of the input; each is a molecule of a shard or a line of the rejects file.
        rejected: reason to number of rows left out, the most frequent first.
        coordinates: origin of the coordinates to number of molecules, the most frequent first.
        unusable: given coordinates that do not fit their structure.
        shards: in the order of the input.
    """

    origin: Origin
    rows: int
    rejected: Mapping[str, int]
    coordinates: Mapping[str, int]
    unusable: int
    shards: tuple[Shard, ...]

    @classmethod
    def of_spans(cls, origin: Origin, spans: Iterable[Span]) -> Self:
        """The sum of all spans."""
        spans = tuple(spans)
        return cls(
            origin=origin,
            rows=sum(span.rows for span in spans),
            rejected=_sum(span.rejected for span in spans),
            coordinates=_sum(span.coordinates for span in spans),
            unusable=sum(span.unusable for span in spans),
            shards=tuple(shard for span in spans for shard in span.shards),
        )

    def molecules(self, part: str) -> int:
        """Number of molecules of a part."""
        return sum(shard.rows for shard in self.shards if shard.part == part)

    def to_json(self) -> dict[str, Any]:
        """Every field and the number of molecules of each part, in the types of JSON."""
        plain = asdict(self)
        origin = plain.pop("origin")
        molecules = {part: self.molecules(part) for part in PARTS}
        return {"format": FORMAT, **origin, "molecules": molecules, **plain}

    def save(self, folder: Path) -> None:
        """Write ``manifest.json``: the new one as a whole, or nothing."""
        text = json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
        write_whole(folder / MANIFEST, text.encode())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``manifest.json``.

        Raises:
            UserError: there is none, it is damaged, or of another format version.
        """
        path = folder / MANIFEST
        try:
            plain = json.loads(path.read_text(encoding="utf-8"))
            if plain["format"] != FORMAT:
                raise UserError(
                    f"{path}: format {plain['format']}, this molweave reads {FORMAT}; prepare the "
                    "corpus anew in another folder"
                )
            shards = tuple(Shard(**item) for item in plain["shards"])
            if not all(isinstance(shard.rows, int) for shard in shards):
                raise TypeError("the rows of a shard are no number")
            if "standardizer" not in plain["settings"]:
                raise KeyError("standardizer")
            return cls(
                origin=Origin.from_json(plain),
                **{name: plain[name] for name in ("rows", "rejected", "coordinates", "unusable")},
                shards=shards,
            )
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: damaged ({error!r}); prepare the corpus anew in another folder"
            ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, through a temporary one beside it, so that a kill leaves the old or the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total.most_common())


def changed_values(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Every name whose value is another one now, in words."""
    names = dict.fromkeys((*before, *now))
    return [
        f"{name} was {before.get(name)}, is {now.get(name)}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def _changed_files(
    before: tuple[FileRecord, ...], now: tuple[FileRecord, ...], kind: str
) -> list[str]:
    if before == now:
        return []
    old, new = ({record.name: record for record in records} for records in (before, now))
    return [
        *(f"{kind} {name} is no longer given" for name in old if name not in new),
        *(f"{kind} {name} is new" for name in new if name not in old),
        *(f"{kind} {name} has changed" for name in new if name in old and new[name] != old[name]),
    ] or [f"the {kind}s come in another order"]
