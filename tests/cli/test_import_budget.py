"""What every command may load: each library costs seconds or hundreds of milliseconds."""

import subprocess
import sys

import pytest

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
VERBS = ("fit", "predict", "embed", "evaluate", "info", "check", "doctor", "prepare")


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
