"""Losses over masked pairs, against loops and closed forms."""

import math

import pytest
import torch

from molweave.nn.objectives.relations import class_loss, denoise_loss, distance_loss
from molweave.nn.objectives.score import Score, masked_mean, score


def test_class_loss_is_the_mean_over_masked_pairs():
    logits, target = torch.randn(2, 5, 4, 4), torch.randint(5, (2, 4, 4))
    mask = torch.rand(2, 4, 4) < 0.5
    losses = [
        -torch.log_softmax(logits[n, :, i, j], 0)[target[n, i, j]]
        for n, i, j in mask.nonzero().tolist()
    ]
    torch.testing.assert_close(class_loss(logits, target, mask), torch.stack(losses).mean())


def test_class_loss_takes_hops():
    logits, target = torch.randn(2, 5, 3, 4, 4), torch.randint(5, (2, 3, 4, 4))
    mask = torch.ones(2, 3, 4, 4, dtype=torch.bool)
    expected = torch.nn.functional.cross_entropy(logits, target)
    torch.testing.assert_close(class_loss(logits, target, mask), expected)


def test_distance_loss_is_quadratic_then_linear():
    predicted = torch.tensor([[[0.5, 3.0], [9.0, 0.0]]])
    distance, mask = torch.zeros(1, 2, 2), torch.tensor([[[True, True], [False, True]]])
    expected = (0.5 * 0.25 + 2.5 + 0.0) / 3
    assert float(distance_loss(predicted, distance, mask)) == pytest.approx(expected)


def test_denoise_loss_compares_with_the_noise_about_its_mean():
    noise = torch.randn(2, 5, 3)
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    centred = torch.stack([noise[0] - noise[0].mean(0), noise[1] - noise[1, :3].mean(0)])
    assert float(denoise_loss(2 * centred, noise, mask)) == pytest.approx(0.0, abs=1e-6)
    assert float(denoise_loss(-centred, noise, mask)) == pytest.approx(2.0, abs=1e-6)
    moved = noise + torch.tensor([4.0, 0.0, -1.0])
    assert float(denoise_loss(centred, moved, mask)) == pytest.approx(0.0, abs=1e-6)


def test_nothing_masked_is_no_loss():
    values = torch.randn(3, requires_grad=True)
    loss = masked_mean(values, torch.zeros(3, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert values.grad is not None
    assert not values.grad.any()


def test_scores_add_up_over_batches():
    values, mask = torch.arange(6.0), torch.tensor([True, True, False, True, False, False])
    whole = score(values, mask)
    halves = score(values[:2], mask[:2]) + score(values[2:], mask[2:])
    assert whole.mean == halves.mean == pytest.approx(4 / 3)
    assert math.isnan(Score(torch.tensor(0.0), torch.tensor(0.0)).mean)
