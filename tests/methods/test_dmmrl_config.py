import dataclasses

import pytest

from molweave.errors import UserError
from molweave.methods.dmmrl_config import DMMRL_PRESETS, DMMRLConfig


def test_the_paper_preset_is_the_paper() -> None:
    paper = DMMRL_PRESETS["paper"]
    assert paper.modalities == ("sequence", "graph", "geometry")
    assert (paper.width, paper.hidden, paper.shared, paper.private) == (256, 256, 128, 128)
    assert (paper.recurrent_layers, paper.attention_layers, paper.heads) == (3, 4, 4)
    assert (paper.feed_forward, paper.rounds, paper.geometry_layers) == (256, 4, 8)
    assert (paper.dropout, paper.temperature, paper.fusion) == (0.5, 0.1, "gated")
    assert (paper.kl, paper.align, paper.orth, paper.rec) == (0.1, 0.1, 0.1, 0.1)
    assert paper.mmd == pytest.approx(100 / 128, abs=0.02)
    assert paper.ramp == pytest.approx(80 / 250, abs=0.001)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"modalities": ()}, "none"),
        ({"modalities": ("graph", "picture")}, "picture"),
        ({"modalities": ("graph", "graph")}, "once"),
        ({"fusion": "sum"}, "gated, mean, concat; found 'sum'"),
        ({"orthogonality": "none"}, "correlation, cosine; found 'none'"),
        ({"orthogonality": "cosine", "shared": 64}, "64 and 128"),
        ({"width": 15, "heads": 1}, "15"),
        ({"width": 250}, "heads 4"),
        ({"width": 0}, "width"),
        ({"heads": 0}, "heads"),
        ({"rounds": 0}, "rounds"),
        ({"fourier": -1}, "fourier"),
        ({"recurrent_layers": -1}, "recurrent_layers"),
        ({"shared": 1}, "shared"),
        ({"dropout": 1.0}, "dropout"),
        ({"encoder_dropout": -0.1}, "encoder_dropout"),
        ({"modality_dropout": 1.5}, "modality_dropout"),
        ({"temperature": 0.0}, "temperature"),
        ({"ramp": 0.0}, "ramp"),
        ({"rec": -0.1}, "rec"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, object], names: str) -> None:
    with pytest.raises(UserError, match=names) as caught:
        dataclasses.replace(DMMRLConfig(), **changes)
    assert "\n" not in str(caught.value)
