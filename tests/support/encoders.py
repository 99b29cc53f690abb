"""Small pre-trained encoders, with random weights."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tiny import tiny_config

from molweave.chem.conformers import ConformerSettings
from molweave.chem.standardize import Standardizer
from molweave.data.dataset import make_modalities
from molweave.methods import METHODS
from molweave.methods.config import to_plain
from molweave.methods.pretrained import EncoderSpec, PretrainedEncoder, write_encoder

PRESETS = {"moleblend": "small", "dmmrl": "paper", "mmsa": "small"}


@cache
def tiny_encoder(method: str = "moleblend", **changes: Any) -> PretrainedEncoder:
    """As after a pre-training of no steps; the weights are far from those of a fresh network."""
    entry = METHODS[method]
    config = tiny_config(method, PRESETS[method], **{**entry.pretraining, **changes})
    torch.manual_seed(7)
    network = entry.method(config)
    spec = EncoderSpec(
        method=method,
        preset=PRESETS[method],
        method_config=to_plain(config),
        standardizer=Standardizer().version,
        conformers=ConformerSettings(force_field="none", max_atoms=40),
        coordinates="input",
        modality_versions={item.name: item.version for item in make_modalities(config.modalities)},
        record={"corpus": {"name": "tiny", "molecules": 3}},
    )
    return PretrainedEncoder(spec, dict(network.state_dict()))


def write_tiny(folder: Path, *, half: bool = False, record: Any = None, **changes: Any) -> Path:
    """`tiny_encoder` as a folder."""
    encoder = tiny_encoder(**changes)
    spec = encoder.spec if record is None else replace(encoder.spec, record=record)
    folder.mkdir(parents=True)
    write_encoder(spec, encoder.tensors, folder, half=half)
    return folder
