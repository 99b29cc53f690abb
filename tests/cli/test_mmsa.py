"""MMSA from the command line: shards, encoder, models of both protocols, the memory as a page."""

import csv
import json
from pathlib import Path

import pytest
from pyarrow.parquet import read_metadata
from safetensors.numpy import load_file

from molweave.cli.app import run
from molweave.data import dataset
from molweave.report.terms import TERMS

SIZES = {
    "image_channels": 2,
    "image_reduce": 4,
    "graph_width": 16,
    "graph_layers": 2,
    "geometry_width": 16,
    "geometry_layers": 1,
    "hidden": 16,
    "code": 8,
    "structure": 8,
    "neighbours": 3,
    "references": 16,
    "anchors": 5,
}
SMALL = [word for name, value in SIZES.items() for word in ("--set", f"{name}={value}")]
COMMON = ["--epochs", "1", "--device", "cpu", "--quiet"]


@pytest.fixture(scope="module")
def shards(table, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "shards"
    words = ["prepare", str(table), "--out", str(folder), "--valid", "0.3", "--quiet"]
    assert run([*words, "--conformers", "generate", "--workers", "1"]) == 0
    return folder


@pytest.fixture(scope="module")
def encoder(shards, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("encoder") / "mmsa-tiny"
    words = ["pretrain", str(shards), "--method", "mmsa", *SMALL, *COMMON]
    words += ["--batch-size", "8", "--train", "log_steps=1", "--out", str(folder)]
    assert run(words) == 0
    return folder


def column(path: str, name: str) -> list[str]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_the_log_of_a_pre_training_shows_terms_and_measures_of_collapse(encoder):
    last = {
        name: column(str(encoder / "history.csv"), name)[-1]
        for name in (
            "contrast",
            "reconstruction",
            "cross",
            "memory",
            "recall",
            "effective_rank",
            "spread",
            "structure_spread",
            "contrast_share",
            "anchor_perplexity",
            "dead_anchors",
            "valid_contrast",
            "valid_graph_to_image",
            "valid_graph_to_geometry",
        )
    }
    assert float(last["dead_anchors"]) == 0
    assert 1 <= float(last["anchor_perplexity"]) <= 5
    report = (encoder / "report.html").read_text(encoding="utf-8")
    assert all(TERMS[name] in report for name in last if name in TERMS)
    assert TERMS["valid_graph_to_image"] in report
    found = json.loads((encoder / "config.json").read_text(encoding="utf-8"))
    assert found["method_config"]["protocol"] == "pretrain"
    assert found["method_config"]["encoder_dropout"] == 0


def test_the_graph_protocol_draws_nothing_and_needs_no_conformer(cli, encoder, table, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a conformer or a drawing was asked for")

    monkeypatch.setattr(dataset, "load_conformers", refuse)
    monkeypatch.setattr("molweave.modalities.image.draw_image", refuse)
    flags = ["--split", "random", "--workers", "1", *COMMON]
    done = cli("fit", table, "-t", "alcohol", "--from", encoder, *flags, "--out", "model")
    assert (done.code, done.err) == (0, "")
    done = cli("predict", "model", table, "--out", "new.csv", "--details", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert {float(share) for share in column("new.csv", "weight_graph")} == {1.0}
    assert all(0 < float(value) < 1 for value in column("new.csv", "alcohol_prob"))


def test_the_fused_protocol_reads_all_and_carries_its_memory(cli, encoder, table):
    flags = ["--split", "random", "--workers", "1", *COMMON]
    flags += ["--protocol", "fused", "--set", "read_memory=true", "--conformers", "none"]
    done = cli("fit", table, "-t", "alcohol", "--from", encoder, *flags, "--out", "model")
    assert (done.code, done.err) == (0, "")
    trained, fitted = (
        load_file(Path(folder) / "model.safetensors") for folder in (encoder, "model")
    )
    for name in ("awareness.memory.anchors", "awareness.hypergraph.references"):
        before, after = trained[name], fitted[f"members.0.method.{name}"]
        assert before.shape == after.shape
        assert abs(before.astype("float32") - after).max() == 0
    done = cli("predict", "model", table, "--out", "new.csv", "--details", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert {float(share) for share in column("new.csv", "weight_image")} == {0.5}
    assert {float(share) for share in column("new.csv", "weight_geometry")} == {0.0}


def test_an_encoder_that_knows_no_graph_is_used_fused(cli, shards, table, tmp_path):
    folder = str(tmp_path / "flat")
    words = ["pretrain", shards, "--method", "mmsa", "--modalities", "image,geometry", *COMMON]
    sizes = [word for word in SMALL if "graph" not in word and word != "--set"]
    words += [word for size in sizes for word in ("--set", size)]
    done = cli(*words, "--batch-size", "8", "--out", folder)
    assert (done.code, done.err) == (0, "")
    done = cli("embed", folder, table, "--out", "vectors.parquet", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert read_metadata("vectors.parquet").num_rows == len(column(str(table), "smiles"))
    flags = ["--split", "random", "--workers", "1", "--conformers", "none", *COMMON]
    done = cli("fit", table, "-t", "alcohol", "--from", folder, *flags, "--out", "model")
    assert (done.code, done.err) == (0, "")
    card = Path("model/README.md").read_text(encoding="utf-8")
    assert "preset small, protocol fused, from the views image, geometry" in card


def test_the_memory_as_a_page(cli, encoder, table):
    words = ["explain-memory", encoder, "--data", table, "--out", "memory.html", "--device", "cpu"]
    done = cli(*words, "--workers", "1", "--nearest", "2", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "of 5 anchors are in use by 44 molecules" in done.out
    page = Path("memory.html").read_text(encoding="utf-8")
    assert page.count("<h3 ") == 5
    assert page.count("<svg") == 10
    again = cli(*words, "--quiet")
    assert again.code == 2
    assert "already exists" in again.err
    done = cli(*words, "--workers", "1", "--overwrite", "--json", "--quiet")
    assert len(json.loads(done.out)["anchors"]) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--without", "alignment"], "--without is one of contrast, reconstruction, cross, memory"),
        (["--set", "anchors=0"], "mmsa needs anchors of at least 1; found 0"),
        (["--set", "views=sequence"], "views of mmsa are one or more of image, graph, geometry"),
        (["--set", "neighbors=3"], "did you mean 'neighbours'?"),
    ],
)
def test_mistakes_are_told_in_one_line(cli, shards, words, message):
    done = cli("pretrain", shards, "--method", "mmsa", *words, *COMMON, "--out", "encoder")
    assert done.code == 2
    assert message in " ".join(done.err.split())


def test_a_view_that_was_not_pre_trained_is_refused(cli, encoder, table):
    flags = ["--set", "graph_encoder=cmpnn", *COMMON, "--out", "model"]
    done = cli("fit", table, "-t", "alcohol", "--from", encoder, *flags)
    assert done.code == 2
    assert "pre-trained with graph_encoder=gin, not graph_encoder=cmpnn" in done.err
