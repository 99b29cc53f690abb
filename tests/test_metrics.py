import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from molweave.errors import UserError
from molweave.metrics import (
    ALIASES,
    METRICS,
    average_ranks,
    default_metric,
    evaluate,
    resolve_metric,
)


def _hard(prediction):
    return (np.asarray(prediction) >= 0.5).astype(int)


ORACLES = {
    "roc_auc": oracle.roc_auc_score,
    "pr_auc": oracle.average_precision_score,
    "accuracy": lambda y, p: oracle.accuracy_score(y, _hard(p)),
    "balanced_accuracy": lambda y, p: oracle.balanced_accuracy_score(y, _hard(p)),
    "f1": lambda y, p: oracle.f1_score(y, _hard(p)),
    "mcc": lambda y, p: oracle.matthews_corrcoef(y, _hard(p)),
    "log_loss": lambda y, p: oracle.log_loss(y, p, labels=[0, 1]),
    "brier": oracle.brier_score_loss,
    "rmse": oracle.root_mean_squared_error,
    "mae": oracle.mean_absolute_error,
    "mse": oracle.mean_squared_error,
    "r2": oracle.r2_score,
    "pearson": lambda y, p: stats.pearsonr(y, p).statistic,
    "spearman": lambda y, p: stats.spearmanr(y, p).statistic,
    "kendall": lambda y, p: stats.kendalltau(y, p).statistic,
}


def test_every_metric_has_an_oracle_here():
    assert set(ORACLES) == set(METRICS)


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].kind == "regression"])
@pytest.mark.parametrize("decimals", [1, 6], ids=["ties", "no ties"])
def test_regression_metrics_agree_with_libraries(name, decimals):
    rng = np.random.default_rng(3)
    truth = rng.normal(size=57).round(decimals)
    prediction = (0.5 * truth + rng.normal(size=57)).round(decimals)
    assert evaluate(name, truth, prediction).value == pytest.approx(
        ORACLES[name](truth, prediction)
    )


@pytest.mark.parametrize("name", [name for name in METRICS if METRICS[name].kind != "regression"])
@pytest.mark.parametrize("decimals", [1, 6], ids=["ties", "no ties"])
def test_classification_metrics_agree_with_sklearn(name, decimals):
    rng = np.random.default_rng(4)
    truth = (rng.random(83) < 0.3).astype(float)
    prediction = np.clip(0.3 * truth + rng.random(83) * 0.7, 0, 1).round(decimals)
    assert evaluate(name, truth, prediction).value == pytest.approx(
        ORACLES[name](truth, prediction)
    )


@given(
    st.lists(st.tuples(st.sampled_from([0, 1]), st.integers(0, 6)), min_size=2, max_size=40).filter(
        lambda pairs: len({label for label, _ in pairs}) == 2
    )
)
def test_ranking_metrics_agree_with_sklearn_whatever_the_ties(pairs):
    truth, score = np.array(pairs, dtype=float).T
    for name in ("roc_auc", "pr_auc"):
        assert evaluate(name, truth, score / 6).value == pytest.approx(ORACLES[name](truth, score))


@given(st.lists(st.floats(-10, 10).map(lambda value: round(value, 1)), min_size=1, max_size=30))
def test_average_ranks_agree_with_scipy(values):
    np.testing.assert_array_equal(average_ranks(np.array(values)), stats.rankdata(values))


def test_roc_auc_by_hand():
    # pairs (positive, negative): 0.4 > 0.1, 0.4 = 0.4 counts half, 0.9 beats both
    assert (
        evaluate("roc_auc", np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.4])).value == 3.5 / 4
    )


def test_log_loss_stays_finite_when_a_certain_prediction_is_wrong():
    value = evaluate("log_loss", np.array([0.0, 1.0]), np.array([1.0, 1.0])).value
    assert value == pytest.approx(-math.log(np.finfo(float).eps) / 2)


def test_missing_labels_are_left_out_task_by_task():
    truth = np.array([[0, np.nan], [1, 1.0], [1, 0.0], [0, 1.0]])
    prediction = np.array([[0.2, 0.9], [0.8, 0.6], [0.1, 0.7], [0.3, 0.9]])
    score = evaluate("roc_auc", truth, prediction)
    assert score.per_task == (
        oracle.roc_auc_score(truth[:, 0], prediction[:, 0]),
        oracle.roc_auc_score(truth[1:, 1], prediction[1:, 1]),
    )
    assert score.value == np.mean(score.per_task)
    assert score.skipped == ()


def test_a_task_with_one_class_is_skipped_and_named():
    truth = np.array([[0, 1, np.nan], [1, 1, np.nan], [1, 1, np.nan]])
    prediction = np.array([[0.1, 0.5, 0.5], [0.9, 0.5, 0.5], [0.8, 0.5, 0.5]])
    score = evaluate("roc_auc", truth, prediction)
    assert score.skipped == (1, 2)
    assert score.value == 1.0
    assert math.isnan(score.per_task[1])
    assert math.isnan(score.per_task[2])


def test_no_task_left_gives_nan():
    score = evaluate("r2", np.array([2.0, 2.0]), np.array([1.0, 3.0]))
    assert math.isnan(score.value)
    assert score.skipped == (0,)


@pytest.mark.parametrize(
    ("name", "truth", "defined"),
    [
        ("accuracy", [1, 1], True),
        ("pr_auc", [1, 1], True),
        ("pr_auc", [0, 0], False),
        ("f1", [0, 0], False),
        ("mcc", [1, 1], False),
        ("rmse", [2.0], True),
        ("pearson", [2.0], False),
        ("rmse", [np.nan], False),
    ],
)
def test_what_a_metric_needs(name, truth, defined):
    score = evaluate(name, np.array(truth, dtype=float), np.full(len(truth), 0.7))
    assert (score.skipped == ()) is defined


def test_a_prediction_that_is_not_finite_spoils_the_score_instead_of_being_hidden():
    truth = np.array([[1.0, 1.0], [2.0, 2.0]])
    prediction = np.array([[1.0, np.nan], [2.0, 2.0]])
    score = evaluate("rmse", truth, prediction)
    assert score.per_task[0] == 0.0
    assert math.isnan(score.value)
    assert score.skipped == ()


@pytest.mark.parametrize("name", ["pearson", "spearman", "kendall"])
def test_a_constant_prediction_correlates_with_nothing(name):
    assert evaluate(name, np.array([1.0, 2.0, 3.0]), np.full(3, 0.4)).value == 0.0


def test_predictions_of_one_class_have_no_matthews_correlation():
    assert evaluate("mcc", np.array([0.0, 1.0]), np.array([0.9, 0.8])).value == 0.0


def test_direction():
    errors = {name for name, metric in METRICS.items() if not metric.greater_is_better}
    assert errors == {"log_loss", "brier", "rmse", "mae", "mse"}
    perfect = np.array([0.0, 1.0, 1.0])
    for name, metric in METRICS.items():
        good = evaluate(name, perfect, perfect).value
        bad = evaluate(name, perfect, 1 - perfect).value
        assert (good > bad) is metric.greater_is_better


@pytest.mark.parametrize(
    ("alias", "name"),
    [("AUC", "roc_auc"), ("auroc", "roc_auc"), ("PRC-AUC", "pr_auc"), (" r2 score ", "r2")],
)
def test_aliases(alias, name):
    assert resolve_metric(alias) == name


def test_every_alias_leads_to_a_metric():
    assert set(ALIASES.values()) <= set(METRICS)
    assert not set(ALIASES) & set(METRICS)


def test_unknown_metric():
    with pytest.raises(UserError, match=r"unknown metric 'rsme'.*rmse"):
        evaluate("rsme", np.zeros(2), np.zeros(2))


def test_default_metrics():
    assert default_metric("classification") == "roc_auc"
    assert default_metric("regression") == "rmse"


def test_wrong_shapes_and_labels_are_refused():
    with pytest.raises(ValueError, match="shape"):
        evaluate("rmse", np.zeros(3), np.zeros(4))
    with pytest.raises(ValueError, match="labels 0 and 1"):
        evaluate("roc_auc", np.array([-1.0, 1.0]), np.zeros(2))
