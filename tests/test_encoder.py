"""The facade of a pre-trained encoder."""

import json
import shutil

import jaxtyping
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from encoders import tiny_encoder, write_tiny
from fits import fitted, untrained
from tiny import DRUGLIKE, batch_of, sample

from molweave import Encoder, Predictor, UserError
from molweave.chem.conformers import Conformer
from molweave.data import dataset
from molweave.methods import pretrained

MIXED = [*DRUGLIKE[:3], "C1CC", "", *DRUGLIKE[3:], "[Na+].[Cl-]", "C"]
BAD = [3, 4]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module")
def encoder(folder):
    return Encoder.from_pretrained(folder, device="cpu", workers=1)


def alone(smiles: str, **changes) -> np.ndarray:
    """The network by hand, on one molecule."""
    network = tiny_encoder().build(changes)
    with torch.no_grad():
        return network.encode(batch_of([sample(smiles)])).embedding[0].numpy()


def test_vectors_are_those_of_every_molecule_alone(encoder):
    found = encoder.embed(MIXED)
    assert (found.dtype, found.shape) == (np.float32, (len(MIXED), 16))
    assert np.flatnonzero(np.isnan(found).all(1)).tolist() == BAD
    for index, smiles in enumerate(MIXED):
        if index not in BAD:
            np.testing.assert_allclose(found[index], alone(smiles), atol=1e-5)


def test_2d_asks_for_no_conformer(encoder, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a conformer was asked for")

    monkeypatch.setattr(dataset, "load_conformers", refuse)
    assert np.isfinite(encoder.embed(["CCO"])).all()


@pytest.mark.parametrize("views", ["3d", "both"])
def test_other_views_read_conformers(folder, monkeypatch, views):
    points = {}

    def place(wanted, settings, **_):
        assert settings == tiny_encoder().spec.conformers
        for text in wanted:
            size = sample(text)["relations"].atoms.shape[0]
            rng = np.random.default_rng(len(points))
            points[text] = Conformer(rng.normal(size=(size, 3)).astype(np.float32) * 2, "rdkit")
        return points

    monkeypatch.setattr(dataset, "load_conformers", place)
    spatial = Encoder.from_pretrained(folder, device="cpu", workers=1, views=views)
    found = spatial.embed(["CCO", "CCN"])
    assert set(points) == {"CCO", "CCN"}
    assert spatial.info()["method_config"]["views"] == views
    assert not np.allclose(found[0], alone("CCO"), atol=1e-3)


def test_a_list_a_frame_and_a_file_give_the_same(encoder, tmp_path):
    expected = encoder.embed(MIXED)
    frame = pd.DataFrame({"id": range(len(MIXED)), "structure": MIXED})
    frame.to_csv(tmp_path / "in.csv", index=False)
    np.testing.assert_array_equal(encoder.embed(frame), expected)
    np.testing.assert_array_equal(encoder.embed(tmp_path / "in.csv"), expected)
    np.testing.assert_array_equal(encoder.embed(frame, smiles_column="structure"), expected)
    assert encoder.embed([]).shape == (0, 16)


def test_a_file_of_vectors(encoder, tmp_path):
    out = tmp_path / "vectors.parquet"
    summary = encoder.embed_file(MIXED, out)
    assert (summary.rows, summary.predicted) == (len(MIXED), len(MIXED) - 2)
    table = pyarrow.parquet.read_table(out)
    kept = [index for index in range(len(MIXED)) if index not in BAD]
    column = table.column("embedding").to_pylist()
    assert [column[index] for index in BAD] == [None, None]
    np.testing.assert_array_equal(
        np.array([column[index] for index in kept], dtype=np.float32), encoder.embed(MIXED)[kept]
    )
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert (metadata["method"], metadata["preset"]) == ("moleblend", "small")
    assert json.loads(metadata["settings"])["views"] == "2d"


def test_any_method_will_do(tmp_path):
    place = write_tiny(tmp_path / "e", method="dmmrl", modalities=("sequence", "graph"))
    found = Encoder.from_pretrained(place, device="cpu", workers=1).embed(["CCO", "x"])
    assert np.isnan(found).all(1).tolist() == [False, True]


def test_info(encoder):
    info = encoder.info()
    assert (info["kind"], info["method"], info["embedding_dim"]) == ("encoder", "moleblend", 16)
    assert list(info["modality_versions"]) == ["relations"]
    assert info["record"] == tiny_encoder().spec.record
    assert info["sha256"] == tiny_encoder().sha256
    network = tiny_encoder().build({})
    assert info["parameters"] == sum(value.numel() for value in network.parameters())
    json.dumps(info)


def test_shipped_encoders_are_found_by_name(folder, tmp_path, monkeypatch):
    shutil.copytree(folder, tmp_path / "shipped" / "tiny-2d")
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    assert Encoder.from_pretrained("tiny-2d", device="cpu").embed(["CCO"]).shape == (1, 16)
    with pytest.raises(UserError, match=r"nope is neither .* shipped: tiny-2d"):
        Encoder.from_pretrained("nope")


def test_how_it_shows_itself(encoder, folder):
    assert repr(encoder) == "<Encoder: moleblend, preset small, 16 dimensions, from relations>"
    spatial = Encoder.from_pretrained(folder, device="cpu", workers=1, views="3d")
    assert repr(spatial) == (
        "<Encoder: moleblend, preset small, views=3d, 16 dimensions, from relations, geometry>"
    )


@pytest.mark.parametrize("given", [3, None, {"smiles": "CCO"}])
def test_what_is_no_data_is_told(encoder, given, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # users have no type checker
    with pytest.raises(UserError, match="put a single molecule into a list"):
        encoder.embed(given)


def test_what_is_no_encoder(folder, tmp_path):
    untrained(tmp_path / "model")
    with pytest.raises(UserError, match="is a fitted model, not a pre-trained encoder"):
        Encoder.from_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match="is a pre-trained encoder, not a fitted model"):
        Predictor.load(folder)
    with pytest.raises(UserError, match="not an encoder folder"):
        Encoder.from_pretrained(tmp_path)
    with pytest.raises(UserError, match="did you mean 'views'"):
        Encoder.from_pretrained(folder, veiws="3d")
    with pytest.raises(UserError, match="no device 'tpu'"):
        Encoder.from_pretrained(folder, device="tpu")


def test_a_model_embeds_as_before():
    assert fitted().embed(["CCO"]).shape == (1, fitted().runner.embedding_dim)
