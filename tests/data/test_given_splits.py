import gzip
import json
import math

import numpy as np
import pytest
from chains import chains, standardized

from molweave.data.given_splits import split_from_column, split_from_file, split_rows
from molweave.data.splits import make_split
from molweave.errors import UserError


def _indices(split):
    return [split.train.tolist(), split.valid.tolist(), split.test.tolist()]


def _write(folder, name, content):
    path = folder / name
    data = content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def test_column():
    labels = ["train", "Validation", " TEST ", "val", "valid", "training", "dev", "testing"]
    split = split_from_column(labels, chains(8))
    assert _indices(split) == [[0, 5], [1, 3, 4, 6], [2, 7]]
    assert split.kind == "column"


def test_the_split_of_a_model_folder(tmp_path):
    rows = {"train": [0, 2], "val": [1], "test": [3]}
    text = json.dumps({"kind": "random", "positions": {}, "rows": rows})
    split = split_from_file(_write(tmp_path, "split.json", text), chains(4))
    assert _indices(split) == [[0, 2], [1], [3]]


@pytest.mark.parametrize("nothing", ["", None, math.nan, "NaN"])
def test_rows_without_a_part_are_left_out_and_counted(nothing):
    split = split_from_column(["train", nothing, "valid", "test"], chains(4))
    assert _indices(split) == [[0], [2], [3]]
    assert "1 usable row in no part" in split.notes


def test_another_value_in_the_column():
    molecules = chains(5)[2:]
    with pytest.raises(UserError, match=r"column 'fold' has '3' in row 3 .*write train, valid"):
        split_from_column(["train", "3", "test"], molecules, column="fold")


def test_a_valid_part_is_drawn_from_train_when_there_is_none():
    labels = ["train"] * 30 + ["test"] * 10
    split = split_from_column(labels, chains(40), seed=1)
    assert split.test.tolist() == list(range(30, 40))
    assert len(split.valid) == 3
    assert "no valid rows were given: a tenth of the training molecules was drawn" in split.notes
    again = split_from_column(labels, chains(40), seed=1)
    assert split.sha256 == again.sha256
    assert split.sha256 != split_from_column(labels, chains(40), seed=2).sha256


def test_a_drawn_valid_part_takes_copies_along():
    molecules = standardized(["C" * (1 + index // 3) for index in range(30)])
    split = split_from_column(["train"] * 27 + ["test"] * 3, molecules)
    assert len(split.valid) == 3
    assert len({position // 3 for position in split.valid.tolist()}) == 1


@pytest.mark.parametrize("other", ["", "test"])
def test_a_drawn_valid_part_takes_nothing_from_another_part(other):
    molecules = standardized(["C" * (length + 1) for length in range(30)] * 2)
    split = split_from_column(["train"] * 30 + [other] * 30, molecules, keep_copies=True)
    assert [len(part) for part in _indices(split)] == [27, 3, 30 if other else 0]
    assert max(split.valid) < 30


def test_a_valid_part_is_drawn_from_labelled_rows():
    labelled = np.arange(60) % 6 == 1
    split = split_from_column(["train"] * 60, chains(60), labelled=labelled)
    assert [len(part) for part in _indices(split)] == [59, 1, 0]
    assert labelled[split.valid].all()


def test_a_copy_without_a_label_takes_no_labelled_row_out():
    molecules = standardized(["C" * (1 + index % 20) for index in range(40)])
    labels = ["train"] * 16 + ["valid"] * 2 + ["test"] * 22
    labelled = np.arange(40) < 20
    split = split_from_column(labels, molecules, labelled=labelled)
    assert split.train.tolist() == list(range(16))
    assert not any("left out" in note for note in split.notes)
    split = split_from_column(labels, molecules, labelled=np.arange(40) < 25)
    assert split.train.tolist() == list(range(5, 16))


def test_no_train_and_no_test():
    with pytest.raises(UserError, match="leaves the train part empty"):
        split_from_column(["test", "valid"], chains(2))
    split = split_from_column(["train", "train", "valid"], chains(3))
    assert "no test rows were given" in split.notes


def test_copies_leave_the_lower_part_so_that_test_stays_as_given():
    molecules = standardized(["CCO", "CCN", "CCC", "OCC", "NCC", "C", "C(O)C", "CC"])
    labels = ["train", "train", "train", "test", "valid", "valid", "valid", "test"]
    split = split_from_column(labels, molecules)
    assert _indices(split) == [[2], [4, 5], [3, 7]]
    expected = "3 rows left out: an equal molecule is in valid or test (rows 0, 1 and 6)"
    assert expected in split.notes


def test_copies_stay_on_request_and_are_noted():
    molecules = standardized(["CCO", "CCN", "OCC"])
    split = split_from_column(["train", "valid", "test"], molecules, keep_copies=True)
    assert _indices(split) == [[0], [1], [2]]
    assert "1 molecule in more than one part (same canonical SMILES)" in split.notes


LAYOUTS = {
    "object.json": {"train": [3, 0, 1], "val": [2], "test": [4, 5]},
    "valid.json": {"train": [3, 0, 1], "valid": [2], "test": [4, 5]},
    "ranges.json": {"train": "0-1, 3", "val": "2", "test": "4-5"},
    "folds.json": [{"train": "0-1,3", "val": [2], "test": [4, 5]}, {"train": [0], "val": [1]}],
    "lists.json": [[0, 1, 3], [2], [4, 5]],
    "zipped.json.gz": {"train": [0, 1, 3], "val": [2], "test": [4, 5]},
}


@pytest.mark.parametrize("name", list(LAYOUTS))
def test_json_layouts(tmp_path, name):
    path = _write(tmp_path, name, json.dumps(LAYOUTS[name]))
    split = split_from_file(path, chains(6))
    assert _indices(split) == [[0, 1, 3], [2], [4, 5]]
    assert split.kind == "file"
    assert ("fold 0 of 2, counted from 0" in split.notes) == (name == "folds.json")


def test_a_fold_is_chosen(tmp_path):
    path = _write(tmp_path, "folds.json", json.dumps(LAYOUTS["folds.json"]))
    assert _indices(split_from_file(path, chains(6), fold=1)) == [[0], [1], []]
    with pytest.raises(UserError, match="holds 2 folds, counted from 0, so there is no fold 2"):
        split_from_file(path, chains(6), fold=2)


CSV = "row,scaffold,random0\n0,train,test\n1,valid,train\n2,,valid\n3,test,train\n"


@pytest.mark.parametrize("name", ["splits.csv", "splits.csv.gz"])
def test_csv_with_several_splits(tmp_path, name):
    path = _write(tmp_path, name, CSV)
    assert _indices(split_from_file(path, chains(4), column="scaffold")) == [[0], [1], [3]]
    assert _indices(split_from_file(path, chains(4), column="random0")) == [[1, 3], [2], [0]]
    with pytest.raises(UserError, match="holds several splits: choose one of scaffold, random0"):
        split_from_file(path, chains(4))
    with pytest.raises(UserError, match="no column 'fold': choose one of"):
        split_from_file(path, chains(4), column="fold")


def test_a_single_split_column_needs_no_name(tmp_path):
    path = _write(tmp_path, "one.csv", "split,row\ntrain,1\nvalid,0\n")
    assert _indices(split_from_file(path, chains(2))) == [[1], [0], []]


def test_rows_mean_rows_of_the_input_not_positions(tmp_path):
    molecules = [molecule for molecule in chains(8) if molecule.row not in (0, 5)]
    path = _write(
        tmp_path, "s.json", json.dumps({"train": [0, 1, 2, 3], "val": [4, 5], "test": [6, 7]})
    )
    split = split_from_file(path, molecules)
    assert _indices(split) == [[0, 1, 2], [3], [4, 5]]
    assert "2 rows of the split file without a usable molecule" in split.notes


def test_rows_beyond_the_table_are_refused(tmp_path):
    molecules = [molecule for molecule in chains(8) if molecule.row not in (0, 7)]
    content = json.dumps({"train": [0, 1, 2, 3], "val": [4, 5], "test": [6, 7]})
    path = _write(tmp_path, "s.json", content)
    split = split_from_file(path, molecules, rows=8)
    assert "2 rows of the split file without a usable molecule" in split.notes
    with pytest.raises(UserError, match=r"s.json names row 7, and the data have 7 rows"):
        split_from_file(path, molecules, rows=7)
    path = _write(tmp_path, "s.csv", "row,split\n0,train\n1,train\n2,valid\n9,\n8,test\n")
    with pytest.raises(UserError, match=r"s.csv names row 8, and the data have 8 rows"):
        split_from_file(path, molecules, rows=8)


def test_ranges_are_looked_at_before_they_are_counted_out(tmp_path):
    path = _write(tmp_path, "s.json", '{"train": "0-2900000000", "val": [], "test": []}')
    with pytest.raises(UserError, match="names row 2900000000, and the data have 8 rows"):
        split_from_file(path, chains(8), rows=8)
    path = _write(tmp_path, "s.json", '{"train": "0-3, 7-5", "val": [4], "test": []}')
    with pytest.raises(UserError, match=r"s.json has the rows 7-5: write the lower end first"):
        split_from_file(path, chains(8), rows=8)


def test_the_last_suffix_tells_how_a_file_is_read(tmp_path):
    table = "row,split\n0,train\n1,valid\n2,test\n"
    tree = '{"train": [0], "val": [1], "test": [2]}'
    mac = table.replace("\n", "\r")
    for name, content in (("a.json.csv", table), ("mac.csv", mac), ("A.JSON", tree)):
        assert _indices(split_from_file(_write(tmp_path, name, content), chains(3))) == [
            [0],
            [1],
            [2],
        ]
    path = tmp_path / "a.csv.GZ"
    path.write_bytes(gzip.compress(table.encode()))
    assert _indices(split_from_file(path, chains(3))) == [[0], [1], [2]]


def test_a_split_can_be_written_as_rows_and_read_back(tmp_path):
    molecules = [molecule for molecule in chains(30) if molecule.row % 7]
    split = make_split("random", molecules, seed=3)
    rows = split_rows(split, molecules)
    assert set(rows) == {"train", "val", "test"}
    assert all(row % 7 for part in rows.values() for row in part)
    path = _write(tmp_path, "rows.json", json.dumps(rows))
    assert split_from_file(path, molecules).sha256 == split.sha256


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "is not JSON"),
        ("a.json", "[" * 100_000, "is not JSON"),
        ("a.json", "[1, 2]", "is not a split"),
        ("a.json", '{"val": [1]}', "is not a split"),
        ("a.json", '{"train": [0], "other": [1]}', "is not a split"),
        ("a.json", '{"train": [0], "val": "1-x"}', "is not a split"),
        ("a.json", '{"train": [0.5], "val": [1]}', "is not a split"),
        ("a.json", '{"train": [-1], "val": [1]}', "is not a split"),
        ("a.json", '{"train": [true], "val": [1]}', "is not a split"),
        ("a.json", '{"train": 3, "val": [1]}', "is not a split"),
        ("a.json", '{"train": [0, 1], "val": [1]}', "row 1 is twice"),
        ("a.csv", "index,split\n0,train\n", r"needs a column 'row'.*index"),
        ("a.csv", "row\n0\n", "needs a column 'row' and a split column"),
        ("a.csv", "", "needs a column 'row'"),
        ("a.csv", "row,split\n0,train\n0,test\n", "line 3 of .* row '0'"),
        ("a.csv", "row,split\nx,train\n", "line 2 of .* row 'x'"),
        ("a.csv", "row,split\n0,left\n", "split 'left'"),
        ("a.csv", "row,split\n0\n1,train\n", "leaves the valid part empty"),
        ("a.json", '{"train": [100, 101], "val": [0]}', "2 of 3 rows .* are not in the data"),
    ],
)
def test_wrong_files(tmp_path, name, content, message):
    with pytest.raises(UserError, match=message):
        split_from_file(_write(tmp_path, name, content), chains(3))


def test_unreadable_files(tmp_path):
    with pytest.raises(UserError, match="cannot read the split file"):
        split_from_file(tmp_path / "missing.csv", chains(3))
    (tmp_path / "plain.csv.gz").write_bytes(b"row,split\n")
    with pytest.raises(UserError, match="cannot read the split file"):
        split_from_file(tmp_path / "plain.csv.gz", chains(3))
    (tmp_path / "damaged.csv.gz").write_bytes(gzip.compress(b"row,split\n")[:10] + b"\xff" * 20)
    with pytest.raises(UserError, match=r"cannot read the split file .*: .*invalid block type"):
        split_from_file(tmp_path / "damaged.csv.gz", chains(3))
    (tmp_path / "latin.csv").write_bytes("row,split\n0,prüfung\n".encode("latin-1"))
    with pytest.raises(UserError, match="cannot read the split file"):
        split_from_file(tmp_path / "latin.csv", chains(3))
