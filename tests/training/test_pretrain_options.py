"""The choices of a pre-training: recipes, schedules, and what makes no sense."""

import pytest
import torch

from molweave import UserError
from molweave.methods import METHODS
from molweave.training.optim import make_groups, warmup_cosine
from molweave.training.options import FitOptions
from molweave.training.pretrain_config import PRETRAIN_PRESETS, PretrainConfig
from molweave.training.pretrain_options import PretrainOptions


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "none"}, "unknown method 'none'; known: dmmrl"),
        ({"preset": "huge"}, "moleblend has the presets small, base, paper; found 'huge'"),
        ({"training": {"precision": "half"}}, "precision must be one of"),
        ({"training": {"warmup": 1.0}}, "warmup must be at least 0 and below 1"),
        ({"training": {"batch_size": 1}}, "batch_size >= 2"),
        ({"training": {"log_steps": 0}}, "log_steps must be at least 1"),
        ({"training": {"clip": -1}}, "clip must not be negative"),
        ({"seed": -1}, "seed must be between"),
        ({"workers": 10**6}, "workers must be between"),
        ({"method_options": {"show_spd": 0.9}}, "must add up to 1"),
        ({"method_options": {"whole_2d": 0.6, "whole_3d": 0.6}}, "add up to 1.3; use at most 1"),
    ],
)
def test_options_that_make_no_sense(change, message):
    with pytest.raises(UserError, match=message):
        PretrainOptions(**{"method": "moleblend", **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method_options": {"read_memory": True}}, "read_memory does nothing with protocol=pre"),
        (
            {"modalities": ("graph", "image"), "method_options": {"cutoff": 5}},
            "cutoff does nothing with views=graph,image",
        ),
        (
            {"method_options": {"memory": 0, "recall": 0, "anchors": 5}},
            "anchors does nothing with memory=0 and recall=0",
        ),
        ({"modalities": ("graph",), "method_options": {"cross": 0.5}}, "cross does nothing with"),
        (
            {"method_options": {"hypergraph": "none", "neighbours": 3}},
            "neighbours does nothing with hypergraph=none",
        ),
        (
            {"method_options": {"contrast": 0, "recall": 0, "temperature": 1}},
            "temperature does nothing with contrast=0 and recall=0",
        ),
        (
            {"method": "moleblend", "method_options": {"atoms": 0, "hide_atoms": 0.9}},
            "hide_atoms does nothing with atoms=0",
        ),
        (
            {"method": "dmmrl", "modalities": ("graph",), "method_options": {"align": 5}},
            "align does nothing with modalities=graph",
        ),
        (
            {"method": "dmmrl", "method_options": {"fusion": "gated"}},
            "fusion does nothing with pre-training, which has no labels",
        ),
    ],
)
def test_what_would_do_nothing_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        PretrainOptions(**{"method": "mmsa", **change})


def test_what_one_view_has_a_use_for_is_taken():
    """The contrast with the memory has a temperature, and a fusion of one view is a layer."""
    PretrainOptions(method="mmsa", modalities=("graph",), method_options={"temperature": 0.2})
    FitOptions(method="dmmrl", modalities=("graph",), method_options={"fusion": "concat"})


def test_every_preset_has_a_recipe():
    assert set(PRETRAIN_PRESETS) == {
        (name, preset) for name, entry in METHODS.items() for preset in entry.presets
    }
    assert all(isinstance(recipe, PretrainConfig) for recipe in PRETRAIN_PRESETS.values())


def test_schedule():
    rates = [warmup_cosine(2.0, step, 100, 0.1) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[9] == max(rates) == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert rates[-1] < 0.002


def test_factors_on_the_learning_rate():
    network = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "ab": torch.nn.Linear(2, 2)})
    groups = make_groups(network, 0.1, {"a": 0.5, "ab": 0.25})
    found = {
        (group["factor"], group["weight_decay"], parameter.ndim)
        for group in groups
        for parameter in group["params"]
    }
    assert found == {(0.5, 0.1, 2), (0.5, 0.0, 1), (0.25, 0.1, 2), (0.25, 0.0, 1)}
