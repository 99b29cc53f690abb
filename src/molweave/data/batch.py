"""What a method sees: a batch of molecules with an optional part per modality."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from molweave.modalities.base import AnyModality, Missing, Part
from molweave.shapes import Bool, Float, Int, Tensor

Samples = Mapping[str, object]
"""The samples of one molecule: modality name to sample or `Missing`."""


@dataclass(frozen=True)
class Batch:
    """Molecules side by side.

    Attributes:
        rows: position of each molecule in its data set or input.
        parts: modality name to part; a modality that no molecule of the batch has is absent.
        present: modality name to mask, True where the molecule has the modality. Holds every
            modality that was asked for, also those absent from ``parts``. The i-th molecule of a
            part is the i-th True of its mask.
        targets: values to predict, 0 where missing, in double precision and always on the CPU, see
            `molweave.methods.property_model.Prediction`; None when nothing is known.
        target_mask: True where a target was measured; None exactly when ``targets`` is None.
    """

    rows: Int[Tensor, " B"]
    parts: Mapping[str, Part]
    present: Mapping[str, Bool[Tensor, " B"]]
    targets: Float[Tensor, "B T"] | None = None
    target_mask: Bool[Tensor, "B T"] | None = None

    @property
    def size(self) -> int:
        """Number of molecules."""
        return len(self.rows)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on ``device``."""
        return Batch(
            rows=self.rows.to(device),
            parts={name: part.to(device) for name, part in self.parts.items()},
            present={name: mask.to(device) for name, mask in self.present.items()},
            targets=self.targets,
            target_mask=None if self.target_mask is None else self.target_mask.to(device),
        )


def collate(
    samples: Sequence[Samples],
    modalities: Sequence[AnyModality],
    *,
    rows: Sequence[int],
    targets: np.ndarray | None = None,
) -> Batch:
    """Batch the samples of several molecules.

    Args:
        samples: one mapping per molecule.
        modalities: the modalities to batch.
        rows: position of each molecule, kept as `Batch.rows`.
        targets: float (molecules, tasks), NaN where missing.
    """
    parts: dict[str, Part] = {}
    present: dict[str, Tensor] = {}
    for modality in modalities:
        mine = [sample[modality.name] for sample in samples]
        mask = [not isinstance(sample, Missing) for sample in mine]
        present[modality.name] = torch.tensor(mask, dtype=torch.bool)
        if any(mask):
            kept = [sample for sample, there in zip(mine, mask, strict=True) if there]
            parts[modality.name] = modality.collate(kept)
    values = mask_ = None
    if targets is not None:
        measured = ~np.isnan(targets)
        values = torch.from_numpy(np.where(measured, targets, 0.0))
        mask_ = torch.from_numpy(measured)
    return Batch(
        rows=torch.as_tensor(np.asarray(rows, dtype=np.int64)),
        parts=parts,
        present=present,
        targets=values,
        target_mask=mask_,
    )
