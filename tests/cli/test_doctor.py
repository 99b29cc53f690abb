import json
import sqlite3
import sys
from importlib.metadata import version

import pytest

from molweave.cli import machine


def test_a_sound_machine(cli):
    result = cli("doctor")
    assert result.code == 0
    assert f"torch             {version('torch')}" in result.out
    assert result.out.endswith("no problems found\n")


def test_json(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("MOLWEAVE_CACHE", str(tmp_path))
    found = json.loads(cli("doctor", "--json").out)
    assert found["problems"] == []
    assert found["facts"]["versions"]["rdkit"] == version("rdkit")
    cache = found["facts"]["conformer cache"]
    assert cache["path"] == str(tmp_path / "conformers.sqlite")
    assert (cache["writable"], cache["conformers"]) == ("yes", "0")


def test_missing_and_old_packages_are_problems(monkeypatch):
    monkeypatch.setattr(
        machine,
        "requires",
        lambda name: ["absent-package>=2", "numpy>=99.1", "rich>=1", "x>=3; extra == 'dev'"],
    )
    found = machine.diagnose()
    assert found.problems == [
        "absent-package is not installed: pip install 'absent-package>=2'",
        f"numpy {version('numpy')} is older than 99.1: pip install -U 'numpy>=99.1'",
    ]
    assert found.facts["versions"]["absent-package"] == "missing"


def test_a_cache_that_is_something_else_is_a_problem(cli, tmp_path, monkeypatch):
    path = tmp_path / "mine.txt"
    path.write_text("my notes", encoding="utf-8")
    monkeypatch.setenv("MOLWEAVE_CACHE", str(path))
    result = cli("doctor")
    assert result.code == 0
    assert f"problem: {path} is not a conformer cache" in result.out
    assert "MOLWEAVE_CACHE" in result.out
    assert path.read_text(encoding="utf-8") == "my notes"


def test_a_cache_of_another_program_is_a_problem(cli, tmp_path, monkeypatch):
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    monkeypatch.setenv("MOLWEAVE_CACHE", str(path))
    assert "problem: " in cli("doctor").out


def test_a_gpu_that_torch_cannot_see_is_a_problem(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert any("NVIDIA driver" in problem for problem in machine.diagnose().problems)


def test_too_many_threads_are_a_problem(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 10_000)
    problems = machine.diagnose().problems
    assert any("torch uses 10000 threads on" in problem for problem in problems)


def test_little_space_is_a_problem(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: (10, 9, 1))
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: type("U", (), {"free": 1}))
    assert any("less than 1 GiB" in problem for problem in machine.diagnose().problems)


@pytest.mark.parametrize(
    ("text", "numbers"), [("2.13.0+cpu", (2, 13, 0)), ("2026.3.5", (2026, 3, 5)), ("dev", ())]
)
def test_version_numbers(text, numbers):
    assert machine._numbers(text) == numbers


def test_a_gpu_that_fails_is_a_problem(monkeypatch):
    import torch

    def ones(*shape, device):
        if device != "cpu":
            raise AssertionError("no kernel image\nis available")
        return torch.full(shape, 1.0)

    gpu = type("Properties", (), {"name": "H9", "total_memory": 80 * 2**30})
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda number: gpu)
    monkeypatch.setattr("torch.ones", ones)
    found = machine.diagnose()
    assert found.facts["devices"]["cuda:0"] == "H9, 80 GiB"
    assert found.problems == ["cuda:0 fails (no kernel image is available): use --device cpu"]


def test_a_processor_that_computes_wrongly_is_a_problem(monkeypatch):
    import torch

    monkeypatch.setattr("torch.ones", lambda *shape, device: torch.full(shape, 2.0))
    assert "cpu computes wrong numbers: use another device" in machine.diagnose().problems


@pytest.mark.parametrize("name", ["torch", "rdkit"])
def test_a_library_that_does_not_load_is_a_problem(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    assert any(
        problem.startswith(f"{name} does not ") and problem.endswith("reinstall it")
        for problem in machine.diagnose().problems
    )


def test_a_cache_without_write_permission_is_a_problem(monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    found = machine.diagnose()
    assert found.facts["conformer cache"]["writable"] == "no"
    assert any("cannot be written: mend its permissions" in line for line in found.problems)
