"""Fits in which a view of a method starts from a pre-trained encoder of another method."""

from pathlib import Path

import numpy as np
import pytest
from encoders import tiny_encoder, write_tiny
from fits import SPLIT, TINY, frame, same_weights, weights

from molweave import Predictor, UserError
from molweave.training.options import FitOptions

STILL = {"learning_rate": 1e-12, "weight_decay": 0.0, "average": 0.0}
PREFIX = "0.method.encoders.relations.encoder."


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(write_tiny(tmp_path_factory.mktemp("encoder") / "tiny", half=False))


def fit(encoder: str | None, **training) -> Predictor:
    model = Predictor(
        method="dmmrl",
        preset="relational",
        pretrained=encoder,
        method_options={**TINY, "rounds": 1},
        training={"epochs": 2, "batch_size": 16, **training},
        device="cpu",
        workers=1,
    )
    return model.fit(frame(), "alcohol", split=SPLIT)


def borrowed(model: Predictor) -> dict[str, np.ndarray]:
    found = weights(model.model)
    return {
        name.removeprefix(PREFIX): value for name, value in found.items() if name.startswith(PREFIX)
    }


def test_the_view_starts_from_the_encoder_and_all_of_it_moves(encoder, tmp_path):
    stored = {
        name.removeprefix("encoder."): value.numpy()
        for name, value in tiny_encoder().tensors.items()
    }
    still = borrowed(fit(encoder, **STILL))
    assert len(still) > 20
    for name, value in still.items():
        np.testing.assert_allclose(value, stored[name], atol=1e-7)
    model = fit(encoder)
    moved = borrowed(model)
    same = {name for name in still if np.array_equal(moved[name], still[name])}
    assert same <= {"paths.edge.table.weight"}
    model.save(tmp_path / "m")
    again = Predictor.load(tmp_path / "m")
    assert same_weights(model, again)
    record = again.info()["record"]
    assert record["pretrained"]["name"] == Path(encoder).name
    assert "--from tiny --method dmmrl --preset relational" in record["command"]
    smiles = frame()["smiles"].tolist()
    np.testing.assert_array_equal(model.embed(smiles), again.embed(smiles))


def test_the_sizes_are_those_of_the_encoder(encoder):
    config = FitOptions(method="dmmrl", pretrained=encoder).method_config
    assert (config.pair_width, config.pair_layers, config.pair_heads) == (16, 2, 2)
    assert FitOptions(method="dmmrl", preset="relational").method_config.pair_width == 256


def test_who_names_the_method_gets_its_preset_and_training(encoder):
    options = FitOptions(method="dmmrl", pretrained=encoder)
    assert options.describe() == "dmmrl, preset relational, from tiny"
    assert (options.train_config.epochs, options.train_config.head_epochs) == (10, 0)
    again = options.resolve(["regression"], labelled=10, placed=False)
    assert again.describe() == options.describe()
    named = FitOptions(method="moleblend", pretrained=encoder)
    assert named.describe() == "moleblend, preset small, from tiny"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"preset": "robust"},
            "for the view relations, found sequence, graph, geometry, descriptors; add it, or "
            "take --preset relational",
        ),
        ({"freeze": True}, "freeze trains the head alone, and dmmrl has fresh parts"),
        ({"method_options": {"pair_layers": 1}}, "pair_layers is 2 in the encoder .*; found 1"),
        ({"training": {"head_epochs": 3}}, "head_epochs needs a pre-trained encoder"),
        ({"method": "mmsa"}, "is of method moleblend, found method 'mmsa'"),
    ],
)
def test_what_does_not_go_together(encoder, changes, message):
    with pytest.raises(UserError, match=message):
        FitOptions(**{"method": "dmmrl", "pretrained": encoder, **changes})
