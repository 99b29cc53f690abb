"""Molecules with their samples and targets, ready to be batched."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import numpy as np

from molweave.chem.conformers import COORDINATE_SOURCES, Conformer, ConformerSettings
from molweave.chem.molecule import Molecule
from molweave.data.batch import Batch, Samples, collate
from molweave.data.cache import ConformerCache, load_conformers
from molweave.errors import UserError
from molweave.events import Progress
from molweave.modalities import MODALITIES
from molweave.modalities.base import AnyModality


@dataclass(frozen=True, kw_only=True)
class Featurizer:
    """From molecules to samples: which modalities, and where coordinates come from.

    Attributes:
        modalities: the views to make.
        coordinates: ``input`` takes the 3D structure of the input row where it has one and
            generates the others; ``generate`` always generates; ``none`` leaves geometry out.
        settings: how conformers are generated.
        workers: worker processes for conformers.
        cache: where conformers are kept; None for the default place, opened when needed.
    """

    modalities: tuple[AnyModality, ...]
    coordinates: str = "input"
    settings: ConformerSettings = field(default_factory=ConformerSettings)
    workers: int = 1
    cache: ConformerCache | None = None

    def __post_init__(self) -> None:
        """Refuse unknown sources."""
        if self.coordinates not in COORDINATE_SOURCES:
            raise UserError(
                f"conformers must be one of {', '.join(COORDINATE_SOURCES)}; "
                f"found {self.coordinates!r}"
            )

    @property
    def takes_input(self) -> bool:
        """Whether coordinates of the input are read, where it has some."""
        return self.places and self.coordinates == "input"

    @property
    def places(self) -> bool:
        """Whether a view needs a conformer."""
        return any(modality.needs_conformer for modality in self.modalities)

    def __call__(
        self, molecules: Sequence[Molecule], progress: Progress | None = None
    ) -> list[Samples]:
        """The samples of every molecule, `Missing` where a modality cannot be made."""
        conformers = self.conformers(molecules, progress)
        return [
            {modality.name: modality.featurize(molecule, conformer) for modality in self.modalities}
            for molecule, conformer in zip(molecules, conformers, strict=True)
        ]

    def conformers(
        self, molecules: Sequence[Molecule], progress: Progress | None = None
    ) -> list[Conformer | None]:
        """The conformer of every molecule; None where no modality or no source asks for one."""
        if not self.places or self.coordinates == "none":
            return [None] * len(molecules)
        given = [
            Conformer(molecule.coordinates, "input", None)
            if self.takes_input and molecule.coordinates is not None
            else None
            for molecule in molecules
        ]
        wanted = [
            molecule.canonical
            for molecule, conformer in zip(molecules, given, strict=True)
            if conformer is None
        ]
        if not wanted:
            return list(given)
        with nullcontext(self.cache) if self.cache else ConformerCache() as cache:
            found = load_conformers(
                wanted, self.settings, cache=cache, workers=self.workers, progress=progress
            )
        return [
            conformer or found[molecule.canonical]
            for molecule, conformer in zip(molecules, given, strict=True)
        ]


def make_modalities(names: Sequence[str]) -> tuple[AnyModality, ...]:
    """The registered modalities of these names, in this order.

    Raises:
        UserError: for a name that is not registered.
    """
    unknown = [name for name in names if name not in MODALITIES]
    if unknown:
        raise UserError(f"unknown modality {unknown[0]!r}; known: {', '.join(MODALITIES)}")
    return tuple(MODALITIES[name]() for name in names)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Molecules, their samples and, where known, their targets.

    Attributes:
        molecules: in input order.
        samples: one mapping per molecule.
        modalities: the views that ``samples`` hold.
        targets: float64 (molecules, tasks), NaN where missing; None when nothing is to be learnt.
    """

    molecules: Sequence[Molecule]
    samples: Sequence[Samples]
    modalities: tuple[AnyModality, ...]
    targets: np.ndarray | None = None

    def __len__(self) -> int:
        """Number of molecules."""
        return len(self.molecules)

    @property
    def labels(self) -> np.ndarray:
        """The targets of a data set that has them.

        Raises:
            ValueError: it has none.
        """
        if self.targets is None:
            raise ValueError("this data set has no targets")
        return self.targets

    @property
    def sizes(self) -> np.ndarray:
        """Heavy atoms of every molecule; batches of similar sizes waste no padding."""
        return np.array([molecule.mol.GetNumAtoms() for molecule in self.molecules], dtype=np.int64)

    def batch(self, indices: np.ndarray) -> Batch:
        """Collate the molecules at these positions."""
        return collate(
            [self.samples[index] for index in indices],
            self.modalities,
            rows=[int(index) for index in indices],
            targets=None if self.targets is None else self.targets[indices],
        )

    def subset(self, indices: np.ndarray) -> "Dataset":
        """The molecules at these positions, in this order."""
        return Dataset(
            molecules=[self.molecules[index] for index in indices],
            samples=[self.samples[index] for index in indices],
            modalities=self.modalities,
            targets=None if self.targets is None else self.targets[indices],
        )
