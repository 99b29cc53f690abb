import pytest

from molweave.cli.choices import choose_kinds, choose_split, find_targets
from molweave.cli.values import (
    choose,
    format_duration,
    given_only,
    merge_options,
    parse_duration,
    parse_pairs,
    split_list,
)
from molweave.errors import UserError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5H", 5400), (" 1m5s ", 65)],
)
def test_durations(text, seconds):
    assert parse_duration(text, "--max-time") == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "2 hours", "-3m", "0s", "1m2m", "1h 5"])
def test_a_duration_without_a_meaning_is_refused(text):
    with pytest.raises(UserError, match="--max-time takes a time such as 90s, 30m or 2h; found"):
        parse_duration(text, "--max-time")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (7830, "2 h 10 min"),
    ],
)
def test_durations_for_people(seconds, text):
    assert format_duration(seconds) == text


def test_pairs_keep_everything_after_the_first_sign():
    assert parse_pairs(["a=1", " b = x=y "], "--set") == {"a": "1", "b": "x=y"}
    assert parse_pairs(None, "--set") == {}


@pytest.mark.parametrize("items", [["a"], ["=1"], ["a=1", "a=2"]])
def test_wrong_pairs_are_refused(items):
    with pytest.raises(UserError, match="--set"):
        parse_pairs(items, "--set")


def test_lists():
    assert split_list(["a,b", "c"]) == ("a", "b", "c")
    assert split_list(["a, b,"]) == ("a", "b")
    assert split_list([]) is None
    assert split_list(None) is None


def test_a_choice_names_the_nearest():
    assert choose("kl", ("kl", "mmd"), "--without") == "kl"
    with pytest.raises(UserError, match="did you mean 'align'"):
        choose("aling", ("kl", "align"), "--without")


def test_an_option_given_in_two_ways_is_refused():
    assert merge_options({"epochs": 3, "patience": None}, {"clip": "1"}, "--train") == {
        "epochs": 3,
        "clip": "1",
    }
    with pytest.raises(UserError, match="epochs is given twice"):
        merge_options({"epochs": 3}, {"epochs": "4"}, "--train")


def test_what_was_not_given_is_left_out():
    assert given_only(a=None, b=0, c=False) == {"b": 0, "c": False}


def test_kinds():
    assert choose_kinds(None) is None
    assert choose_kinds(["regression"]) == "regression"
    assert choose_kinds(["a=regression", "b=classification"]) == {
        "a": "regression",
        "b": "classification",
    }
    kinds = choose_kinds(["pH=7=regression", "b=classification"])
    assert kinds == {"pH=7": "regression", "b": "classification"}
    with pytest.raises(UserError, match="name=value"):
        choose_kinds(["regression", "b=classification"])


def test_splits():
    assert choose_split(None, None, None) is None
    assert choose_split("random", None, None) == "random"
    assert choose_split(None, "part", None) == "column:part"
    assert choose_split(None, None, "s.csv#1") == "file:s.csv#1"
    with pytest.raises(UserError, match="--split and --split-file exclude each other"):
        choose_split("random", None, "s.json")


def test_targets_split_at_commas_unless_a_column_has_that_name(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text('smiles,"a,b",a,b,c\nC,1,2,3,4\n', encoding="utf-8")
    assert find_targets(["a,b"], str(path), None) == ["a,b"]
    assert find_targets(["b,c", "a,b"], str(path), None) == ["b", "c", "a,b"]
    assert find_targets(["b,c"], "-", None) == ["b", "c"]
    assert find_targets(["a"], "absent.csv", None) == ["a"]
