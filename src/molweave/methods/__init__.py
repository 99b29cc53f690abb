"""The published methods."""

from dataclasses import dataclass
from typing import Any

from molweave.methods.base import Method
from molweave.methods.dmmrl import DMMRL
from molweave.methods.dmmrl_config import DMMRL_PRESETS, DMMRLConfig


@dataclass(frozen=True)
class MethodEntry:
    """A method, its configuration class, its named presets, and the paper to cite."""

    method: type[Method]
    config: type[Any]
    presets: dict[str, Any]
    citation: str


METHODS: dict[str, MethodEntry] = {
    "dmmrl": MethodEntry(
        DMMRL,
        DMMRLConfig,
        dict(DMMRL_PRESETS),
        "DMMRL: Disentangled Multi-Modal Representation Learning via Variational Autoencoders for "
        "Molecular Property Prediction. arXiv, 2026.",
    ),
}
