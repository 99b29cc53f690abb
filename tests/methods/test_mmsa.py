"""MMSA: what each protocol reads, the terms and their masks, collapse, and its mistakes."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny import DRUGLIKE, labels, make_batch, thirty_two, tiny_config, tiny_model, total

from molweave.data.batch import Batch
from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.methods.config import replace_fields
from molweave.methods.mmsa import MMSA, AwareEncoding
from molweave.methods.mmsa_config import MMSA_PRESETS, MMSAConfig
from molweave.nn.objectives.contrastive import info_nce, retrieved
from molweave.shapes import Tensor
from molweave.training.optim import make_groups

TERMS = {"contrast", "reconstruction", "cross", "memory", "recall"}


def build(protocol: str = "pretrain", **changes: Any) -> MMSA:
    torch.manual_seed(0)
    changes = {"encoder_dropout": 0.0, **changes}
    return MMSA(tiny_config("mmsa", "small", protocol=protocol, **changes)).eval()


def other(network: MMSA, **changes: Any) -> MMSA:
    """The same weights in another protocol, strictly."""
    made = MMSA(replace(network.config, **changes)).eval()
    there = network.state_dict()
    made.load_state_dict({name: there[name] for name in made.state_dict()})
    return made


@pytest.mark.parametrize("protocol", ["pretrain", "fused"])
def test_images_are_changed_in_the_training_of_the_pretraining_only(protocol):
    network = build(protocol)
    image = network.encoders["image"].train()
    network.apply(lambda part: part.eval() if isinstance(part, torch.nn.BatchNorm2d) else None)
    part = make_batch(DRUGLIKE).parts["image"]

    def differ() -> bool:
        return not torch.equal(image(part), image(part))

    assert differ() == (protocol == "pretrain")
    image.eval()
    assert not differ()


def encoded(network: MMSA, batch: Batch) -> AwareEncoding:
    found = network.encode(batch)
    assert isinstance(found, AwareEncoding)
    return found


def pretrain(network: MMSA, batches: list[Batch], *, epochs: int, rate: float = 3e-3) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    network.train()
    for _ in range(epochs):
        for batch in batches:
            loss = total(network.objectives(network.encode(batch), batch, 0.5))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()


def trained() -> MMSA:
    """A few steps, so that references, anchors and running statistics are not the initial ones."""
    network = build()
    pretrain(network, [make_batch(thirty_two()[0][:16], flat=[3])], epochs=3)
    return network


def test_is_registered_with_presets_that_can_be_built():
    entry = METHODS["mmsa"]
    assert entry.method is MMSA
    assert list(entry.presets) == ["small", "paper"]
    for name, millions in (("small", 8), ("paper", 20)):
        config = replace_fields(MMSA_PRESETS[name], entry.pretraining, where="mmsa")
        count = sum(parameter.numel() for parameter in MMSA(config).parameters())
        assert 0.5 * millions < count / 1e6 < 1.5 * millions
        assert config.graph_encoder == "gin"
        assert (config.graph_width, config.graph_layers) == (300, 5)


def test_the_graph_protocol_is_the_graph_encoder():
    network = build("graph")
    assert network.modalities == ("graph",)
    assert {name.split(".")[1] for name, _ in network.named_parameters()} == {"graph"}
    batch = make_batch(DRUGLIKE)
    expected = network.encoders["graph"](batch.parts["graph"])
    assert torch.equal(network.encode(batch).embedding, expected)
    assert network.encode(batch).weights.tolist() == [[1.0]] * len(DRUGLIKE)


@pytest.mark.parametrize(
    "changes", [{}, {"protocol": "fused"}, {"protocol": "fused", "read_memory": True}]
)
def test_other_protocols_are_part_of_a_pre_trained_network(changes):
    network, batch = trained(), make_batch(DRUGLIKE, flat=[1])
    found = other(network, **{"protocol": "graph", **changes}).encode(batch).embedding
    before = encoded(network, batch)
    if not changes:
        expected = network.encoders["graph"](batch.parts["graph"])
    elif "read_memory" in changes:
        assert before.awareness is not None
        expected = torch.cat([before.embedding, before.awareness.reading], dim=1)
    else:
        expected = before.embedding
    assert torch.equal(found, expected)


@pytest.mark.parametrize("protocol", ["graph", "fused", "pretrain"])
def test_batch_mates_do_not_matter_after_training(protocol):
    """The references and the anchors are those of the training, never those of the batch."""
    network = other(trained(), protocol=protocol, read_memory=protocol == "fused")
    together = network.encode(make_batch(DRUGLIKE, flat=[2]))
    for index, smiles in enumerate(DRUGLIKE):
        alone = network.encode(make_batch([smiles], flat=[0] if index == 2 else []))
        torch.testing.assert_close(alone.embedding[0], together.embedding[index], atol=1e-5, rtol=0)
        if isinstance(alone, AwareEncoding) and alone.awareness is not None:
            assert isinstance(together, AwareEncoding)
            torch.testing.assert_close(
                alone.awareness.structure[0],
                together.awareness.structure[index],
                atol=1e-5,
                rtol=0,
            )


def test_molecules_of_which_nothing_is_known_leave_no_trace():
    """Without image and graph, a molecule without a conformer is neither stored nor addressed."""
    network = build(views=("geometry",), references=8)
    batch = make_batch(DRUGLIKE, flat=[0, 2])
    found = encoded(network.train(), batch)
    assert found.awareness is not None
    assert network.awareness is not None
    known = batch.present["geometry"]
    assert found.awareness.structure[~known].abs().sum() == 0
    assert found.awareness.reading[~known].abs().sum() == 0
    stored = network.awareness.hypergraph.references
    assert int(stored.any(1).sum()) == int(known.sum())
    alone = encoded(network.eval(), make_batch(["CCO"], flat=[0]))
    assert alone.embedding.abs().sum() == 0


def test_a_batch_of_which_nothing_is_known_shares_the_memory_all_the_same(monkeypatch):
    """Another process may know molecules, and would wait for this one forever."""
    sent: list[Tensor] = []
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.broadcast", lambda value, source: sent.append(value))
    network = build(views=("geometry",), references=8).train()
    assert network.awareness is not None
    memory = network.awareness.memory
    before = memory.anchors.detach().clone(), memory.usage.clone()
    found = encoded(network, make_batch(["CCO", "CCN"], flat=[0, 1]))
    assert [value is mine for value, mine in zip(sent, (memory.anchors, memory.usage), strict=True)]
    assert torch.equal(before[0], memory.anchors)
    assert torch.equal(before[1], memory.usage)
    assert found.awareness is not None
    assert found.awareness.reading.abs().sum() == 0


def test_fine_tuning_with_the_memory_leaves_the_memory_alone():
    network = other(trained(), protocol="fused", read_memory=True)
    frozen = ("references", "anchors", "usage", "awareness.hypergraph.norm.running")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    batch = make_batch(DRUGLIKE)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    network.train()
    for _ in range(2):
        optimizer.zero_grad()
        network.encode(batch).embedding.square().sum().backward()
        optimizer.step()
    changed = {n for n, value in network.state_dict().items() if not torch.equal(before[n], value)}
    assert not [name for name in changed if any(part in name for part in frozen)]
    assert "awareness.hypergraph.theta.weight" in changed


def test_a_prediction_needs_no_image_and_no_conformer_in_fused_either():
    network = other(trained(), protocol="fused")
    found = encoded(network, make_batch(DRUGLIKE, flat=[0]))
    assert found.weights[0].tolist() == pytest.approx([1 / 2, 1 / 2, 0])
    assert found.weights[1].tolist() == pytest.approx([1 / 3] * 3)
    expected = (found.unified.codes["image"][0] + found.unified.codes["graph"][0]) / 2
    torch.testing.assert_close(found.embedding[0], expected)


def test_terms_have_the_weights_of_the_paper():
    network, batch = build().train(), make_batch(DRUGLIKE)
    terms = network.objectives(network.encode(batch), batch, 0.0)
    assert {name: term.weight for name, term in terms.items()} == {
        "contrast": 0.6,
        "reconstruction": 0.2,
        "cross": 0.2,
        "memory": network.config.memory,
        "recall": network.config.recall,
    }


@pytest.mark.parametrize("protocol", ["graph", "fused"])
def test_only_pre_training_has_objectives(protocol):
    network, batch = build(protocol).train(), make_batch(DRUGLIKE)
    assert network.objectives(network.encode(batch), batch, 0.5) == {}
    assert network.monitors() == {}


@torch.no_grad()
def test_memory_terms_against_their_formulas():
    network, batch = build().train(), make_batch(DRUGLIKE, flat=[1])
    found = encoded(network, batch)
    terms = network.objectives(found, batch, 0.0)
    assert found.awareness is not None
    assert network.awareness is not None
    g, r = found.awareness.structure, found.awareness.reading
    assert float(terms["memory"].value) == pytest.approx(float(((g - r) ** 2).mean()))
    values = []
    for name, codes in found.unified.codes.items():
        rows = [index for index in range(len(DRUGLIKE)) if name != "geometry" or index != 1]
        projected = network.awareness.project(codes[rows])
        values.append(float(info_nce(r[rows], projected, temperature=0.1)))
    assert float(terms["recall"].value) == pytest.approx(sum(values) / 3, rel=1e-5)


@pytest.mark.parametrize("left_out", sorted(TERMS))
def test_a_term_of_weight_zero_is_left_out(left_out):
    network, batch = build(**{left_out: 0.0}).train(), make_batch(DRUGLIKE)
    assert set(network.objectives(network.encode(batch), batch, 0.0)) == TERMS - {left_out}


@pytest.mark.parametrize(
    "changes",
    [
        *({name: 0.0} for name in sorted(TERMS)),
        {"memory": 0.0, "recall": 0.0},
        {"reconstruction": 0.0, "cross": 0.0},
        {"hypergraph": "none"},
        {"hypergraph": "knn", "symmetric": True},
        {"neighbours": 1},
        {"graph_encoder": "cmpnn"},
        *({"views": views} for views in (("graph", "image"), ("geometry", "graph"), ("graph",))),
    ],
    ids=str,
)
def test_every_ablation_trains_all_that_it_has(changes):
    network, batch = build(**changes).train(), make_batch(DRUGLIKE, flat=[1])
    total(network.objectives(network.encode(batch), batch, 0.0)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_without_its_terms_there_is_no_memory():
    network, batch = build(memory=0.0, recall=0.0).train(), make_batch(DRUGLIKE)
    assert network.awareness is None
    assert encoded(network, batch).awareness is None
    terms = network.objectives(network.encode(batch), batch, 0.0)
    assert set(terms) == {"contrast", "reconstruction", "cross"}
    assert "dead_anchors" not in network.monitors()


def test_one_view_has_nothing_to_contrast():
    network, batch = build(views=("graph",)).train(), make_batch(DRUGLIKE)
    terms = network.objectives(network.encode(batch), batch, 0.0)
    assert set(terms) == TERMS - {"contrast", "cross"}


def test_a_missing_modality_takes_no_part_in_any_term():
    """What stands in the rows of the missing one changes nothing."""
    network, batch = build().eval(), make_batch(DRUGLIKE, flat=[0, 3])
    found = encoded(network, batch)

    def values(junk: float) -> dict[str, float]:
        rows = ~batch.present["geometry"][:, None]
        spoilt = {
            kind: {
                name: torch.where(rows & (name == "geometry"), junk, value)
                for name, value in getattr(found.unified, kind).items()
            }
            for kind in ("hidden", "codes")
        }
        unified = replace(found.unified, **spoilt)
        terms = network.objectives(replace(found, unified=unified), batch, 0.0)
        return {name: float(term.value.detach()) for name, term in terms.items()}

    assert values(0.0) == values(7.0)


def test_contrast_starts_near_the_logarithm_of_the_batch():
    smiles = thirty_two()[0]
    network, batch = build(code=64, hidden=64, graph_width=64).train(), make_batch(smiles)
    terms = network.objectives(network.encode(batch), batch, 0.0)
    assert float(terms["contrast"].value.detach()) == pytest.approx(math.log(32), rel=0.25)
    assert network.monitors()["contrast_share"] == pytest.approx(1.0, abs=0.25)


def test_a_short_training_aligns_the_views_and_does_not_collapse():
    smiles, _ = thirty_two()
    network = build(
        image_channels=8,
        rotation=0.0,
        grey=0.0,
        jitter=0.0,
        code=32,
        hidden=48,
        structure=16,
        anchors=8,
    )
    batch = make_batch(smiles)
    network.train()
    network.objectives(network.encode(batch), batch, 0.0)
    first = network.monitors()
    pretrain(network, [batch], epochs=30)
    last = network.monitors()
    assert last["contrast_share"] < 0.5 * first["contrast_share"]
    assert last["effective_rank"] > 6  # of 10: four cores, eight groups
    assert min(last["spread"], last["structure_spread"]) > 0.05
    assert last["dead_anchors"] == 0
    assert last["anchor_perplexity"] > 4
    found = encoded(network.train(), batch)
    assert found.unified.embedding.std(0).min() > 0
    assert found.awareness is not None
    assert found.awareness.structure.std(0).min() > 0
    codes = found.unified.codes
    for name in ("image", "geometry"):
        assert retrieved(codes["graph"], codes[name]).float().mean() > 0.4  # by chance 1/32


def test_an_assessment_counts_those_who_have_both_and_leaves_no_trace():
    network, batch = trained(), make_batch(DRUGLIKE, flat=[0, 3])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    log = network.monitors()
    generator = torch.Generator().manual_seed(0)
    found = network.assess(batch, generator)
    assert set(found.terms) == TERMS
    assert int(found.scores["graph_to_geometry"].count) == len(DRUGLIKE) - 2
    assert int(found.scores["graph_to_image"].count) == len(DRUGLIKE)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert network.monitors() == log


def test_monitors_keep_no_gradients():
    network, batch = build().train(), make_batch(DRUGLIKE)
    assert network.monitors() == {}
    network.objectives(network.encode(batch), batch, 0.0)
    kept = [value for value in vars(network._last).values() if isinstance(value, Tensor)]
    assert len(kept) == 3
    assert not any(value.requires_grad for value in kept)


def test_the_geometry_encoder_learns_more_slowly():
    network = build(geometry_rate=0.25)
    groups = make_groups(network, 0.0, network.learning_rate_factors())
    slow = {id(p) for group in groups if group["factor"] == 0.25 for p in group["params"]}
    assert slow == {id(p) for p in network.encoders["geometry"].parameters()}
    assert build(protocol="fused").learning_rate_factors() == {}


def test_objectives_can_accompany_a_task():
    model = tiny_model(tiny_config("mmsa", "small", protocol="pretrain"), method="mmsa").train()
    terms = model(make_batch(DRUGLIKE, targets=labels(len(DRUGLIKE))), 0.5)
    assert set(terms) == {"task", *TERMS}
    assert total(terms).isfinite()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "both"}, "protocol must be one of graph, fused, pretrain; found 'both'"),
        ({"graph_encoder": "gat"}, "graph_encoder must be one of gin, cmpnn; found 'gat'"),
        ({"hypergraph": "star"}, "hypergraph must be one of hypergraph, knn, none"),
        ({"views": ("sequence", "graph")}, "views of mmsa are one or more of image, graph, geom"),
        ({"views": ()}, "found none"),
        ({"views": ("graph", "graph")}, "each view once"),
        ({"views": ("image",)}, "protocol=graph needs the view graph"),
        ({"anchors": 0}, "anchors of at least 1"),
        ({"code": 1}, "code of at least 2"),
        ({"memory": -1}, "memory of at least 0"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"geometry_rate": 0}, "geometry_rate must be above 0"),
        ({"flip": 2}, "flip is a probability"),
        ({"rotation": 270}, "rotation is an angle of 0 to 180"),
        ({"image_reduce": 300}, "image_reduce must be one of 1, 2, 4, 7"),
        (
            {"protocol": "fused", "read_memory": True, "memory": 0, "recall": 0},
            "read_memory needs a memory, and with memory=0 and recall=0 there is none",
        ),
        ({"jitter": 1.0}, "jitter is a share of the side, 0 to 0.1"),
        ({"encoder_dropout": 1.0}, "encoder_dropout is a probability below 1"),
        ({"modalities": ("graph",)}, "unknown option 'modalities' of mmsa"),
        (
            {"protocol": "pretrain", **dict.fromkeys(sorted(TERMS), 0)},
            "nothing to learn",
        ),
    ],
)
def test_mistakes_are_told(changes, message):
    with pytest.raises(UserError, match=message):
        replace_fields(MMSAConfig(), changes, where="mmsa")
