"""What MoleBLEND recovers beyond pairs: hidden atoms, and descriptors of the molecule."""

from typing import Any

import pytest
import torch
from tiny import DRUGLIKE, TASKS, labels, make_batch, sample, seeded, tiny_config, train

from molweave.chem import descriptors
from molweave.methods.moleblend import MoleBLEND
from molweave.methods.moleblend_config import TERMS
from molweave.methods.property_model import PropertyModel
from molweave.modalities import relations

OURS = ("atoms", "descriptors", "fingerprint")


def blending(**changes: Any) -> MoleBLEND:
    torch.manual_seed(0)
    return MoleBLEND(tiny_config("moleblend", "small", views="blend", **changes)).eval()


def test_hidden_atoms_are_drawn_among_the_real_ones():
    batch = make_batch([*DRUGLIKE * 40])
    found = blending(hide_atoms=0.3).blended(batch, seeded())
    assert not found.hidden[~found.pairs.real].any()
    assert float(found.hidden[found.pairs.real].float().mean()) == pytest.approx(0.3, abs=0.02)
    assert not blending(atoms=0.0).blended(batch, seeded()).hidden.any()


def test_nothing_of_a_hidden_atom_reaches_the_network():
    """Two molecules that differ in an atom look alike once every atom is hidden."""
    network = blending(
        hide_atoms=1.0, noise=0.0, denoise=0.0, whole_2d=1.0, whole_3d=0.0, whole_both=0.0
    )
    first, second = (
        network.blended(make_batch([smiles]), seeded()) for smiles in ("CCC(C)C", "CCC(C)N")
    )
    assert first.hidden.all()
    assert torch.equal(first.embedding, second.embedding)
    shown = blending(atoms=0.0, noise=0.0, denoise=0.0, whole_2d=1.0, whole_3d=0.0, whole_both=0.0)
    first, second = (
        shown.blended(make_batch([smiles]), seeded()) for smiles in ("CCC(C)C", "CCC(C)N")
    )
    assert not torch.allclose(first.embedding, second.embedding)


def test_what_there_is_to_predict_is_the_molecules_own():
    smiles = list(DRUGLIKE)
    found = blending().blended(make_batch(smiles), seeded())
    assert found.has_description.all()
    values = [sample(text)["descriptors"].values for text in smiles]
    torch.testing.assert_close(found.described, torch.stack([torch.tensor(v) for v in values]))
    assert found.described.shape[1] == descriptors.WIDTH


def test_a_molecule_without_descriptors_counts_for_none():
    network, batch = blending(), make_batch(DRUGLIKE)
    del batch.parts["descriptors"]
    batch.present["descriptors"][:] = False
    found = network.objectives(network.blended(batch, seeded()), batch, 0.0)
    values = {name: float(term.value.detach()) for name, term in found.items()}
    assert values["descriptors"] == values["fingerprint"] == 0.0
    assert values["atoms"] > 0


def test_perfect_heads_lose_nothing(monkeypatch):
    network, batch = blending(), make_batch(DRUGLIKE)
    found = network.blended(batch, seeded())
    atoms = [
        torch.nn.functional.one_hot(found.pairs.atoms[..., column].long(), classes)
        for column, classes in enumerate(relations.ATOM_CARDINALITIES)
    ]
    physical = len(descriptors.NAMES)
    right = {
        "atoms": 50.0 * torch.cat(atoms, dim=-1),
        "descriptors": found.described[:, :physical] + 0.5,
        "fingerprint": 50.0 * ((found.described[:, physical:] > 0).float() - 0.5),
    }
    assert network.recovery is not None
    for name, value in right.items():
        monkeypatch.setattr(network.recovery.heads[name], "forward", lambda *_, v=value: v)
    terms = network.objectives(found, batch, 0.0)
    assert float(terms["atoms"].value.detach()) == pytest.approx(0.0, abs=1e-6)
    assert float(terms["descriptors"].value.detach()) == pytest.approx(0.25)
    assert float(terms["fingerprint"].value.detach()) == pytest.approx(0.0, abs=1e-6)
    score = network.recovery.scores(found)["element_hidden"]
    assert score.mean == 1.0
    assert int(score.count) == int(found.hidden.sum())


def test_they_are_learnt():
    others = dict.fromkeys((name for name in TERMS if name not in OURS), 0.0)
    method = blending(encoder_dropout=0.0, drop_path=0.0, **others)
    network = PropertyModel(method, TASKS, dropout=0.0)
    batch = make_batch(DRUGLIKE[2:], targets=labels(4))

    def losses() -> dict[str, float]:
        terms = method.objectives(method.blended(batch, seeded()), batch, 0.0)
        return {name: float(term.value.detach()) for name, term in terms.items()}

    before = losses()
    train(network, batch, steps=40, rate=2e-2)
    after = losses()
    assert set(after) == set(OURS)
    assert all(after[name] < 0.5 * before[name] for name in OURS)
