"""Damaged model folders, outputs that cannot be written: one line, code 2, nothing half-written."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from fits import FLAGS
from refusals import LABELS, TABLE, content, refused

from molweave.modalities.sequence import SequenceModality


def damage_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}), encoding="utf-8")


DAMAGES = {
    "no folder": (shutil.rmtree, "m is not a model folder: it has no config.json"),
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        "m is not a model folder: it has no config.json",
    ),
    "a cut config": (
        lambda folder: os.truncate(folder / "config.json", 50),
        "m/config.json is damaged (",
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "cannot read the weights m/model.safetensors (",
    ),
    "cut weights": (
        lambda folder: os.truncate(folder / "model.safetensors", 1000),
        "cannot read the weights m/model.safetensors (",
    ),
    "a newer format": (
        lambda folder: damage_config(folder, format_version=99),
        "m has model format 99, this version of molweave reads format 2; install the version that "
        "wrote it",
    ),
    "another featurizer": (
        lambda folder: damage_config(folder, modality_versions={"graph": "graph-99"}),
        "m was fitted with graph version graph-99, this version of molweave has ",
    ),
    "no view": (
        lambda folder: damage_config(folder, modality_versions={}),
        "m/config.json is damaged (modality_versions is empty); copy it again",
    ),
    "other views than the network's": (
        lambda folder: damage_config(
            folder, modality_versions={"sequence": SequenceModality().version}
        ),
        "m/config.json is damaged (modality_versions does not name the views of the network)",
    ),
    "a missing field": (
        lambda folder: (folder / "config.json").write_text("{}"),
        "m/config.json is damaged ('format_version' is missing); copy it again",
    ),
    "a deep config": (
        lambda folder: (folder / "config.json").write_text("[" * 100_000),
        "m/config.json is damaged (maximum recursion depth exceeded",
    ),
    "a list": (
        lambda folder: (folder / "config.json").write_text("[]"),
        "m/config.json is damaged (it is not a table of values); copy it again",
    ),
    "an unknown kind": (
        lambda folder: damage_config(folder, kind="table"),
        "m/config.json is damaged (the kind 'table' is unknown); copy it again",
    ),
    "unknown conformers": (
        lambda folder: damage_config(folder, coordinates="x"),
        "m/config.json is damaged (conformers must be one of input, generate, none; found 'x')",
    ),
    "a seed below 0": (
        lambda folder: damage_config(folder, conformers={"seed": -1}),
        "m/config.json is damaged (seed is -1: use a number from 0 to ",
    ),
    "a task twice": (
        lambda folder: damage_config(folder, tasks=[{"name": "y", "kind": "regression"}] * 2),
        "m/config.json is damaged (tasks: duplicate column names 'y'; ",
    ),
    "an unknown kind of task": (
        lambda folder: damage_config(folder, tasks=[{"name": "y", "kind": "x"}]),
        "m/config.json is damaged (the kind of task 'x' is unknown); copy it again",
    ),
    "another network": (
        lambda folder: damage_config(folder, members=2),
        "m/model.safetensors does not fit its config.json: ",
    ),
}


MESSAGES_OF_INFO = {
    "no folder": "m is neither a folder nor an encoder that ships with molweave; shipped: ",
    "no config": "m is not a model folder nor an encoder folder: it has no config.json",
}
"""What ``info`` says, which takes encoders, too."""


@pytest.mark.parametrize("verb", ["predict", "info"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_model_folders_that_cannot_be_used(cli, model, tmp_path, damage, verb):
    shutil.copytree(model, tmp_path / "m")
    (tmp_path / "a.csv").write_text(LABELS, encoding="utf-8")
    spoil, message = DAMAGES[damage]
    spoil(tmp_path / "m")
    before = content(tmp_path)
    words = ["predict", "m", "a.csv", "-o", "out.csv"] if verb == "predict" else ["info", "m"]
    message = MESSAGES_OF_INFO.get(damage, message) if verb == "info" else message
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: damage_config(folder, record={"split": {"sizes": 3}}),
            "m/config.json is damaged ('int' object has no attribute 'items'); copy it again",
        ),
        (
            lambda folder: damage_config(folder, record={"data": {}, "pretrained": {"name": "x"}}),
            "m/config.json is damaged ('frozen' is missing); copy it again",
        ),
        *(
            (
                lambda folder, text=text: (folder / "metrics.json").write_text(text),
                f"m/metrics.json: cannot be read: {told}; the model itself still works",
            )
            for text, told in (
                ("[1]", "it holds no scores"),
                ('{"test": {"y": {"mae": 1}}, "mean": {}}', "it holds no scores"),
                ('{"mean": {"test": {"mae": "x"}}}', "a score is not a number"),
            )
        ),
    ],
)
def test_records_that_cannot_be_shown(cli, model, tmp_path, spoil, message):
    shutil.copytree(model, tmp_path / "m")
    spoil(tmp_path / "m")
    refused(cli, tmp_path, message, "info", "m")
    assert cli("predict", "m", "--smiles", "C", "-q").code == 0, "the model works without"


def test_a_config_without_permission(cli, model, tmp_path, monkeypatch):
    shutil.copytree(model, tmp_path / "m")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        result = cli("info", "m")
    assert result == (2, "", "error: m/config.json: cannot be read: Permission denied\n")


def test_outputs_that_cannot_be_written(cli, model, tmp_path):
    TABLE.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", encoding="utf-8")
    learn = ("fit", "a.csv", "-t", "alcohol", "-q", *FLAGS)
    for out, message in [
        ("a.csv", "a.csv exists; choose another name or pass --overwrite"),
        ("full", "full exists; choose another name or pass --overwrite"),
        ("a.csv/new", "cannot write a.csv/new: File exists; choose another place"),
    ]:
        refused(cli, tmp_path, message, *learn, "-o", out)
    message = "full is not a model folder and is not empty; choose another name"
    refused(cli, tmp_path, message, *learn, "-o", "full", "--overwrite")
    for verb, suffix in (("predict", "csv"), ("embed", "parquet")):
        out = tmp_path / "none" / f"out.{suffix}"
        message = f"{out}: there is no folder {out.parent}; create it first"
        refused(cli, tmp_path, message, verb, model, "a.csv", "-q", "-o", f"none/out.{suffix}")
    refused(
        cli,
        tmp_path,
        "a.csv: the output is the input file; choose another name",
        *("predict", model, "a.csv", "-o", "a.csv", "--overwrite", "-q"),
    )


def in_little_space(folder: Path, limit: int, *arguments: object) -> subprocess.CompletedProcess:
    """Run a command that can write no file longer than so many bytes."""
    return subprocess.run(
        [sys.executable, "-m", "molweave", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("predict", "MODEL", "a.csv", "-o", "out.csv", "-q"),
            "out.csv: cannot be written: File too large; nothing was left behind",
        ),
        (
            ("embed", "MODEL", "a.csv", "-o", "out.parquet", "-q"),
            "out.parquet: cannot be written: ",
        ),
        (
            ("fit", "a.csv", "-t", "alcohol", "-o", "new", "-q", *FLAGS),
            "cannot write the checkpoint new.training/member-0: ",
        ),
    ],
)
def test_a_disk_that_is_full(model, tmp_path, words, message):
    pd.concat([TABLE] * 30).to_csv(tmp_path / "a.csv", index=False)
    before = content(tmp_path)
    arguments = [model if word == "MODEL" else word for word in words]
    done = in_little_space(tmp_path, 4096, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert content(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_standard_output_that_is_full(model, tmp_path):
    TABLE.to_csv(tmp_path / "a.csv", index=False)
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        done = subprocess.run(
            [sys.executable, "-m", "molweave", "predict", model, "a.csv", "-q"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "error: standard output cannot be written: No space left on device; what is there is "
        "incomplete\n"
    )


def test_a_read_only_place(cli, model, tmp_path, monkeypatch):
    """Root may write everywhere, so the refusal is played."""
    TABLE.to_csv(tmp_path / "a.csv", index=False)

    def refuse(*arguments, **options):
        raise OSError(30, "Read-only file system")

    real = Path.open

    def open_file(self, mode="r", *arguments, **options):
        return refuse() if "x" in mode else real(self, mode, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_file)
        out = tmp_path / "out.csv"
        message = "out.csv: cannot be written: Read-only file system; nothing was left behind"
        refused(cli, tmp_path, message, "predict", model, "a.csv", "-q", "-o", out.name)
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.mkdtemp", refuse)
        message = "cannot write new: Read-only file system; choose another place"
        refused(cli, tmp_path, message, "fit", "a.csv", "-t", "alcohol", "-o", "new", "-q", *FLAGS)
