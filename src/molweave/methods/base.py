"""A method: one paper's encoders, fusion and objectives behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import nn

from molweave.data.batch import Batch
from molweave.nn.objectives.score import Score
from molweave.shapes import Float, Tensor


@dataclass(frozen=True)
class Encoding:
    """What a method makes of a batch.

    Attributes:
        embedding: one vector per molecule, the input of a property head.
        modalities: the order of the columns of ``weights``.
        weights: how much each modality contributed; rows sum to 1, 0 where a modality is missing.
        codes: named per-modality vectors, ``codes["shared"]["graph"]`` say; rows of molecules
            without the modality are 0 and carry no meaning.
    """

    embedding: Float[Tensor, "B D"]
    modalities: tuple[str, ...]
    weights: Float[Tensor, "B V"]
    codes: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


@dataclass(frozen=True)
class Term:
    """One named term of a loss: ``weight * value`` is what is added up."""

    weight: float
    value: Tensor


def add_up(terms: Mapping[str, Term]) -> dict[str, Tensor]:
    """The value of every term, unweighted, and ``loss``, their weighted sum."""
    total = torch.stack([term.weight * term.value for term in terms.values()]).sum()
    return {"loss": total, **{name: term.value for name, term in terms.items()}}


@dataclass(frozen=True)
class Assessment:
    """What a method says of itself on held-out molecules.

    Attributes:
        terms: of the loss.
        scores: other means over the batch, how much is recovered or retrieved, by name.
    """

    terms: Mapping[str, Term]
    scores: Mapping[str, Score]


@dataclass(frozen=True, kw_only=True)
class Borrowed:
    """A part of a network that can start from a pre-trained encoder of another method.

    Attributes:
        view: the modality that the part encodes.
        preset: a preset that has this view.
        theirs: beginning of the names of the tensors there.
        ours: what stands in its place here.
        sizes: fields of the configuration that decide the shapes, by the name of those there.
    """

    view: str
    preset: str
    theirs: str
    ours: str
    sizes: Mapping[str, str]


class Method(nn.Module, ABC):
    """Encoders, fusion and self-supervised objectives of one paper.

    Attributes:
        name: in `molweave.methods.METHODS`.
        pads: whether pre-training is to take molecules of similar size together, because a batch
            costs as much as if all were as large as its largest. Not with batch normalisation,
            whose statistics in evaluation are those of all sizes.
        spatial_terms: loss terms and scores that only coordinates give a value.
        modalities: what `encode` reads.
        predicts: what only `objectives` read.
        embedding_dim: width of the embedding.
        untaught: beginnings of the names of tensors that no objective trains, but labels do.
        borrows: the parts of itself that it can start from a pre-trained encoder of another
            method, by that method's name.
    """

    name: ClassVar[str]
    pads: ClassVar[bool] = False
    spatial_terms: ClassVar[tuple[str, ...]] = ()
    modalities: tuple[str, ...]
    predicts: tuple[str, ...] = ()
    untaught: ClassVar[tuple[str, ...]] = ()
    borrows: ClassVar[Mapping[str, Borrowed]] = MappingProxyType({})
    embedding_dim: int

    @abstractmethod
    def encode(self, batch: Batch) -> Encoding:
        """Embed every molecule of the batch; in evaluation mode independent of batch mates."""

    @abstractmethod
    def objectives(self, encoding: Encoding, batch: Batch, progress: float) -> dict[str, Term]:
        """The self-supervised terms of the loss.

        Args:
            encoding: what `encode` returned for ``batch``, in training mode.
            batch: the molecules.
            progress: share of the training that is done, 0 to 1; ramps depend on it.
        """

    def assess(self, batch: Batch, generator: torch.Generator) -> Assessment:
        """Validation of a pre-training, in evaluation mode.

        Args:
            batch: held-out molecules.
            generator: of all that is random, on the batch's device.
        """
        with _drawn_from(generator):
            return Assessment(self.objectives(self.encode(batch), batch, 1.0), {})

    @property
    def weighs(self) -> bool:
        """Whether it learns `Encoding.weights`; else the views that are there have equal ones."""
        return False

    def monitors(self) -> dict[str, float]:
        """Further values for the log of a pre-training, of its last batches in this process."""
        return {}

    def learning_rate_factors(self) -> dict[str, float]:
        """Factors on the learning rate, by the beginning of parameter names."""
        return {}

    def objective_heads(self) -> tuple[str, ...]:
        """Beginnings of the names of tensors that only an objective uses.

        A pre-training that goes on from an encoder without such a head starts the head afresh.
        """
        return ()

    def compiled(self) -> tuple[nn.Module, ...]:
        """The modules that ``torch.compile`` makes faster; none where it does not."""
        return ()

    def depths(self) -> dict[str, int]:
        """The depth of every parameter by name: 0 for what reads the input, more for later layers.

        Fine-tuning lowers the learning rate with the distance from the head. By default a method
        is one layer.
        """
        return dict.fromkeys((name for name, _ in self.named_parameters()), 0)


@contextmanager
def _drawn_from(generator: torch.Generator) -> Iterator[None]:
    """In the block all random numbers follow from ``generator``; after it they go on as before."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
