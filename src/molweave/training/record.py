"""What a fitted model says of itself: how it was made, from what, and which run it was."""

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from molweave.chem.diagnose import count_reason
from molweave.chem.standardize import Standardizer
from molweave.data.dataset import Dataset, Featurizer
from molweave.data.splits import Split
from molweave.data.targets import Task
from molweave.methods.checkpoint import ModelSpec
from molweave.methods.config import to_plain
from molweave.methods.pretrained import PretrainedEncoder
from molweave.training.finetune import choose_precision, make_fabric
from molweave.training.options import FitOptions
from molweave.training.table import TrainingTable
from molweave.version import versions

_UNNAMED = {"standard input": "-", "DataFrame": "data.csv"}
"""What stands in a command for data that are no file."""


def make_spec(
    options: FitOptions,
    tasks: tuple[Task, ...],
    data: TrainingTable,
    split: Split,
    dataset: Dataset,
    encoder: PretrainedEncoder | None,
) -> ModelSpec:
    """The specification of the model, with the record of where it comes from."""
    fabric = make_fabric(options.device, options.train_config.precision)
    on_gpu = fabric.device.type == "cuda"
    return ModelSpec(
        method=options.method,
        preset=options.preset,
        method_config=to_plain(options.method_config),
        tasks=tasks,
        standardizer=Standardizer(options.standardize).version,
        conformers=Featurizer(modalities=()).settings,
        coordinates=options.conformers,
        modality_versions={modality.name: modality.version for modality in dataset.modalities},
        members=options.ensemble,
        record={
            "data": {
                "name": Path(data.name).name,
                "rows": data.rows,
                "molecules": len(data.molecules),
                "sha256": data.sha256,
                "coordinates_sha256": (
                    data.coordinates_sha256 if options.conformers == "input" else None
                ),
                "rejected": _reasons(data),
            },
            "split": {
                "kind": split.kind,
                "seed": split.seed,
                "sha256": split.sha256,
                "sizes": {name: len(part) for name, part in split.parts.items()},
                "notes": list(split.notes),
            },
            "pretrained": _origin(options, encoder),
            "training": to_plain(options.train_config),
            "seed": options.seed,
            "command": options.command(
                _UNNAMED.get(data.name, Path(data.name).name),
                [task.name for task in tasks],
                data.smiles_column,
            ),
            "threads": torch.get_num_threads(),
            "device": fabric.device.type,
            "precision": choose_precision(options.train_config.precision, on_gpu=on_gpu),
            "versions": versions(),
            "date": time.strftime("%Y-%m-%d"),
        },
    )


def _reasons(data: TrainingTable) -> dict[str, int]:
    """Why rows were rejected, and how many each."""
    counts: Counter[str] = Counter()
    for item in data.rejected:
        count_reason(counts, str(item))
    return dict(counts)


def _origin(options: FitOptions, encoder: PretrainedEncoder | None) -> dict[str, object] | None:
    """Which encoder the weights started from."""
    if encoder is None or options.pretrained is None:
        return None
    name = Path(options.pretrained).name
    return {"name": name, "sha256": encoder.sha256, "frozen": options.freeze}


def identity(spec: ModelSpec, seed: int) -> dict[str, Any]:
    """What must not change between a run and its resumption, by name; plain values.

    That is what it learns, from which data, how, and with which seed.
    """
    plain = replace(spec, record={}).to_json()
    record, origin = spec.record, spec.record["pretrained"] or {}
    named = {
        "seed": seed,
        "data.sha256": record["data"]["sha256"],
        "data.coordinates_sha256": record["data"]["coordinates_sha256"],
        "split.sha256": record["split"]["sha256"],
        "pretrained.sha256": origin.get("sha256"),
        "pretrained.frozen": origin.get("frozen"),
        **{f"method.{name}": value for name, value in plain.pop("method_config").items()},
        **{f"training.{name}": value for name, value in record["training"].items()},
        "training.max_minutes": None,
        **plain,
    }
    return dict(json.loads(json.dumps(named)))
