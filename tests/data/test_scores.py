import json

import numpy as np
import pytest
from sklearn import metrics

from molweave.data.scores import REPORTED, score_parts, score_tasks
from molweave.data.targets import Task

NAN = float("nan")
TASKS = (Task("y", "regression"), Task("a", "classification"), Task("b", "classification"))


@pytest.fixture
def labelled():
    rng = np.random.default_rng(3)
    truth = np.stack([rng.normal(size=60), rng.random(60) < 0.5, rng.random(60) < 0.3], axis=1)
    prediction = np.clip(0.4 * truth + 0.6 * rng.random((60, 3)), 0, 1)
    truth[rng.random((60, 3)) < 0.2] = NAN
    return truth, prediction


def test_parts_tasks_and_means(labelled):
    truth, prediction = labelled
    parts = {"train": np.arange(40), "test": np.arange(40, 60)}
    scores = score_parts(parts, truth, prediction, TASKS)
    assert list(scores) == ["train", "test", "mean"]
    areas = []
    for column in (1, 2):
        true, predicted = truth[40:, column], prediction[40:, column]
        there = ~np.isnan(true)
        found = scores["test"][TASKS[column].name]
        areas.append(metrics.roc_auc_score(true[there], predicted[there]))
        assert found["roc_auc"] == pytest.approx(areas[-1])
        assert found["f1"] == pytest.approx(metrics.f1_score(true[there], predicted[there] >= 0.5))
        assert found["n"] == there.sum()
        assert set(found) == {"n", *REPORTED["classification"]}
    assert scores["mean"]["test"]["roc_auc"] == pytest.approx(np.mean(areas))
    there = ~np.isnan(truth[:40, 0])
    expected = metrics.mean_absolute_error(truth[:40, 0][there], prediction[:40, 0][there])
    assert scores["train"]["y"]["mae"] == pytest.approx(expected)
    assert scores["mean"]["train"]["mae"] == pytest.approx(expected)
    assert set(scores["train"]["y"]) == {"n", *REPORTED["regression"]}


def test_undefined_is_null(labelled):
    truth, prediction = labelled
    truth[:, 1] = 1
    truth[:, 2] = NAN
    prediction[0, 0] = np.inf
    truth[0, 0] = 1
    scores, mean = score_tasks(truth, prediction, TASKS)
    assert scores["a"]["roc_auc"] is None
    assert scores["a"]["accuracy"] is not None
    assert scores["b"]["n"] == 0
    assert set(scores["b"].values()) == {0, None}
    assert scores["y"]["rmse"] is None
    assert mean["roc_auc"] is None
    assert mean["accuracy"] == scores["a"]["accuracy"]
    assert json.loads(json.dumps([scores, mean], allow_nan=False)) == [scores, mean]


def test_empty_part():
    scores, mean = score_tasks(np.empty((0, 3)), np.empty((0, 3)), TASKS)
    assert [scores[task.name]["n"] for task in TASKS] == [0, 0, 0]
    assert set(mean.values()) == {None}
