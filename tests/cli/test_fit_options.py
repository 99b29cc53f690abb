"""Every option of ``fit`` reaches the training: what `fit_table` is given is compared with it."""

from operator import attrgetter
from types import SimpleNamespace

import pytest
import typer

from molweave.cli.app import app
from molweave.errors import UserError
from molweave.training import pipeline

CASES = {
    "target": ("-t carbons", "names", ["alcohol", "carbons"]),
    "smiles_column": ("--smiles-column name", "table.smiles_column", "name"),
    "kind": ("--kind regression", "options.kinds", "regression"),
    "split": ("--split random:60/20/20", "options.split", "random:60/20/20"),
    "split_column": ("--split-column name", "options.split", "column:name"),
    "split_file": ("--split-file s.json#2", "options.split", "file:s.json#2"),
    "standardize": ("--standardize full", "options.standardize", "full"),
    "conformers": ("--conformers generate", "options.conformers", "generate"),
    "method": ("--method moleblend", "options.method_name", "moleblend"),
    "preset": ("--preset paper", "options.preset_name", "paper"),
    "from_": ("--from moleblend-small", "options.pretrained", "moleblend-small"),
    "freeze": ("--from moleblend-small --freeze", "options.freeze", True),
    "modalities": (
        "--modalities graph,sequence",
        "options.method_config.modalities",
        ("graph", "sequence"),
    ),
    "without": ("--without kl", "options.method_config.kl", 0),
    "fusion": ("--fusion concat", "options.method_config.fusion", "concat"),
    "protocol": ("--method mmsa --protocol fused", "options.method_config.protocol", "fused"),
    "set_": ("--set dropout=0.45", "options.method_config.dropout", 0.45),
    "ensemble": ("--ensemble 3", "options.ensemble", 3),
    "epochs": ("--epochs 7", "options.train_config.epochs", 7),
    "batch_size": ("--batch-size 11", "options.train_config.batch_size", 11),
    "learning_rate": ("--learning-rate 0.25", "options.train_config.learning_rate", 0.25),
    "patience": ("--patience 4", "options.train_config.patience", 4),
    "balance": ("--balance", "options.train_config.balance", True),
    "max_time": ("--max-time 90s", "options.train_config.max_minutes", 1.5),
    "precision": ("--precision bf16-mixed", "options.train_config.precision", "bf16-mixed"),
    "train": ("--train clip=0.25", "options.train_config.clip", 0.25),
    "seed": ("--seed 5", "options.seed", 5),
    "device": ("--device cpu", "options.device", "cpu"),
    "workers": ("--workers 2", "options.num_workers", 2),
    "overwrite": ("--overwrite", "overwrite", True),
    "resume": ("--resume", "resume", True),
    "_config": ("--config options.toml", "options.ensemble", 4),
    "quiet": ("--quiet", "told", False),
}
"""Parameter to what is typed, where it arrives, and as what."""

ELSEWHERE = {"data", "out", "json"}
"""What every test below types, and ``--json``, which tests/cli/test_verbs.py looks at."""


@pytest.fixture
def given(cli, monkeypatch, table, tmp_path):
    """What reaches `fit_table` from a command line with these options."""
    (tmp_path / "options.toml").write_text("ensemble = 4\n", encoding="utf-8")
    monkeypatch.setattr("os.cpu_count", lambda: 64)

    def call(typed: str) -> SimpleNamespace:
        received = SimpleNamespace()

        def stop(found, names, options, *, events, **others):
            received.__dict__.update(table=found, names=names, options=options, **others)
            events.message("told")
            raise UserError("stop")

        monkeypatch.setattr(pipeline, "fit_table", stop)
        result = cli("fit", table, "-t", "alcohol", "-o", "m", *typed.split())
        assert result.err.endswith("error: stop\n"), result.err
        received.told = "told" in result.err
        return received

    return call


def test_every_option_of_fit_has_a_case():
    command = typer.main.get_command(app).commands["fit"]
    assert set(CASES) | ELSEWHERE == {item.name for item in command.params}


@pytest.mark.parametrize("name", CASES)
def test_an_option_of_fit_reaches_the_training(given, name):
    typed, place, expected = CASES[name]
    look = attrgetter(place)
    assert look(given(typed)) == expected
    plain = "--method mmsa" if name == "protocol" else ""
    assert look(given(plain)) != expected, "it says nothing where the default is the same"


def test_data_and_the_folder_of_a_fit_reach_the_training(given, table):
    found = given("")
    assert found.table.name == str(table)
    assert found.checkpoint.name == "m.training"
