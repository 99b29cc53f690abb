"""Predictions of small DMMRL networks, stored in dmmrl.json, must stay what they are.

Equal numbers mean that features, networks and the names of their weights still agree with stored
models. Where a change is meant to alter them, raise the version of the modality or the format
version of `methods.checkpoint`, then run

    PYTHONPATH=tests/support python tests/reference/test_dmmrl.py

which takes the molecules and coordinates from dmmrl.json and writes the numbers anew. The weights
are drawn by NumPy from the name of each tensor, so nothing hangs on torch's initialisation; the
stored numbers were computed in float64. The coordinates came from `embed_conformer` with the
default settings, rounded to 1e-4 angstrom; one molecule has none.
"""

import dataclasses
import json
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TASKS, batch_of, molecule, tiny_config, tiny_model

from molweave.chem.conformers import Conformer
from molweave.data.batch import Batch
from molweave.methods.property_model import PropertyModel
from molweave.modalities import MODALITIES

PATH = Path(__file__).with_name("dmmrl.json")
STORED = json.loads(PATH.read_text(encoding="utf-8"))


def build(config: dict[str, Any]) -> PropertyModel:
    """A network in float64 whose weights are a function of their names and shapes."""
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in config.items()}
    model = tiny_model(tiny_config(**values)).double()
    with torch.no_grad():
        for name, value in model.named_parameters():
            generator = np.random.RandomState(zlib.crc32(name.encode()))
            bound = math.sqrt(3 / value[0].numel()) if value.ndim > 1 else 0.1
            drawn = generator.uniform(-bound, bound, size=tuple(value.shape))
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            value.copy_(torch.from_numpy(centre + drawn))
    return model


def stored_batch() -> Batch:
    samples = []
    for entry in STORED["molecules"]:
        mine = molecule(entry["canonical"])
        assert mine.canonical == entry["canonical"]
        placed = Conformer.failed("none stored")
        if entry["coordinates"] is not None:
            placed = Conformer(np.array(entry["coordinates"], dtype=np.float32), "input")
        samples.append({name: kind().featurize(mine, placed) for name, kind in MODALITIES.items()})
    return batch_of(samples)


def double(batch: Batch) -> Batch:
    parts = {}
    for name, part in batch.parts.items():
        values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
        wide = {
            field: value.double()
            for field, value in values.items()
            if isinstance(value, torch.Tensor) and value.is_floating_point()
        }
        parts[name] = dataclasses.replace(part, **wide)
    return dataclasses.replace(batch, parts=parts)


def predict(model: PropertyModel, batch: Batch) -> dict[str, Any]:
    found = model.predict(batch)
    columns = {
        "predictions": found.values,
        "embedding": found.encoding.embedding,
        "weights": found.encoding.weights,
    }
    return {name: np.round(value.numpy().astype(float), 9) for name, value in columns.items()}


@pytest.mark.parametrize("name", STORED["models"])
def test_float64(name: str) -> None:
    stored = STORED["models"][name]
    found = predict(build(stored["config"]), double(stored_batch()))
    for column, values in found.items():
        np.testing.assert_allclose(values, stored[column], atol=1e-5, rtol=0, err_msg=column)


@pytest.mark.parametrize("name", STORED["models"])
def test_float32(name: str) -> None:
    stored = STORED["models"][name]
    found = predict(build(stored["config"]).float(), stored_batch())
    for column, values in found.items():
        np.testing.assert_allclose(values, stored[column], atol=1e-5, rtol=1e-5, err_msg=column)


@pytest.mark.parametrize("name", STORED["models"])
def test_the_stored_numbers_tell_molecules_and_tasks_apart(name: str) -> None:
    values = np.array(STORED["models"][name]["predictions"])
    assert values.shape == (len(STORED["molecules"]), len(TASKS))
    assert (values.std(0) > 5e-3).all()
    weights = np.array(STORED["models"][name]["weights"])
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    missing = [entry["coordinates"] is None for entry in STORED["molecules"]]
    assert (weights[:, 2] == 0).tolist() == missing


def regenerate() -> None:
    """Write the numbers of today's code into dmmrl.json."""
    batch = double(stored_batch())
    for stored in STORED["models"].values():
        found = predict(build(stored["config"]), batch)
        stored.update({name: values.tolist() for name, values in found.items()})
    text = json.dumps(STORED, indent=1)
    rows = re.sub(r"\[[-+.\de,\s]+\]", lambda row: "".join(row[0].split()), text)
    PATH.write_text(rows + "\n", encoding="utf-8")


if __name__ == "__main__":
    regenerate()
