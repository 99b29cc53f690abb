"""The transformer from molecules to learned vectors."""

from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from molweave.encoder import Encoder
from molweave.methods.pretrained import find_encoder
from molweave.methods.spec import folder_kind
from molweave.predictor import Predictor
from molweave.sklearn.molecules import MoleculeEstimator


class MolweaveEmbedder(TransformerMixin, MoleculeEstimator):  # type: ignore[misc]
    """Molecules to the vectors that a pre-trained encoder or a fitted model has learnt.

    Attributes:
        predictor_: the `Encoder` or `Predictor` that is used.
        n_features_in_: 1.
        feature_names_in_: name of the column, where ``X`` was a DataFrame.

    Example:
        >>> pipeline = make_pipeline(MolweaveEmbedder("bbbp-model"), LogisticRegression())
        >>> pipeline.fit(smiles, active)
    """

    def __init__(
        self,
        model: str | Path | Predictor | Encoder,
        *,
        device: str = "auto",
        workers: int = 0,
        on_invalid: str = "raise",
    ) -> None:
        """Choose the model.

        Args:
            model: an encoder folder, the name of an encoder that ships with the package, a model
                folder, an `Encoder` or a fitted `Predictor`.
            device: where a folder's model runs: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            workers: worker processes for conformers of a folder's model; 0 for one per core.
            on_invalid: ``raise`` refuses molecules that cannot be used, ``nan`` gives NaN for them.
        """
        self.model = model
        self.device = device
        self.workers = workers
        self.on_invalid = on_invalid

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Load the model; nothing is learnt from ``X``.

        Raises:
            UserError: there is no usable encoder or model.
        """
        self._molecules(X, reset=True)
        model = self.model
        if not isinstance(model, Predictor | Encoder):
            folder = find_encoder(model)
            is_encoder = folder_kind(folder) == "encoder"
            load = Encoder.from_pretrained if is_encoder else Predictor.load
            model = load(folder, device=self.device, workers=self.workers)
        self._width = model.runner.embedding_dim
        self.predictor_ = model
        return self

    def transform(self, X: Any) -> np.ndarray:
        """float32 (n, d), NaN where a molecule cannot be used."""
        check_is_fitted(self)
        rows = self._rows(self.predictor_, self._molecules(X, reset=False))
        return np.stack([row.embedding for row in rows])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """``embedding0``, ``embedding1``, ..."""
        check_is_fitted(self)
        return np.array([f"embedding{number}" for number in range(self._width)], dtype=object)
