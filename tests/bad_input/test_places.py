"""Names that are too long or empty, closed folders, damage: one line, code 2, nothing written."""

import errno
import gzip
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
from fits import FLAGS
from refusals import LABELS, content

FIT = f"fit {{data}} -t logp -o {{out}} {shlex.join(FLAGS)}"
LINES = (
    "predict {model} a.csv",
    "predict m {data}",
    "predict m a.csv -o {data} -q",
    "predict m --smiles C -o {data} -q",
    "evaluate {model} a.csv",
    "evaluate m {data}",
    "embed {model} a.csv -o v.parquet",
    "embed m {data} -o v.parquet",
    "embed m a.csv -o {data}.parquet -q",
    "info {model}",
    "check {data}",
    "explain-memory {model} -o m.html",
    "explain-memory m -o {data}",
    "prepare {model} --out new --conformers none",
    "prepare a.csv --out {model} --conformers none",
    "pretrain {model} --out new --method moleblend",
    FIT.format(data="{data}", out="new"),
    FIT.format(data="a.csv", out="{model}"),
    FIT.format(data="a.csv", out="new") + " --from {model}",
)
"""{model} stands where a folder is wanted, {data} where a file is."""


@pytest.fixture
def place(model, tmp_path):
    shutil.copytree(model, tmp_path / "m")
    (tmp_path / "a.csv").write_text(LABELS, encoding="utf-8")
    return tmp_path


def check_refused(cli, folder: Path, *words: str) -> str:
    """The line that is told; no file has changed."""
    before = content(folder)
    result = cli(*words)
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert content(folder) == before
    return result.err


@pytest.mark.parametrize("line", LINES)
def test_a_name_that_is_too_long(cli, place, line):
    name = "x" * 300
    told = check_refused(cli, place, *line.format(model=name, data=f"{name}.csv").split())
    assert name in told
    assert told.endswith(": the name is too long; give a shorter one\n")


@pytest.mark.parametrize("line", LINES)
def test_a_folder_that_may_not_be_entered(cli, place, monkeypatch, line):
    """Root may enter everywhere, so the refusal is played."""
    (place / "closed").mkdir()
    real = Path.stat

    def look(path, **options):
        if "closed" in path.parts[:-1]:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", look)
    told = check_refused(cli, place, *line.format(model="closed/m", data="closed/a.csv").split())
    assert "closed/" in told
    assert told.endswith(": no permission to look into a folder on the way; choose another place\n")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("predict", "m", ""), "input"),
        (("evaluate", "m", " "), "input"),
        (("predict", "m", "a.csv", "-q", "-o", ""), "output"),
    ],
)
def test_an_empty_name(cli, place, words, name):
    told = check_refused(cli, place, *words)
    assert told == f"error: the name of the {name} is empty; give a file\n"


@pytest.mark.parametrize("name", ["a.csv.gz", "a.parquet"])
def test_damage_before_the_first_prediction_leaves_standard_output_empty(cli, place, name):
    if name == "a.csv.gz":
        text = "smiles\n" + "".join(f"{'C' * (number % 9 + 1)}O\n" for number in range(900))
        data = gzip.compress(text.encode())[:-8]
    else:
        pd.DataFrame({"smiles": ["CCO"] * 900}).to_parquet(place / name, compression="gzip")
        data = bytearray((place / name).read_bytes())
        data[4:60] = bytes(56)
    (place / name).write_bytes(data)
    assert "damaged" in check_refused(cli, place, "predict", "m", name, "-q")


@pytest.mark.parametrize("line", ["predict m {data}", "predict m a.csv -o {data} -q"])
def test_a_link_to_itself(cli, place, line):
    (place / "b.csv").symlink_to(place / "b.csv")
    told = check_refused(cli, place, *line.format(data="b.csv").split())
    assert "b.csv: a link that leads back to itself; give the file itself" in told
