"""bf16 autocast and torch.compile are options that change the pace, not the result."""

import csv
import subprocess
import sys

import pytest
from tiny import SIZES

from molweave.training.pretrain_corpus import pretrain_corpus
from molweave.training.pretrain_options import PretrainOptions

RECIPE = {"epochs": 2, "batch_size": 6, "log_steps": 2, "valid_steps": 4, "valid_molecules": 6}


def history(shards, **training) -> list[dict[str, float]]:
    still = {"encoder_dropout": 0.0, "drop_path": 0.0}
    options = PretrainOptions(
        method="moleblend",
        method_options={**SIZES["moleblend"], **still},
        training={**RECIPE, **training},
        device="cpu",
    )
    return pretrain_corpus(shards, options).training.history


def terms(record: dict[str, float]) -> dict[str, float]:
    return {name: record[name] for name in ("spd", "edge", "distance", "denoise")}


def test_bf16_learns_the_same(shards):
    exact, rounded = history(shards), history(shards, precision="bf16-mixed")
    assert exact != rounded, "bf16 must have been in force"
    for one, other in zip(exact, rounded, strict=True):
        assert terms(other) == pytest.approx(terms(one), rel=0.03)


@pytest.mark.slow
def test_compiled_layers_learn_the_same(shards, tmp_path):
    """In processes of their own, without the checks of types that torch.compile cannot read."""
    logs = []
    for compiled in ("false", "true"):
        words = ["pretrain", shards, "--method", "moleblend", "--device", "cpu", "--out", compiled]
        settings = {**SIZES["moleblend"], "encoder_dropout": 0, "drop_path": 0}
        words += [word for pair in settings.items() for word in ("--set", "{}={}".format(*pair))]
        recipe = {**RECIPE, "compile": compiled}
        words += [word for pair in recipe.items() for word in ("--train", "{}={}".format(*pair))]
        command = [sys.executable, "-m", "molweave", *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        with (tmp_path / compiled / "history.csv").open() as file:
            logs.append(list(csv.DictReader(file)))
    for one, other in zip(*logs, strict=True):
        for name in ("spd", "edge", "distance", "denoise"):
            assert float(other[name]) == pytest.approx(float(one[name]), rel=1e-3)
