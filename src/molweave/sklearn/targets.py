"""Reading ``y``: labels and numbers of one task or several, any of them missing."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from molweave.chem.read import table_from_smiles
from molweave.chem.read_parquet import is_missing
from molweave.chem.table import Record, Table
from molweave.wording import counted


class LabelledMolecules(Table):
    """Molecules with the values to learn.

    Args:
        molecules: SMILES or RDKit molecules.
        values: float (n, T), NaN where missing.
        names: of the T tasks.
    """

    name = "X"
    smiles_column = "smiles"

    def __init__(
        self, molecules: Sequence[object], values: np.ndarray, names: Sequence[str]
    ) -> None:
        self._molecules = table_from_smiles(molecules)
        self._values = values.tolist()
        self.columns = (self.smiles_column, *names)

    def __iter__(self) -> Iterator[Record]:
        for record, values in zip(self._molecules, self._values, strict=True):
            yield Record(
                record.row, (record.smiles, *values), record.smiles, record.mol, record.problem
            )


def target_columns(y: Any) -> tuple[np.ndarray, list[str]]:
    """``y`` as objects (n, T), and the names of its columns: ``y`` or ``y0``, ``y1``, ....

    Raises:
        ValueError: it is None or has another shape than (n,) or (n, T).
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    labels = np.asarray(y, dtype=object)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = column_or_1d(labels, warn=True)
    if labels.ndim not in (1, 2) or 0 in labels.shape:
        raise ValueError(f"y should be of shape (n,) or (n, tasks), found {labels.shape}")
    own = getattr(y, "columns", [getattr(y, "name", None)])
    labels = labels.reshape(len(labels), -1)
    names = [name for name in own if isinstance(name, str) and name != "smiles"]
    if len(names) != labels.shape[1]:
        names = [f"y{number}" for number in range(labels.shape[1])]
    return labels, ["y"] if names == ["y0"] else names


def numbers(labels: np.ndarray) -> np.ndarray:
    """Labels (n, T) as float64, NaN where missing.

    Raises:
        ValueError: one is not a number, or infinite.
    """
    values = np.where(missing(labels), np.nan, labels).astype(np.float64)
    if np.isinf(values).any():
        raise ValueError("y contains infinity; a missing label is NaN")
    return values


def two_classes(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two classes of labels (n, 1), sorted, and the labels as 0, 1 or NaN, float64 (n, 1).

    Raises:
        ValueError: there are more or fewer than two, or they are numbers with fractions.
    """
    known = ~missing(labels)
    given = plain(labels[known])
    if given.dtype.kind == "f" and np.isinf(given).any():
        raise ValueError("y contains infinity; a missing label is NaN")
    check_classification_targets(given)
    classes = np.unique(given)
    if len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported. The type of the target is multiclass: "
            f"{counted(len(classes), 'label')}"
        )
    if len(classes) < 2:
        raise ValueError(f"labels of more than one class are needed, found {classes.tolist()}")
    values = np.full(labels.shape, np.nan)
    values[known] = np.searchsorted(classes, given)
    return classes, values


def missing(labels: np.ndarray) -> np.ndarray:
    """True where a label is None, NaN (which is what differs from itself) or the NA of pandas."""
    found = [item is None or is_missing(item) or item != item for item in labels.ravel().tolist()]
    return np.array(found, dtype=bool).reshape(labels.shape)


def plain(labels: np.ndarray) -> np.ndarray:
    """An array of objects with the type of its items."""
    return np.array(labels.tolist())
