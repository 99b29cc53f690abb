"""Fitted models that are named on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from molweave.errors import UserError

if TYPE_CHECKING:
    from molweave.predictor import Predictor


def load_model(place: str, **where: Any) -> "Predictor":
    """Load a model folder.

    Args:
        place: the folder.
        where: device and workers.

    Raises:
        UserError: no model folder; says so where it is the name of an encoder that ships.
    """
    from molweave.methods.pretrained import shipped_encoders
    from molweave.methods.spec import KINDS
    from molweave.predictor import Predictor

    if not Path(place).exists() and place in shipped_encoders():
        found, use = KINDS["encoder"]
        raise UserError(f"{place} is {found} that ships, not {KINDS['model'][0]}; {use}")
    return Predictor.load(place, **where)
