import math

import pytest
import torch

from molweave.nn.heads import PropertyHead
from molweave.nn.layers import (
    CategoricalEmbedding,
    FourierFeatures,
    RadialBasis,
    mlp,
    segment_max,
    segment_mean,
    segment_sum,
)

SEGMENT = torch.tensor([2, 0, 2, 4, 0, 2, 4])
"""Rows to five segments, unsorted; 1 and 3 are empty."""


@pytest.fixture
def values() -> torch.Tensor:
    return torch.randn(len(SEGMENT), 3, dtype=torch.float64) - 2


@pytest.mark.parametrize(
    ("operation", "reduce"),
    [
        (segment_sum, lambda rows: rows.sum(0)),
        (segment_mean, lambda rows: rows.mean(0)),
        (segment_max, lambda rows: rows.max(0).values),
    ],
)
def test_segments_against_a_loop(operation, reduce, values) -> None:
    found = operation(values, SEGMENT, 5)
    for index in range(5):
        rows = values[index == SEGMENT]
        expected = reduce(rows) if len(rows) else torch.zeros(3, dtype=torch.float64)
        torch.testing.assert_close(found[index], expected)


@pytest.mark.parametrize("operation", [segment_sum, segment_mean, segment_max])
def test_segments_without_rows_are_zero(operation) -> None:
    empty = torch.zeros(0, 3)
    nowhere = torch.zeros(0, dtype=torch.int64)
    assert torch.equal(operation(empty, nowhere, 2), torch.zeros(2, 3))


@pytest.mark.parametrize("operation", [segment_sum, segment_mean, segment_max])
def test_segment_gradients(operation, values) -> None:
    values.requires_grad_()
    assert torch.autograd.gradcheck(lambda rows: operation(rows, SEGMENT, 5), values)


def test_radial_basis_closed_form() -> None:
    basis = RadialBasis(0.0, 2.0, 0.1, gamma=10.0)
    assert basis.width == 20
    x = torch.tensor([0.0, 0.73, 1.54, 5.0])
    found = basis(x)
    for i, distance in enumerate(x.tolist()):
        for k in range(20):
            expected = math.exp(-10.0 * (distance - 0.1 * k) ** 2)
            assert found[i, k].item() == pytest.approx(expected, abs=1e-6)


def test_radial_basis_of_an_angle_covers_zero_to_pi() -> None:
    basis = RadialBasis(0.0, math.pi, 0.1, gamma=10.0)
    assert basis.centres[0] == 0
    assert math.pi - 0.1 < basis.centres[-1].item() < math.pi
    assert basis(torch.zeros(0)).shape == (0, 32)


def test_categorical_embedding_is_a_sum_of_lookups() -> None:
    cardinalities = (3, 5, 2)
    embedding = CategoricalEmbedding(cardinalities, 4)
    tables = embedding.table.weight.split(cardinalities)
    codes = torch.cartesian_prod(*(torch.arange(size) for size in cardinalities))
    expected = sum(table[codes[:, column]] for column, table in enumerate(tables))
    torch.testing.assert_close(embedding(codes), expected)
    assert embedding(codes[:0]).shape == (0, 4)


def test_mlp_is_linear_relu_linear() -> None:
    network = mlp((3, 7, 2), dropout=0.5).eval()
    first, last = (layer for layer in network if isinstance(layer, torch.nn.Linear))
    x = torch.randn(5, 3)
    hidden = (x @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(network(x), hidden @ last.weight.T + last.bias)


def test_property_head_closed_form_and_dropout() -> None:
    head = PropertyHead(inputs=6, tasks=2, dropout=0.5)
    first, last = (layer for layer in head.network if isinstance(layer, torch.nn.Linear))
    assert first.out_features == 3
    x = torch.randn(4, 6)
    hidden = (x @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(head.eval()(x), hidden @ last.weight.T + last.bias)
    assert not torch.equal(head.train()(x), head(x))


def test_a_linear_property_head_is_one_layer() -> None:
    head = PropertyHead(inputs=6, tasks=2, dropout=0.5, kind="linear")
    (only,) = (layer for layer in head.network if isinstance(layer, torch.nn.Linear))
    x = torch.randn(4, 6)
    torch.testing.assert_close(head.eval()(x), x @ only.weight.T + only.bias)
    assert not torch.equal(head.train()(x), head(x))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_fourier_features_start_as_those_of_a_gaussian_kernel(gamma: float) -> None:
    torch.manual_seed(0)
    features = FourierFeatures(7, 200_000, gamma=gamma)
    x = torch.randn(5, 7)
    found = features(x) @ features(x).T
    kernel = torch.exp(-gamma * torch.cdist(x, x) ** 2 / 7)
    torch.testing.assert_close(found / 200_000 * 16, kernel, atol=0.01, rtol=0)


def test_fourier_features_learn() -> None:
    features = FourierFeatures(7, 16)
    features(torch.randn(5, 7)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in features.parameters())
