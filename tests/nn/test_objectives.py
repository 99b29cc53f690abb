import math

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from molweave.nn.objectives.bottleneck import kl_divergence, maximum_mean_discrepancy
from molweave.nn.objectives.contrastive import contrast_modalities, info_nce, retrieved
from molweave.nn.objectives.orthogonality import absolute_cosine, cross_correlation
from molweave.nn.objectives.property import property_loss


def test_kl_against_torch_distributions() -> None:
    mean, log_variance = torch.randn(7, 5), torch.randn(7, 5) * 2
    exact = torch_kl(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_divergence(mean, log_variance), exact.mean())
    assert kl_divergence(torch.zeros(3, 2), torch.zeros(3, 2)) == 0


def naive_mmd(x: torch.Tensor, y: torch.Tensor) -> float:
    points = [*x.tolist(), *y.tolist()]

    def distance(a: list[float], b: list[float]) -> float:
        return math.dist(a, b)

    distances = sorted(distance(a, b) for i, a in enumerate(points) for b in points[:i])
    bandwidth = distances[(len(distances) - 1) // 2]

    def mean_kernel(first: torch.Tensor, second: torch.Tensor) -> float:
        values = [
            math.exp(-(distance(a, b) ** 2) / (2 * bandwidth**2))
            for a in first.tolist()
            for b in second.tolist()
        ]
        return sum(values) / len(values)

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)


@pytest.mark.parametrize(("n", "m"), [(6, 9), (2, 2), (1, 4)])
def test_mmd_against_a_double_loop(n: int, m: int) -> None:
    x, y = torch.randn(n, 3).double(), torch.randn(m, 3).double() + 0.5
    found = maximum_mean_discrepancy(x, y)
    assert found.item() == pytest.approx(naive_mmd(x, y), abs=1e-12)


def test_mmd_is_zero_for_the_same_sample_and_grows_with_the_shift() -> None:
    x = torch.randn(40, 4)
    assert maximum_mean_discrepancy(x, x[torch.randperm(40)]).abs() < 1e-6
    y = torch.randn(40, 4)
    values = [maximum_mean_discrepancy(x + shift, y).item() for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[0] < 0.05 < values[-1]


def test_mmd_sends_no_gradient_through_the_bandwidth() -> None:
    x, y = torch.randn(6, 2).double(), torch.randn(7, 2).double()
    x.requires_grad_()
    (found,) = torch.autograd.grad(maximum_mean_discrepancy(x, y), x)
    with torch.no_grad():
        points = torch.cat([x, y])
        upper = torch.triu_indices(13, 13, offset=1)
        bandwidth = torch.cdist(points, points)[upper[0], upper[1]].median() ** 2

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.exp(-(a[:, None] - b[None]).square().sum(-1) / (2 * bandwidth)).mean()

    fixed = kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)
    (expected,) = torch.autograd.grad(fixed, x)
    torch.testing.assert_close(found, expected)


def test_mmd_of_equal_points_is_finite() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    value = maximum_mean_discrepancy(x, torch.ones(4, 3))
    value.backward()
    assert value == 0
    assert x.grad.isfinite().all()


def test_info_nce_against_a_loop() -> None:
    x, y = torch.randn(5, 4).double(), torch.randn(5, 4).double()
    temperature = 0.3

    def similarity(i: int, j: int) -> float:
        return float(x[i] @ y[j] / (x[i].norm() * y[j].norm())) / temperature

    total = 0.0
    for i in range(5):
        across = sum(math.exp(similarity(i, j)) for j in range(5))
        down = sum(math.exp(similarity(j, i)) for j in range(5))
        total -= 2 * similarity(i, i) - math.log(across) - math.log(down)
    found = info_nce(x, y, temperature=temperature).item()
    assert found == pytest.approx(total / 10, abs=1e-12)
    assert found == pytest.approx(info_nce(y, x, temperature=temperature).item())


def test_info_nce_of_unrelated_codes_is_near_log_n() -> None:
    x, y = torch.randn(64, 4096), torch.randn(64, 4096)
    assert info_nce(x, y, temperature=0.1).item() == pytest.approx(math.log(64), abs=0.1)
    assert info_nce(x, x, temperature=0.1) < 0.01


def test_info_nce_of_one_molecule_is_zero() -> None:
    assert info_nce(torch.randn(1, 4), torch.randn(1, 4), temperature=0.1) == 0


def test_info_nce_sees_the_direction_only() -> None:
    x, y = torch.randn(5, 4), torch.randn(5, 4)
    scaled = info_nce(3 * x, 0.2 * y, temperature=0.1)
    torch.testing.assert_close(scaled, info_nce(x, y, temperature=0.1))


def test_cross_correlation_is_zero_for_a_balanced_design() -> None:
    shared = torch.tensor([[-1.0], [-1.0], [1.0], [1.0]])
    private = torch.tensor([[-1.0, 3.0], [1.0, 4.0], [-1.0, 3.0], [1.0, 4.0]])
    assert cross_correlation(shared, private) < 1e-10


def test_cross_correlation_of_a_copy_is_one_whatever_its_scale() -> None:
    code = torch.randn(20, 1)
    assert cross_correlation(code, -7 * code + 3).item() == pytest.approx(1.0, abs=1e-4)


def test_cross_correlation_against_corrcoef() -> None:
    shared, private = torch.randn(30, 3).double(), torch.randn(30, 5).double()
    private[:, 2] += shared[:, 1]
    block = torch.corrcoef(torch.cat([shared, private], dim=1).T)[:3, 3:]
    found = cross_correlation(shared, private)
    torch.testing.assert_close(found, block.square().mean(), atol=1e-5, rtol=1e-5)


def test_cross_correlation_of_a_constant_code_is_finite() -> None:
    code = torch.ones(4, 2, requires_grad=True)
    value = cross_correlation(code, torch.randn(4, 3))
    value.backward()
    assert value == 0
    assert code.grad.isfinite().all()


def test_absolute_cosine() -> None:
    shared = torch.tensor([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    private = torch.tensor([[0.0, 5.0], [-3.0, -3.0], [1.0, math.sqrt(3.0)]])
    assert absolute_cosine(shared, private).item() == pytest.approx((0 + 1 + 0.5) / 3)


OUTPUTS = ((0.3, -1.0), (-2.0, 0.5), (1.5, 2.0))
TARGETS = ((1.0, 0.0), (0.0, 1.5), (1.0, -1.0))
MASK = ((True, True), (True, False), (False, True))


def loss(outputs, targets, mask=MASK, positive_weight=(1.0, 1.0)) -> torch.Tensor:
    """First task a class, second a value."""
    return property_loss(
        torch.as_tensor(outputs),
        torch.as_tensor(targets),
        torch.as_tensor(mask),
        classification=torch.tensor([True, False]),
        positive_weight=torch.tensor(positive_weight),
    )


def naive_loss(positive_weight: float = 1.0) -> float:
    total, count = 0.0, 0
    for row in range(3):
        if MASK[row][0]:
            p = 1 / (1 + math.exp(-OUTPUTS[row][0]))
            total -= positive_weight * math.log(p) if TARGETS[row][0] else math.log(1 - p)
            count += 1
        if MASK[row][1]:
            total += (OUTPUTS[row][1] - TARGETS[row][1]) ** 2
            count += 1
    return total / count


@pytest.mark.parametrize("positive_weight", [1.0, 3.5])
def test_mixed_tasks_with_missing_labels(positive_weight: float) -> None:
    found = loss(OUTPUTS, TARGETS, positive_weight=(positive_weight, 1.0))
    assert found.item() == pytest.approx(naive_loss(positive_weight), abs=1e-6)


def test_a_missing_label_changes_neither_loss_nor_gradient() -> None:
    changed = torch.where(torch.tensor(MASK), torch.tensor(TARGETS), torch.tensor([[0.0, 99.0]]))
    results = []
    for targets in (torch.tensor(TARGETS), changed):
        outputs = torch.tensor(OUTPUTS, requires_grad=True)
        value = loss(outputs, targets)
        value.backward()
        results.append((value.detach(), outputs.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert ((results[0][1] != 0) == torch.tensor(MASK)).all()


def test_a_missing_label_is_not_a_negative() -> None:
    everything = [[True, True]] * 3
    assert loss(OUTPUTS, TARGETS) != loss(OUTPUTS, TARGETS, mask=everything)


def test_no_label_at_all_is_no_loss() -> None:
    outputs = torch.tensor(OUTPUTS, requires_grad=True)
    value = loss(outputs, TARGETS, mask=[[False, False]] * 3)
    value.backward()
    assert value == 0
    assert (outputs.grad == 0).all()


def test_contrast_of_modalities_is_the_mean_over_pairs_of_those_who_have_both() -> None:
    codes = {name: torch.randn(5, 4) for name in ("image", "graph", "geometry")}
    rows = {"image": [0, 1, 2, 3, 4], "graph": [0, 1, 2], "geometry": [1, 2, 3, 4]}
    present = {name: torch.tensor([i in mine for i in range(5)]) for name, mine in rows.items()}
    pairs = {
        ("image", "graph"): [0, 1, 2],
        ("image", "geometry"): [1, 2, 3, 4],
        ("graph", "geometry"): [1, 2],
    }
    expected = [
        float(info_nce(codes[a][both], codes[b][both], temperature=0.1))
        for (a, b), both in pairs.items()
    ]
    found = contrast_modalities(codes, present, temperature=0.1)
    assert float(found) == pytest.approx(sum(expected) / 3, rel=1e-5)
    alone = {"graph": codes["graph"]}
    assert contrast_modalities(alone, present, temperature=0.1) == 0


def test_retrieved_against_a_loop() -> None:
    first, second = torch.randn(20, 3), torch.randn(20, 3)
    second[::2] = 3 * first[::2]
    found = retrieved(first, second).tolist()
    for i, row in enumerate(first):
        cosines = [float(torch.cosine_similarity(row, other, dim=0)) for other in second]
        assert found[i] == (max(cosines) == cosines[i])
    assert all(found[::2])
    assert not all(found)
