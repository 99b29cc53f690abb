"""The terms of DMMRL's loss: what each one is, when it counts and where its gradient goes."""

import dataclasses
import math

import pytest
import torch
from tiny import DRUGLIKE, labels, make_batch, tiny_config, tiny_model

from molweave.data.batch import Batch
from molweave.methods.base import Encoding
from molweave.methods.dmmrl import DMMRL, _drop_modalities
from molweave.methods.property_model import PropertyModel
from molweave.training.finetune import TrainingStep

MODALITIES = ("sequence", "graph", "geometry")
FLAT = [1, 4]
TERMS = ("kl", "mmd", "align", "orth", "rec")


@pytest.fixture
def batch() -> Batch:
    return make_batch(DRUGLIKE, flat=FLAT, targets=labels(len(DRUGLIKE)))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def encoded(batch: Batch, **changes: object) -> tuple[DMMRL, Encoding]:
    method = tiny_model(tiny_config(**changes)).train().method
    assert isinstance(method, DMMRL)
    return method, method.encode(batch)


@pytest.mark.parametrize(
    ("share", "slow", "fast"),
    [(0.0, -5.0, -5.0), (0.25, -2.5, 0.0), (0.5, 0.0, 5.0), (1.0, 5.0, 15.0), (2.0, 15.0, 35.0)],
)
def test_ramps(share: float, slow: float, fast: float, batch) -> None:
    """``share`` is e / W: k(e) = sigmoid(10 (e/W - 0.5)), o(e) = sigmoid(10 (2e/W - 0.5))."""
    values = {"kl": 0.5, "mmd": 0.6, "align": 0.7, "orth": 0.8, "rec": 0.9}
    method, encoding = encoded(batch, ramp=0.4, **values)
    terms = method.objectives(encoding, batch, 0.4 * share)
    for name, weight in values.items():
        ramp = sigmoid(slow if name in ("kl", "orth") else fast)
        assert terms[name].weight == pytest.approx(weight * ramp, rel=1e-9)


def rows(name: str) -> list[int]:
    """The molecules that have this modality."""
    return [index for index in range(len(DRUGLIKE)) if name != "geometry" or index not in FLAT]


def test_kl_is_the_mean_over_modalities_of_those_that_have_it(batch) -> None:
    method, encoding = encoded(batch)
    values = []
    for name in MODALITIES:
        mean = encoding.codes["shared_mean"][name][rows(name)]
        spread = encoding.codes["shared_log_variance"][name][rows(name)]
        values.append((0.5 * (mean**2 + spread.exp() - 1 - spread)).mean())
    expected = torch.stack(values).mean()
    torch.testing.assert_close(method.objectives(encoding, batch, 1.0)["kl"].value, expected)


def test_mmd_compares_private_codes_with_the_prior(batch) -> None:
    """Far codes give a large value, codes drawn from N(0, I) a small one."""
    method, encoding = encoded(make_batch(DRUGLIKE * 5))
    batch = make_batch(DRUGLIKE * 5)
    values = []
    for scale, shift in ((1.0, 0.0), (1.0, 3.0)):
        private = {
            name: torch.randn(batch.size, 8) * scale + shift for name in encoding.codes["private"]
        }
        moved = dataclasses.replace(encoding, codes={**encoding.codes, "private": private})
        values.append(method.objectives(moved, batch, 1.0)["mmd"].value.item())
    assert values[0] < 0.1 < 0.5 < values[1]


def test_mmd_leaves_molecules_without_the_modality_out(batch) -> None:
    method, encoding = encoded(batch, modalities=("geometry",))
    private = encoding.codes["private"]["geometry"].clone()
    results = []
    for value in (0.0, 50.0):
        private[FLAT] = value
        moved = dataclasses.replace(
            encoding, codes={**encoding.codes, "private": {"geometry": private.clone()}}
        )
        torch.manual_seed(0)
        results.append(method.objectives(moved, batch, 1.0)["mmd"].value)
    assert torch.equal(*results)


@pytest.mark.parametrize("kind", ["correlation", "cosine"])
def test_orthogonality_compares_shared_and_private_codes(kind: str, batch) -> None:
    method, encoding = encoded(batch, orthogonality=kind)
    values = []
    for name in MODALITIES:
        shared, private = (encoding.codes[k][name][rows(name)] for k in ("shared", "private"))
        if kind == "cosine":
            size = shared.norm(dim=1) * private.norm(dim=1)
            values.append(((shared * private).sum(1) / size).abs().mean())
        else:
            block = torch.corrcoef(torch.cat([shared, private], dim=1).T)[:8, 8:]
            values.append(block.square().mean())
    found = method.objectives(encoding, batch, 1.0)["orth"].value
    torch.testing.assert_close(found, torch.stack(values).mean(), atol=1e-4, rtol=1e-4)


def test_alignment_is_over_every_pair_of_modalities_that_a_molecule_has(batch) -> None:
    method, encoding = encoded(batch, temperature=0.2)
    values = []
    for first, second in (
        ("sequence", "graph"),
        ("sequence", "geometry"),
        ("graph", "geometry"),
    ):
        both = sorted(set(rows(first)) & set(rows(second)))
        x, y = (encoding.codes["shared"][name][both] for name in (first, second))
        cosine = torch.cosine_similarity(x[:, None], y[None], dim=2) / 0.2
        across = cosine.log_softmax(1).diagonal().mean()
        down = cosine.log_softmax(0).diagonal().mean()
        values.append(-(across + down) / 2)
    found = method.objectives(encoding, batch, 1.0)["align"].value
    torch.testing.assert_close(found, torch.stack(values).mean())


def test_a_validation_draws_from_its_generator(batch) -> None:
    method = tiny_model().eval().method

    def assessed(seed: int) -> float:
        found = method.assess(batch, torch.Generator().manual_seed(seed))
        return found.terms["mmd"].value.item()

    torch.manual_seed(0)
    assert assessed(3) == assessed(3) != assessed(4)
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), after)


def test_reconstruction_is_the_error_of_the_decoders(batch) -> None:
    method, encoding = encoded(batch)
    values = []
    for name in MODALITIES:
        shared, private, pooled = (
            encoding.codes[kind][name][rows(name)] for kind in ("shared", "private", "pooled")
        )
        values.append((method.decoders[name](shared, private) - pooled).square().mean())
    found = method.objectives(encoding, batch, 1.0)["rec"].value
    torch.testing.assert_close(found, torch.stack(values).mean())


def test_reconstruction_moves_the_codes_and_not_its_target(batch) -> None:
    method, encoding = encoded(batch)
    leaves = {
        kind: {name: code.detach().requires_grad_() for name, code in codes.items()}
        for kind, codes in encoding.codes.items()
    }
    again = dataclasses.replace(encoding, codes=leaves)
    method.objectives(again, batch, 1.0)["rec"].value.backward()
    for name in MODALITIES:
        assert leaves["pooled"][name].grad is None
        assert leaves["shared"][name].grad.abs().sum() > 0
        assert leaves["private"][name].grad.abs().sum() > 0


def touched(model: PropertyModel, loss: torch.Tensor, prefix: str) -> bool:
    """Whether a loss sends a gradient to the parameters of this name."""
    named = [value for name, value in model.named_parameters() if name.startswith(prefix)]
    assert named, prefix
    grads = torch.autograd.grad(loss, named, retain_graph=True, allow_unused=True)
    return any(grad is not None and bool(grad.abs().sum() > 0) for grad in grads)


def test_which_term_teaches_which_part(batch) -> None:
    model = tiny_model(tiny_config(dropout=0.0, encoder_dropout=0.0)).train()
    terms = model(batch, 0.5)
    reached = {
        "head.": {"task"},
        "method.fusion": {"task"},
        "method.decoders": {"rec"},
        "method.heads.graph.shared": {"task", "kl", "align", "orth", "rec"},
        "method.heads.graph.private": {"mmd", "orth", "rec"},
        "method.encoders.graph": {"task", *TERMS},
    }
    for prefix, expected in reached.items():
        found = {name for name, term in terms.items() if touched(model, term.value, prefix)}
        assert found == expected, prefix


def test_the_loss_is_the_weighted_sum_of_its_terms(batch) -> None:
    model = tiny_model().train()
    torch.manual_seed(0)
    terms = model(batch, 0.3)
    assert tuple(terms) == ("task", *TERMS)
    assert terms["task"].weight == 1.0
    expected = sum(term.weight * term.value.item() for term in terms.values())
    torch.manual_seed(0)
    step = TrainingStep(model)(lambda: batch, 0.3)
    assert step.pop("loss").item() == pytest.approx(expected, rel=1e-5)
    assert {name: value.item() for name, value in step.items()} == {
        name: term.value.item() for name, term in terms.items()
    }


def test_a_term_of_weight_zero_is_left_out(batch) -> None:
    method, encoding = encoded(batch, **dict.fromkeys(TERMS, 0.0))
    assert method.objectives(encoding, batch, 0.5) == {}


def test_a_modality_that_one_molecule_has_is_left_out() -> None:
    batch = make_batch(DRUGLIKE[:3], flat=[0, 1])
    method, encoding = encoded(batch)
    alone = encoded(make_batch(DRUGLIKE[:3]))[0]
    without = dataclasses.replace(
        encoding,
        codes={
            kind: {name: code for name, code in codes.items() if name != "geometry"}
            for kind, codes in encoding.codes.items()
        },
    )
    two = make_batch(DRUGLIKE[:3], flat=[0, 1, 2])
    for name in ("kl", "orth", "rec", "align"):
        found = method.objectives(encoding, batch, 1.0)[name].value
        method.modalities = ("sequence", "graph")
        expected = method.objectives(without, two, 1.0)[name].value
        method.modalities = MODALITIES
        torch.testing.assert_close(found, expected)
    assert alone.modalities == MODALITIES


def test_a_batch_of_one_molecule_has_only_the_task_to_learn() -> None:
    model = tiny_model().train()
    terms = model(make_batch(["CCO"], targets=labels(1)), 0.5)
    assert [name for name, term in terms.items() if term.value != 0] == ["task"]


def test_only_shared_codes_make_the_embedding(batch) -> None:
    model = tiny_model().train()
    embedding = model.method.encode(batch).embedding
    assert touched(model, embedding.square().sum(), "method.heads.graph.shared")
    assert not touched(model, embedding.square().sum(), "method.heads.graph.private")


def test_codes_of_a_missing_modality_are_zero(batch) -> None:
    _, encoding = encoded(batch)
    assert set(encoding.codes) == {
        "pooled",
        "shared",
        "private",
        "shared_mean",
        "shared_log_variance",
    }
    for codes in encoding.codes.values():
        assert (codes["geometry"][FLAT] == 0).all()
        assert (codes["geometry"][rows("geometry")] != 0).any(1).all()


def test_codes_are_sampled_in_training_and_means_in_evaluation(batch) -> None:
    method, encoding = encoded(batch)
    codes = encoding.codes
    assert not torch.equal(codes["shared"]["graph"], codes["shared_mean"]["graph"])
    codes = method.eval().encode(batch).codes
    assert torch.equal(codes["shared"]["graph"], codes["shared_mean"]["graph"])


PRESENT = torch.tensor(
    [[True, True, True], [True, False, False], [False, True, True], [False, False, False]]
)


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.99])
def test_modality_dropout_never_hides_the_last_one(probability: float) -> None:
    present = PRESENT.repeat(2000, 1)
    kept = _drop_modalities(present, probability)
    assert not (kept & ~present).any(), "a missing modality appeared"
    assert torch.equal(kept.any(1), present.any(1))
    alone = present.sum(1) == 1
    assert torch.equal(kept[alone], present[alone])
    full = present.all(1)
    q = 1 - probability
    expected = q + probability**3  # all three return where all three were hidden
    assert kept[full].float().mean().item() == pytest.approx(expected, abs=0.03)


def test_modality_dropout_acts_in_training_only(batch) -> None:
    method, encoding = encoded(batch, modality_dropout=0.9)
    hidden = encoding.weights == 0
    assert hidden.sum() > len(FLAT)
    torch.testing.assert_close(encoding.weights.sum(1), torch.ones(len(DRUGLIKE)))
    weights = method.eval().encode(batch).weights
    assert (weights == 0).sum() == len(FLAT)
