"""Ablations of a pre-training: every variant is one, a row is complete, and repeats nothing."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from corpora import write_corpus

from molweave.training.pretrain_options import PretrainOptions

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import pretraining_ablations as ablations
import tables

VARIANTS = [
    (method, name) for method, study in ablations.STUDIES.items() for name in study.variants
]


@pytest.mark.parametrize(("method", "variant"), VARIANTS)
def test_every_variant_can_be_pretrained_and_differs_from_the_preset(method, variant) -> None:
    changes = ablations.STUDIES[method].variants[variant]
    preset = PretrainOptions(method=method).method_config
    changed = PretrainOptions(method=method, method_options=changes).method_config
    assert (changed == preset) == (variant in ("full", "blended"))


def test_a_linear_model_of_the_training_rows_alone() -> None:
    """Rows outside the training part, and rows without a value, teach it nothing."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 3))
    values = vectors @ [1.0, -2.0, 0.5]
    train = np.arange(40)
    spoilt = values.copy()
    spoilt[:5], spoilt[40:] = np.nan, 1000.0
    found = ablations._fit_linear(vectors, spoilt, train, "regression", 1e-6)
    assert found == pytest.approx(values, abs=1e-2)
    classes = np.where(np.isnan(spoilt), np.nan, (values > 0).astype(float))
    scores = ablations._fit_linear(vectors, classes, train, "classification", 1e-3)
    assert ((scores > 0) == (values > 0)).mean() > 0.9
    assert set(ablations._fit_linear(vectors, np.ones(60), train, "classification", 1.0)) == {1.0}


def test_a_row_of_a_pretraining_is_measured_once(tmp_path, monkeypatch, folder) -> None:
    study = ablations.STUDIES["moleblend"]
    sizes: list[int] = []
    monkeypatch.setattr(
        ablations, "probe", lambda encoder, *_: sizes.append(encoder.runner.embedding_dim) or 0.75
    )
    write_corpus(tmp_path / "shards", [256], valid=6, placed=True)
    out = tmp_path / "pretraining.csv"
    words = [str(tmp_path / "shards"), "--splits", str(folder), "--method", "moleblend"]
    words += ["--datasets", "esol", "--device", "cpu", "--threads", "1", "--out", str(out)]
    words += ["--set", "width=16", "layers=1", "heads=2", "feed_forward=16", "kernels=4"]
    words += ["--train", "batch_size=64", "--only", "blended"]
    ablations.main(words)
    ablations.main(words)
    assert sizes == [16, 16]
    with out.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["variant"] == "blended"
    assert "--set width=16 layers=1" in row["command"]
    assert "--train batch_size=64 --only blended" in row["command"]
    assert all(float(row[name]) >= 0 for name in study.logged)
    assert row["esol 2D"] == row["esol 3D"] == "0.7500"
    head, _, line = tables.pretraining_table(out).splitlines()
    assert "ESOL from 3D, RMSE ↓" in head
    assert line.startswith("| blended |")
    with pytest.raises(SystemExit, match="unknown variant 'flat'"):
        ablations.main([*words, "--only", "flat"])
    with pytest.raises(SystemExit, match="give another --out"):
        ablations.main([*words, "--epochs", "2"])
