import math

import pytest
import torch

from molweave.nn.collapse import effective_rank, spread


def test_effective_rank_of_known_spectra() -> None:
    basis, _ = torch.linalg.qr(torch.randn(40, 6) - torch.randn(40, 6).mean(0))
    basis = torch.linalg.qr(basis - basis.mean(0))[0]
    right, _ = torch.linalg.qr(torch.randn(6, 6))
    assert effective_rank(basis @ right) == pytest.approx(6.0, abs=1e-4)
    values = torch.tensor([4.0, 2.0, 1.0, 1.0, 0.0, 0.0])
    entropy = -sum(p * math.log(p) for p in (0.5, 0.25, 0.125, 0.125))
    found = effective_rank(3.0 + basis * values @ right)
    assert found == pytest.approx(math.exp(entropy), abs=1e-4)


def test_a_collapse_is_seen() -> None:
    same = torch.randn(1, 8).repeat(10, 1)
    assert effective_rank(same) == 0.0
    assert spread(same) == pytest.approx(0.0, abs=1e-6)
    line = torch.randn(10, 1) * torch.randn(1, 8)
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-4)
    assert effective_rank(torch.randn(1, 8)) == 0.0


def test_spread_is_the_mean_standard_deviation() -> None:
    values = torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert spread(values) == pytest.approx(0.5)
