"""The classifier and the regressor."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from molweave.chem.molecule import Rejected
from molweave.chem.standardize import Standardizer
from molweave.data.splits import SPLITS
from molweave.data.targets import FEWEST_ROWS
from molweave.errors import UserError
from molweave.predictor import Predictor
from molweave.sklearn.molecules import MoleculeEstimator, refuse
from molweave.sklearn.targets import (
    LabelledMolecules,
    missing,
    numbers,
    plain,
    target_columns,
    two_classes,
)
from molweave.wording import counted


class PropertyEstimator(MoleculeEstimator):
    """Fits a `Predictor` on molecules and the columns of ``y``."""

    def __init__(
        self,
        *,
        method: str = "auto",
        preset: str = "auto",
        modalities: Sequence[str] | None = None,
        method_options: Mapping[str, object] | None = None,
        training: Mapping[str, object] | None = None,
        split: str = "random",
        validation_fraction: float = 0.1,
        ensemble: int = 1,
        random_state: Any = 0,
        device: str = "auto",
        standardize: str = "default",
        conformers: str = "input",
        workers: int = 0,
        pretrained: str | None = None,
        freeze: bool = False,
        on_invalid: str = "raise",
    ) -> None:
        """Choose how to fit.

        Args:
            method: a method of molweave, or ``auto``, see `FitOptions.resolve`.
            preset: a preset of the method.
            modalities: views to use; None for the preset's.
            method_options: fields of the method's configuration to change.
            training: fields of `molweave.training.config.TrainConfig` to change, say
                ``{"epochs": 20}``.
            split: how the validation part, on which the epoch is chosen, is taken from what `fit`
                is given: ``random``, ``scaffold`` or ``scaffold-balanced``.
            validation_fraction: size of the validation part, between 0 and 1.
            ensemble: number of networks.
            random_state: of all that is random; a number, a RandomState or None.
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            standardize: name of the standardisation.
            conformers: ``input`` (the 3D structure of an RDKit molecule that has one; others are
                generated), ``generate`` or ``none``.
            workers: worker processes for conformers; 0 for one per core.
            pretrained: folder or name of a pre-trained encoder to start from.
            freeze: leave that encoder as it is and train the head alone.
            on_invalid: what becomes of molecules that cannot be used: ``raise`` refuses them,
                ``nan`` leaves them out of `fit` and gives NaN for them.
        """
        self.method = method
        self.preset = preset
        self.modalities = modalities
        self.method_options = method_options
        self.training = training
        self.split = split
        self.validation_fraction = validation_fraction
        self.ensemble = ensemble
        self.random_state = random_state
        self.device = device
        self.standardize = standardize
        self.conformers = conformers
        self.workers = workers
        self.pretrained = pretrained
        self.freeze = freeze
        self.on_invalid = on_invalid

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def _to_learn(self, X: Any, y: Any) -> tuple[list[object], np.ndarray, list[str]]:
        """The molecules, and labels (n, T) with the names of their columns."""
        molecules = self._molecules(X, reset=True)
        labels, names = target_columns(y)
        check_consistent_length(molecules, labels)
        if len(molecules) < FEWEST_ROWS:
            raise ValueError(
                f"{counted(len(molecules), 'sample')} given, at least {FEWEST_ROWS} are needed"
            )
        if missing(labels).all():
            raise ValueError("y holds nothing but missing labels")
        return molecules, labels, names

    def _fit(
        self, molecules: Sequence[object], values: np.ndarray, names: Sequence[str], kind: str
    ) -> None:
        """Fit on values, float64 (n, T), and set ``predictor_``."""
        table = LabelledMolecules(molecules, values, names)
        if self.on_invalid == "raise":
            results = map(Standardizer(self.standardize), table)
            refuse({item.row: str(item) for item in results if isinstance(item, Rejected)})
        valid: Any = self.validation_fraction
        number = isinstance(valid, int | float | np.floating) and not isinstance(valid, bool)
        if not number or not 0 < valid < 1:
            raise UserError(f"validation_fraction must be above 0 and below 1; found {valid!r}")
        if self.split not in SPLITS:
            raise UserError(f"unknown split {self.split!r}: use one of {', '.join(SPLITS)}")
        predictor = Predictor(
            method=self.method,
            preset=self.preset,
            modalities=self.modalities,
            method_options=self.method_options,
            training=self.training,
            kinds=kind,
            ensemble=self.ensemble,
            seed=_seed(self.random_state),
            device=self.device,
            standardize=self.standardize,
            conformers=self.conformers,
            workers=self.workers,
            pretrained=self.pretrained,
            freeze=self.freeze,
        )
        self.predictor_ = predictor.fit(table, names, split=f"{self.split}:{1 - valid}/{valid}/0")

    def _outputs(self, X: Any) -> np.ndarray:
        """float64 (n, T), NaN where a molecule cannot be used."""
        check_is_fitted(self)
        rows = self._rows(self.predictor_, self._molecules(X, reset=False))
        return np.stack([row.predictions.mean(0) for row in rows])


class MolweaveClassifier(ClassifierMixin, PropertyEstimator):  # type: ignore[misc]
    """Tells two classes apart, or for several tasks 0 and 1.

    The arguments are described under ``__init__``.

    Attributes:
        classes_: the two labels, sorted; for several tasks their numbers, 0 to T - 1.
        predictor_: the fitted `Predictor`; its `Predictor.save` writes a model folder.
        n_features_in_: 1.
        feature_names_in_: name of the column, where ``X`` was a DataFrame.

    Example:
        >>> model = MolweaveClassifier(training={"epochs": 20}).fit(smiles, active)
        >>> model.predict_proba(["CCO"])[:, 1]
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on molecules and their classes.

        Args:
            X: n molecules.
            y: n labels of two kinds, or (n, T) of 0 and 1; None and NaN are missing labels.

        Raises:
            ValueError: fewer than ten molecules, more or fewer than two classes, or molecules
                that cannot be used.
            UserError: options or data that the facade refuses.
        """
        molecules, labels, names = self._to_learn(X, y)
        if labels.shape[1] == 1:
            classes, values = two_classes(labels)
        else:
            classes, values = np.arange(len(names)), numbers(labels)
            if not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
                raise ValueError("the labels of several tasks must be 0, 1 or missing")
        self._fit(molecules, values, names, "classification")
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities: float64 (n, 2) of ``classes_``, or (n, T) of class 1 of every task."""
        values = self._outputs(X)
        return values if values.shape[1] > 1 else np.hstack([1 - values, values])

    def predict(self, X: Any) -> np.ndarray:
        """The likelier class of every molecule: (n,), or (n, T) for several tasks.

        Without a prediction (``on_invalid="nan"``) a label that is a number is NaN and the result
        float, another label None and the result of objects.
        """
        values = self._outputs(X)
        several = values.shape[1] > 1
        classes: np.ndarray = np.array([0, 1]) if several else self.classes_
        found: np.ndarray = classes[(values > 0.5).astype(int)]
        invalid = np.isnan(values)
        if invalid.any():
            numeric = classes.dtype.kind in "iuf"
            found = found.astype(float if numeric else object)
            found[invalid] = np.nan if numeric else None
        return found if several else found[:, 0]

    def score(self, X: Any, y: Any) -> float:
        """Share of right labels, averaged over tasks; missing ones and NaN do not count."""
        labels, _ = target_columns(y)
        found = self.predict(X).reshape(labels.shape)
        use = ~missing(labels) & ~missing(found)
        right = [
            np.mean(plain(found[rows, task]) == plain(labels[rows, task]))
            for task, rows in enumerate(use.T)
            if rows.any()
        ]
        return float(np.mean(right)) if right else float("nan")


class MolweaveRegressor(RegressorMixin, PropertyEstimator):  # type: ignore[misc]
    """Predicts one number, or several.

    The arguments are described under ``__init__``.

    Attributes:
        predictor_: the fitted `Predictor`; its `Predictor.save` writes a model folder.
        n_features_in_: 1.
        feature_names_in_: name of the column, where ``X`` was a DataFrame.

    Example:
        >>> model = MolweaveRegressor(training={"epochs": 20}).fit(smiles, solubility)
        >>> model.predict(["CCO"])
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fit on molecules and their values.

        Args:
            X: n molecules.
            y: numbers (n,) or (n, T), NaN where missing.

        Raises:
            ValueError: fewer than ten molecules, labels that are not numbers, or molecules that
                cannot be used.
            UserError: options or data that the facade refuses.
        """
        molecules, labels, names = self._to_learn(X, y)
        self._fit(molecules, numbers(labels), names, "regression")
        return self

    def predict(self, X: Any) -> np.ndarray:
        """float64 (n,), or (n, T) for several tasks; NaN where a molecule cannot be used."""
        values = self._outputs(X)
        return values if values.shape[1] > 1 else values[:, 0]

    def score(self, X: Any, y: Any) -> float:
        """R², averaged over tasks; missing labels and NaN do not count."""
        truth = numbers(target_columns(y)[0])
        found = self.predict(X).reshape(truth.shape)
        use = np.isfinite(truth) & np.isfinite(found)
        scores = [
            r2_score(truth[rows, task], found[rows, task])
            for task, rows in enumerate(use.T)
            if rows.any()
        ]
        return float(np.mean(scores)) if scores else float("nan")


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))
