"""MoleBLEND: what is blended when, what is recovered, and its mistakes."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import (
    DRUGLIKE,
    TASKS,
    batch_of,
    labels,
    make_batch,
    sample,
    seeded,
    thirty_two,
    tiny_config,
    total,
    train,
)
from tiny import tiny_model as model_of

from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.methods.base import Assessment
from molweave.methods.config import replace_fields
from molweave.methods.moleblend import MoleBLEND
from molweave.methods.moleblend_config import MOLEBLEND_PRESETS, TERMS, MoleBLENDConfig
from molweave.methods.moleblend_recovery import BlendedEncoding
from molweave.methods.property_model import PropertyModel
from molweave.metrics import evaluate
from molweave.nn.encoders import pair_transformer


def build(**changes: Any) -> MoleBLEND:
    torch.manual_seed(0)
    return MoleBLEND(tiny_config("moleblend", "small", **changes)).eval()


def blending(**changes: Any) -> MoleBLEND:
    """A network that blends every molecule, unless told otherwise."""
    whole = dict.fromkeys(("whole_2d", "whole_3d", "whole_both"), 0.0)
    return build(views="blend", **{**whole, **changes})


def test_is_registered_with_its_presets():
    assert METHODS["moleblend"].method is MoleBLEND
    assert list(MOLEBLEND_PRESETS) == ["small", "base", "paper"]
    small = MoleBLEND(MOLEBLEND_PRESETS["small"])
    count = sum(parameter.numel() for parameter in small.parameters())
    assert 3.1e6 < count < 3.3e6


def test_the_noise_is_shown():
    """What is to be recovered from it could not be, were clean coordinates shown."""
    shown = {"show_spd": 0.0, "show_edge": 0.0, "show_distance": 1.0, "show_spatial_atom": 1.0}
    batch = make_batch(DRUGLIKE)
    clean, noisy = (
        blending(**shown, noise=noise, atoms=0.0).blended(batch, seeded()) for noise in (1e-6, 2.0)
    )
    assert (noisy.noise.abs().amax((1, 2)) > 1).all()
    assert ((clean.embedding - noisy.embedding).abs().amax(1) > 1e-3).all()


def test_reads_2d_without_anything_of_3d():
    network = build()
    assert network.modalities == ("relations",)
    assert not [name for name, _ in network.named_parameters() if "distances" in name]
    assert network.recovery is None
    batch, flat = make_batch(DRUGLIKE), make_batch(DRUGLIKE, flat=range(len(DRUGLIKE)))
    assert torch.equal(network.encode(batch).embedding, network.encode(flat).embedding)


@pytest.mark.parametrize("views", ["3d", "both", "blend"])
def test_a_molecule_without_a_conformer_is_read_from_2d(views):
    network = build(views=views)
    flat = replace_views(network, "2d")
    batch = make_batch(DRUGLIKE, flat=[2])
    found = network.encode(batch)
    torch.testing.assert_close(found.embedding[2], flat.encode(batch).embedding[2])
    assert found.weights[2].tolist() == [1.0, 0.0]
    assert found.weights[0].tolist() == [0.5, 0.5]


def replace_views(network: MoleBLEND, views: str) -> MoleBLEND:
    """The same weights, as far as other views have them."""
    other = MoleBLEND(replace(network.config, views=views)).eval()
    there = network.state_dict()
    other.load_state_dict({name: there[name] for name in other.state_dict()})
    return other


def test_a_fine_tuned_network_is_part_of_a_pre_trained_one():
    batch = make_batch(DRUGLIKE)
    both = [replace_views(blending(), views).encode(batch).embedding for views in ("both", "blend")]
    assert torch.equal(*both)


def test_evaluation_never_blends_and_has_no_objectives():
    network, batch = blending(), make_batch(DRUGLIKE, flat=[1])
    first, second = network.encode(batch), network.encode(batch)
    assert not isinstance(first, BlendedEncoding)
    assert torch.equal(first.embedding, second.embedding)
    assert network.objectives(first, batch, 0.5) == {}


@pytest.mark.parametrize("views", ["2d", "3d", "both"])
def test_fine_tuning_never_blends_and_has_no_objectives(views):
    network = build(views=views, encoder_dropout=0.0, drop_path=0.0).train()
    batch = make_batch(DRUGLIKE)
    first, second = network.encode(batch), network.encode(batch)
    assert torch.equal(first.embedding, second.embedding)
    assert network.objectives(first, batch, 0.5) == {}


def test_training_blends_anew_and_every_molecule_for_itself():
    network = blending(encoder_dropout=0.0, drop_path=0.0).train()
    batch = make_batch([DRUGLIKE[0]] * 3)
    first, second = network.encode(batch), network.encode(batch)
    assert isinstance(first, BlendedEncoding)
    assert isinstance(second, BlendedEncoding)
    assert not torch.equal(first.shown.pairs, second.shown.pairs)
    assert not torch.allclose(first.embedding[0], first.embedding[1])
    assert set(network.objectives(first, batch, 0.0)) == set(TERMS)


def test_noise_is_as_large_as_it_should_be_and_only_where_there_are_atoms():
    batch = make_batch([*DRUGLIKE * 40], flat=[3])
    found = blending(noise=0.3).blended(batch, seeded())
    there = found.pairs.real & found.pairs.placed[:, None]
    assert not found.pairs.placed[3]
    assert not found.noise[~there].any()
    assert float(found.noise[there].std()) == pytest.approx(0.3, abs=0.01)


def test_the_distance_to_recover_is_the_one_without_noise():
    batch = make_batch(DRUGLIKE)
    found = blending(noise=2.0).blended(batch, seeded())
    geometry = batch.parts["geometry"].positions[: len(sample(DRUGLIKE[0])["relations"].atoms)]
    size = len(geometry)
    expected = (geometry[:, None] - geometry).norm(dim=-1)
    torch.testing.assert_close(found.pairs.distance[0, :size, :size], expected)


def test_one_hidden_relation_is_all_that_decides():
    """Pairs that show no distance do not let the network see one; only their atoms may."""
    network = blending(
        noise=0.0, denoise=0.0, atoms=0.0, show_spd=0.5, show_edge=0.5, show_distance=0.0
    )
    network = MoleBLEND(replace(network.config, show_spatial_atom=0.0)).eval()
    near, far = (make_batch(DRUGLIKE, flat=flat) for flat in ([], range(len(DRUGLIKE))))
    first, second = (network.blended(batch, seeded()) for batch in (near, far))
    assert torch.equal(first.embedding, second.embedding)


def test_hidden_and_visible_pairs_are_all_pairs():
    network, batch = blending(), make_batch(DRUGLIKE, flat=[1])
    found = network.blended(batch, seeded())
    scores = network.recovery.scores(found)
    sizes = [len(sample(text)["relations"].atoms) for text in DRUGLIKE]
    pairs = [size * (size - 1) for size in sizes]
    counts = {name: int(one.count) for name, one in scores.items()}
    assert counts["spd_hidden"] + counts["spd_visible"] == sum(pairs)
    assert counts["distance_hidden"] + counts["distance_visible"] == sum(pairs) - pairs[1]
    hops = int((batch.parts["relations"].hops > 0).sum())
    assert counts["edge_hidden"] + counts["edge_visible"] == hops
    share = counts["distance_hidden"] / (sum(pairs) - pairs[1])
    assert share == pytest.approx(0.4**2, abs=0.08)
    expected = 0.8**2 * (sum(pairs) - pairs[1]) + 0.5**2 * pairs[1]  # the second is flat
    assert counts["spd_hidden"] / sum(pairs) == pytest.approx(expected / sum(pairs), abs=0.05)


def test_perfect_heads_score_perfectly(monkeypatch):
    network, batch = blending(), make_batch(DRUGLIKE)
    found = network.blended(batch, seeded())
    pairs = found.pairs
    one_hot = torch.nn.functional.one_hot
    hops = one_hot((pairs.hops - 1).clamp(min=0).long(), 22).permute(0, 4, 3, 1, 2).float()
    right = {
        "spd": one_hot((pairs.spd - 1).clamp(0, 10).long(), 11).permute(0, 3, 1, 2).float(),
        "edge": hops.flatten(1, 2),
        "distance": pairs.distance + 0.25,
    }
    for name, value in right.items():
        monkeypatch.setattr(network.recovery.heads[name], "forward", lambda *_, v=value: v)
    scores = {name: one.mean for name, one in network.recovery.scores(found).items()}
    assert [scores[f"{name}_hidden"] for name in ("spd", "edge")] == [1.0, 1.0]
    assert [scores[f"{name}_visible"] for name in ("spd", "edge")] == [1.0, 1.0]
    assert scores["distance_hidden"] == pytest.approx(0.25, abs=1e-5)
    terms = network.objectives(found, batch, 0.0)
    assert float(terms["distance"].value) == pytest.approx(0.5 * 0.25**2, abs=1e-5)


def test_no_coordinates_at_all_blends_2d_only():
    network = blending().train()
    batch = make_batch(DRUGLIKE, flat=range(len(DRUGLIKE)))
    found = network.encode(batch)
    terms = network.objectives(found, batch, 0.0)
    assert float(terms["distance"].value.detach()) == float(terms["denoise"].value.detach()) == 0.0
    assert float(terms["spd"].value.detach()) > 0


def test_a_term_of_weight_zero_has_no_head():
    network = blending(**dict.fromkeys(TERMS[2:], 0.0)).train()
    assert network.config.modalities == ("relations", "geometry")
    batch = make_batch(DRUGLIKE)
    assert set(network.objectives(network.encode(batch), batch, 0.0)) == {"spd", "edge"}
    assert network.recovery is not None
    assert set(network.recovery.heads) == {"spd", "edge"}


def test_the_paper_preset_is_the_papers():
    paper = MOLEBLEND_PRESETS["paper"]
    assert not any(paper.whole)
    assert {name for name in TERMS if getattr(paper, name)} == set(TERMS[:4])


def test_a_network_without_heads_recovers_nothing():
    network, batch = build(), make_batch(DRUGLIKE)
    assert network.assess(batch, seeded()) == Assessment({}, {})
    assert network.objectives(blending().blended(batch, seeded()), batch, 0.0) == {}


def test_many_runs_are_one(monkeypatch):
    network, batch = build(views="both"), make_batch([*DRUGLIKE, "C"], flat=[4])
    whole = network.encode(batch).embedding
    for budget in (1, 300):
        monkeypatch.setattr(pair_transformer, "PAIR_BUDGET", budget)
        torch.testing.assert_close(network.encode(batch).embedding, whole, atol=1e-5, rtol=0)


def test_a_large_mate_costs_its_own_pairs_only(odd_smiles, monkeypatch):
    """Padded together, they would take eight times as much."""
    padded, pad = [], pair_transformer.pad_pairs

    def noted(*given):
        pairs = pad(*given)
        padded.append(tuple(pairs.real.shape))
        return pairs

    monkeypatch.setattr(pair_transformer, "pad_pairs", noted)
    large, small = odd_smiles["1000 atoms"], DRUGLIKE[0]
    samples = [sample(small, geometry=False)] * 7
    found = build().encode(batch_of([*samples, sample(large, geometry=False)]))
    assert [shape[0] for shape in padded] == [7, 1]
    assert padded[0][1] < 100 < padded[1][1]
    alone = build().encode(batch_of([sample(small, geometry=False)]))
    torch.testing.assert_close(found.embedding[0], alone.embedding[0], atol=1e-5, rtol=0)


def test_recovery_is_learnt():
    method = blending(encoder_dropout=0.0, drop_path=0.0)
    network = PropertyModel(method, TASKS, dropout=0.0)
    batch = make_batch(DRUGLIKE[2:], targets=labels(4))

    def losses() -> dict[str, float]:
        found = method.blended(batch, seeded())
        terms = method.objectives(found, batch, 0.0)
        return {name: float(term.value.detach()) for name, term in terms.items()}

    before = losses()
    train(network, batch, steps=30, rate=2e-2)
    after = losses()
    assert after["spd"] < 0.8 * before["spd"]
    assert after["edge"] < 0.5 * before["edge"]
    assert after["distance"] < 0.5 * before["distance"]


def test_memorises_32_molecules():
    smiles, targets = thirty_two()
    batch = batch_of([sample(text) for text in smiles], targets=targets)
    config = tiny_config(
        "moleblend", "small", width=32, encoder_dropout=0.0, drop_path=0.0, dropout=0.0
    )
    model = model_of(config, method="moleblend")
    train(model, batch, steps=100, rate=8e-3)
    values = model.predict(batch).values.numpy()
    assert evaluate("roc_auc", targets[:, 0], values[:, 0]).value == 1.0
    assert evaluate("rmse", targets[:, 1], values[:, 1]).value < 0.5


@pytest.mark.parametrize("name", ["encoder_dropout", "drop_path"])
def test_the_encoder_drops_what_the_configuration_says(name):
    """In training only, and nothing where both are 0."""
    batch = make_batch(DRUGLIKE)

    def scatter(model: MoleBLEND) -> float:
        first, second = (model.encode(batch).embedding for _ in range(2))
        return float((first - second).detach().abs().max())

    none = {"encoder_dropout": 0.0, "drop_path": 0.0}
    assert scatter(build(**none).train()) == 0
    dropping = build(**{**none, name: 0.5}, layers=2)
    assert scatter(dropping.train()) > 1e-3
    assert scatter(dropping.eval()) == 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_the_draw_is_symmetric_where_the_configuration_says_so(symmetric):
    pairs = blending(symmetric=symmetric).blended(make_batch(DRUGLIKE), seeded()).shown.pairs
    assert torch.equal(pairs, pairs.transpose(1, 2)) == symmetric


def test_blending_can_accompany_a_task():
    model = model_of(tiny_config("moleblend", "small", views="blend"), method="moleblend").train()
    terms = model(make_batch(DRUGLIKE, targets=labels(len(DRUGLIKE))), 0.5)
    assert set(terms) == {"task", *TERMS}
    assert total(terms).isfinite()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"show_spd": 0.5}, r"must add up to 1; found 0.5 \+ 0.2 \+ 0.6 = 1.3"),
        ({"show_spd": 1.2, "show_edge": -0.2, "show_distance": 0.0}, "is a probability"),
        ({"views": "4d"}, "views must be one of 2d, 3d, both, blend; found '4d'"),
        ({"heads": 5}, "multiple of heads"),
        ({"layers": 0}, "layers of at least 1"),
        ({"spd": -1}, "spd of at least 0"),
        ({"drop_path": 1.0}, "drop_path is a probability below 1"),
        ({"reach": 0}, "reach must be above 0"),
        ({"noise": 0}, "denoise needs noise"),
        ({"atoms": 1, "hide_atoms": 0}, "atoms needs hide_atoms"),
        ({"hide_atoms": 2}, "hide_atoms is a probability"),
        ({"fingerprint": -1}, "fingerprint of at least 0"),
        ({"modalities": ("graph",)}, "unknown option 'modalities' of moleblend"),
    ],
)
def test_mistakes_are_told(changes, message):
    with pytest.raises(UserError, match=message):
        replace_fields(MoleBLENDConfig(), changes, where="moleblend")
