"""What every command may load: each library costs seconds or hundreds of milliseconds."""

import subprocess
import sys

import pytest
import typer

from molweave.cli.app import app, run

LIBRARIES = (
    "torch",
    "pandas",
    "rdkit",
    "numpy",
    "sklearn",
    "scipy",
    "pyarrow",
    "matplotlib",
    "jinja2",
    "lightning_fabric",
)
VERBS = tuple(typer.main.get_command(app).commands)


def libraries_loaded_by(*arguments: object) -> set[str]:
    """The libraries that a command loads in a process of its own."""
    script = (
        "import sys\n"
        "from molweave.cli.app import run\n"
        f"code = run({[str(argument) for argument in arguments]!r})\n"
        f"print('LOADED', *(name for name in {LIBRARIES!r} if name in sys.modules))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([v, "--help"] for v in VERBS)])
def test_help_loads_no_library(arguments):
    assert libraries_loaded_by(*arguments) == set()


def test_check_loads_no_network(table):
    loaded = libraries_loaded_by("check", table, "-t", "alcohol", "--split", "scaffold")
    assert loaded <= {"rdkit", "numpy"}


def test_prepare_loads_no_network(table, tmp_path):
    arguments = ("prepare", table, "--out", tmp_path / "shards", "--conformers", "none", "--quiet")
    assert libraries_loaded_by(*arguments) <= {"rdkit", "numpy", "pyarrow", "pandas"}


LEARNING = {"torch", "rdkit", "numpy", "lightning_fabric", "matplotlib", "jinja2"}
TINY = (
    *("--set", "width=16", "--set", "heads=2", "--epochs", "1", "--batch-size", "8"),
    *("--device", "cpu", "--workers", "1", "--quiet"),
)


def test_fit_loads_what_it_trains_and_reports_with(table, tmp_path):
    arguments = ("fit", table, "-t", "alcohol", "--out", tmp_path / "model", "--split", "random")
    assert libraries_loaded_by(*arguments, "--method", "moleblend", *TINY) <= LEARNING


@pytest.mark.slow
def test_pretrain_loads_what_it_trains_and_reports_with(table, tmp_path):
    shards = tmp_path / "shards"
    arguments = ("prepare", table, "--out", shards, "--conformers", "none", "--quiet")
    assert run([str(argument) for argument in arguments]) == 0
    arguments = ("pretrain", shards, "--method", "moleblend", "--out", tmp_path / "encoder")
    assert libraries_loaded_by(*arguments, *TINY) <= LEARNING | {"pyarrow", "pandas"}


def test_explain_memory_loads_no_training_code(table, tmp_path):
    arguments = ("explain-memory", "mmsa-small", "--data", table, "--out", tmp_path / "memory.html")
    loaded = libraries_loaded_by(*arguments, "--device", "cpu", "--workers", "1", "--quiet")
    assert loaded <= {"torch", "rdkit", "numpy", "jinja2"}


def test_doctor_loads_what_it_tests():
    assert libraries_loaded_by("doctor") <= {"torch", "rdkit", "numpy"}


@pytest.mark.parametrize("verb", ["predict", "embed", "evaluate", "info"])
def test_a_fitted_model_needs_no_training_code(verb, model, table, tmp_path):
    out = {"predict": "p.csv", "embed": "e.parquet"}
    arguments = [verb, model]
    if verb != "info":
        arguments.append(table)
    if verb in out:
        arguments += ["--out", tmp_path / out[verb]]
    allowed = {"torch", "rdkit", "numpy"}
    if verb == "embed":
        allowed |= {"pyarrow", "pandas"}  # pyarrow loads pandas by itself where it is installed
    assert libraries_loaded_by(*arguments) <= allowed
