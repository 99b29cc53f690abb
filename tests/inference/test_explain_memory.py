"""The anchors of a memory, explained by molecules: against plain sums over all of them."""

import re

import numpy as np
import pytest
import torch
from tiny import DRUGLIKE, make_batch, thirty_two, tiny_config, total

from molweave.chem.conformers import ConformerSettings
from molweave.chem.read import table_from_smiles
from molweave.data.dataset import make_modalities
from molweave.errors import UserError
from molweave.inference.explain_memory import MemoryMap, explain_memory
from molweave.methods import METHODS
from molweave.methods.config import to_plain
from molweave.methods.mmsa import MMSA, AwareEncoding
from molweave.methods.pretrained import EncoderSpec, PretrainedEncoder
from molweave.report.memory import render_memory

SMILES = ["CCO", "not a molecule", "c1ccccc1O", *DRUGLIKE, "CCO", "CCN"]
GOOD = [text for text in SMILES if text != "not a molecule"]


def make_encoder(method: str = "mmsa", **changes) -> PretrainedEncoder:
    """A network that has seen one batch, so that its anchors lie among molecules."""
    torch.manual_seed(0)
    settings = dict(METHODS[method].pretraining) | changes
    config = tiny_config(method, "small", **settings)
    network = METHODS[method].method(config).train()
    batch = make_batch(thirty_two()[0][:12])
    total(network.objectives(network.encode(batch), batch, 0.0))
    spec = EncoderSpec(
        method=method,
        preset="small",
        method_config=to_plain(config),
        standardizer="default-1",
        conformers=ConformerSettings(),
        coordinates="none",
        modality_versions={view.name: view.version for view in make_modalities(config.modalities)},
    )
    return PretrainedEncoder(spec, {k: v.clone() for k, v in network.state_dict().items()})


@pytest.fixture(scope="module")
def encoder() -> PretrainedEncoder:
    return make_encoder()


@pytest.fixture(scope="module")
def found(encoder) -> MemoryMap:
    table = table_from_smiles(SMILES)
    return explain_memory(encoder, table, nearest=3, device="cpu", workers=1)


@torch.no_grad()
def test_shares_and_neighbours_against_all_pairs(encoder, found):
    network = encoder.build({"protocol": "pretrain"})
    assert isinstance(network, MMSA)
    batch = make_batch(GOOD, flat=range(len(GOOD)))
    encoding = network.encode(batch)
    assert isinstance(encoding, AwareEncoding)
    structure = encoding.awareness.structure
    used = network.awareness.memory.address(structure).mean(0).numpy()
    assert [anchor.used for anchor in found.anchors] == pytest.approx(sorted(used)[::-1], abs=1e-5)
    assert found.perplexity == pytest.approx(np.exp(-(used * np.log(used)).sum()), rel=1e-4)
    for anchor in found.anchors:
        assert anchor.used == pytest.approx(float(used[anchor.number]), abs=1e-5)
        mine = network.awareness.memory.anchors[anchor.number]
        cosines = torch.cosine_similarity(structure, mine[None], dim=1).tolist()
        best = dict(sorted(zip(GOOD, cosines, strict=True), key=lambda pair: -pair[1]))
        expected = sorted(best.items(), key=lambda pair: -pair[1])[:3]
        assert [near.smiles for near in anchor.nearest] == [smiles for smiles, _ in expected]
        values = [near.similarity for near in anchor.nearest]
        assert values == pytest.approx([value for _, value in expected], abs=1e-4)


def test_spellings_of_a_molecule_are_one_neighbour(encoder, capfd):
    salt = "[Cl-].CN.[H+]"  # RDKit warns of such a hydrogen
    table = table_from_smiles(["CCO", "OCC", "C(C)O", "[CH3][CH2][OH]", salt, "CCN"])
    found = explain_memory(encoder, table, nearest=3, device="cpu", workers=1)
    for anchor in found.anchors:
        shown = {near.smiles for near in anchor.nearest}
        assert len(shown) == 3
        assert {salt, "CCN"} < shown
    assert capfd.readouterr().err == ""


def test_every_row_is_counted_and_shares_add_up(encoder, found):
    assert (found.molecules, found.rejected) == (len(GOOD), 1)
    assert sum(anchor.used for anchor in found.anchors) == pytest.approx(1.0)
    memory = encoder.build({"protocol": "pretrain"}).awareness.memory.usage.double()
    trained = (memory / memory.sum()).numpy()
    by_number = {anchor.number: anchor.trained for anchor in found.anchors}
    assert [by_number[number] for number in range(4)] == pytest.approx(trained)
    assert len({round(share, 4) for share in trained}) > 1
    assert found.trained_perplexity == pytest.approx(np.exp(-(trained * np.log(trained)).sum()))
    assert sorted(anchor.number for anchor in found.anchors) == list(range(4))
    rows = {near.row: near.smiles for anchor in found.anchors for near in anchor.nearest}
    assert all(SMILES[row] == smiles for row, smiles in rows.items())


def test_chunks_do_not_matter(encoder, found, monkeypatch):
    monkeypatch.setattr("molweave.inference.explain_memory._CHUNK", 2)
    table, done = table_from_smiles(SMILES), []
    again = explain_memory(encoder, table, nearest=3, device="cpu", workers=1, on_row=done.append)
    assert done[-1] == len(SMILES)
    for one, other in zip(again.anchors, found.anchors, strict=True):
        assert [near.smiles for near in one.nearest] == [near.smiles for near in other.nearest]
        assert one.used == pytest.approx(other.used, abs=1e-6)


def test_the_page_has_every_anchor_and_fetches_nothing(encoder, found):
    page = render_memory(found, encoder.spec)
    assert re.findall(r'id="anchor-(\d+)"', page) == [str(one.number) for one in found.anchors]
    assert page.count("<svg") == sum(len(anchor.nearest) for anchor in found.anchors)
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert f"<b>{len(GOOD)}</b> molecules" in page


def test_mistakes_are_told(encoder):
    table = table_from_smiles(["CCO"])
    with pytest.raises(UserError, match="this is one of moleblend"):
        explain_memory(make_encoder("moleblend"), table)
    with pytest.raises(UserError, match="without a memory"):
        explain_memory(make_encoder(memory=0.0, recall=0.0), table)
    with pytest.raises(UserError, match="no row holds a molecule"):
        explain_memory(encoder, table_from_smiles(["?"]), device="cpu", workers=1)
