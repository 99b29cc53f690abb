"""A small table of molecules and models that are fitted on it in a moment."""

from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch

from molweave import Predictor
from molweave.chem.conformers import ConformerSettings
from molweave.chem.standardize import Standardizer
from molweave.data.dataset import make_modalities
from molweave.data.targets import Task
from molweave.methods.checkpoint import FittedModel, ModelSpec, build_member, write_model
from molweave.methods.config import to_plain
from molweave.methods.dmmrl_config import DMMRLConfig
from molweave.training import finetune

ROWS = (
    *(("C" * length + "O", 1) for length in range(1, 14)),
    *(("C" * length + "N", 0) for length in range(1, 14)),
    *(("c1ccccc1" + "C" * length + "O", 1) for length in range(1, 8)),
    *(("c1ccncc1" + "C" * length + "N", 0) for length in range(1, 8)),
)
"""40 alcohols (1) and amines (0)."""

TINY = MappingProxyType(
    {
        "width": 16,
        "hidden": 16,
        "shared": 8,
        "private": 8,
        "heads": 2,
    }
)
"""What makes DMMRL small, whatever its views."""

_OF_ENCODERS = {
    "recurrent_layers": 1,
    "attention_layers": 1,
    "feed_forward": 16,
    "rounds": 2,
    "geometry_layers": 1,
}

SPLIT = "random:60/20/20"
"""Gives both classes of `ROWS` to every part."""

OPTIONS = MappingProxyType(
    {
        "modalities": ("graph",),
        "method_options": dict(TINY),
        "training": {"epochs": 2, "batch_size": 16},
        "device": "cpu",
        "workers": 1,
    }
)
"""Options of a `Predictor` that fits in a moment; `Predictor.fit` takes the split."""

FLAGS = (
    f"--modalities graph --split {SPLIT} --train batch_size=16 --device cpu --workers 1 "
    + " ".join(f"--set {name}={value}" for name, value in TINY.items())
).split()
"""The same for the command line, without the number of epochs."""


def frame() -> pd.DataFrame:
    """`ROWS` with columns ``name``, ``smiles``, ``alcohol`` (class) and ``carbons`` (number)."""
    smiles, alcohol = zip(*ROWS, strict=True)
    return pd.DataFrame(
        {
            "name": [f"m{number}" for number in range(len(ROWS))],
            "smiles": smiles,
            "alcohol": alcohol,
            "carbons": [float(text.upper().count("C")) for text in smiles],
        }
    )


def write_table(path: Path) -> Path:
    """`frame` as a CSV file."""
    frame().to_csv(path, index=False)
    return path


def options(**changes: Any) -> dict[str, Any]:
    """`OPTIONS` with changes; ``training`` is merged."""
    training = {**OPTIONS["training"], **changes.pop("training", {})}
    return {**OPTIONS, "training": training, **changes}


@cache
def fitted(*targets: str, ensemble: int = 1, modalities: tuple[str, ...] = ("graph",)) -> Predictor:
    """A model in memory, fitted once for all tests, which must not change it."""
    names = targets or ("alcohol", "carbons")
    model = Predictor(**options(ensemble=ensemble, modalities=modalities, conformers="none"))
    return model.fit(frame(), names, split=SPLIT)


def weights(model: Predictor | FittedModel) -> dict[str, np.ndarray]:
    """Every weight of every member."""
    fitted = model.model if isinstance(model, Predictor) else model
    return {
        f"{number}.{name}": value.cpu().numpy()
        for number, member in enumerate(fitted.members)
        for name, value in member.state_dict().items()
    }


def same_weights(first: Predictor | FittedModel, second: Predictor | FittedModel) -> bool:
    """Whether two models are equal bit for bit."""
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(
        np.array_equal(value, other[name]) for name, value in one.items()
    )


TASKS = (Task("active", "classification"), Task("logp", "regression", mean=2.0, scale=1.5))


def untrained(
    folder: Path,
    *,
    modalities: tuple[str, ...] = ("graph",),
    members: int = 1,
    coordinates: str = "none",
    tasks: tuple[Task, ...] = TASKS,
) -> Predictor:
    """A model with random weights, written to ``folder`` without a report and loaded from there."""
    config = replace(DMMRLConfig(), modalities=modalities, **{**TINY, **_OF_ENCODERS, "shared": 32})
    spec = ModelSpec(
        method="dmmrl",
        preset="paper",
        method_config=to_plain(config),
        tasks=tasks,
        standardizer=Standardizer().version,
        conformers=ConformerSettings(force_field="none", max_atoms=40),
        coordinates=coordinates,
        modality_versions={item.name: item.version for item in make_modalities(modalities)},
        members=members,
        record={"data": {"sha256": "5" * 64}},
    )
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    write_model(FittedModel(spec, tuple(build_member(spec) for _ in range(members))), folder)
    return Predictor.load(folder, device="cpu", workers=1)


def fake_clock(monkeypatch, seconds: float, loop: ModuleType = finetune) -> None:
    """Every look of a training loop at the clock takes this long."""
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks) * seconds)
    monkeypatch.setattr(loop, "time", clock)
