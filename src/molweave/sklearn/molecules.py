"""What all estimators share: reading ``X``, running a model over it, storing the model."""

import tempfile
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from molweave.chem.read import table_from_smiles
from molweave.encoder import Encoder
from molweave.errors import UserError
from molweave.inference.stream import Row
from molweave.methods.checkpoint import write_model
from molweave.methods.pretrained import read_encoder, write_encoder
from molweave.predictor import Predictor
from molweave.wording import counted

ON_INVALID = ("raise", "nan")


class InvalidMoleculesError(UserError, ValueError):
    """Molecules that cannot be used, where ``on_invalid`` is ``raise``."""


class MoleculeEstimator(BaseEstimator):  # type: ignore[misc]
    """Reads ``X`` and runs a model over it; a stored model is safetensors and JSON.

    Attributes:
        on_invalid: ``raise`` or ``nan``, a parameter of every estimator.
    """

    on_invalid: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.input_tags.allow_nan = self.on_invalid == "nan"
        return tags

    def _molecules(self, X: Any, *, reset: bool) -> list[object]:
        """The molecules of ``X``; with ``reset`` remembers the name of a DataFrame's column."""
        if self.on_invalid not in ON_INVALID:
            raise ValueError(
                f"on_invalid must be one of {', '.join(ON_INVALID)}; found {self.on_invalid!r}"
            )
        molecules = one_column(X)
        validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=False)
        if reset:
            self.n_features_in_ = 1
        return molecules

    def _rows(self, predictor: Predictor | Encoder, molecules: Sequence[object]) -> list[Row]:
        """What the model says of every molecule, in order.

        Raises:
            InvalidMoleculesError: some cannot be used and ``on_invalid`` is ``raise``.
        """
        rows = list(predictor.runner.rows(table_from_smiles(molecules)))
        if self.on_invalid == "raise":
            refuse({row.record.row: row.error for row in rows if row.error})
        return rows

    def __getstate__(self) -> dict[str, Any]:
        return {name: _pack(value) for name, value in super().__getstate__().items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__({name: _unpack(value) for name, value in state.items()})


def one_column(X: Any) -> list[object]:
    """The items of a sequence, or of the one column of a table.

    Raises:
        ValueError: it is empty, one text, or has several columns.
        TypeError: a sparse matrix.
    """
    if hasattr(X, "toarray"):
        raise TypeError("a sparse matrix holds no molecules; pass a list of SMILES")
    unordered = isinstance(X, str | bytes | Mapping | Set)
    if unordered or not hasattr(X, "__len__") or getattr(X, "ndim", 1) == 0:
        raise ValueError(f"expected a sequence of molecules, found {X!r}")
    if hasattr(X, "columns"):
        X = X.to_numpy(dtype=object)
    items: list[object] = list(X)
    if not items:
        raise ValueError("found 0 molecules; at least 1 is required")
    widths = {len(item) for item in items if isinstance(item, list | tuple | np.ndarray)}
    if widths - {1}:
        raise ValueError(
            f"X has {max(widths)} features, but one column of molecules is expected as input"
        )
    return [item[0] if isinstance(item, list | tuple | np.ndarray) else item for item in items]


def refuse(errors: Mapping[int, str]) -> None:
    """Raise an `InvalidMoleculesError` where there is any error, row number to reason."""
    if errors:
        row, reason = next(iter(errors.items()))
        raise InvalidMoleculesError(
            f"{counted(len(errors), 'molecule')} of X cannot be used, first row {row}: {reason}; "
            "mend them or use on_invalid='nan'"
        )


@dataclass(frozen=True)
class PackedModel:
    """A fitted model or an encoder as the bytes of its folder.

    Attributes:
        files: file name to content.
        device: where it is to run again.
        workers: worker processes.
        changes: of an encoder's configuration; None for a fitted model.
    """

    files: dict[str, bytes]
    device: str
    workers: int
    changes: dict[str, object] | None


def _pack(value: Any) -> Any:
    if not isinstance(value, Predictor | Encoder):
        return value
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if isinstance(value, Predictor):
            write_model(value.model, folder)
        else:
            write_encoder(value.pretrained.spec, value.pretrained.tensors, folder, half=False)
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
    if isinstance(value, Encoder):
        return PackedModel(files, value.device, value.workers, value.changes)
    return PackedModel(files, value.options["device"], value.options["workers"], None)


def _unpack(value: Any) -> Any:
    if not isinstance(value, PackedModel):
        return value
    with tempfile.TemporaryDirectory() as place:
        for name, content in value.files.items():
            (Path(place) / name).write_bytes(content)
        where: dict[str, Any] = {"device": value.device, "workers": value.workers}
        if value.changes is None:
            return Predictor.load(place, **where)
        return Encoder(read_encoder(Path(place)), value.changes, **where)
