import pytest

from molweave.report.text import flatten, format_number, format_score, metric_name

NAN = float("nan")


def test_shown_part(build_data):
    assert build_data().shown.name == "test"
    assert build_data(sizes=(40, 20, 0)).shown.name == "valid"
    assert build_data(sizes=(40, 0, 0)).shown is None


def test_headline_metrics(build_data):
    assert build_data().headline_metrics[0] == "roc_auc"
    assert build_data(("regression",), metric="mae").headline_metrics[:2] == ("mae", "rmse")
    mixed = build_data(("classification", "regression")).headline_metrics
    assert {"roc_auc", "rmse"} <= set(mixed)
    assert "loss" not in mixed


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.91251, "0.913"), (0.0, "0.000"), (-0.5, "-0.500"), (0.00123, "0.00123"), (1234.5, "1,234"),
     (None, "–"), (NAN, "–"), (float("inf"), "–")],
)  # fmt: skip
def test_format_score(value, expected):
    assert format_score(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0"), (1.0, "1"), (-3.14159, "-3.14"), (123456.0, "123,456"), (1e-9, "1.00e-09"),
     (2e8, "2.00e+08"), (0.999999, "1"), (None, "–")],
)  # fmt: skip
def test_format_number(value, expected):
    assert format_number(value) == expected


def test_metric_names_point_to_better():
    assert metric_name("roc_auc").name == "ROC-AUC ↑"
    assert metric_name("rmse").name == "RMSE ↓"
    assert metric_name("loss").name == "loss ↓"
    assert metric_name("kendall").name == "kendall ↑"


def test_flatten():
    assert flatten({"a": 1, "b": {"c": None, "d": {"e": [1, 2]}}}) == [
        ("a", "1"),
        ("b.c", "None"),
        ("b.d.e", "1, 2"),
    ]
