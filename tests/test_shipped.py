"""The encoders that come with the package: found by name, small, documented, and of use."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import molweave as mw
from molweave.methods.pretrained import SHIPPED

NAMES = sorted(path.name for path in SHIPPED.iterdir() if path.is_dir())
MOST_BYTES = 15e6
BENCHMARKS = {"bbbp", "bace", "clintox", "sider", "tox21", "esol", "freesolv", "lipo"}


def test_an_encoder_of_each_method_that_pre_training_helps_ships() -> None:
    assert {"moleblend-small", "mmsa-small"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_folder_is_small_and_says_where_it_comes_from(name: str) -> None:
    folder = SHIPPED / name
    assert sum(path.stat().st_size for path in folder.rglob("*")) < MOST_BYTES
    tensors = load_file(folder / "model.safetensors")
    assert {value.dtype for value in tensors.values() if value.is_floating_point()} == {
        torch.float16
    }
    record = json.loads((folder / "config.json").read_text(encoding="utf-8"))["record"]
    assert {file.split(".")[0] for file in record["corpus"]["excluded"]} >= BENCHMARKS
    assert record["corpus"]["train"] >= 50_000
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{record['corpus']['train']:,} molecules to train on" in card
    assert "molecules/s" in card


@pytest.mark.parametrize("name", NAMES)
def test_vectors_tell_molecules_apart(name: str) -> None:
    """Toluene is more like ethylbenzene than like glucose or lysine."""
    encoder = mw.Encoder.from_pretrained(name, device="cpu")
    smiles = ["Cc1ccccc1", "CCc1ccccc1", "OCC1OC(O)C(O)C(O)C1O", "NCCCCC(N)C(=O)O", "C1CC"]
    vectors = encoder.embed(smiles)
    assert vectors.dtype == np.float32
    assert np.isnan(vectors[4]).all()
    unit = vectors[:4] / np.linalg.norm(vectors[:4], axis=1, keepdims=True)
    nearest = unit @ unit.T - 2 * np.eye(4)
    assert nearest[0].argmax() == 1
    assert nearest[1].argmax() == 0
