"""A method: one paper's encoders, fusion and objectives behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from torch import nn

from molweave.data.batch import Batch
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


class Method(nn.Module, ABC):
    """Encoders, fusion and self-supervised objectives of one paper."""

    name: ClassVar[str]
    modalities: tuple[str, ...]
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

    def depths(self) -> dict[str, int]:
        """The depth of every parameter by name: 0 for what reads the input, more for later layers.

        Fine-tuning lowers the learning rate with the distance from the head. By default a method
        is one layer.
        """
        return dict.fromkeys((name for name, _ in self.named_parameters()), 0)
