"""Statistics of batch normalisation: those of the weights as they are, and nothing else moves."""

import pytest
import torch
from tiny import make_batch, thirty_two, tiny_config, total

from molweave.methods.mmsa import MMSA
from molweave.training.statistics import estimate_statistics, statistics_of


@pytest.fixture
def batch():
    return make_batch(thirty_two()[0])


@pytest.fixture
def hot(batch) -> MMSA:
    """A network whose weights have just moved far, while its statistics lag behind."""
    torch.manual_seed(0)
    network = MMSA(
        tiny_config("mmsa", "small", protocol="pretrain", encoder_dropout=0.0, rotation=0, grey=0)
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    for _ in range(4):
        optimizer.zero_grad()
        total(network.objectives(network.encode(batch), batch, 0.5)).backward()
        optimizer.step()
    return network


def lag(network: MMSA, batch) -> float:
    """How far codes in evaluation are from those in training."""
    with torch.no_grad():
        known = network.train().encode(batch).codes["shared"]["graph"]
        found = network.eval().encode(batch).codes["shared"]["graph"]
    return float((found - known).square().mean() / known.var(0).mean())


def test_evaluation_is_what_training_was_on_the_same_molecules(hot, batch):
    kept = {name: value.clone() for name, value in hot.state_dict().items()}
    before = lag(hot, batch)
    hot.train().load_state_dict(kept)
    estimate_statistics(hot, lambda: [batch, batch])
    assert all(module.training for module in hot.modules())
    assert lag(hot, batch) < 0.05 * before


def test_nothing_but_the_statistics_changes(hot, batch):
    before = {name: value.clone() for name, value in hot.state_dict().items()}
    estimate_statistics(hot.eval(), lambda: [batch])
    moved = {
        name for name, value in hot.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved
    assert all("running_" in name or "num_batches" in name for name in moved)
    assert not any(module.training for module in hot.modules())


def test_the_statistics_of_a_block_end_with_it(hot, batch):
    before = {name: value.clone() for name, value in hot.state_dict().items()}
    with statistics_of(hot, lambda: [batch]):
        name = "encoders.image.bn1.running_mean"
        assert not torch.equal(hot.state_dict()[name], before[name])
    for name, value in hot.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_a_network_without_batch_normalisation_asks_for_no_molecules():
    from molweave.methods.moleblend import MoleBLEND

    def none():
        raise AssertionError

    estimate_statistics(MoleBLEND(tiny_config("moleblend", "small")), none)
