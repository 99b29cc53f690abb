"""Rows through a network in chunks: every row comes out, in order, in constant memory."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np
import torch

from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record, Table
from molweave.data.dataset import Dataset, Featurizer, make_modalities
from molweave.errors import UserError
from molweave.events import Progress
from molweave.methods.apply import Outputs, apply_members
from molweave.methods.checkpoint import FittedModel
from molweave.methods.pretrained import EncoderModel
from molweave.modalities.base import Missing

CHUNK_ROWS = 1024
_NOT_FINITE = "the network gives no finite number for this molecule"
ModelT = TypeVar("ModelT", FittedModel, EncoderModel)


OnRow = Callable[[int], None]
"""Told of the number of rows done."""


@dataclass(frozen=True)
class Row:
    """One input row and what the network says of it.

    Attributes:
        record: the row as read.
        error: why there is no prediction; empty when there is one.
        missing: modality name to the reason why this molecule lacks it.
        predictions: float64 (members, tasks); NaN where ``error`` is set; of no task where the
            model is an encoder.
        embedding: float32 (dimensions,); NaN where ``error`` is set.
        weights: float64 (modalities,); NaN where ``error`` is set.
        unfit: whether the row gave coordinates that do not fit its structure, where the network
            would have taken them.
    """

    record: Record
    error: str
    missing: dict[str, str]
    predictions: np.ndarray
    embedding: np.ndarray
    weights: np.ndarray
    unfit: bool = False

    @property
    def lacks(self) -> str | None:
        """The text of the column ``missing``: names and reasons; None where nothing is missing."""
        return "; ".join(f"{name}: {reason}" for name, reason in self.missing.items()) or None


def _rising(tell: OnRow) -> OnRow:
    """Tells of a number only if it is larger than all before."""
    most = 0

    def told(done: int) -> None:
        nonlocal most
        if done > most:
            most = done
            tell(done)

    return told


def _add(tell: OnRow, before: int, done: int, _total: int) -> None:
    tell(before + done)


class Runner(Generic[ModelT]):
    """A fitted model, or an encoder alone, with everything it needs to read raw rows."""

    def __init__(self, model: ModelT, *, device: str = "auto", workers: int = 0) -> None:
        """Put the model on a device.

        Args:
            model: a fitted model, or an encoder, whose rows have no predictions.
            device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``mps``.
            workers: worker processes for conformers; 0 for one per core.
        """
        self.model: ModelT = model
        self.device = pick_device(device)
        for member in model.members:
            member.to(self.device)
        spec = model.spec
        self.standardizer = Standardizer.of_version(spec.standardizer)
        self.featurizer = Featurizer(
            modalities=make_modalities(spec.modality_names),
            coordinates=spec.coordinates,
            settings=spec.conformers,
            workers=workers or os.cpu_count() or 1,
        )

    def rows(self, table: Table, on_row: OnRow | None = None) -> Iterator[Row]:
        """Every row of the table, in order, computed `CHUNK_ROWS` at a time.

        Args:
            table: what to read.
            on_row: told how many rows are done; where conformers are needed, which take the time,
                those that have one count.
        """
        records = iter(table)
        tell = _rising(on_row or (lambda _: None))
        done = 0
        while chunk := list(itertools.islice(records, CHUNK_ROWS)):
            placed = partial(_add, tell, done) if self.featurizer.places else None
            for row in self._chunk(chunk, placed):
                yield row
                done += 1
                tell(done)

    @property
    def embedding_dim(self) -> int:
        """Width of the embeddings."""
        return self.model.members[0].method.embedding_dim

    def _chunk(self, records: Sequence[Record], progress: Progress | None) -> Iterator[Row]:
        results = [self.standardizer(record) for record in records]
        molecules = [result for result in results if isinstance(result, Molecule)]
        outputs = lacking = None
        if molecules:
            dataset = Dataset(
                molecules=molecules,
                samples=self.featurizer(molecules, progress),
                modalities=self.featurizer.modalities,
            )
            outputs = apply_members(self.model.members, dataset, device=self.device)
            lacking = [
                {name: value.reason for name, value in sample.items() if isinstance(value, Missing)}
                for sample in dataset.samples
            ]
        position = 0
        for record, result in zip(records, results, strict=True):
            if isinstance(result, Rejected) or outputs is None or lacking is None:
                yield self._empty(record, str(result), {})
                continue
            if not outputs.usable[position]:
                reasons = "; ".join(f"{name}: {why}" for name, why in lacking[position].items())
                yield self._empty(record, f"featurize: {reasons}", lacking[position])
            elif not outputs.finite[position]:
                yield self._empty(record, f"predict: {_NOT_FINITE}", lacking[position])
            else:
                row = _row(record, lacking[position], outputs, position)
                yield replace(row, unfit=result.unfit and self.featurizer.takes_input)
            position += 1

    def _empty(self, record: Record, error: str, missing: dict[str, str]) -> Row:
        first = self.model.members[0]
        return Row(
            record,
            error,
            missing,
            np.full((len(self.model.members), first.num_tasks), np.nan),
            np.full(self.embedding_dim, np.nan, dtype=np.float32),
            np.full(len(first.method.modalities), np.nan),
        )


AnyRunner = Runner[FittedModel] | Runner[EncoderModel]


def _row(record: Record, missing: dict[str, str], outputs: Outputs, position: int) -> Row:
    return Row(
        record,
        "",
        missing,
        outputs.predictions[:, position],
        outputs.embeddings[position],
        outputs.weights[position],
    )


def pick_device(name: str) -> torch.device:
    """The device of this name; ``auto`` prefers CUDA, then Apple's MPS, then the CPU.

    Raises:
        UserError: an unknown name, or a device that this machine does not have.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, found in there.items() if found)
    kind, colon, index = name.partition(":")
    if not there.get(kind) or (colon and (kind != "cuda" or index not in _gpus())):
        known = ", ".join(device for device, found in there.items() if found)
        raise UserError(f"there is no device {name!r} here; use auto or one of {known}")
    return torch.device(name)


def _gpus() -> list[str]:
    """The numbers of CUDA's devices, as text."""
    return [str(number) for number in range(torch.cuda.device_count())]
