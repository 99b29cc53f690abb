"""Blending: what is drawn how often, and what never is."""

import pytest
import torch

from molweave.nn.fusion.blend import DISTANCE, EDGE, SPD, Shown, blend, show, unblend

PROBABILITIES = (0.2, 0.3, 0.5)


def draw(placed, size=40, symmetric=False, pairs=PROBABILITIES, seed=0) -> Shown:
    return blend(
        torch.tensor(placed),
        size,
        pairs=pairs,
        spatial_atoms=0.6,
        symmetric=symmetric,
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("symmetric", [False, True])
def test_each_pair_shows_one_relation_as_often_as_it_should(symmetric):
    shown = draw([True] * 50, symmetric=symmetric)
    assert (shown.pairs.sum(-1) == 1).all()
    share = shown.pairs.float().mean((0, 1, 2))
    torch.testing.assert_close(share, torch.tensor(PROBABILITIES), atol=0.01, rtol=0)
    assert (shown.atoms.sum(-1) == 1).all()
    share = shown.atoms.float().mean((0, 1))
    torch.testing.assert_close(share, torch.tensor([0.4, 0.6]), atol=0.05, rtol=0)


def test_every_molecule_has_a_draw_of_its_own():
    shown = draw([True] * 3)
    assert not torch.equal(shown.pairs[0], shown.pairs[1])
    assert not torch.equal(shown.pairs[1], shown.pairs[2])
    assert not torch.equal(shown.atoms[0], shown.atoms[1])


def test_a_symmetric_draw_is_the_same_both_ways_and_any_other_is_not():
    pairs = draw([True] * 3, symmetric=True).pairs
    assert torch.equal(pairs, pairs.transpose(1, 2))
    pairs = draw([True] * 3).pairs
    assert not torch.equal(pairs, pairs.transpose(1, 2))


def test_without_a_conformer_only_2d_is_shown_in_the_same_ratio():
    shown = draw([True, False] * 20)
    flat, placed = shown.pairs[1::2], shown.pairs[::2]
    assert placed[..., DISTANCE].any()
    assert not flat[..., DISTANCE].any()
    assert (flat.sum(-1) == 1).all()
    assert float(flat[..., SPD].float().mean()) == pytest.approx(0.4, abs=0.01)
    assert not shown.atoms[1::2, :, 1].any()
    assert shown.atoms[1::2, :, 0].all()


@pytest.mark.parametrize(("pairs", "only"), [((1, 0, 0), SPD), ((0, 1, 0), EDGE), ((0, 0, 1), 2)])
def test_certain_relations_are_always_shown(pairs, only):
    assert draw([True], pairs=pairs).pairs[..., only].all()


def test_a_blend_of_distances_alone_leaves_2d_to_flat_molecules():
    flat = draw([False], pairs=(0.0, 0.0, 1.0)).pairs
    assert not flat[..., DISTANCE].any()
    assert (flat.sum(-1) == 1).all()


def test_a_seed_decides_the_draw():
    assert torch.equal(draw([True], seed=1).pairs, draw([True], seed=1).pairs)
    assert not torch.equal(draw([True], seed=1).pairs, draw([True], seed=2).pairs)


@pytest.mark.parametrize(
    ("flat", "spatial", "placed", "unplaced"),
    [
        (True, False, [True, True, False], [True, True, False]),
        (False, True, [False, False, True], [True, True, False]),
        (True, True, [True, True, True], [True, True, False]),
    ],
)
def test_unblended_relations_are_shown_of_all_pairs_alike(flat, spatial, placed, unplaced):
    shown = show(torch.tensor([True, False]), flat=flat, spatial=spatial)
    assert shown.pairs.shape == (2, 1, 1, 3)
    assert shown.pairs[:, 0, 0].tolist() == [placed, unplaced]
    assert shown.atoms[:, 0].tolist() == [placed[1:], unplaced[1:]]


def test_whole_molecules_show_what_fine_tuning_shows():
    """Draws below 0.2, 0.5 and 0.9 are 2D, 3D and both; the rest stays as it was blended."""
    placed = torch.tensor([True, True, True, True, False, False])
    draw = torch.tensor([0.1, 0.3, 0.6, 0.95, 0.3, 0.6])
    blended = blend(
        placed, 4, pairs=(0.2, 0.2, 0.6), spatial_atoms=0.6, symmetric=False, generator=None
    )
    found = unblend(blended, placed, (0.2, 0.3, 0.4), draw)
    two, three, both = [True, True, False], [False, False, True], [True, True, True]
    for row, expected in enumerate((two, three, both, None, two, two)):
        if expected is None:
            assert torch.equal(found.pairs[row], blended.pairs[row])
            assert torch.equal(found.atoms[row], blended.atoms[row])
            continue
        assert (found.pairs[row] == torch.tensor(expected)).all()
        assert (found.atoms[row] == torch.tensor(expected[1:])).all()
    for flat, spatial, row in ((True, False, 0), (False, True, 1), (True, True, 2)):
        plain = show(placed[row : row + 1], flat=flat, spatial=spatial)
        assert (found.pairs[row] == plain.pairs[0]).all()
        assert (found.atoms[row] == plain.atoms[0]).all()
