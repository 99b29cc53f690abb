# ruff: noqa: E402 - the scripts are no package; their folder has to be on the path first
"""Ablations change one thing each; probes find what is there."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import TINY

from molweave.errors import UserError
from molweave.predictor import Predictor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import ablations
import probes
import tables

SMALL = {name: str(value) for name, value in TINY.items()}
PLACES = "--data DATA --splits SPLITS --threads 1"


def test_ablations_change_one_thing():
    from molweave.methods.config import replace_fields
    from molweave.methods.dmmrl_config import DMMRL_PRESETS

    full = DMMRL_PRESETS["small"]
    wanted = {f"without-{name}": "modalities" for name in full.modalities}
    wanted |= {f"without-{term}": term for term in ("kl", "mmd", "align", "orth", "rec")}
    wanted |= {"fusion-mean": "fusion", "fusion-concat": "fusion"}
    wanted |= {"orthogonality-cosine": "orthogonality", "full": None}
    text = f"{PLACES} --datasets esol --seeds 0 --out x.csv"
    jobs = ablations.make_jobs(ablations.make_parser().parse_args(text.split()))
    assert {job.label for job in jobs} == {f"small:{name}" for name in wanted}
    for job in jobs:
        changes = dict(job.method_options)
        if job.modalities:
            changes["modalities"] = job.modalities
        changed = replace_fields(full, changes, where="dmmrl")
        field = wanted[job.label.partition(":")[2]]
        assert (changed == full) == (field is None)
        if field is not None:
            assert replace(changed, **{field: getattr(full, field)}) == full
    with pytest.raises(UserError, match="unknown ablation 'x'"):
        ablations.make_jobs(ablations.make_parser().parse_args([*text.split(), "--only", "x"]))


def test_retrieval_of_known_codes():
    codes = np.random.default_rng(0).normal(size=(40, 8))
    assert probes.top_1(codes, 3 * codes, size=30, seed=0) == 1
    assert probes.top_1(np.ones((40, 8)), codes[::-1], size=30, seed=0) == pytest.approx(1 / 30)
    assert probes.top_1(codes, np.ones((40, 8)), size=30, seed=0) == pytest.approx(1 / 30)
    half = np.concatenate([codes[:20], np.roll(codes[20:], 1, axis=0)])
    assert probes.top_1(half, codes, size=40, seed=0) == 0.5


def test_probes_find_what_is_there():
    codes = np.random.default_rng(0).normal(size=(200, 8))
    line = codes @ np.arange(8.0) + 3
    found = probes.probe_values(codes[:150], line[:150], codes[150:])
    np.testing.assert_allclose(found, line[150:], atol=0.02)
    sure = probes.probe_classes(codes[:150], (line > 3)[:150], codes[150:])
    from sklearn.metrics import roc_auc_score

    assert roc_auc_score((line > 3)[150:], sure) > 0.98


def test_probes_of_a_model(folder, frame, tmp_path):
    model = Predictor(
        modalities=("sequence", "graph"),
        method_options=SMALL,
        training={"epochs": 1},
        device="cpu",
    )
    model.fit(folder / "tiny.csv", ["y"], split="column:part", out=tmp_path / "model")
    out = tmp_path / "probes.csv"
    words = [str(tmp_path / "model"), str(folder / "tiny.csv"), "--out", str(out)]
    probes.main(words)
    probes.main(words)
    with out.open(newline="") as file:
        stored = list(csv.DictReader(file))
    labels_and_properties, pairs = 6, 2
    assert len(stored) == 3 * (2 * labels_and_properties + 2 * pairs)
    assert {row["code"] for row in stored} == {"shared", "private", "pooled"}
    assert {row["molecules"] for row in stored if row["metric"] == "r2"} == {"9"}
    assert {row["molecules"] for row in stored if row["metric"] == "top-1"} == {"18"}
    table = tables.probes_table(out)
    assert table.count("| shared | graph |") == 1
    assert table.count("| private | sequence → graph |") == 1
    other = tmp_path / "other.csv"
    other.write_text((folder / "tiny.csv").read_text().rpartition("C")[0] + "C,1,0,0,train\n")
    with pytest.raises(SystemExit, match="fitted on other data"):
        probes.main([words[0], str(other), *words[2:]])


def test_codes_are_those_of_the_network(folder, tmp_path):
    """With one modality the embedding is the norm of twice its shared code."""
    model = Predictor(
        modalities=("graph",),
        method_options=SMALL,
        training={"epochs": 1},
        device="cpu",
    )
    model.fit(folder / "tiny.csv", ["y"], split="column:part", out=tmp_path / "model")
    fitted, data, split = probes.read_inputs(tmp_path / "model", folder / "tiny.csv")
    codes = probes.encode(fitted, data, 1)
    embedding = model.embed(folder / "tiny.csv")
    assert codes.present["graph"].all()
    norm = fitted.members[0].method.fusion.norm
    shared = torch.from_numpy(codes.values["shared"]["graph"])
    wanted = norm(2 * shared).detach().numpy()
    np.testing.assert_allclose(embedding, wanted, atol=1e-4)
    stored = json.loads((tmp_path / "model" / "split.json").read_text())
    assert split.test.tolist() == stored["rows"]["test"]
