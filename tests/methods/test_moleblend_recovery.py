"""What MoleBLEND recovers: each loss term is given the right thing of the right pairs."""

import pytest
import torch
from tiny import DRUGLIKE, make_batch, seeded, tiny_config

from molweave.methods.moleblend import MoleBLEND
from molweave.modalities import relations


def blending(views: str = "blend") -> MoleBLEND:
    torch.manual_seed(0)
    return MoleBLEND(tiny_config("moleblend", "small", views=views)).eval()


def test_the_noise_that_was_added_is_to_be_found_in_noisy_coordinates(monkeypatch):
    network, shown = blending(), []
    found = network.blended(make_batch(DRUGLIKE), seeded())
    real = found.pairs.real[..., None]
    noise = torch.where(real, found.noise, 0.0)
    noise = noise - noise.sum(1, keepdim=True) / real.sum(1, keepdim=True)

    def head(states, bias, positions, distance, different):
        shown.extend((positions, distance))
        return noise

    monkeypatch.setattr(network.recovery.heads["denoise"], "forward", head)
    assert float(network.recovery.terms(found)["denoise"].value) == pytest.approx(0, abs=1e-5)
    assert torch.equal(shown[0], found.pairs.positions + found.noise)
    assert not torch.allclose(shown[1], found.pairs.distance)


def test_pairs_that_no_path_joins_are_not_recovered():
    network = blending()
    scores = network.recovery.scores(network.blended(make_batch(["CCO.CN"]), seeded()))
    assert scores["spd_hidden"].count + scores["spd_visible"].count == 3 * 2 + 2 * 1


def test_bonds_that_are_not_there_are_not_recovered(monkeypatch):
    network = blending()
    found = network.blended(make_batch(DRUGLIKE), seeded())
    hops, classes = found.pairs.hops.long(), len(relations.BONDS)
    told = torch.where(hops > 0, hops - 1, 7)
    logits = 50.0 * torch.nn.functional.one_hot(told, classes).float()
    logits = logits.permute(0, 4, 3, 1, 2).flatten(1, 2)
    monkeypatch.setattr(network.recovery.heads["edge"], "forward", lambda *_: logits)
    assert float(network.recovery.terms(found)["edge"].value) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("views", ["3d", "both"])
def test_3d_reads_no_bond(views):
    network, batch = blending(views), make_batch(DRUGLIKE)
    first = network.encode(batch).embedding
    batch.parts["relations"].hops.zero_()
    batch.parts["relations"].spd.fill_(3)
    assert torch.equal(first, network.encode(batch).embedding) == (views == "3d")
