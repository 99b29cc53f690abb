"""Whatever is wrong with the input: one line that says what to do, code 2, nothing half-written.

A row that is wrong comes out in its place with its reason, and changes nothing for the others.
"""

import csv
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from fits import FLAGS, frame, same_weights, untrained

from molweave import Predictor
from molweave.cli.app import run

TABLE = frame()


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd, monkeypatch, tmp_path):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()

    def call(*arguments: object) -> Result:
        code = run([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A model with random weights that predicts ``active`` and ``logp`` from the graph."""
    folder = tmp_path_factory.mktemp("model") / "m"
    untrained(folder)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def refused(cli, folder: Path, message: str, *arguments: object) -> None:
    """The command fails with exactly this message and changes no file."""
    before = content(folder)
    assert cli(*arguments) == (2, "", f"error: {message}\n")
    assert content(folder) == before


LABELS = "smiles,active,logp\nCCO,1,0.5\nCCN,0,1.5\n"
UNREADABLE: Mapping[str, tuple[str, bytes, str]] = {
    "empty": ("a.csv", b"", "a.csv: the input is empty"),
    "blank": ("a.csv", b"\n \r\n\n", "a.csv: the file is empty (blank lines only)"),
    "no smiles column": (
        "a.csv",
        b"id,active,logp\nCCO,1,2\n",
        "a.csv: no SMILES column; found 'id', 'active', 'logp'; name it with --smiles-column "
        "(smiles_column= in Python)",
    ),
    "a column twice": (
        "a.csv",
        b"smiles,active,active\nC,1,0\n",
        "a.csv: duplicate column names 'active'; every column needs its own name",
    ),
    "not UTF-8": (
        "a.csv",
        LABELS.encode() + "CC=O,1,2 \u00b5".encode("latin-1"),
        "a.csv: line 4 is not UTF-8 (byte 0xb5 at position 10); save the file as UTF-8",
    ),
    "UTF-16": (
        "a.csv",
        LABELS.encode("utf-16"),
        "a.csv: the text is UTF-16; save it as UTF-8",
    ),
    "a gz that is not one": (
        "a.csv.gz",
        LABELS.encode(),
        "a.csv.gz: not a gzip file although it is called .gz; rename it",
    ),
    "a gz cut short": (
        "a.csv.gz",
        gzip.compress(LABELS.encode() * 50)[:40],
        "a.csv.gz: the gzip data is cut short or damaged (Compressed file ended before the "
        "end-of-stream marker was reached); fetch the file again",
    ),
    "an open quote": (
        "a.csv",
        LABELS.encode() + b'"CCO,1,2\n',
        'a.csv: line 4: a quote (") opens in this row and is never closed',
    ),
    "not a table": (
        "a.xlsx",
        b"PK\x03\x04",
        "a.xlsx: unknown file type '.xlsx'; use one of .csv, .tsv, .txt, .smi, .smiles, .sdf, .sd, "
        ".mol, .parquet, .pq (text also with .gz)",
    ),
}


@pytest.mark.parametrize("verb", ["fit", "predict", "embed", "evaluate", "check"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_files_that_cannot_be_read(cli, model, tmp_path, verb, kind):
    name, data, message = UNREADABLE[kind]
    (tmp_path / name).write_bytes(data)
    refused(cli, tmp_path, message, *command(verb, model, name))


@pytest.mark.parametrize("verb", ["fit", "predict", "embed", "evaluate", "check"])
def test_missing_files_and_folders(cli, model, tmp_path, verb):
    refused(cli, tmp_path, "none.csv: no such file", *command(verb, model, "none.csv"))
    (tmp_path / "folder").mkdir()
    refused(cli, tmp_path, "folder: is a folder; give a file", *command(verb, model, "folder"))


def command(verb: str, model: Path, data: str) -> list[object]:
    if verb == "fit":
        return ["fit", data, "-t", "active", "-o", "new", "-q", *FLAGS]
    if verb == "check":
        return ["check", data]
    out = {"predict": ["-o", "out.csv"], "embed": ["-o", "out.parquet"]}.get(verb, [])
    return [verb, model, data, *out, "-q"]


def fit(cli, folder: Path, table: pd.DataFrame, *arguments: object) -> Result:
    table.to_csv(folder / "a.csv", index=False)
    return cli("fit", "a.csv", "-o", "new", *FLAGS, "--epochs", 1, *arguments)


def fit_refused(cli, folder: Path, table: pd.DataFrame, message: str, *arguments: object) -> None:
    table.to_csv(folder / "a.csv", index=False)
    words = arguments or ("-t", "alcohol")
    refused(cli, folder, message, "fit", "a.csv", "-o", "new", "-q", *FLAGS, *words)


def test_a_header_and_no_rows(cli, model, tmp_path):
    nothing = TABLE.iloc[:0]
    message = "a.csv has a header but no rows; nothing can be learnt from it"
    fit_refused(cli, tmp_path, nothing, message)
    text = "smiles,active,logp\n"
    (tmp_path / "b.csv").write_text(text, encoding="utf-8")
    message = "b.csv has a header but no rows; there is nothing to compare"
    refused(cli, tmp_path, message, "evaluate", model, "b.csv", "-q")
    assert cli("predict", model, "a.csv", "-q", "-o", "out.csv").code == 0
    header = "name,smiles,alcohol,carbons,active_prob,logp_pred,missing,error\n"
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == header


def test_an_unknown_target(cli, model, tmp_path):
    found = "found 'name', 'smiles', 'alcohol', 'carbons'"
    message = f"no target column 'alcohl'; {found}; did you mean 'alcohol'?"
    fit_refused(cli, tmp_path, TABLE, message, "-t", "alcohl")
    fit_refused(cli, tmp_path, TABLE, f"no target column 'pIC50'; {found}", "-t", "pIC50")
    message = "targets: duplicate column names 'alcohol'; every column needs its own name"
    fit_refused(cli, tmp_path, TABLE, message, "-t", "alcohol,alcohol")
    refused(cli, tmp_path, f"no target column 'active'; {found}", "evaluate", model, "a.csv", "-q")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("yes", "a target must be a number; write classes as 0 and 1, leave unknown fields empty"),
        (
            "<5",
            "a value below or above a limit is not a number; leave the field empty, or write a "
            "number if you decide that the limit stands for the value",
        ),
        ("0,7", "write decimals with a point, not a comma"),
        ("inf", "a target must be a number; write classes as 0 and 1, leave unknown fields empty"),
    ],
)
def test_text_among_the_labels(cli, tmp_path, value, advice):
    table = TABLE.astype({"carbons": object})
    table.loc[7, "carbons"] = value
    where = f"target 'carbons' is '{value}' in row 7 (rows count from 0, without the header)"
    fit_refused(cli, tmp_path, table, f"{where}: {advice}", "-t", "carbons")


def test_labels_that_teach_nothing(cli, tmp_path):
    message = "no usable row has a value in the target 'alcohol': fill in the column or name "
    fit_refused(cli, tmp_path, TABLE.assign(alcohol=np.nan), f"{message}another one")
    both = ("-t", "carbons", "-t", "alcohol")
    fit_refused(cli, tmp_path, TABLE.assign(alcohol=np.nan), f"{message}another one", *both)
    for value in (0, 1):
        message = (
            f"the training part has one class or value only: 'alcohol = {value}'; leave the target "
            "out, add data or choose another split"
        )
        fit_refused(cli, tmp_path, TABLE.assign(alcohol=value), message)
    message = (
        "target 'carbons' is a classification task but has the value 2: write its classes as 0 and "
        "1, or make it a regression task"
    )
    words = ("-t", "carbons", "--kind", "classification")
    fit_refused(cli, tmp_path, TABLE.iloc[1:], message, *words)


def test_too_few_rows(cli, tmp_path):
    message = "only 9 rows with both a usable molecule and a target value: at least 10 are needed"
    fit_refused(cli, tmp_path, TABLE.iloc[9:18], message)
    some = TABLE.iloc[9:20].assign(smiles=TABLE["smiles"].replace(TABLE["smiles"][12], "C1CC"))
    some.loc[15, "alcohol"] = np.nan
    fit_refused(cli, tmp_path, some, message)


def test_ten_rows_are_enough(cli, tmp_path):
    ten = TABLE.iloc[8:18].assign(part=["train"] * 8 + ["valid", "test"])
    ten["alcohol"] = [0, 1] * 5
    words = [word for word in FLAGS if word != "--split" and not word.startswith("random")]
    ten.to_csv(tmp_path / "a.csv", index=False)
    result = cli(
        *("fit", "a.csv", "-t", "alcohol", "-o", "new", "--epochs", 1, *words),
        *("--split-column", "part"),
    )
    assert result.code == 0, result.err


REASONS = {
    "": "parse: empty SMILES",
    "  ": "parse: empty SMILES",
    "C1CC": "parse: unclosed ring",
    "*CCO": "standardize: wildcard atom * (not a complete molecule)",
    "CC(C)(C)(C)C": "parse: valence of atom 2 (C) is 5, more than allowed",
    "c1cccc1": "parse: aromatic ring atoms 1, 2, 3, 4, 5 cannot be given alternating bonds "
    "(is a hydrogen missing, as in [nH]?)",
    "InChI=1S/CH4/h1H4": "parse: an InChI, not a SMILES",
    "CCO>>CC=O": "parse: a reaction, not a molecule",
    "[H][H]": "standardize: no heavy atoms (hydrogen only)",
    "C" * 2001: "parse: 2001 atoms, more than the 2000 allowed",
    "C\u2013O": "parse: character '\u2013' does not belong in a SMILES",
}


def test_bad_molecules_come_out_in_their_place_with_the_reason(cli, model, tmp_path):
    rows: list[tuple[str, str]] = []
    for number, (bad, good) in enumerate(zip(REASONS, TABLE["smiles"], strict=False)):
        rows += [(f"good {number}", good), (f"bad {number}", bad)]
    rows.append(("again", ""))
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as text:
        csv.writer(text).writerows([("id", "smiles"), *rows])
    result = cli("predict", model, "a.csv", "-o", "out.csv")
    assert (result.code, result.out) == (0, "")
    found = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert list(zip(found["id"], found["smiles"], strict=True)) == rows
    good = found["id"].str.startswith("good")
    assert found["error"].tolist() == [
        REASONS[s] if b else "" for b, s in zip(~good, found.smiles, strict=True)
    ]
    numbers = found.loc[good, ["active_prob", "logp_pred"]].astype(float)
    expected = Predictor.load(model).predict(found.loc[good, "smiles"].tolist())
    np.testing.assert_allclose(numbers, expected[["active_prob", "logp_pred"]], rtol=1e-5)
    assert (found.loc[~good, ["active_prob", "logp_pred"]] == "").all(axis=None)
    lines = result.err.splitlines()
    assert f"{len(rows)} rows: {good.sum()} predicted, {(~good).sum()} rejected" in lines[-7]
    assert lines[-6] == "  3 rejected: parse: empty SMILES"
    assert lines[-1] == f"  {len(REASONS) - 6} rejected for other reasons: see the column error"


def test_bad_molecules_do_not_change_a_fit(cli, tmp_path):
    bad = pd.DataFrame({"name": "bad", "smiles": list(REASONS), "alcohol": 1, "carbons": 1e9})
    table = pd.concat([TABLE, bad], ignore_index=True)
    result = fit(cli, tmp_path, table, "-t", "alcohol", "-t", "carbons")
    assert result.code == 0
    assert "51 rows, 40 usable" in result.err
    TABLE.to_csv(tmp_path / "b.csv", index=False)
    clean = ("fit", "b.csv", "-o", "clean", *FLAGS, "--epochs", 1, "-q", "-t", "alcohol,carbons")
    assert cli(*clean).code == 0
    with_bad, without = Predictor.load(tmp_path / "new"), Predictor.load(tmp_path / "clean")
    assert same_weights(with_bad, without)
    rejected = with_bad.info()["record"]["data"]["rejected"]
    assert rejected == {**dict.fromkeys(REASONS.values(), 1), "parse: empty SMILES": 2}


def test_odd_molecules_are_predicted_from_every_view(odd_smiles, tmp_path):
    """Salts, ions, single atoms, a peptide of 1,000 atoms, metals, stereo of every kind."""
    views = ("sequence", "graph", "geometry", "descriptors")
    model = untrained(tmp_path / "m", modalities=views, coordinates="generate")
    found = model.predict(list(odd_smiles.values()), details=True).set_axis(list(odd_smiles))
    refused = found[found["error"].notna()]
    assert refused["error"].to_dict() == {
        "hydrogen": "standardize: no heavy atoms (hydrogen only)",
        "wildcard": "standardize: wildcard atom * (not a complete molecule)",
    }
    kept = found[found["error"].isna()]
    assert np.isfinite(kept[["active_prob", "logp_pred"]].to_numpy(float)).all()
    assert kept["missing"].dropna().to_dict() == {
        "1000 atoms": "geometry: no conformer: 1001 atoms, more than max_atoms = 40"
    }
    weights = kept.filter(like="weight_")
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights["weight_geometry"]["1000 atoms"] == 0
    assert (weights["weight_geometry"].drop("1000 atoms") > 0).all()


def test_odd_molecules_can_be_learnt_from(cli, odd_smiles, tmp_path):
    odd = pd.DataFrame({"smiles": list(odd_smiles.values()), "carbons": range(len(odd_smiles))})
    table = pd.concat([TABLE, odd], ignore_index=True)
    assert fit(cli, tmp_path, table, "-t", "carbons").code == 0
    record = Predictor.load(tmp_path / "new").info()["record"]["data"]
    assert (record["rows"], record["molecules"]) == (57, 55)
    history = pd.read_csv(tmp_path / "new" / "history.csv")
    assert np.isfinite(history.to_numpy(float)).all()


def test_impossible_stereo_is_the_molecule_without_it(model):
    found = Predictor.load(model).predict(["C[C@H](C)C", "CC(C)C", "C/C=C(C)/C", "CC=C(C)C"])
    assert found["logp_pred"].nunique() == 2
    assert found["logp_pred"][0] == found["logp_pred"][1]


def test_contradicting_copies_are_told_and_kept_together(cli, tmp_path):
    copies = TABLE.iloc[[0, 1, 20]].assign(alcohol=1 - TABLE["alcohol"])
    result = fit(cli, tmp_path, pd.concat([TABLE, copies]), "-t", "alcohol")
    assert result.code == 0
    (line,) = (line for line in result.err.splitlines() if "contradictory labels" in line)
    assert "for 3 of the 3 molecules with several rows (rows 0, 1, 20, 40, 41 and 1 more)" in line
    rows = json.loads((tmp_path / "new" / "split.json").read_text(encoding="utf-8"))["rows"]
    for pair in ({0, 40}, {1, 41}, {20, 42}):
        assert sum(bool(pair & set(part)) for part in rows.values()) == 1


def test_windows_line_ends_and_a_byte_order_mark(cli, model, tmp_path):
    text = TABLE.to_csv(index=False, lineterminator="\r\n")
    (tmp_path / "windows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    TABLE.to_csv(tmp_path / "unix.csv", index=False, lineterminator="\n")
    for name in ("windows", "unix"):
        assert cli("predict", model, f"{name}.csv", "-o", f"{name}.out.csv", "-q").code == 0
        words = ("-t", "alcohol,carbons", "-o", name, "-q", *FLAGS, "--epochs", 1)
        assert cli("fit", f"{name}.csv", *words).code == 0
    files = content(tmp_path)
    assert files["windows.out.csv"] == files["unix.out.csv"]
    assert b"\r" not in files["windows.out.csv"]
    assert same_weights(Predictor.load(tmp_path / "windows"), Predictor.load(tmp_path / "unix"))


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
        "m has model format 99, this version of molweave reads format 1; install the version that "
        "wrote it",
    ),
    "another featurizer": (
        lambda folder: damage_config(folder, modality_versions={"graph": "graph-99"}),
        "m was fitted with graph version graph-99, this version of molweave has ",
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
    message = "error: -: cannot be written: No space left on device; nothing was left behind\n"
    assert done.stderr == message


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
