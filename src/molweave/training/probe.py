"""Training a head on a frozen encoder: embeddings are computed once and read by every epoch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import numpy as np
import torch

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.data.batch import Batch
from molweave.data.dataset import Dataset
from molweave.data.targets import Task
from molweave.events import Progress
from molweave.methods.apply import apply_members
from molweave.methods.base import Encoding, Method, Term
from molweave.methods.property_model import Embedder, PropertyModel
from molweave.modalities.base import Missing, Modality, Part
from molweave.shapes import Float, Tensor
from molweave.training.config import PROBE, TRAIN_PRESETS, TrainConfig

_NAME = "embedding"


@dataclass(frozen=True)
class EmbeddingPart(Part):
    """The vectors of an encoder, one per molecule."""

    values: Float[Tensor, "N D"]


class EmbeddingModality(Modality[np.ndarray]):
    """What an encoder made of a molecule, float32 (dimensions,), in the place of its views."""

    name: ClassVar[str] = _NAME

    @property
    def version(self) -> str:
        """Never stored: it lasts as long as the training."""
        return f"{_NAME}-1"

    def featurize(self, molecule: Molecule, conformer: Conformer | None) -> Missing:
        """Only `embed_dataset` makes these samples."""
        return Missing("not computed")

    def collate(self, samples: Sequence[np.ndarray]) -> EmbeddingPart:
        """Stack the vectors."""
        return EmbeddingPart(len(samples), torch.from_numpy(np.stack(samples)))


class FrozenMethod(Method):
    """Stands for an encoder whose embeddings are known; it has no parameters."""

    name: ClassVar[str] = "frozen"

    def __init__(self, embedding_dim: int) -> None:
        """``embedding_dim`` is that of the encoder."""
        super().__init__()
        self.modalities = (_NAME,)
        self.embedding_dim = embedding_dim

    def encode(self, batch: Batch) -> Encoding:
        """The known embeddings; 0 for a molecule without one."""
        there = batch.present[_NAME]
        vectors = torch.zeros(batch.size, self.embedding_dim, device=there.device)
        if _NAME in batch.parts:
            vectors[there] = cast(EmbeddingPart, batch.parts[_NAME]).values
        return Encoding(vectors, self.modalities, there[:, None].float())

    def objectives(self, encoding: Encoding, batch: Batch, progress: float) -> dict[str, Term]:
        """None: nothing of the encoder is learnt."""
        return {}


def embed_dataset(
    method: Method,
    dataset: Dataset,
    *,
    device: torch.device | str,
    progress: Progress | None = None,
) -> Dataset:
    """The same molecules and targets, seen through a frozen encoder alone.

    Args:
        method: the encoder; it embeds in evaluation mode.
        dataset: with the views that the encoder reads.
        device: where to compute.
        progress: called with the molecules done and all.
    """
    network = Embedder(method).to(device)
    outputs = apply_members([network], dataset, device=device, progress=progress)
    missing = Missing("the encoder reads none of its views")
    return replace(
        dataset,
        samples=[
            {_NAME: vector if usable else missing}
            for vector, usable in zip(outputs.embeddings, outputs.usable, strict=True)
        ],
        modalities=(EmbeddingModality(),),
    )


def probe(model: PropertyModel, tasks: Sequence[Task]) -> PropertyModel:
    """A model for what `embed_dataset` gives, which shares the head of ``model``."""
    shared = PropertyModel(
        FrozenMethod(model.method.embedding_dim),
        tasks,
        dropout=0.0,
        positive_weight=model.positive_weight.tolist(),
    )
    shared.head = model.head
    return shared


def head_config(method: str, config: TrainConfig) -> TrainConfig:
    """How the head of a model is trained alone, before everything is fine-tuned.

    Args:
        method: of the encoder.
        config: of the fine-tuning; ``head_epochs``, metric, precision and time are taken from it,
            the rest is that of a frozen encoder.
    """
    return replace(
        TRAIN_PRESETS[(method, PROBE)],
        epochs=config.head_epochs,
        metric=config.metric,
        precision=config.precision,
        max_minutes=config.max_minutes,
    )
