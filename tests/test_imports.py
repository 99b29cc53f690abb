"""What may import what, and what is loaded when."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "molweave"
HEAVY = (
    "torch",
    "rdkit",
    "pandas",
    "pyarrow",
    "sklearn",
    "scipy",
    "matplotlib",
    "lightning_fabric",
)
DISTRIBUTIONS = {"pillow": "PIL", "scikit-learn": "sklearn", "lightning-fabric": "lightning_fabric"}


def loaded_by(code: str) -> set[str]:
    """Top-level names of the modules that a new Python has loaded after ``code``."""
    script = f"""
import contextlib, io, sys
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    exec({code!r})
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def run_cli(*arguments: str) -> str:
    """Code that does what the ``molweave`` command does."""
    return f"sys.argv = {['molweave', *arguments]!r}; from molweave.cli import main; main()"


@pytest.mark.parametrize(
    "code",
    [
        "import molweave",
        "import molweave.cli",
        run_cli("--help"),
        *(run_cli(verb, "--help") for verb in ("fit", "predict", "embed", "evaluate", "info")),
    ],
)
def test_nothing_heavy_is_loaded_before_there_is_work_to_do(code):
    loaded = loaded_by(code)
    assert "molweave" in loaded
    assert loaded.isdisjoint(HEAVY)


def modules(package: str) -> str:
    """Code that imports every module of ``package``."""
    files = sorted((PACKAGE / package).rglob("*.py"))
    names = [".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts) for file in files]
    return "import " + ", ".join(name.removesuffix(".__init__") for name in names)


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("chem", {"torch", "sklearn", "matplotlib", "lightning_fabric"}),
        ("nn", {"rdkit", "pandas", "sklearn", "matplotlib", "lightning_fabric"}),
        ("modalities", {"pandas", "sklearn", "matplotlib", "lightning_fabric"}),
        ("methods", {"sklearn", "matplotlib", "lightning_fabric"}),
        ("inference", {"pandas", "sklearn", "matplotlib", "lightning_fabric"}),
    ],
)
def test_a_part_loads_only_what_it_needs(package, unwanted):
    loaded = loaded_by(modules(package))
    assert "molweave" in loaded
    assert loaded.isdisjoint(unwanted)


def test_imports_go_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def imported_by_the_package() -> set[str]:
    """Top-level names of every absolute import in the package, also those inside functions."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"molweave"}


def test_what_is_imported_is_what_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[^\w-]", line)[0] for line in project["dependencies"]}
    assert imported_by_the_package() == {DISTRIBUTIONS.get(name, name) for name in names}


def test_the_lock_pins_exactly_and_pulls_no_gpu_packages():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    names = {line.partition("==")[0] for line in pins}
    assert [name for name in names if re.match(r"nvidia|cuda|triton|xgboost", name)] == []
