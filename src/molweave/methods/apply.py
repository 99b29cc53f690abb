"""Run trained members over a data set, in its order."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from molweave.data.dataset import Dataset
from molweave.data.sampler import fitting_pieces, sorted_batches
from molweave.events import Progress
from molweave.methods.property_model import Network

_MOST_PAIRS = 128 * 150**2
"""Molecules times squared heavy atoms in one batch."""


@dataclass(frozen=True)
class Outputs:
    """What the members of an ensemble say of each molecule.

    Attributes:
        predictions: float64 (members, molecules, tasks), probabilities or values; of no task where
            the network is a method alone.
        embeddings: float32 (molecules, dimensions), of the first member.
        weights: float64 (molecules, modalities), modality weights averaged over the members.
        usable: bool (molecules,), False where no modality could be made; such a molecule's
            numbers carry no meaning.
    """

    predictions: np.ndarray
    embeddings: np.ndarray
    weights: np.ndarray
    usable: np.ndarray

    @cached_property
    def finite(self) -> np.ndarray:
        """bool (molecules,), whether all predictions and the embedding are finite numbers."""
        found: np.ndarray = np.isfinite(self.predictions).all((0, 2))
        found &= np.isfinite(self.embeddings).all(1)
        return found


def apply_members(
    members: Sequence[Network],
    dataset: Dataset,
    *,
    batch_size: int = 128,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Outputs:
    """Predict and embed every molecule with every member, in evaluation mode.

    The members' training mode is restored afterwards.
    """
    first = members[0]
    count, views = len(dataset), len(first.method.modalities)
    predictions = np.zeros((len(members), count, first.num_tasks))
    embeddings = np.zeros((count, first.method.embedding_dim), dtype=np.float32)
    weights = np.zeros((count, views))
    usable = np.zeros(count, dtype=bool)
    modes = [member.training for member in members]
    done = 0
    with torch.inference_mode():
        for member in members:
            member.eval()
        sizes = dataset.sizes
        batches = sorted_batches(sizes, batch_size)
        pieces = (fitting_pieces(batch, sizes, _MOST_PAIRS) for batch in batches)
        for indices in itertools.chain.from_iterable(pieces):
            batch = dataset.batch(indices).to(torch.device(device))
            present = torch.stack([batch.present[name] for name in first.method.modalities])
            usable[indices] = present.any(0).cpu().numpy()
            for number, member in enumerate(members):
                result = member.predict(batch)
                predictions[number, indices] = result.values.numpy()
                weights[indices] += result.encoding.weights.float().cpu().numpy() / len(members)
                if number == 0:
                    embeddings[indices] = result.encoding.embedding.float().cpu().numpy()
            done += len(indices)
            if progress is not None:
                progress(done, count)
    for member, mode in zip(members, modes, strict=True):
        member.train(mode)
    return Outputs(predictions, embeddings, weights, usable)
