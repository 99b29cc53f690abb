"""Biases of pairs, against the formulas written out pair by pair."""

import math

import pytest
import torch
from tiny import make_batch

from molweave.modalities import relations
from molweave.nn.pair_bias import DistanceBias, PathBias
from molweave.nn.pairs import Pairs, pad_pairs

HEADS = 3
SMILES = ("CC=C(C)CCCCC#N", "CCN.Cl", "C")


@pytest.fixture
def pairs() -> Pairs:
    part = make_batch(SMILES).parts["relations"]
    positions = 2 * torch.randn(len(part.atoms), 3)
    return pad_pairs(part, positions, torch.ones(3, dtype=torch.bool), slice(0, 3))


@pytest.fixture
def paths() -> PathBias:
    return PathBias(
        spd_classes=relations.UNREACHABLE + 1,
        bonds=relations.BONDS,
        bond_cardinalities=relations.BOND_CARDINALITIES,
        hops=relations.HOPS,
        heads=HEADS,
    )


@pytest.fixture
def distances() -> DistanceBias:
    elements = relations.ATOM_CARDINALITIES[0]
    module = DistanceBias(elements=elements, kernels=7, reach=6.0, heads=HEADS, width=5)
    torch.nn.init.normal_(module.scale.weight)
    torch.nn.init.normal_(module.shift.weight)
    return module


def real_pairs(pairs: Pairs) -> list[tuple[int, int, int]]:
    return [tuple(index) for index in pairs.both_real.nonzero().tolist()]


def test_path_biases_are_their_formulas(pairs, paths):
    first, second = paths(pairs)
    starts = (0, *torch.tensor(relations.BOND_CARDINALITIES).cumsum(0).tolist())
    table = paths.edge.table.weight
    for n, i, j in real_pairs(pairs):
        spd, hops = int(pairs.spd[n, i, j]), pairs.hops[n, i, j].tolist()
        torch.testing.assert_close(first[n, i, j], paths.spd.weight[spd])
        expected = torch.zeros(HEADS)
        for place, code in enumerate(hops):
            if code != relations.NO_HOP:
                rows = [
                    start + f for start, f in zip(starts, relations.BONDS[code - 1], strict=False)
                ]
                expected = expected + table[rows].mean(0) @ paths.hop_weight[place]
        torch.testing.assert_close(second[n, i, j], expected / min(max(spd, 1), 5))


def test_without_a_path_there_is_no_edge_bias(pairs, paths):
    _, second = paths(pairs)
    empty = (pairs.hops == relations.NO_HOP).all(-1)
    assert (pairs.spd[empty] == relations.UNREACHABLE).any()
    assert not second[empty].any()


def test_distance_bias_is_its_formula(pairs, distances):
    bias, feature = distances(pairs)
    reached = torch.zeros_like(feature)
    for n, i, j in real_pairs(pairs):
        row = int(pairs.atoms[n, i, 0]) * distances.elements + int(pairs.atoms[n, j, 0])
        gap = math.dist(pairs.positions[n, i].tolist(), pairs.positions[n, j].tolist())
        x = distances.scale.weight[row, 0] * gap + distances.shift.weight[row, 0]
        kernels = torch.exp(-((x - distances.means) ** 2) / (2 * distances.widths**2))
        torch.testing.assert_close(bias[n, i, j], distances.mlp(kernels), atol=1e-5, rtol=1e-4)
        if i != j:
            reached[n, i] += distances.atom.weight @ kernels
    torch.testing.assert_close(feature, reached, atol=1e-5, rtol=1e-4)


def test_the_affine_is_that_of_the_ordered_pair(pairs, distances):
    bias, _ = distances(pairs)
    elements = pairs.atoms[0, :, 0]
    i, j = 0, int((elements != elements[0]).nonzero()[0])
    assert not torch.allclose(bias[0, i, j], bias[0, j, i])
    same = int((elements[1:] == elements[0]).nonzero()[0]) + 1
    torch.testing.assert_close(bias[0, 0, same], bias[0, same, 0])


def test_kernels_cover_the_distances_of_molecules_at_the_start():
    module = DistanceBias(elements=2, kernels=128, reach=16.0, heads=1, width=1)
    grid = torch.linspace(0.5, 15.5, 200)[:, None]
    kernels = torch.exp(-((grid - module.means) ** 2) / (2 * module.widths**2))
    assert (kernels > 0.5).sum(1).min() >= 3
