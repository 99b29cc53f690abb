"""Writers: what is written reads back the same; nothing is left behind when writing fails."""

import csv
import gzip
import io
import os
import sys
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from molweave.chem.read import open_table, table_from_frame
from molweave.chem.write import TableWriter, refuse_same_file
from molweave.errors import UserError

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
) | st.sampled_from(['"', ",", "\n", "\r\n", "\r", "\r0", " a ", "", "\t", 'a"b', "007", "1.50"])


def write(
    path: Path | str, columns: list[str], rows: list[tuple[object, ...]], **options: object
) -> None:
    with TableWriter(path, columns, **options) as writer:
        for row in rows:
            writer.write(row)


def test_a_number_that_is_missing_at_first_stays_a_number(tmp_path):
    """The rows of a group decide what a column is, but for that the table tells it."""
    frame = pandas.DataFrame({"smiles": ["C", "CC"], "y": [np.nan, 1.5], "none": [np.nan, np.nan]})
    table = table_from_frame(frame)
    with TableWriter(tmp_path / "a.parquet", table.columns, types=table.types) as writer:
        for _ in range(20_000):
            writer.write(["C", None, None])
        for record in table:
            writer.write(record.values)
    found = parquet.read_table(tmp_path / "a.parquet")
    assert [str(field.type) for field in found.schema] == ["string", "double", "double"]
    assert found["y"][-1].as_py() == 1.5


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.parquet"])
@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=10))
def test_text_comes_back_unchanged(tmp_path_factory, name, rows):
    path = tmp_path_factory.mktemp("out") / name
    write(path, ["smiles", "note"], rows)
    assert [record.values for record in open_table(path)] == rows
    assert [entry.name for entry in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_text_agrees_with_the_csv_module(tmp_path, delimiter):
    rows = [("C", "x,y"), ("CC", 'say "hi"'), ("CCC", "tab\there"), ("", ""), (" C ", "é\nü")]
    path = tmp_path / ("a.csv" if delimiter == "," else "a.tsv")
    write(path, ["smiles", "note"], rows)
    expected = io.StringIO()
    csv.writer(expected, delimiter=delimiter, lineterminator="\n").writerows(
        [("smiles", "note"), *rows]
    )
    assert path.read_bytes().decode() == expected.getvalue()


def test_numbers_as_text(tmp_path):
    path = tmp_path / "a.csv"
    row = (
        0.123456789,
        np.float32(0.1),
        1234567.0,
        1e-12,
        float("nan"),
        None,
        np.int64(3),
        True,
        np.array([0.25, 1 / 3], dtype=np.float32),
        float("inf"),
    )
    write(path, list("abcdefghij"), [row])
    assert path.read_text().splitlines()[1] == (
        '0.123457,0.1,1.23457e+06,1e-12,,,3,True,"[0.25,0.333333]",inf'
    )
    write(path, ["x", "y"], [(1234567.125, 1234567.125)], overwrite=True, exact=["x"])
    assert path.read_text() == "x,y\n1234567.125,1.23457e+06\n"


def test_digits_of_values_that_are_large_beside_their_spread(tmp_path):
    path = tmp_path / "a.csv"
    numbers = (-260004.123456, 0.123456789, 3.0, float("inf"), 1e30, 0.0)
    write(path, ["u"], [(number,) for number in numbers], scales={"u": 10.0})
    assert path.read_text().split() == ["u", "-260004.12346", "0.123457", "3", "inf", "1e+30", "0"]


def test_input_rows_are_written_back_as_they_were(tmp_path):
    text = 'id,smiles,y\n007,C,1.50\n"a,b",CC,\n"x\r\ny",CCC,1e3\n'
    source = tmp_path / "in.csv"
    source.write_bytes(text.encode())
    table = open_table(source)
    rows = [record.values for record in table]
    write(tmp_path / "out.csv", list(table.columns), rows)
    assert (tmp_path / "out.csv").read_bytes().decode() == text


def test_gzip_of_equal_rows_is_equal(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write(tmp_path / name, ["smiles"], [("C",)] * 100)
    first = (tmp_path / "a.csv.gz").read_bytes()
    assert first == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress(first) == b"smiles\n" + b"C\n" * 100


def test_parquet_types(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [
        ("C", 1, 0.5, True, None, "x", np.float32(0.1), [1, 2]),
        (None, None, np.nan, False, None, "y", np.float32(np.nan), None),
        ("CC", np.int64(3), 1.25, None, None, 3, np.float32(2), [3]),
    ]
    write(path, list("abcdefgh"), rows, metadata={"model": "m 1"})
    table = parquet.read_table(path)
    assert [str(field.type) for field in table.schema] == [
        "string",
        "int64",
        "double",
        "bool",
        "string",
        "string",
        "double",
        "list<element: int64>",
    ]
    assert table.schema.metadata[b"model"] == b"m 1"
    assert table["a"].to_pylist() == ["C", None, "CC"]
    assert table["b"].to_pylist() == [1, None, 3]
    assert table["c"].to_pylist() == [0.5, None, 1.25]
    assert table["f"].to_pylist() == ["x", "y", "3"]
    assert table["g"].null_count == 1
    assert table["h"].to_pylist() == [[1, 2], None, [3]]


def test_parquet_vectors_are_fixed_size_lists(tmp_path):
    path = tmp_path / "a.parquet"
    vectors = np.random.default_rng(0).random((5, 7), dtype=np.float32)
    rows = [(str(row), None if row == 2 else vectors[row]) for row in range(5)]
    write(path, ["id", "embedding"], rows, types={"embedding": np.dtype(("f4", 7))})
    column = parquet.read_table(path)["embedding"]
    assert column.type == pyarrow.list_(pyarrow.float32(), 7)
    found = column.to_pylist()
    assert found[2] is None
    for row in (0, 1, 3, 4):
        np.testing.assert_array_equal(np.array(found[row], dtype=np.float32), vectors[row])


@pytest.mark.parametrize("empty", [0, 2, 17_000])
def test_parquet_types_that_are_told_need_no_value(tmp_path, empty):
    path = tmp_path / "a.parquet"
    types = {"y": np.dtype(float), "v": np.dtype(("f4", 2)), "error": np.dtype(str)}
    filled = [(0.5, np.array([1, 2], dtype=np.float32), None)] if empty > 2 else []
    write(path, list(types), [(np.nan, None, None)] * empty + filled, types=types)
    table = parquet.read_table(path)
    wanted = [pyarrow.float64(), pyarrow.list_(pyarrow.float32(), 2), pyarrow.string()]
    assert table.schema.types == wanted
    assert table.slice(empty).to_pylist() == [{"y": 0.5, "v": [1, 2], "error": None}] * len(filled)


def test_nested_columns_of_a_parquet_file_keep_their_types(tmp_path):
    kinds = {
        "smiles": pyarrow.string(),
        "tags": pyarrow.list_(pyarrow.string()),
        "pair": pyarrow.list_(pyarrow.float32(), 2),
        "by_assay": pyarrow.map_(pyarrow.string(), pyarrow.int16()),
        "source": pyarrow.struct([("doi", pyarrow.string()), ("year", pyarrow.int32())]),
        "kind": pyarrow.dictionary(pyarrow.int8(), pyarrow.string()),
    }
    late = ("C", ["a"], [1.0, None], [("hERG", 3)], {"doi": "10/x", "year": 2020}, "k")
    rows = [("C", [], None, None, {"doi": None, "year": None}, None)] * 17_000 + [late]
    columns = zip(zip(*rows, strict=True), kinds.values(), strict=True)
    arrays = [pyarrow.array(values, type=kind) for values, kind in columns]
    given = pyarrow.Table.from_arrays(arrays, names=list(kinds))
    parquet.write_table(given, tmp_path / "in.parquet")
    table = open_table(tmp_path / "in.parquet")
    records = [record.values for record in table]
    write(tmp_path / "out.parquet", table.columns, records, types=table.types)
    found, given = (parquet.read_table(tmp_path / f"{name}.parquet") for name in ("out", "in"))
    assert found.schema.types == given.schema.types
    assert found.slice(16_990).to_pylist() == given.slice(16_990).to_pylist()


def test_parquet_lists_of_the_input_may_differ_in_length(tmp_path):
    path = tmp_path / "a.parquet"
    write(path, ["coordinates"], [(np.zeros(3),), (np.ones(6),)])
    assert parquet.read_table(path)["coordinates"].to_pylist() == [[0.0] * 3, [1.0] * 6]


def test_parquet_grows_by_row_groups(tmp_path):
    path = tmp_path / "a.parquet"
    rows = [(str(row), row / 4, None if row < 20_000 else "late") for row in range(40_000)]
    write(path, ["smiles", "y", "error"], rows)
    assert parquet.ParquetFile(path).metadata.num_row_groups > 1
    frame = pandas.read_parquet(path)
    assert frame["smiles"].tolist() == [row[0] for row in rows]
    assert frame["y"].tolist() == [row[1] for row in rows]
    assert frame["error"].isna().sum() == 20_000
    assert frame["error"].iloc[-1] == "late"


def test_parquet_refuses_text_after_numbers(tmp_path):
    rows = [("C", 1.0)] * 20_000 + [("C", "<5")]
    with pytest.raises(UserError, match=r"column 'y' holds float and str values up to row 20001"):
        write(tmp_path / "a.parquet", ["smiles", "y"], rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv", "a.tsv.gz", "a.parquet"])
def test_no_rows(tmp_path, name):
    write(tmp_path / name, ["smiles", "y"], [])
    table = open_table(tmp_path / name)
    assert table.columns == ("smiles", "y")
    assert list(table) == []


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_nothing_behind(tmp_path, name, error):
    path = tmp_path / name
    write(path, ["smiles"], [("C",)])
    before = path.read_bytes()

    def interrupted() -> None:
        with TableWriter(path, ["smiles"], overwrite=True) as writer:
            for _ in range(20_000):
                writer.write(["CC"])
            raise error

    with pytest.raises(error):
        interrupted()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_appears_at_the_end(tmp_path):
    path = tmp_path / "a.csv"
    with TableWriter(path, ["smiles"]) as writer:
        writer.write(["C"])
        assert not path.exists()
    assert path.read_text() == "smiles\nC\n"
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_existing_output_needs_overwrite(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("precious")
    with pytest.raises(UserError, match=r"already exists; .* --overwrite"):
        TableWriter(path, ["smiles"])
    assert path.read_text() == "precious"
    write(path, ["smiles"], [], overwrite=True)
    assert path.read_text() == "smiles\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.xlsx", "cannot write this file type"),
        ("a", "cannot write this file type"),
        ("a.sdf", "cannot write this file type"),
        ("a.parquet.gz", "cannot write this file type"),
        ("none/a.csv", "there is no folder .*none; create it first"),
        ("folder.csv", "is a folder"),
    ],
)
def test_impossible_outputs(tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UserError, match=message):
        TableWriter(tmp_path / name, ["smiles"], overwrite=True)


def test_special_files_are_not_replaced():
    if not Path("/dev/null").is_char_device():
        pytest.skip("no /dev/null here")
    with pytest.raises(UserError, match=r"cannot write this file type|not a regular file"):
        TableWriter("/dev/null", ["smiles"], overwrite=True)


def test_a_link_stays_a_link(tmp_path):
    target = tmp_path / "real.csv"
    target.write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    write(link, ["smiles"], [("C",)], overwrite=True)
    assert link.is_symlink()
    assert target.read_text() == "smiles\nC\n"


def test_duplicate_columns_and_wrong_rows(tmp_path):
    with pytest.raises(UserError, match="duplicate column names 'y'"):
        TableWriter(tmp_path / "a.csv", ["smiles", "y", "y"])
    with (
        pytest.raises(ValueError, match="1 values for 2 columns"),
        TableWriter(tmp_path / "a.csv", ["smiles", "y"]) as writer,
    ):
        writer.write(["C"])
    with pytest.raises(ValueError, match="outside its with block"):
        writer.write(["C", 1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_a_full_disk_is_a_user_error(tmp_path, name):
    resource = pytest.importorskip("resource")
    rng = np.random.default_rng(0)
    rows = [(bytes(line).hex(),) for line in rng.integers(0, 256, (20_000, 32), dtype=np.uint8)]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot be written: .*nothing was left behind"):
            write(tmp_path / name, ["smiles"], rows)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_folder_that_cannot_be_written(tmp_path, name, monkeypatch):
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="cannot be written: Permission denied"):
        write(tmp_path / name, ["smiles"], [])


def test_standard_output(capfdbinary):
    write("-", ["smiles", "note"], [("C", "é"), ("CC", None)])
    sys.stdout.write("after\n")
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == "smiles,note\nC,é\nCC,\nafter\n".encode()


def test_standard_output_without_bytes(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    write("-", ["smiles"], [("C",)])
    assert stream.getvalue() == "smiles\nC\n"


def test_refuse_same_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("smiles\n")
    (tmp_path / "folder").mkdir()
    hard = tmp_path / "hard.csv"
    os.link(path, hard)
    for same in (path, tmp_path / "folder" / ".." / "a.csv", hard):
        with pytest.raises(UserError, match="the output is the input file"):
            refuse_same_file(path, same)
    refuse_same_file(path, tmp_path / "b.csv")
    refuse_same_file("-", "-")
    refuse_same_file("-", path)
