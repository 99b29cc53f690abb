"""The defaults that the help shows are those of the facade."""

from dataclasses import fields

import pytest
import typer

from molweave.cli.app import app
from molweave.data.prepare import PrepareSettings
from molweave.methods import METHODS
from molweave.modalities import MODALITIES
from molweave.training.config import TRAIN_PRESETS, TrainConfig
from molweave.training.options import FitOptions
from molweave.training.splitting import check_choice


def shown(verb: str) -> dict[str, object]:
    """Option name to the default that the help shows."""
    command = typer.main.get_command(app).commands[verb]
    return {item.name: item.show_default for item in command.params if item.show_default}


def test_the_help_prints_them(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text = " ".join(cli("fit", "--help").out.replace("│", " ").split())
    assert "[default: (scaffold)]" in text
    assert "[default: (the preset's; dmmrl small: 30)]" in text
    assert "random:90/5/5" in text
    assert "k-fold:2/5" in text


@pytest.mark.parametrize("verb", ["fit", "check", "predict", "embed", "evaluate"])
def test_options_of_a_fit(verb):
    found = shown(verb)
    for field in fields(FitOptions):
        plain = getattr(FitOptions(), field.name)
        if field.name in found and plain is not None and (verb, field.name) != ("check", "split"):
            assert found[field.name] == str(plain), field.name


def test_every_option_of_a_fit_with_a_value_shows_a_default():
    command = typer.main.get_command(app).commands["fit"]
    without = {
        item.name
        for item in command.params
        if not item.show_default and not item.required and not getattr(item, "is_flag", False)
    }
    there_is_none = {"split_column", "split_file", "without", "set_", "train", "from_", "_config"}
    assert without <= there_is_none


def test_options_of_the_training():
    found, small = shown("fit"), TRAIN_PRESETS[("dmmrl", "small")]
    assert found["epochs"] == f"the preset's; dmmrl small: {small.epochs}"
    assert found["learning_rate"] == f"the preset's; dmmrl small: {small.learning_rate}"
    for config in TRAIN_PRESETS.values():
        assert found["batch_size"] == str(config.batch_size)
        assert found["patience"] == str(config.patience)
        assert found["precision"] == config.precision
        assert (config.balance, config.max_minutes) == (False, 0)
    assert TrainConfig().precision == found["precision"]
    fusions = {preset.fusion for preset in METHODS["dmmrl"].presets.values()}
    assert fusions == {found["fusion"]}


def test_the_views_that_can_be_chosen_are_named():
    command = typer.main.get_command(app).commands["fit"]
    (views,) = (item.help for item in command.params if item.name == "modalities")
    for name in MODALITIES.keys() - {"relations"}:
        assert name in views


def test_options_of_prepare():
    found, plain = shown("prepare"), PrepareSettings()
    assert found["shard_size"] == str(plain.shard_size)
    assert found["valid"] == str(plain.valid_share)
    assert found["conformers"] == plain.conformers
    assert found["standardize"] == plain.standardize


@pytest.mark.parametrize("split", ["scaffold", "scaffold-balanced", "random:90/5/5", "k-fold:2/5"])
def test_the_splits_that_the_help_names_exist(split):
    check_choice(split)
