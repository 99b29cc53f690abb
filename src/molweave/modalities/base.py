"""A modality: one view of a molecule, how to make it and how to batch it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

import torch

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule


@dataclass(frozen=True, slots=True)
class Missing:
    """A modality that this molecule does not have, and why (no conformer, say)."""

    reason: str


@dataclass(frozen=True)
class Part:
    """One modality of a batch: tensors over the ``num_molecules`` molecules that have it.

    Molecules without the modality take no space here; `Batch.present` says which ones have it.
    """

    num_molecules: int

    def to(self, device: torch.device) -> Self:
        """The same part with every tensor on ``device``.

        The copy is asynchronous on CUDA alone, which holds on to what it reads: MPS may read memory
        that has been freed.
        """
        later = device.type == "cuda"
        moved = {
            field.name: getattr(self, field.name).to(device, non_blocking=later)
            for field in fields(self)
            if isinstance(getattr(self, field.name), torch.Tensor)
        }
        return replace(self, **moved)


SampleT = TypeVar("SampleT")


class Modality(ABC, Generic[SampleT]):
    """One view of a molecule.

    A sample is a small frozen dataclass of numpy arrays, made once per molecule; a part is the
    batched, tensor form of many samples. A modality has no state that is fitted on data.
    """

    name: ClassVar[str]
    needs_conformer: ClassVar[bool] = False

    @property
    @abstractmethod
    def version(self) -> str:
        """Names everything that decides the numbers of a sample; stored with a model."""

    @abstractmethod
    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> SampleT | Missing:
        """The sample of one molecule, or why there is none."""

    @abstractmethod
    def collate(self, samples: Sequence[SampleT]) -> Part:
        """Batch at least one sample into a part."""


AnyModality = Modality[Any]
