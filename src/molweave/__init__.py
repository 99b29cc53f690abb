"""molweave: molecular property models that look at a molecule in several ways at once.

`Predictor` fits, predicts, embeds, evaluates, saves and loads; `pretrain` makes encoders from
unlabelled molecules, and `Encoder` embeds with one. `MolweaveClassifier`, `MolweaveRegressor` and
`MolweaveEmbedder` wrap them for scikit-learn. Importing the package is cheap: each of them is
loaded when it is first used.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from molweave.errors import UserError

if TYPE_CHECKING:
    from molweave.encoder import Encoder
    from molweave.predictor import Predictor
    from molweave.pretraining import pretrain
    from molweave.sklearn import MolweaveClassifier, MolweaveEmbedder, MolweaveRegressor

__all__ = [
    "Encoder",
    "MolweaveClassifier",
    "MolweaveEmbedder",
    "MolweaveRegressor",
    "Predictor",
    "UserError",
    "__version__",
    "pretrain",
]

__version__ = version("molweave")

_HOMES = {
    "Encoder": "molweave.encoder",
    "Predictor": "molweave.predictor",
    "pretrain": "molweave.pretraining",
    "MolweaveClassifier": "molweave.sklearn",
    "MolweaveEmbedder": "molweave.sklearn",
    "MolweaveRegressor": "molweave.sklearn",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, those not loaded yet too."""
    return sorted({*globals(), *_HOMES})
