"""What every modality of a batch does alike."""

from dataclasses import dataclass

import pytest
import torch

from molweave.modalities.base import Part
from molweave.shapes import Float, Tensor


@dataclass(frozen=True)
class _Numbers(Part):
    values: Float[Tensor, " N"]


@pytest.mark.parametrize(("device", "later"), [("cpu", False), ("mps", False), ("cuda:1", True)])
def test_only_copies_to_cuda_are_asynchronous(
    device: str, later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []

    def copy(self: Tensor, where: torch.device, *, non_blocking: bool) -> Tensor:
        asked.append((str(where), non_blocking))
        return self

    part = _Numbers(3, torch.arange(3.0))
    monkeypatch.setattr(torch.Tensor, "to", copy)
    assert part.to(torch.device(device)).num_molecules == 3
    assert asked == [(device, later)]
