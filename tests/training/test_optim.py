import math

import pytest
import torch
from torch import nn

from molweave.training.config import TrainConfig
from molweave.training.optim import WeightAverage, learning_rate, make_optimizer

STEPS = 10  # per epoch


def rates(**changes) -> list[float]:
    config = TrainConfig(**{"epochs": 6, "warmup_epochs": 2, "learning_rate": 0.01, **changes})
    return [learning_rate(config, step, STEPS) for step in range(config.epochs * STEPS)]


def test_constant():
    assert set(rates(schedule="constant")) == {0.01}


def test_cosine_rises_linearly_and_falls_by_half_a_cosine():
    found = rates(schedule="cosine")
    assert found[:20] == pytest.approx([0.01 * (step + 1) / 20 for step in range(20)])
    assert found[20] == pytest.approx(0.01)
    assert found[30] == pytest.approx(0.01 * math.cos(math.pi / 8) ** 2)
    assert found[40] == pytest.approx(0.005)
    assert found[59] == pytest.approx(0.01 * math.sin(math.pi / 80) ** 2)
    assert found[20:] == sorted(found[20:], reverse=True)


def test_noam_goes_from_half_the_peak_up_and_back_to_half():
    found = rates(schedule="noam", warmup_epochs=1)
    assert found[:10] == pytest.approx([0.005 + 0.0005 * (step + 1) for step in range(10)])
    assert found[9] == pytest.approx(0.01)
    assert found[19] == pytest.approx(0.01 / math.sqrt(2))
    assert found[38] == pytest.approx(0.01 * math.sqrt(10 / 39))
    assert found[39:] == pytest.approx([0.005] * 21)


@pytest.mark.parametrize("schedule", ["cosine", "noam"])
def test_no_warm_up_begins_at_the_peak(schedule):
    found = rates(schedule=schedule, warmup_epochs=0)
    assert found[0] == pytest.approx(0.01)
    assert max(found) == pytest.approx(0.01)


@pytest.mark.parametrize("schedule", ["cosine", "noam"])
def test_the_warm_up_leaves_the_last_epoch(schedule):
    found = rates(schedule=schedule, warmup_epochs=50)
    assert found[:50] == sorted(found[:50])
    assert found[49] == max(found) == pytest.approx(0.01)
    assert found[50:] == sorted(found[50:], reverse=True)
    assert found[-1] < 0.0095


@pytest.mark.parametrize("schedule", ["cosine", "noam"])
def test_a_single_epoch_begins_at_the_peak(schedule):
    found = rates(schedule=schedule, epochs=1)
    assert found[0] == pytest.approx(0.01)
    assert found == sorted(found, reverse=True)


def linear() -> nn.Linear:
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.fill_(3.0)
    return layer


def step(layer: nn.Module, gradient: float, **changes) -> None:
    optimizer = make_optimizer(layer, TrainConfig(**changes))
    for parameter in layer.parameters():
        parameter.grad = torch.full_like(parameter, gradient)
    optimizer.step()


def test_adamw_decays_weights_but_not_biases():
    layer = linear()
    step(layer, 0.0, optimizer="adamw", learning_rate=0.1, weight_decay=0.5)
    assert layer.weight.detach().unique().tolist() == pytest.approx([2.0 * (1 - 0.1 * 0.5)])
    assert layer.bias.detach().unique().tolist() == [3.0]


def test_the_first_step_of_adam_is_the_learning_rate():
    """m / sqrt(v) of one gradient, bias-corrected, is its sign; Adam adds the decay to it."""
    layer = linear()
    step(layer, -1.5, optimizer="adam", learning_rate=0.1, weight_decay=0.0)
    assert layer.weight.detach().unique().tolist() == pytest.approx([2.1])
    assert layer.bias.detach().unique().tolist() == pytest.approx([3.1])
    layer = linear()
    step(layer, -0.5, optimizer="adam", learning_rate=0.1, weight_decay=0.5)
    assert layer.weight.detach().unique().tolist() == pytest.approx([1.9])
    assert layer.bias.detach().unique().tolist() == pytest.approx([3.1])


def test_frozen_parameters_stay():
    layer = linear()
    layer.weight.requires_grad_(False)
    optimizer = make_optimizer(layer, TrainConfig(weight_decay=0.5))
    held = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert [parameter is layer.bias for parameter in held] == [True]


def test_average_follows_its_closed_form():
    layer = linear()
    average = WeightAverage(layer, decay=0.5)
    expected = 2.0
    for update, value in enumerate((4.0, -1.0, 7.0, 2.5, 0.0, 1.0, 9.0, 3.0, 3.0, 5.0), start=1):
        with torch.no_grad():
            layer.weight.fill_(value)
        average.update(layer)
        decay = min(0.5, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * value
        assert average.weights["weight"].unique().tolist() == pytest.approx([expected])
    assert average.weights["bias"].unique().tolist() == pytest.approx([3.0])
    assert layer.weight.detach().unique().tolist() == [5.0]


def test_average_without_decay_is_the_model():
    layer = linear()
    average = WeightAverage(layer, decay=0.0)
    with torch.no_grad():
        layer.weight.fill_(-4.0)
    average.update(layer)
    assert average.weights["weight"].unique().tolist() == [-4.0]


def test_the_counters_of_a_batch_norm_are_copied():
    norm = torch.nn.BatchNorm1d(2)
    average = WeightAverage(norm, decay=0.9)
    for _ in range(3):
        norm(torch.randn(4, 2))
        average.update(norm)
    assert int(average.weights["num_batches_tracked"]) == 3
    assert average.weights["num_batches_tracked"] is not norm.num_batches_tracked


def test_statistics_are_averaged_and_stored_codes_are_copied():
    """The mean over time of a queue of codes of molecules would be the code of none."""

    class Queue(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(2)
            self.register_buffer("codes", torch.zeros(3))

    network = Queue()
    average = WeightAverage(network, decay=0.5)
    for value in (1.0, 4.0):
        network.codes.fill_(value)
        network.norm.running_mean.fill_(value)
        average.update(network)
    assert average.weights["codes"].tolist() == [4.0] * 3
    first = 1 - 2 / 11
    second = first * 3 / 12 + 4 * 9 / 12
    assert average.weights["norm.running_mean"].tolist() == pytest.approx([second] * 2)


def test_parts_with_a_rate_of_their_own():
    layers = nn.Sequential(linear(), linear())
    depths = {name: int(name[0]) for name, _ in layers.named_parameters()}
    config = TrainConfig(layer_decay=0.5, learning_rate=1.0)
    optimizer = make_optimizer(layers, config, depths, {"0.": 0.5})
    factor = {id(p): group["factor"] for group in optimizer.param_groups for p in group["params"]}
    assert {factor[id(p)] for p in layers[0].parameters()} == {0.25}
    assert {factor[id(p)] for p in layers[1].parameters()} == {1.0}


@pytest.mark.parametrize(
    ("precision", "fused"), [("auto", True), ("32-true", True), ("16-mixed", None)]
)
def test_scaled_gradients_are_left_to_the_step_that_torch_chooses(precision, fused):
    optimizer = make_optimizer(linear(), TrainConfig(precision=precision))
    assert optimizer.defaults["fused"] is fused
