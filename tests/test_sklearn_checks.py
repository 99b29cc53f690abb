"""scikit-learn's own checks, of estimators to which numbers are translated into molecules."""

from typing import Any

import numpy as np
import pytest
from fits import TINY, fitted
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from molweave import MolweaveClassifier, MolweaveEmbedder, MolweaveRegressor

SMALL: dict[str, Any] = {
    "modalities": ["graph"],
    "method_options": dict(TINY),
    "training": {"epochs": 1, "batch_size": 32},
    "device": "cpu",
    "workers": 1,
}


def chain(numbers: np.ndarray) -> str:
    """A molecule that tells rows of numbers apart: two chains of carbon, their ends by sign."""
    first, last = numbers[0], numbers[-1]
    ends = ("O" if first > 0 else "N", "F" if last > 0 else "Cl")
    lengths = (1 + int(abs(97 * first)) % 19, 1 + int(abs(61 * last)) % 17)
    return f"{'C' * lengths[0]}{ends[0]}{'C' * lengths[1]}{ends[1]}"


class Numbers:
    """Takes a table of numbers for molecules, so that the checks have something to check."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        tags.input_tags.string = False
        for kind in (tags.classifier_tags, tags.regressor_tags):
            if kind is not None:
                kind.poor_score = True  # one epoch of a tiny network
        return tags

    def _molecules(self, X, *, reset):
        return [chain(row) for row in validate_data(self, X, reset=reset, dtype=float)]


class NumbersClassifier(Numbers, MolweaveClassifier):
    pass


class NumbersRegressor(Numbers, MolweaveRegressor):
    pass


class NumbersEmbedder(Numbers, MolweaveEmbedder):
    pass


EXPECTED_FAILURES = {
    "check_do_not_raise_errors_in_init_or_set_params": (
        "passes arguments of wrong types, which the type checker of these tests refuses"
    ),
    "check_methods_subset_invariance": "compares float32 numbers near 0 to within 1e-7",
}


def check(model, *expected: str) -> None:
    """Run every check of scikit-learn; those named may fail."""
    results = check_estimator(
        model,
        expected_failed_checks={name: EXPECTED_FAILURES[name] for name in expected},
        on_skip=None,
    )
    assert sum(result["status"] == "passed" for result in results) > 40


@pytest.mark.parametrize(
    "kind", [NumbersClassifier, pytest.param(NumbersRegressor, marks=pytest.mark.slow)]
)
def test_checks_of_classifier_and_regressor(kind):
    check(kind(**SMALL), "check_do_not_raise_errors_in_init_or_set_params")


def test_checks_of_the_embedder(tmp_path):
    fitted().save(tmp_path / "m")
    check(NumbersEmbedder(tmp_path / "m", device="cpu"), *EXPECTED_FAILURES)
