import itertools
import math

import pytest
import torch

from molweave.nn.fusion.hypergraph import (
    HYPERGRAPHS,
    HypergraphLayer,
    cosines,
    incidence,
    nearest,
    propagation,
)
from molweave.shapes import Tensor

SIZE, COUNT = 12, 4


@pytest.fixture
def codes() -> Tensor:
    return torch.randn(SIZE, 5)


def layer(**changes) -> HypergraphLayer:
    torch.manual_seed(0)
    sizes = {"inputs": 5, "outputs": 3, "neighbours": COUNT, "references": 8}
    kinds = {"kind": "hypergraph", "symmetric": False, "frozen": False}
    return HypergraphLayer(**{**sizes, **kinds, **changes})


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def naive_edges(codes: Tensor, count: int) -> list[set[int]]:
    """Hyperedge j as a set: j, and the others in the order of their cosine to j."""
    rows = codes.tolist()
    return [
        {
            j,
            *sorted(
                (i for i in range(len(rows)) if i != j), key=lambda i: -cosine(rows[i], rows[j])
            )[: count - 1],
        }
        for j in range(len(rows))
    ]


def test_nearest_begins_with_the_molecule_itself(codes: Tensor) -> None:
    found = nearest(codes, COUNT)
    assert found[:, 0].tolist() == list(range(SIZE))
    assert [set(row) for row in found.tolist()] == naive_edges(codes, COUNT)
    assert nearest(codes[:3], COUNT).shape == (3, 3)


def test_a_twin_does_not_take_the_place_of_the_molecule() -> None:
    twins = torch.ones(6, 5)
    assert nearest(twins, 1)[:, 0].tolist() == list(range(6))


@pytest.mark.parametrize("count", [1, 2, COUNT, SIZE, 3 * SIZE])
def test_every_hyperedge_has_k_molecules_and_its_own(codes: Tensor, count: int) -> None:
    edges = incidence(codes, count)
    assert edges.sum(0).tolist() == [min(count, SIZE)] * SIZE
    assert edges.diagonal().tolist() == [1.0] * SIZE
    members = [set(column.nonzero()[:, 0].tolist()) for column in edges.T]
    assert members == naive_edges(codes, count)


@pytest.mark.parametrize("kind", HYPERGRAPHS)
def test_rows_of_the_random_walk_sum_to_one(codes: Tensor, kind: str) -> None:
    operator = propagation(codes, COUNT, kind=kind, symmetric=False)
    torch.testing.assert_close(operator.sum(1), torch.ones(SIZE))
    assert (operator >= 0).all()


@pytest.mark.parametrize("kind", HYPERGRAPHS)
def test_the_symmetric_form_has_top_eigenvalue_one(codes: Tensor, kind: str) -> None:
    operator = propagation(codes, COUNT, kind=kind, symmetric=True)
    torch.testing.assert_close(operator, operator.T)
    values = torch.linalg.eigvalsh(operator.double())
    assert float(values[-1]) == pytest.approx(1.0, abs=1e-6)
    assert float(values[0]) > -1.0


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_hypergraph_against_sums_over_hyperedges(codes: Tensor, symmetric: bool) -> None:
    edges = naive_edges(codes, COUNT)
    degree = [sum(i in edge for edge in edges) for i in range(SIZE)]
    found = propagation(codes, COUNT, kind="hypergraph", symmetric=symmetric)
    for i, j in itertools.product(range(SIZE), repeat=2):
        shared = sum(1 / len(edge) for edge in edges if {i, j} <= edge)
        expected = shared / (math.sqrt(degree[i] * degree[j]) if symmetric else degree[i])
        assert float(found[i, j]) == pytest.approx(expected, abs=1e-6)


def test_the_plain_graph_joins_those_of_which_one_is_near_the_other(codes: Tensor) -> None:
    edges = naive_edges(codes, COUNT)
    found = propagation(codes, COUNT, kind="knn", symmetric=False)
    for i, j in itertools.product(range(SIZE), repeat=2):
        assert bool(found[i, j] > 0) == (i in edges[j] or j in edges[i])
        near = [m for m in range(SIZE) if i in edges[m] or m in edges[i]]
        assert not found[i, j] or float(found[i, j]) == pytest.approx(1 / len(near))


@pytest.mark.parametrize("kind", HYPERGRAPHS)
@pytest.mark.parametrize("symmetric", [False, True])
def test_hyperedges_of_one_molecule_mix_nothing(codes: Tensor, kind: str, symmetric: bool) -> None:
    found = propagation(codes, 1, kind=kind, symmetric=symmetric)
    torch.testing.assert_close(found, torch.eye(SIZE))


def test_in_training_the_batch_is_mixed(codes: Tensor) -> None:
    network = layer().train()
    found = network(codes)
    hidden = codes @ network.theta.weight.T
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, correction=0) + 1e-5).sqrt()
    operator = propagation(codes, COUNT, kind="hypergraph", symmetric=False)
    expected = operator @ hidden.clamp(min=0) + network.residual(codes)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", HYPERGRAPHS)
def test_permuting_the_batch_permutes_g(codes: Tensor, kind: str) -> None:
    order = torch.randperm(SIZE)
    found, permuted = (layer(kind=kind).train()(given) for given in (codes, codes[order]))
    torch.testing.assert_close(permuted, found[order])


def test_no_gradient_goes_through_the_neighbourhoods(codes: Tensor) -> None:
    codes.requires_grad_()
    assert not propagation(codes, COUNT, kind="hypergraph", symmetric=False).requires_grad


def test_references_are_the_newest_codes(codes: Tensor) -> None:
    network = layer().train()
    first, second = codes[:3], codes[3:9]
    network(first)
    network(second)
    torch.testing.assert_close(network.references, torch.cat([second, first[:2]]))


def test_in_evaluation_a_molecule_meets_its_nearest_references_only(codes: Tensor) -> None:
    network = layer().train()
    for _ in range(3):
        network(torch.randn(8, 5))
    network.eval()
    found = network(codes)
    for row, g in zip(codes, found, strict=True):
        known = sorted(network.references.tolist(), key=lambda other: -cosine(other, row.tolist()))[
            : COUNT - 1
        ]
        group = torch.cat([row[None], torch.tensor(known)])
        hidden = torch.relu(network.norm(network.theta(group)))
        torch.testing.assert_close(g, hidden.mean(0) + network.residual(row))
        torch.testing.assert_close(network(row[None])[0], g)


@pytest.mark.parametrize("changes", [{"kind": "none"}, {"neighbours": 1}])
def test_without_neighbours_references_do_not_matter(codes: Tensor, changes: dict) -> None:
    network = layer(**changes).eval()
    before = network(codes)
    network.references.normal_()
    assert torch.equal(network(codes), before)
    expected = torch.relu(network.norm(network.theta(codes))) + network.residual(codes)
    torch.testing.assert_close(before, expected)


def test_who_is_near_is_not_rounded_to_bf16(codes: Tensor) -> None:
    made = layer().eval()
    made.references.copy_(codes[0] + 1e-3 * torch.randn_like(made.references))
    asked = codes[:1] + 1e-3
    exact = cosines(asked, made.references)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(cosines(asked, made.references), exact)


def test_a_frozen_layer_stays_as_it_is(codes: Tensor) -> None:
    network = layer(frozen=True)
    network.references.normal_()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    in_training = torch.nn.ModuleList([network]).train()[0](codes)
    assert torch.equal(in_training, network.eval()(codes))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    in_training.sum().backward()
    assert all(value.grad is not None for value in network.parameters())


def test_a_batch_of_one_molecule_can_be_trained_on() -> None:
    network = layer().train()
    found = network(torch.randn(1, 5))
    found.sum().backward()
    assert found.isfinite().all()
    assert int(network.norm.num_batches_tracked) == 0


def test_stored_codes_have_no_part_in_statistics_that_are_estimated_anew(codes: Tensor) -> None:
    found = layer().eval()
    found.references.fill_(9.0)
    found.norm.momentum, found.norm.training = None, True
    with torch.no_grad():
        found(codes)
        torch.testing.assert_close(found.norm.running_mean, found.theta(codes).mean(0))
    assert found.norm.num_batches_tracked == 1
