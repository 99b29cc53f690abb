"""The published methods."""

from dataclasses import dataclass
from typing import Any

from molweave.methods.base import Method
from molweave.methods.dmmrl import DMMRL
from molweave.methods.dmmrl_config import DMMRL_PRESETS, DMMRLConfig
from molweave.methods.moleblend import MoleBLEND
from molweave.methods.moleblend_config import MOLEBLEND_PRESETS, MoleBLENDConfig


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
    "moleblend": MethodEntry(
        MoleBLEND,
        MoleBLENDConfig,
        dict(MOLEBLEND_PRESETS),
        "MoleBLEND: Multimodal Molecular Pretraining via Modality Blending. ICLR, 2024. "
        "arXiv:2307.06235.",
    ),
}
