"""Augmented images against exact quarter turns, mirrors and brightness."""

import math

import pytest
import torch

from molweave.nn.augment import ImageAugmentation, turn


@pytest.fixture
def ink() -> torch.Tensor:
    return torch.rand(5, 3, 12, 12)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_move_pixels_and_blend_none(ink, quarters: int) -> None:
    angle = torch.full((5,), quarters * math.pi / 2)
    found = turn(ink, angle, torch.ones(5))
    torch.testing.assert_close(found, torch.rot90(ink, quarters, dims=(2, 3)), atol=1e-5, rtol=0)


def test_mirror_then_turn(ink) -> None:
    found = turn(ink, torch.full((5,), math.pi / 2), -torch.ones(5))
    expected = torch.rot90(ink.flip(3), 1, dims=(2, 3))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_what_a_turn_uncovers_is_paper() -> None:
    found = turn(torch.ones(1, 3, 32, 32), torch.tensor([math.pi / 4]), torch.ones(1))
    assert found[0, :, 0, 0].tolist() == [0.0, 0.0, 0.0]
    torch.testing.assert_close(found[0, :, 12:20, 12:20], torch.ones(3, 8, 8))


def test_each_image_has_its_own_luck(ink) -> None:
    same = ink[:1].expand(64, -1, -1, -1)
    changed = ImageAugmentation(rotation=0.0, flip=0.5, grey=0.5)(same)
    grey = torch.isclose(changed, changed[:, :1], atol=1e-6).all(dim=(1, 2, 3))
    brightness = torch.einsum("nchw,c->nhw", same, torch.tensor([0.299, 0.587, 0.114]))
    kinds = set()
    for image, is_grey, bright in zip(changed, grey.tolist(), brightness, strict=True):
        wanted = bright.expand(3, -1, -1) if is_grey else same[0]
        mirrored = not torch.allclose(image, wanted, atol=1e-5)
        torch.testing.assert_close(image, wanted.flip(2) if mirrored else wanted)
        kinds.add((is_grey, mirrored))
    assert len(kinds) == 4


def test_angles_stay_below_the_largest() -> None:
    """A dot far from the middle stays within 30 degrees of where it was."""
    dot = torch.zeros(200, 3, 65, 65)
    dot[:, :, 31:34, 58:61] = 1
    found = ImageAugmentation(rotation=30.0, grey=0.0)(dot)[:, 0]
    rows, columns = torch.meshgrid(torch.arange(65.0), torch.arange(65.0), indexing="ij")
    mass = found.sum(dim=(1, 2))
    y = 32 - (found * rows).sum(dim=(1, 2)) / mass
    x = (found * columns).sum(dim=(1, 2)) / mass - 32
    angles = torch.rad2deg(torch.atan2(y, x))
    assert angles.abs().max() < 30.5
    assert angles.min() < -25
    assert angles.max() > 25


def test_jitter_moves_the_dots_of_an_image_by_its_share_each_in_its_own_way() -> None:
    dots = torch.zeros(400, 3, 120, 120)
    dots[:, :, 29:32, 29:32] = 1
    dots[:, :, 29:32, 89:92] = 1
    found = ImageAugmentation(rotation=0.0, grey=0.0, jitter=0.02)(dots)[:, 0]
    columns = torch.arange(120.0)
    moves = []
    for half in (found[:, :, :60], found[:, :, 60:]):
        places = columns[: half.shape[2]]
        moves.append((half * places).sum(dim=(1, 2)) / half.sum(dim=(1, 2)))
    left, right = moves[0] - 30, moves[1] - 30
    for move in (left, right):
        assert move.mean().abs() < 0.5
        assert 0.5 * 0.02 * 120 < move.std() < 1.2 * 0.02 * 120
    assert torch.corrcoef(torch.stack([left, right]))[0, 1].abs() < 0.2


def test_a_seed_decides_and_evaluation_changes_nothing(ink) -> None:
    augment = ImageAugmentation(flip=0.5, jitter=0.02)
    torch.manual_seed(3)
    first = augment(ink)
    torch.manual_seed(3)
    assert torch.equal(augment(ink), first)
    assert torch.equal(augment.eval()(ink), ink)
