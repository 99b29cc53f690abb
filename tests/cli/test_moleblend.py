"""MoleBLEND from the command line: 2D without conformers, and mistakes."""

import csv
from pathlib import Path

import pytest

from molweave.data import dataset

TINY = [
    "--method",
    "moleblend",
    "--set",
    "width=16",
    "--set",
    "layers=1",
    "--set",
    "heads=2",
    "--set",
    "feed_forward=16",
    "--split",
    "random",
    "--epochs",
    "1",
    "--device",
    "cpu",
    "--workers",
    "1",
    "--quiet",
]


def test_fits_and_predicts_2d_without_a_single_conformer(cli, table, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a conformer was asked for")

    monkeypatch.setattr(dataset, "load_conformers", refuse)
    done = cli("fit", table, "--target", "alcohol", *TINY, "--out", "model")
    assert (done.code, done.err) == (0, "")
    done = cli("predict", "model", table, "--out", "new.csv", "--details", "--quiet")
    assert (done.code, done.err) == (0, "")
    with Path("new.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 44
    assert {float(row["weight_relations"]) for row in rows} == {1.0}
    assert {row["missing"] + row["error"] for row in rows} == {""}
    assert all(0 < float(row["alcohol_prob"]) < 1 for row in rows)


def test_a_fit_with_the_recovery_beside_it_predicts_from_both_views(cli, table):
    """What the recovery predicts besides, descriptors, is no view and has no weight."""
    words = ["--set", "views=blend", "--set", "kernels=4", "--out", "model"]
    done = cli("fit", table, "--target", "alcohol", *TINY, *words)
    assert (done.code, done.err) == (0, "")
    assert "from the views relations, geometry." in Path("model/README.md").read_text()
    done = cli("predict", "model", table, "--out", "new.csv", "--details", "--quiet")
    assert (done.code, done.err) == (0, "")
    with Path("new.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file))
    weights = {name: value for name, value in first.items() if name.startswith("weight_")}
    assert weights == {"weight_relations": "0.5", "weight_geometry": "0.5"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("show_spd=0.9", "show_spd, show_edge and show_distance must add up to 1"),
        ("views=4d", "views must be one of 2d, 3d, both, blend"),
    ],
)
def test_mistakes_are_told_in_one_line(cli, table, setting, message):
    done = cli("fit", table, "--target", "alcohol", *TINY, "--set", setting, "--out", "model")
    assert done.code == 2
    assert message in " ".join(done.err.split())
