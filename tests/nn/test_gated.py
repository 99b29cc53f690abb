import pytest
import torch

from molweave.nn.fusion.gated import FUSIONS, Fusion

PRESENT = torch.tensor(
    [[True, True, True], [True, False, True], [False, True, False], [False, False, False]]
)


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.randn(4, 3, 6)


def fusion(kind: str) -> Fusion:
    module = Fusion(kind, num_modalities=3, width=6)
    for parameter in module.parameters():  # no weight keeps its 0 or 1, so that all of them show
        torch.nn.init.normal_(parameter, std=0.5)
    return module


def normalised(module: Fusion, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean()
    spread = torch.sqrt(centred.square().mean() + 1e-5)
    return centred / spread * module.norm.weight + module.norm.bias


def test_gated_closed_form(codes) -> None:
    module = fusion("gated")
    first, _, last = module.gate
    found, weights = module(codes, PRESENT)
    for row in range(3):
        there = [m for m in range(3) if PRESENT[row, m]]
        u = torch.cat([codes[row, m] if m in there else module.absent[m] for m in range(3)])
        scores = last.weight @ torch.tanh(first.weight @ u + first.bias) + last.bias
        share = torch.softmax(scores[there], dim=0)
        inside = sum(a * codes[row, m] for a, m in zip(share, there, strict=True))
        mean = codes[row, there].mean(0)
        torch.testing.assert_close(found[row], normalised(module, inside + mean))
        torch.testing.assert_close(weights[row, there], share)
    assert first.out_features == 3


def test_mean_closed_form(codes) -> None:
    module = fusion("mean")
    found, weights = module(codes, PRESENT)
    for row in range(3):
        there = PRESENT[row]
        torch.testing.assert_close(found[row], normalised(module, codes[row, there].mean(0)))
        torch.testing.assert_close(weights[row], there / there.sum())


def test_concat_closed_form(codes) -> None:
    module = fusion("concat")
    found, weights = module(codes, PRESENT)
    for row in range(4):
        u = torch.cat([codes[row, m] if PRESENT[row, m] else module.absent[m] for m in range(3)])
        expected = module.project.weight @ u + module.project.bias
        torch.testing.assert_close(found[row], normalised(module, expected))
    torch.testing.assert_close(weights[1], torch.tensor([0.5, 0.0, 0.5]))


@pytest.mark.parametrize("kind", FUSIONS)
def test_weights_sum_to_one_and_are_zero_where_missing(kind: str, codes) -> None:
    _, weights = fusion(kind)(codes * 30, PRESENT)
    torch.testing.assert_close(weights.sum(1), torch.tensor([1.0, 1.0, 1.0, 0.0]))
    assert (weights >= 0).all()
    assert (weights[~PRESENT] == 0).all()


@pytest.mark.parametrize("kind", FUSIONS)
@pytest.mark.parametrize("rubbish", [1e6, float("nan"), float("inf")])
def test_what_stands_in_the_place_of_a_missing_modality_does_not_matter(
    kind: str, rubbish: float, codes
) -> None:
    module = fusion(kind)
    expected = module(codes, PRESENT)
    changed = torch.where(PRESENT[..., None], codes, rubbish).requires_grad_()
    found = module(changed, PRESENT)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    found[0].square().sum().backward()
    assert (changed.grad[~PRESENT] == 0).all()
    assert (changed.grad[:2][PRESENT[:2]] != 0).any(1).all()


@pytest.mark.parametrize("kind", ["gated", "mean"])
def test_no_modality_at_all_is_the_bias_of_the_norm(kind: str, codes) -> None:
    module = fusion(kind)
    found, weights = module(codes, PRESENT)
    torch.testing.assert_close(found[3], module.norm.bias)
    assert (weights[3] == 0).all()


def test_gate_learns_which_modality_is_missing(codes) -> None:
    module = fusion("gated")
    _, weights = module(codes, PRESENT)
    weights[1, 0].backward()
    assert (module.absent.grad.abs().sum(1) > 0).tolist() == [False, True, False]


@pytest.mark.parametrize("kind", FUSIONS)
def test_runs_in_mixed_precision(kind: str, codes) -> None:
    """The codes are float32 where the layers compute in bfloat16."""
    module = fusion(kind)
    expected, _ = module(codes, PRESENT)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, weights = module(codes, PRESENT)
    torch.testing.assert_close(found.float(), expected, atol=0.1, rtol=0.05)
    assert (weights[~PRESENT] == 0).all()
