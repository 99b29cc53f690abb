"""A linear probe: one layer on the vectors of a frozen encoder."""

import numpy as np
import torch
from encoders import write_tiny
from fits import SPLIT, frame, weights
from tiny import TASKS, tiny_config, tiny_model

from molweave import Predictor
from molweave.training.probe import probe


def test_it_is_linear_in_the_embedding_and_survives_saving(tmp_path):
    encoder = write_tiny(tmp_path / "tiny", half=True)
    model = Predictor(
        pretrained=str(encoder), freeze=True, method_options={"head": "linear"},
        training={"epochs": 2, "batch_size": 16}, device="cpu", workers=1,
    )  # fmt: skip
    model.fit(frame(), "alcohol", split=SPLIT, out=tmp_path / "model")
    loaded = Predictor.load(tmp_path / "model", device="cpu", workers=1)
    vectors = np.asarray(loaded.embed(frame()))
    head = [value for name, value in weights(loaded.model).items() if ".head." in name]
    slope, bias = sorted(head, key=np.ndim, reverse=True)
    assert slope.shape == (1, vectors.shape[1])
    logits = vectors @ slope[0] + bias[0]
    found = loaded.predict(frame())["alcohol_prob"].to_numpy(dtype=float)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=1e-4)


def test_the_head_alone_scales_and_weighs_labels_as_the_whole_network_does():
    model = tiny_model(tiny_config("moleblend", "small"), method="moleblend")
    model.positive_weight.fill_(3.0)
    alone = probe(model, TASKS)
    for name in ("mean", "scale", "classification", "positive_weight"):
        assert torch.equal(getattr(alone, name), getattr(model, name)), name
    assert set(model.scale.tolist()) != {1.0}
