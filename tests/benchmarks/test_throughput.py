"""The measure of throughput: every part of the work on its account, operations as by hand."""

import csv
import sys
from pathlib import Path

import pytest
import torch
from corpora import write_corpus

from molweave.nn.linear import Linear

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import tables
import throughput


def test_products_are_counted_forward_and_backward() -> None:
    """2 n i o for the product and as much for each of its two gradients."""
    layer = Linear(16, 8)

    def step(batch: torch.Tensor) -> None:
        layer(batch).sum().backward()

    found = throughput.count_operations(step, [torch.randn(4, 16, requires_grad=True)])
    assert found == 3 * 2 * 4 * 16 * 8


@pytest.mark.parametrize(("name", "drawn"), [("mmsa", True), ("moleblend", False)])
def test_a_row_accounts_for_all_the_work(tmp_path, monkeypatch, name, drawn) -> None:
    write_corpus(tmp_path / "shards", [12])
    words = [str(tmp_path / "shards"), "--models", f"{name}:small", "--count", "8", "--batch", "4"]
    out = tmp_path / "throughput.csv"
    monkeypatch.setattr(sys, "argv", ["throughput.py", *words, "--out", str(out)])
    throughput.main()
    with out.open(newline="") as file:
        train, predict = csv.DictReader(file)
    for row in (train, predict):
        assert sum(float(row[part]) for part in throughput.PARTS) == pytest.approx(1, abs=0.005)
        assert float(row["gflop_per_molecule"]) > 0
    assert (float(train["drawing"]) > 0) == drawn
    assert float(predict["drawing"]) == 0
    assert float(train["gflop_per_molecule"]) > 2 * float(predict["gflop_per_molecule"])
    lines = tables.throughput_table(out).splitlines()
    assert [line.split(" | ")[1] for line in lines[2:]] == ["train", "predict"]


def test_an_unknown_model_is_named(tmp_path, monkeypatch) -> None:
    write_corpus(tmp_path / "shards", [12])
    words = [str(tmp_path / "shards"), "--models", "mmsa:tiny"]
    monkeypatch.setattr(sys, "argv", ["throughput.py", *words])
    with pytest.raises(SystemExit, match="mmsa:tiny"):
        throughput.main()
