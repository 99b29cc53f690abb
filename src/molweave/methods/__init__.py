"""The published methods."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from molweave.methods.base import Method
from molweave.methods.dmmrl import DMMRL
from molweave.methods.dmmrl_config import DMMRL_PRESETS, DMMRLConfig
from molweave.methods.dmmrl_config import TERMS as DMMRL_TERMS
from molweave.methods.mmsa import MMSA
from molweave.methods.mmsa_config import MMSA_PRESETS, MMSAConfig, finetuned
from molweave.methods.moleblend import MoleBLEND
from molweave.methods.moleblend_config import MOLEBLEND_PRESETS, MoleBLENDConfig


def _as_it_is(_: Mapping[str, object]) -> Mapping[str, object]:
    """No change."""
    return {}


@dataclass(frozen=True)
class MethodEntry:
    """A method and what there is to know of it.

    Attributes:
        method: its class.
        config: its configuration class.
        presets: named configurations.
        citation: the paper to cite.
        pretraining: fields of the configuration that pre-training sets.
        finetuning: from the fields of a pre-trained encoder to those that its use sets.
        learnt: flags that switch on what only pre-training teaches.
        unfrozen: fields that are about the training of the encoder alone.
        labelled: fields that choose what labels alone teach.
    """

    method: type[Method]
    config: type[Any]
    presets: dict[str, Any]
    citation: str
    pretraining: Mapping[str, object] = field(default_factory=dict)
    finetuning: Callable[[Mapping[str, object]], Mapping[str, object]] = _as_it_is
    learnt: tuple[str, ...] = ()
    unfrozen: tuple[str, ...] = ("encoder_dropout",)
    labelled: tuple[str, ...] = ()


METHODS: dict[str, MethodEntry] = {
    "dmmrl": MethodEntry(
        DMMRL,
        DMMRLConfig,
        dict(DMMRL_PRESETS),
        "DMMRL: Disentangled Multi-Modal Representation Learning via Variational Autoencoders for "
        "Molecular Property Prediction. arXiv, 2026.",
        pretraining={"fusion": "mean"},
        labelled=("fusion",),
        unfrozen=(
            *("encoder_dropout", "pair_rate", "modality_dropout", "orthogonality"),
            *("temperature", "ramp"),
            *DMMRL_TERMS,
        ),
    ),
    "mmsa": MethodEntry(
        MMSA,
        MMSAConfig,
        dict(MMSA_PRESETS),
        "Multi-Modal Molecular Representation Learning via Structure Awareness. IEEE Transactions "
        "on Image Processing, 2025. arXiv:2505.05877.",
        pretraining={"protocol": "pretrain", "encoder_dropout": 0.0},
        finetuning=finetuned,
        learnt=("read_memory",),
    ),
    "moleblend": MethodEntry(
        MoleBLEND,
        MoleBLENDConfig,
        dict(MOLEBLEND_PRESETS),
        "MoleBLEND: Multimodal Molecular Pretraining via Modality Blending. ICLR, 2024. "
        "arXiv:2307.06235.",
        pretraining={"views": "blend"},
        finetuning=lambda _: {"views": "2d"},
        unfrozen=("encoder_dropout", "drop_path"),
    ),
}
