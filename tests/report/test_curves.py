import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from molweave.report.curves import (
    error_by_std,
    precision_recall_points,
    reliability,
    roc_points,
)


@pytest.fixture(params=[3, 1000])
def labelled(request):
    """Truth and predictions, with many ties for the parameter 3."""
    rng = np.random.default_rng(2)
    truth = (rng.random(200) < 0.3).astype(float)
    prediction = np.round((truth + rng.normal(0, 1, 200) + 4) / 9 * request.param) / request.param
    return truth, np.clip(prediction, 0, 1)


def test_roc_points(labelled):
    expected = metrics.roc_curve(*labelled, drop_intermediate=False)
    found = roc_points(*labelled)
    np.testing.assert_allclose(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1])
    assert np.trapezoid(found[1], found[0]) == pytest.approx(metrics.roc_auc_score(*labelled))


def test_precision_recall_points(labelled):
    precision, recall, _ = metrics.precision_recall_curve(*labelled)
    found_recall, found_precision = precision_recall_points(*labelled)
    np.testing.assert_allclose(found_recall[::-1], recall[:-1])
    np.testing.assert_allclose(found_precision[::-1], precision[:-1])


def test_reliability(labelled):
    truth, prediction = labelled
    found = reliability(truth, prediction)
    inside = (prediction > 0) & (np.abs(prediction * 10 % 1) > 1e-9)  # bins differ on the edges
    observed, predicted = calibration_curve(truth[inside], prediction[inside], n_bins=10)
    plain = reliability(truth[inside], prediction[inside])
    np.testing.assert_allclose(plain.observed, observed)
    np.testing.assert_allclose(plain.predicted, predicted)
    assert found.counts.sum() == len(truth)
    assert len(found.predicted) == (found.counts > 0).sum()


def test_calibration_error_by_hand():
    found = reliability(np.array([0, 1, 1, 1.0]), np.array([0.12, 0.18, 0.95, 1.0]))
    assert found.counts.tolist() == [0, 2, 0, 0, 0, 0, 0, 0, 0, 2]
    assert found.error == pytest.approx(0.5 * (0.5 - 0.15) + 0.5 * (1 - 0.975))


def test_error_by_std_recovers_a_true_standard_error():
    rng = np.random.default_rng(0)
    std = rng.uniform(0.1, 2, 40_000)
    predicted, observed = error_by_std(rng.normal(0, std), std)
    assert len(predicted) == 8
    np.testing.assert_allclose(observed, predicted, rtol=0.05)
    assert [len(each) for each in error_by_std(std[:7], std[:7])] == [1, 1]
