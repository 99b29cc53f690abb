import json
from itertools import chain

import numpy as np
import pytest
from fits import frame

from molweave.chem.read import table_from_frame
from molweave.chem.standardize import Standardizer
from molweave.data.splits import kfold, make_split
from molweave.errors import UserError
from molweave.training.splitting import check_choice, choose_split


@pytest.fixture
def choose(tmp_path):
    table = table_from_frame(frame().assign(part=["train"] * 30 + ["valid"] * 6 + ["test"] * 4))
    records = list(table)
    molecules = [Standardizer()(record) for record in records]

    def call(choice: str, labelled: np.ndarray | None = None):
        split = choose_split(
            choice,
            molecules,
            columns=table.columns,
            records=records,
            seed=5,
            rows=40,
            labelled=labelled,
        )
        return split, molecules

    return call


def positions(split) -> list[list[int]]:
    return [part.tolist() for part in split.parts.values()]


def test_a_kind_is_drawn_with_the_seed(choose):
    split, molecules = choose("random")
    assert positions(split) == positions(make_split("random", molecules, seed=5))
    assert positions(split) != positions(make_split("random", molecules, seed=6))


@pytest.mark.parametrize(
    ("shares", "sizes"),
    [("80/10/10", [32, 4, 4]), ("50/25/25", [20, 10, 10]), ("0.9/0.1/0", [36, 4, 0])],
)
def test_shares(choose, shares, sizes):
    split, _ = choose(f"random:{shares}")
    assert [len(part) for part in split.parts.values()] == sizes
    assert sorted(chain(*positions(split))) == list(range(40))
    assert split.kind == "random"


def test_folds(choose):
    folds = [choose(f"k-fold:{fold}/4") for fold in (1, 2, 3, 4)]
    tested = [split.test.tolist() for split, _ in folds]
    assert sorted(chain(*tested)) == list(range(40))
    assert [len(part) for part in tested] == [10] * 4
    assert positions(folds[1][0]) == positions(kfold(folds[1][1], 4, seed=5)[1])


@pytest.mark.parametrize(
    ("choice", "sizes"),
    [
        ("random", [16, 2, 2]),
        ("random:50/50/0", [10, 10, 0]),
        ("k-fold:2/5", [15, 1, 4]),
    ],
)
def test_a_split_is_drawn_over_the_labelled_molecules(choose, choice, sizes):
    labelled = np.arange(40) % 2 == 1
    split, _ = choose(choice, labelled)
    assert [len(part) for part in split.parts.values()] == sizes
    assert sorted(chain(*positions(split))) == list(range(1, 40, 2))


def test_an_impossible_split_says_that_labelled_molecules_count(choose):
    with pytest.raises(UserError, match=r"found 4, of 4 molecules with a label: use fewer folds"):
        choose("k-fold:1/20", np.arange(40) < 4)


def test_a_split_that_is_given_keeps_molecules_without_a_label(choose):
    split, _ = choose("column:part", np.arange(40) % 2 == 1)
    assert positions(split) == positions(choose("column:part")[0])


@pytest.mark.parametrize("which", ["0/4", "5/4", "4", "a/b", "1/4/2"])
def test_folds_that_are_not_there(choose, which):
    with pytest.raises(UserError, match=f"k-fold:2/5 say; found '{which}'"):
        choose(f"k-fold:{which}")


def test_a_column(choose):
    split, _ = choose("column:part")
    assert positions(split) == [list(range(30)), list(range(30, 36)), list(range(36, 40))]


def test_a_file(choose, tmp_path):
    path = tmp_path / "parts.json"
    path.write_text('{"train": "0-29", "val": [30, 31], "test": [39]}', encoding="utf-8")
    split, _ = choose(f"file:{path}")
    assert positions(split) == [list(range(30)), [30, 31], [39]]
    path = tmp_path / "parts.csv"
    lines = ["row,a,b", *(f"{row},train,{'valid' if row < 9 else 'train'}" for row in range(39))]
    path.write_text("\n".join([*lines, "39,test,test"]), encoding="utf-8")
    split, _ = choose(f"file:{path}#b")
    assert positions(split) == [list(range(9, 39)), list(range(9)), [39]]


def test_a_fold_of_a_file(choose, tmp_path):
    path = tmp_path / "folds.json"
    folds = [{"train": "0-19", "val": [20], "test": [21]}, {"train": "20-38", "val": [0, 39]}]
    path.write_text(json.dumps(folds), encoding="utf-8")
    assert positions(choose(f"file:{path}#1")[0]) == [list(range(20, 39)), [0, 39], []]
    assert positions(choose(f"file:{path}#0")[0]) == positions(choose(f"file:{path}")[0])
    assert positions(choose(f"file:{path}")[0]) == [list(range(20)), [20], [21]]
    for which in ("two", "-1", "1.0"):
        with pytest.raises(UserError, match=f"number of a fold, .* found '{which}'"):
            choose(f"file:{path}#{which}")
    with pytest.raises(UserError, match="holds 2 folds, counted from 0, so there is no fold 2"):
        choose(f"file:{path}#2")
    path.write_text(json.dumps(folds[0]), encoding="utf-8")
    with pytest.raises(UserError, match=r"holds one split, not a list of folds; leave .* 0 out"):
        choose(f"file:{path}#0")


def test_a_place_may_hold_the_sign_of_a_fold(choose, tmp_path):
    path = tmp_path / "run#1" / "folds#2.json"
    path.parent.mkdir()
    folds = [{"train": "0-29", "val": [30], "test": [39]}, {"train": "1-29", "val": [30]}]
    path.write_text(json.dumps(folds), encoding="utf-8")
    assert positions(choose(f"file:{path}")[0]) == [list(range(30)), [30], [39]]
    assert positions(choose(f"file:{path}#1")[0]) == [list(range(1, 30)), [30], []]


def test_a_fold_that_is_no_number_is_refused_before_any_data_are_read():
    with pytest.raises(UserError, match="number of a fold"):
        check_choice("file:absent.json.gz#scaffold")
    check_choice("file:absent.csv#scaffold")


def test_the_file_of_a_longer_table(choose, tmp_path):
    path = tmp_path / "parts.json"
    path.write_text('{"train": "0-29", "val": [30, 31], "test": [39, 40, 41]}', encoding="utf-8")
    with pytest.raises(UserError, match="names row 40, and the data have 40 rows, counted from 0"):
        choose(f"file:{path}")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("column:prt", r"no split column 'prt' \(did you mean 'part'\?\); the columns are: name"),
        ("random:80/20", "written as 80/10/10; found '80/20'"),
        ("random:a/b/c", "written as 80/10/10; found 'a/b/c'"),
        ("random:0/0/0", "add up to 100 .*; found '0/0/0', which adds up to 0"),
        ("random:90/20/5", r"add up to 100 \(or to 1\); found '90/20/5', which adds up to 115"),
        ("random:0.8/0.1/0.2", "which adds up to 1.1"),
        ("random:nan/1/1", "written as 80/10/10; found 'nan/1/1'"),
        ("random:120/-20/0", "must be positive"),
        ("random:100/0/0", "must be positive"),
        ("rnd:80/10/10", "unknown split 'rnd': use scaffold, scaffold-bal"),
        ("file:nowhere.json", "nowhere.json"),
    ],
)
def test_choices_that_cannot_be_made(choose, choice, message):
    with pytest.raises(UserError, match=message):
        choose(choice)
