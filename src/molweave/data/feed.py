"""From a corpus on disk to the batches of a pre-training: bucketed, featurised, resumable."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from typing import Self

import numpy as np
from rdkit import Chem, rdBase

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.chem.smiles import atom_symbols
from molweave.data.ahead import Ahead
from molweave.data.batch import Batch, Samples, collate
from molweave.data.dataset import make_modalities
from molweave.data.shard_file import Sample
from molweave.data.shards import Position, ShardedCorpus
from molweave.errors import UserError

WINDOW = 32
"""Steps whose molecules are bucketed by size together."""


class Feed:
    """The batches of every step of a pre-training, a function of corpus and seed only.

    The order of `ShardedCorpus.train` is cut into windows of `WINDOW` steps; a window is cut into
    the micro-batches of its steps, by size where ``bucket`` says so, and these are shuffled. Ranks
    share every micro-batch, so that together they see what one process would. The last molecules
    of an epoch, fewer than a step needs, are left out. Where molecules with too many atoms leave a
    window short of two for every rank and micro-batch, some of the others come twice.

    Args:
        corpus: the shards.
        modalities: names of the views to make.
        batch_size: molecules of an optimiser step, of all ranks together.
        accumulate: micro-batches that a step is cut into.
        seed: of the order.
        bucket: put molecules of similar size into a micro-batch.
        max_atoms: molecules of more heavy atoms are left out.
        workers: processes that featurise ahead inside of `working`; 0 to do it in this one.
        rank: number of this process among those that train together.
        ranks: how many they are.

    Attributes:
        steps_per_epoch: optimiser steps.
        drawn: molecules of the training part that have been drawn so far.
        left_out: those of them that have more than ``max_atoms``.

    Raises:
        UserError: the corpus has too few molecules for a step.
    """

    def __init__(
        self,
        corpus: ShardedCorpus,
        modalities: Sequence[str],
        *,
        batch_size: int,
        accumulate: int = 1,
        seed: int = 0,
        bucket: bool = True,
        max_atoms: int = 128,
        workers: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.corpus, self.names = corpus, tuple(modalities)
        self.modalities = make_modalities(self.names)
        self.batch_size, self.accumulate, self.seed = batch_size, accumulate, seed
        self.bucket, self.max_atoms, self.workers = bucket, max_atoms, workers
        self.rank, self.ranks = rank, ranks
        self.drawn = self.left_out = 0
        self._ahead: Ahead | None = None
        self.steps_per_epoch = corpus.count("train") // batch_size
        if not self.steps_per_epoch:
            raise UserError(
                f"{corpus.folder} has {corpus.count('train')} molecules to train on, fewer than "
                f"batch_size {batch_size}; lower batch_size"
            )
        if batch_size < 2 * accumulate * ranks:
            raise UserError(
                f"batch_size {batch_size} is too small for {accumulate} micro-batches in each of "
                f"{ranks} processes; every one needs two molecules"
            )

    @contextmanager
    def working(self) -> Iterator[Self]:
        """Have the workers ready inside of it, the same for training and validation."""
        with Ahead(self.workers) if self.workers else nullcontext() as self._ahead:
            try:
                yield self
            finally:
                self._ahead = None

    def steps(self, start: int, end: int, *, tallied: bool = True) -> Iterator[list[Batch]]:
        """The micro-batches of the steps ``start`` to ``end`` - 1, counted over all epochs.

        With ``tallied`` their molecules count in ``drawn`` and ``left_out``.
        """
        jobs = islice(self._plan(start, tallied=tallied), (end - start) * self.accumulate)
        pending: list[Batch] = []
        for batch in self._batches(jobs):
            pending.append(batch)
            if len(pending) == self.accumulate:
                yield pending
                pending = []

    def valid(self, count: int, batch_size: int) -> Iterator[Batch]:
        """This rank's share of ``count`` held-out molecules, evenly spaced among all of them."""
        total = self.corpus.count("valid")
        count = min(count, total)
        chosen = {number * total // count for number in range(self.rank, count, self.ranks)}
        found = enumerate(islice(self.corpus.valid(), max(chosen, default=-1) + 1))
        raw = [sample for number, sample in found if number in chosen]
        kept = [sample for sample in raw if count_atoms(sample) <= self.max_atoms]
        kept.sort(key=count_atoms)
        yield from self._batches(
            kept[first : first + batch_size] for first in range(0, len(kept), batch_size)
        )

    def _plan(self, start: int, *, tallied: bool) -> Iterator[list[Sample]]:
        """This rank's part of every micro-batch from a step on."""
        epoch, step = divmod(start, self.steps_per_epoch)
        while True:
            window, done = divmod(step, WINDOW)
            first = window * WINDOW
            found = self.corpus.train(
                seed=self.seed, position=Position(epoch, first * self.batch_size)
            )
            for number in range(window, -(-self.steps_per_epoch // WINDOW)):
                steps = min(WINDOW, self.steps_per_epoch - number * WINDOW)
                raw = list(islice(found, steps * self.batch_size))
                rng = np.random.default_rng([self.seed, epoch, number, 1])
                pieces = self._cut(raw, steps * self.accumulate, rng, tallied=tallied)
                for piece in pieces[done * self.accumulate :]:
                    yield [raw[index] for index in piece[self.rank :: self.ranks]]
                done = 0
            epoch, step = epoch + 1, 0

    def _cut(
        self, raw: list[Sample], count: int, rng: np.random.Generator, *, tallied: bool
    ) -> list[np.ndarray]:
        sizes = np.array([count_atoms(sample) for sample in raw])
        order = np.flatnonzero(sizes <= self.max_atoms)
        if tallied:
            self.drawn += len(raw)
            self.left_out += len(raw) - len(order)
        if 2 * len(order) < len(raw):
            raise UserError(
                f"{len(raw) - len(order)} of {len(raw)} molecules in a row have more than "
                f"{self.max_atoms} heavy atoms; raise max_atoms"
            )
        order = np.resize(order, max(len(order), 2 * count * self.ranks))
        if self.bucket:
            order = order[np.argsort(sizes[order], kind="stable")]
        pieces = np.array_split(order, count)
        return [pieces[index] for index in rng.permutation(count)]

    def _batches(self, jobs: Iterator[list[Sample]]) -> Iterator[Batch]:
        named = ((self.names, job) for job in jobs)
        apply = map if self._ahead is None else self._ahead.map
        for samples in apply(_featurize, named):
            yield collate(samples, self.modalities, rows=range(len(samples)))


def count_atoms(sample: Sample) -> int:
    """Heavy atoms of a molecule of a shard, without parsing it."""
    if sample.coordinates is not None:
        return len(sample.coordinates)
    return len(atom_symbols(sample.smiles))


def _featurize(job: tuple[tuple[str, ...], list[Sample]]) -> list[Samples]:
    """The samples of some molecules."""
    names, raw = job
    modalities = make_modalities(names)
    found: list[Samples] = []
    with rdBase.BlockLogs():
        for row, sample in enumerate(raw):
            molecule, conformer = read_sample(row, sample)
            found.append({view.name: view.featurize(molecule, conformer) for view in modalities})
    return found


def read_sample(row: int, sample: Sample) -> tuple[Molecule, Conformer | None]:
    """A molecule of a shard, whose SMILES is canonical already, and its coordinates.

    Raises:
        UserError: RDKit does not read it, being of another version, say, than the one that made
            the corpus.
    """
    smiles, coordinates = sample
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise UserError(
            f"the corpus holds {smiles!r}, which this version of RDKit does not read; prepare the "
            "corpus anew"
        )
    molecule = Molecule(row, smiles, smiles, mol, coordinates)
    return molecule, None if coordinates is None else Conformer(coordinates, "input")
