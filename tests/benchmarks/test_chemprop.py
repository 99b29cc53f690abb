"""chemprop as a baseline, with a program in its place that notes what it was given."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest

from molweave.data.moleculenet import BenchmarkSet
from molweave.errors import UserError

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import moleculenet
import single

PROGRAM = """#!{python}
import csv, pathlib, shutil, sys
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
if sys.argv[1] == "--version":
    print("chemprop {version}")
elif sys.argv[1] == "train":
    model = pathlib.Path(option("--output-dir")) / "model_0"
    model.mkdir(parents=True)
    (model / "best.pt").write_text("a model")
    shutil.copy(option("--data-path"), "{folder}/seen.csv")
    pathlib.Path("{folder}/asked.txt").write_text(" ".join(sys.argv[1:]))
else:
    assert pathlib.Path(option("--model-paths")).read_text() == "a model"
    smiles = [row["smiles"] for row in csv.DictReader(open(option("--test-path")))]
    with open(option("--output"), "w") as file:
        names = open("{folder}/seen.csv").readline().strip().split(",")[1:-1]
        print("smiles", *names, sep=",", file=file)
        for text in smiles:
            print(text, *(len(text) * (i + 1) for i in range(len(names))), sep=",", file=file)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts the program on the PATH; returns the folder of its notes."""

    def make(version: str = "2.3.1") -> Path:
        program = tmp_path / "chemprop"
        program.write_text(PROGRAM.format(python=sys.executable, version=version, folder=tmp_path))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        return tmp_path

    return make


def measure(folder: Path, kind: str, targets: tuple[str, ...]) -> single.Outcome:
    metric = {"classification": "roc_auc", "regression": "rmse"}[kind]
    known = BenchmarkSet("tiny", "a test", kind, targets, metric, "random", 90, "")
    job = single.Job(model="chemprop", dataset="tiny", split="random0", seed=7)
    return single.measure(job, known, folder / "tiny.csv", folder / "split.csv")


def test_predictions_belong_to_their_molecules(folder, frame, install):
    from rdkit import Chem

    install()
    outcome = measure(folder, "regression", ("y",))
    length = np.array([len(Chem.CanonSmiles(smiles)) for smiles in frame.smiles])
    for part, found in (("valid", outcome.valid), ("test", outcome.test)):
        there = frame.part == part
        wanted = np.sqrt(np.mean((frame.y[there] - length[there]) ** 2))
        assert found == pytest.approx(wanted, abs=1e-6)


def test_it_gets_labels_gaps_and_parts(folder, frame, install):
    notes = install()
    measure(folder, "classification", ("a", "b"))
    seen = pandas.read_csv(notes / "seen.csv")
    assert seen.split.value_counts().to_dict() == {"train": 72, "val": 9, "test": 9}
    assert seen.task1.isna().sum() == frame.b.isna().sum() > 0
    assert seen.task0.sum() == frame.a.sum()
    asked = (notes / "asked.txt").read_text()
    assert "--task-type classification --target-columns task0 task1" in asked
    assert "--pytorch-seed 7" in asked


def test_another_version_or_none_is_refused(folder, install, monkeypatch):
    install("9.9.9")
    with pytest.raises(UserError, match=r"chemprop 2\.3\.1; found chemprop 9\.9\.9"):
        measure(folder, "regression", ("y",))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="no program 'chemprop' on the PATH"):
        measure(folder, "regression", ("y",))


def test_it_takes_no_settings_of_a_network():
    asked = ["--splits", "S", "--model", "chemprop", "--set", "kl=0"]
    with pytest.raises(UserError, match="chemprop takes neither"):
        moleculenet.make_jobs(moleculenet.make_parser().parse_args(asked))
