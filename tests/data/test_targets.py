import math
import re
from decimal import Decimal

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molweave.chem.table import Record
from molweave.data.targets import (
    Task,
    check_targets,
    describe_tasks,
    find_kinds,
    fit_tasks,
    parse_targets,
    positive_weights,
    read_target,
    target_indices,
)
from molweave.errors import UserError

NAN = math.nan
COLUMNS = ("smiles", "Solubility", "active")


def _records(*rows):
    return [Record(index, row, row[0]) for index, row in enumerate(rows)]


def test_values_and_missing_values():
    records = _records(("C", "1.5", "1"), ("CC", "", "0"), ("CCC", " -2e-1 ", "NaN"))
    found = parse_targets(COLUMNS, records, ["active", "Solubility"])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [[1, 1.5], [0, NAN], [NAN, -0.2]])


def test_a_row_that_could_not_be_read_has_no_labels():
    records = [Record(0, ("C", "1", "0"), "C"), Record(1, ("C", "x"), None, None, "ragged row")]
    np.testing.assert_array_equal(
        parse_targets(COLUMNS, records, ["Solubility"]), np.array([[1.0], [NAN]])
    )


def test_no_rows_keep_the_shape():
    assert parse_targets(COLUMNS, [], ["active", "Solubility"]).shape == (0, 2)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        "#N/A",
        "NaN",
        "nan",
        "NA",
        "n/a",
        "None",
        "null",
        None,
        NAN,
        np.nan,
        pandas.NA,
        pandas.NaT,
    ],
    ids=repr,
)
def test_missing(value):
    assert math.isnan(read_target(value))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("3", 3.0),
        ("-0.5", -0.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("+1E3", 1000.0),
        (7, 7.0),
        (np.float32(0.5), 0.5),
        (np.int64(-3), -3.0),
        (True, 1.0),
        (np.bool_(False), 0.0),
        ("True", 1.0),
        ("false", 0.0),
        (Decimal("1.25"), 1.25),
    ],
    ids=repr,
)
def test_numbers(value, number):
    assert read_target(value) == number


@given(st.floats(-3.4e38, 3.4e38))
def test_every_float_survives_being_written_and_read(value):
    assert read_target(repr(value)) == value


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("active", "classes as 0 and 1"),
        ("<5", "below or above a limit"),
        (">10", "below or above a limit"),
        ("≤ 3", "below or above a limit"),
        ("1,5", "point, not a comma"),
        ("1_000", "must be a number"),
        ("0x10", "must be a number"),
        ("٣", "must be a number"),
        ("inf", "must be a number"),
        ("1e999", "at most 3.4e+38 in size; use another unit"),
        (-1e39, "at most 3.4e+38 in size; use another unit"),
        (math.inf, "must be a number"),
        ("5 mg", "must be a number"),
    ],
)
def test_refused_values_name_row_value_and_remedy(value, advice):
    with pytest.raises(UserError) as caught:
        parse_targets(("smiles", "IC50"), [Record(12, ("C", value), "C")], ["IC50"])
    message = str(caught.value)
    assert repr(str(value)) in message
    assert "row 12 (rows count from 0" in message
    assert "'IC50'" in message
    assert advice in message
    assert "\n" not in message


def test_the_row_of_the_input_is_named_not_the_position():
    record = Record(41, ("C", "high", "1"), "C")
    with pytest.raises(UserError, match="row 41"):
        parse_targets(COLUMNS, [record], ["Solubility"])


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({3}, "'abc' in row 3 (rows count from 0"),
        ({3, 7}, "'abc' in row 3 (and 1 more row: 7; rows count"),
        ({3, 7, 9, 12, 30}, "'abc' in row 3 (and 4 more rows: 7, 9, 12, 30; rows count"),
        (set(range(3, 20)), "(and 16 more rows: 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, ...; rows count"),
    ],
)
def test_all_rows_with_a_bad_value_are_told_at_once(bad, told):
    rows = (("C", "1", "<5" if row == 2 else "0") for row in range(40))
    records = [
        Record(row, (values[0], "abc" if row in bad else "1", values[2]), "C")
        for row, values in enumerate(rows)
    ]
    with pytest.raises(UserError, match=re.escape(told)) as caught:
        parse_targets(COLUMNS, records, ["Solubility"])
    assert str(caught.value).endswith("write classes as 0 and 1, leave unknown fields empty")
    with pytest.raises(UserError, match="'<5' in row 2 "):
        parse_targets(COLUMNS, records, ["active"])
    with pytest.raises(UserError, match=r"'active' is .*; such values are in 'Solubility', too$"):
        parse_targets(COLUMNS, records, ["Solubility", "active"])


def test_unknown_column_lists_columns_and_the_nearest():
    with pytest.raises(UserError, match=r"'solubilty'.*'smiles', 'Solubility'.*mean 'Solubility'"):
        target_indices(COLUMNS, ["solubilty"])


def test_no_column_and_a_column_twice():
    with pytest.raises(UserError, match="no target column was given"):
        target_indices(COLUMNS, [])
    with pytest.raises(UserError, match="'active'"):
        target_indices(COLUMNS, ["active", "active"])


def test_too_few_rows_and_empty_columns():
    enough = np.arange(10.0)[:, None]
    check_targets(enough, ["y"])
    with pytest.raises(UserError, match=r"only 9 rows .* at least 10"):
        check_targets(enough[:9], ["y"])
    with_gap = np.hstack([enough, np.full((10, 1), NAN)])
    with pytest.raises(UserError, match=r"no usable row .* 'z'"):
        check_targets(with_gap, ["y", "z"])


def test_rows_count_as_usable_when_any_task_has_a_label():
    targets = np.full((10, 2), NAN)
    targets[:5, 0] = targets[5:, 1] = np.arange(5)
    check_targets(targets, ["y", "z"])


def test_kinds_are_told_from_the_values():
    targets = np.array([[0, 0.5, 1], [1, 1, NAN], [NAN, 0, 2]])
    assert find_kinds(targets, ["a", "b", "c"]) == ("classification", "regression", "regression")


def test_kinds_given_for_all_or_by_name():
    targets = np.array([[0.0, 0.0], [1.0, 1.0]])
    assert find_kinds(targets, ["a", "b"], "regression") == ("regression", "regression")
    assert find_kinds(targets, ["a", "b"], {"b": "regression"}) == ("classification", "regression")


def test_tasks_in_words():
    assert describe_tasks(["y"], ["regression"]) == "y: regression"
    assert describe_tasks(["a", "b"], ["regression", "classification"]) == (
        "a: regression, b: classification"
    )
    many = ["classification"] * 20 + ["regression"] * 7
    assert describe_tasks([f"t{number}" for number in range(27)], many) == (
        "27 targets: 20 classification, 7 regression"
    )
    assert describe_tasks(list("abcd"), many[:4]) == "4 targets: 4 classification"


def test_wrong_kinds():
    targets = np.array([[0.0], [0.7]])
    with pytest.raises(UserError, match=r"'a' is a classification task but has the value 0.7"):
        find_kinds(targets, ["a"], "classification")
    with pytest.raises(UserError, match=r"unknown kind of task 'classes'"):
        find_kinds(targets, ["a"], "classes")
    with pytest.raises(UserError, match=r"'b', which is not a target"):
        find_kinds(targets, ["a"], {"b": "regression"})


def test_scaling_comes_from_the_training_rows_only():
    targets = np.array([[1.0], [3.0], [NAN], [1000.0]])
    (task,) = fit_tasks(targets, np.array([0, 1, 2]), ["y"], ["regression"])
    assert task == Task("y", "regression", mean=2.0, scale=1.0)
    targets[3] = -5.0
    assert fit_tasks(targets, np.array([0, 1, 2]), ["y"], ["regression"]) == (task,)


def test_classification_is_not_scaled():
    targets = np.array([[1.0], [0.0], [1.0]])
    (task,) = fit_tasks(targets, np.arange(3), ["y"], ["classification"])
    assert (task.mean, task.scale) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([1, 1, 0], "classification", "one class or value only: 'y = 1'"),
        ([2.5, 2.5, 1], "regression", "one class or value only: 'y = 2.5'"),
        ([NAN, NAN, 1], "regression", "no value in the training part"),
    ],
)
def test_nothing_to_learn_in_the_training_part(values, kind, message):
    targets = np.array(values, dtype=float)[:, None]
    with pytest.raises(UserError, match=message):
        fit_tasks(targets, np.array([0, 1]), ["y"], [kind])


def test_positive_weights_balance_the_classes_of_the_training_rows():
    targets = np.array([[1, 5.0], [0, 6.0], [0, 7.0], [0, NAN], [NAN, 1.0], [1, 2.0]])
    train = np.array([0, 1, 2, 3, 4])
    tasks = fit_tasks(targets, train, ["a", "b"], ["classification", "regression"])
    weights = positive_weights(targets, train, tasks)
    np.testing.assert_array_equal(weights, [3.0, 1.0])
    labels = targets[train, 0]
    assert weights[0] * (labels == 1).sum() == (labels == 0).sum()
