"""Standard streams as users' shells give them: full, closed, or of another encoding."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = f"{sys.executable} -m molweave"
FULL = "error: standard output cannot be written: No space left on device; what is there is"


def shell(line: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    script = line.replace("molweave", PROGRAM, 1)
    words = [f"{name}={value}" for name, value in environment.items()]
    command = ["env", *words, "bash", "-c", script]
    return subprocess.run(command, cwd=cwd, capture_output=True, check=False)


@pytest.fixture
def folder(tmp_path):
    rows = [f"{'C' * size}O,{size % 2}\n" for size in range(1, 12)]
    text = "smiles,活\n" + "".join(rows)
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", ["info moleblend-small", "check a.csv --json", "--help"])
def test_results_that_find_no_space_are_one_line(folder, words):
    done = shell(f"molweave {words} > /dev/full", folder)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(FULL)
    assert done.stderr.count(b"\n") == 1


def test_a_character_that_the_encoding_lacks_is_escaped(folder):
    done = shell("molweave check a.csv -t 活", folder, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u6d3b (6 of 11 positive)" in done.stdout


@pytest.mark.parametrize(
    ("closed", "code"), [("info moleblend-small 2>&-", 0), ("info moleblend-small >&-", 0)]
)
def test_closed_output_swallows_what_is_printed(folder, closed, code):
    done = shell(f"molweave {closed}", folder)
    assert (done.returncode, done.stderr) == (code, b"")
    assert (b"moleblend-small" in done.stdout) == ("2>" in closed)


def test_closed_input_is_refused(folder):
    done = shell("molweave check - <&-", folder)
    assert done.returncode == 2
    assert done.stderr == b"error: standard input is closed; give a file\n"


def test_targets_with_commas_of_a_pipe(folder):
    (folder / "b.csv").write_text("smiles,y,z\n" + "C,1,2\nCC,3,4\n" * 6, encoding="utf-8")
    done = shell("molweave check <(cat b.csv) -t y,z -q", folder)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"12 rows" in done.stdout
