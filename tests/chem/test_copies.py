"""Standard input, pipes and zipped Parquet: read through a temporary copy, which goes away."""

import gzip
import io
import os
import re
import subprocess
import sys
import threading

import pyarrow
import pytest
from molecule_files import put, smiles
from pyarrow import parquet
from rdkit import Chem

from molweave.chem.files import open_source
from molweave.chem.read import open_table
from molweave.errors import UserError


def run_with_stdin(data: bytes, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_standard_input_is_spooled_and_removed():
    code = """
import os
from molweave.chem.read import open_table
import glob, tempfile
pattern = os.path.join(tempfile.gettempdir(), "molweave-input-*")
before = set(glob.glob(pattern))
table = open_table("-")
first, second = list(table), list(table)
assert first == second
print(table.name, table.columns, [record.smiles for record in first])
assert len(set(glob.glob(pattern)) - before) == 1
del table
assert not set(glob.glob(pattern)) - before
"""
    assert run_with_stdin(b"smiles,y\nC,1\nCC,2\n", code) == (
        "standard input ('smiles', 'y') ['C', 'CC']"
    )
    assert "['C', 'CC']" in run_with_stdin(gzip.compress(b"smiles\ty\nC\t1\nCC\t2\n"), code)


@pytest.mark.parametrize("kind", ["sdf", "parquet", "parquet.gz", "smi", "empty"])
def test_standard_input_formats(tmp_path, monkeypatch, kind):
    if kind == "sdf":
        data = (Chem.MolToMolBlock(Chem.MolFromSmiles("CCO")) + "$$$$\n").encode()
    elif kind.startswith("parquet"):
        buffer = io.BytesIO()
        parquet.write_table(pyarrow.table({"smiles": ["CCO"]}), buffer)
        data = buffer.getvalue()
        data = gzip.compress(data) if kind.endswith("gz") else data
    else:
        data = b"CCO ethanol\n" if kind == "smi" else b""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    if kind == "empty":
        with pytest.raises(UserError, match="standard input: the input is empty"):
            open_table("-")
    else:
        table = open_table("-", format="smi" if kind == "smi" else None)
        assert smiles(list(table)) == ["CCO"]


@pytest.mark.parametrize(
    ("text", "format", "first"),
    [
        ("CCO ethanol\nCCN\n", "smi", ("CCO", "ethanol")),
        ("\ufeffCCO\r\nCCN\r\n", "smi", ("CCO", "")),
        ("\nCCO\tethyl alcohol\nCCN\tb\n", "smi", ("", "")),
        ("CC(C)C 2,2-dimethyl, so to say\n", "smi", ("CC(C)C", "2,2-dimethyl, so to say")),
        ("CC[C@H](O)C |&1:2| a\n", "smi", ("CC[C@H](O)C |&1:2|", "a")),
        ("SMILES,y\nCCO,1\n", "csv", ("CCO", "1")),
        ("C\tSmiles\n1\tCCO\n", "tsv", ("1", "CCO")),
        ('"N","mol"\n1,CCO\n', "csv", ("1", "CCO")),
        ("smiles\nCCO\n", "csv", ("CCO",)),
    ],
)
def test_a_smiles_file_on_standard_input(monkeypatch, text, format, first):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    source = open_source("-")
    assert source.format == format
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    table = open_table("-")
    assert next(iter(table)).values == first
    assert (table.columns == ("smiles", "name")) is (format == "smi")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("CCO,1\nC,2\n", None, "no SMILES column; found 'CCO', '1'"),
        ("CC(=O)O,1\nC,2\n", None, "the first line holds data"),
        ("id,y\nCCO,1\n", None, "no SMILES column; found 'id', 'y'"),
        ("C\tN\nCCO\t1\n", "x", "no column 'x'; found 'C', 'N'"),
    ],
)
def test_other_text_on_standard_input_is_a_table(monkeypatch, text, column, message):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with pytest.raises(UserError, match=re.escape(f"standard input: {message}")):
        open_table("-", smiles_column=column)


def test_a_named_column_makes_the_first_line_a_header(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"N\tC\nCCO\t1\n")))
    assert smiles(open_table("-", smiles_column="N")) == ["CCO"]


@pytest.fixture
def spools(tmp_path, monkeypatch):
    """The folder of the temporary copies."""
    (tmp_path / "spools").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spools"))
    return tmp_path / "spools"


def test_parquet_inside_gzip(tmp_path, spools):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"smiles": ["CCO", None], "y": [1, 2]}), path)
    packed = put(tmp_path, "a.parquet.gz", path.read_bytes())
    table = open_table(packed)
    assert table.name == str(packed)
    assert list(table) == list(open_table(path)) == list(table)
    assert len(list(spools.iterdir())) == 1
    del table
    assert list(spools.iterdir()) == []
    renamed = packed.rename(tmp_path / "b.parquet")
    assert smiles(open_table(renamed)) == ["CCO", None]


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_parquet_inside_gzip(tmp_path, spools, damage):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"smiles": ["CCO"] * 1000}), path)
    data = bytearray(gzip.compress(path.read_bytes()))
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[-6] ^= 0xFF
    (tmp_path / "a.parquet.gz").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.parquet\.gz: the gzip data is cut short or damaged"):
        open_table(tmp_path / "a.parquet.gz")
    assert list(spools.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_copying_that_fails_leaves_nothing(monkeypatch, spools, error):
    class Input(io.BytesIO):
        def read(self, size=-1):
            assert len(list(spools.iterdir())) == 1
            raise error

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Input()))
    message = "standard input: cannot be copied to .*: No space left on device; make room or set"
    expected = KeyboardInterrupt if error is KeyboardInterrupt else UserError
    with pytest.raises(expected, match=None if error is KeyboardInterrupt else message):
        open_table("-")
    assert list(spools.iterdir()) == []


def test_no_place_for_a_copy(monkeypatch):
    def nowhere(**options):
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.mkstemp", nowhere)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"smiles\nC\n")))
    with pytest.raises(UserError, match=r"a temporary file: No usable .*; make room or set TMPDIR"):
        open_table("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("smiles\nC\nCC\n",))
    writer.start()
    table = open_table(pipe)
    writer.join()
    assert smiles(list(table)) == smiles(list(table)) == ["C", "CC"]
