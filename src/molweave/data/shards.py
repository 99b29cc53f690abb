"""Reading a corpus for training: shuffled, shared by processes, resumable at every sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molweave.data.manifest import MANIFEST, PARTS, PROGRESS, Manifest, Shard
from molweave.data.shard_file import Sample, ShardRows
from molweave.errors import UserError
from molweave.paths import exists, is_file, is_folder

BUFFER = 200_000


@dataclass(frozen=True)
class Position:
    """How far the training is; two numbers that fit into any checkpoint.

    Attributes:
        epoch: 0, 1, 2, ...
        sample: molecules of the epoch that are used up, by all ranks together.
    """

    epoch: int = 0
    sample: int = 0


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which of the samples a process takes.

    Ranks take turns sample by sample; the workers of a rank take turns block by block of its
    samples. With ``block`` the batch size of a rank, its data loader therefore gives the same
    batches for every number of workers, and the ranks together use the same molecules in a step as
    one process with their batches in one.

    Attributes:
        rank: number of the process among those that train together.
        ranks: how many they are.
        worker: number of the data loader's worker process.
        workers: how many it has; 1 also where it has none.
        block: consecutive samples of the rank that one worker takes.
    """

    rank: int = 0
    ranks: int = 1
    worker: int = 0
    workers: int = 1
    block: int = 1

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not (0 <= self.rank < self.ranks and 0 <= self.worker < self.workers and self.block > 0):
            raise ValueError(f"no such share of the samples: {self}")

    def owns(self, samples: np.ndarray) -> np.ndarray:
        """Which samples this process takes (bool), counted from where the reading begins."""
        turns, rank = np.divmod(samples, self.ranks)
        mine: np.ndarray = (rank == self.rank) & (turns // self.block % self.workers == self.worker)
        return mine


class ShardedCorpus:
    """The molecules of a folder that `molweave.data.prepare.prepare` made.

    Nothing is read before it is needed, and every shard is compared with its checksum then.

    Args:
        folder: the corpus.
        buffer: molecules that are shuffled together, and that are in memory at a time; at least one
            shard.

    Attributes:
        folder: the corpus.
        manifest: what it says of itself.

    Raises:
        UserError: the folder is no complete corpus, or a shard is missing or empty.
    """

    def __init__(self, folder: str | Path, *, buffer: int = BUFFER) -> None:
        self.folder = Path(folder)
        self.manifest = _load_manifest(self.folder)
        self._buffer = buffer
        for shard in self.manifest.shards:
            path = self.folder / shard.file
            if not is_file(path):
                raise UserError(f"{path}: the shard is missing; copy the folder again")
            if not shard.rows or not path.stat().st_size:
                raise UserError(
                    f"{path}: the shard is empty; prepare the corpus again with --overwrite"
                )

    @property
    def placed(self) -> bool:
        """Whether any molecule has coordinates."""
        return any(shard.with_coordinates for shard in self.manifest.shards)

    def count(self, part: str = "train") -> int:
        """Number of molecules of a part."""
        return sum(shard.rows for shard in self._shards(part))

    def train(
        self, *, seed: int, position: Position | None = None, share: Share | None = None
    ) -> Iterator[Sample]:
        """The rest of an epoch of the training part, shuffled.

        The order is a function of seed and epoch: the shards are permuted and cut into groups of
        like size that fit into the buffer, and the molecules of a group are permuted. What is
        before ``position`` is not read, but for the group in which it lies.

        All shares together give every molecule once, but for the last ones of the order, fewer than
        there are ranks, so that all ranks make the same number of steps.

        Args:
            seed: of the run, not negative.
            position: where to go on; the start of epoch 0 if None.
            share: of this process; everything if None.

        Raises:
            UserError: a shard cannot be read, or is not the one of the manifest.
        """
        position = position or Position()
        share = share or Share()
        shards = self._shards("train")
        count = self.count("train")
        end = count - max(0, count - position.sample) % share.ranks
        rng = np.random.default_rng([seed, position.epoch])
        groups = _group([shards[index] for index in rng.permutation(len(shards))], self._buffer)
        first = 0
        for number, group in enumerate(groups):
            size = sum(shard.rows for shard in group)
            order = np.arange(max(first, position.sample), min(first + size, end))
            own = order[share.owns(order - position.sample)]
            if len(own):
                mixed = np.random.default_rng([seed, position.epoch, number]).permutation(size)
                yield from self._read(group, mixed[own - first])
            first += size

    def valid(self, *, share: Share | None = None) -> Iterator[Sample]:
        """The validation part in the order of the input; all shares give every molecule once.

        Raises:
            UserError: a shard cannot be read, or is not the one of the manifest.
        """
        share = share or Share()
        first = 0
        for shard in self._shards("valid"):
            own = np.flatnonzero(share.owns(np.arange(first, first + shard.rows)))
            if len(own):
                yield from self._read([shard], own)
            first += shard.rows

    def _shards(self, part: str) -> list[Shard]:
        if part not in PARTS:
            raise ValueError(f"no part {part!r}; there are {', '.join(PARTS)}")
        return [shard for shard in self.manifest.shards if shard.part == part]

    def _read(self, group: list[Shard], rows: np.ndarray) -> Iterator[Sample]:
        """The molecules at these rows of some shards, counted through."""
        loaded = [ShardRows(self.folder / shard.file, shard) for shard in group]
        ends = np.cumsum([len(shard) for shard in loaded])
        numbers = np.searchsorted(ends, rows, side="right")
        for number, row in zip(numbers.tolist(), rows.tolist(), strict=True):
            yield loaded[number][row - int(ends[number]) + len(loaded[number])]


def _load_manifest(folder: Path) -> Manifest:
    if not is_folder(folder):
        raise UserError(f"{folder}: no such folder; make it with molweave prepare")
    if exists(folder / PROGRESS):
        raise UserError(
            f"{folder}: the corpus is not complete; repeat the molweave prepare command, which "
            "goes on where it stopped"
        )
    if not exists(folder / MANIFEST):
        raise UserError(f"{folder}: not a corpus, no {MANIFEST}; make it with molweave prepare")
    return Manifest.load(folder)


def _group(shards: list[Shard], buffer: int) -> list[list[Shard]]:
    """Cut a list of shards into as few stretches of like size as hold at most ``buffer`` molecules.

    A shard that is larger is a stretch of its own. A short last stretch would end every epoch with
    molecules of one origin.
    """
    total = sum(shard.rows for shard in shards)
    for count in range(max(1, -(-total // buffer)), len(shards)):
        groups = _cut(shards, count)
        if all(len(group) == 1 or sum(s.rows for s in group) <= buffer for group in groups):
            return groups
    return [[shard] for shard in shards]


def _cut(shards: list[Shard], count: int) -> list[list[Shard]]:
    """Cut a list of shards into ``count`` stretches of like size, fewer if some would be empty."""
    total = sum(shard.rows for shard in shards)
    groups: list[list[Shard]] = [[] for _ in range(count)]
    before = 0.0
    for shard in shards:
        groups[int((before + shard.rows / 2) * count / total)].append(shard)
        before += shard.rows
    return [group for group in groups if group]
