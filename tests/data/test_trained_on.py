import base64
import hashlib
import json

import pytest

from molweave.data.trained_on import TrainedOn

SMILES = ["CCO", "CCN", "CCO", "c1ccccc1"]


def test_molecules_are_recognised_after_a_round_trip():
    again = TrainedOn.from_text(TrainedOn.of(SMILES).to_text())
    assert all(text in again for text in SMILES)
    assert "CCC" not in again
    assert len(again.digests) == 3


def test_the_text_is_base64_of_the_first_eight_bytes_of_each_sha256():
    expected = sorted(hashlib.sha256(text.encode()).digest()[:8] for text in set(SMILES))
    assert base64.b64decode(TrainedOn.of(SMILES).to_text()) == b"".join(expected)


def test_no_molecule_at_all():
    assert TrainedOn.from_text(TrainedOn.of([]).to_text()) == TrainedOn.of([])


def test_a_text_that_is_cut_is_refused():
    cut = base64.b64encode(b"123456789").decode()
    with pytest.raises(ValueError, match="9 bytes are not digests of 8 bytes"):
        TrainedOn.from_text(cut)


@pytest.mark.parametrize(
    "text", [None, "{", "[]", "{}", '{"trained_on": 3}', '{"trained_on": "?"}']
)
def test_a_folder_that_does_not_say(tmp_path, text):
    if text is not None:
        (tmp_path / "split.json").write_text(text, encoding="utf-8")
    assert TrainedOn.read(tmp_path) is None


def test_a_folder_that_says(tmp_path):
    stored = {"trained_on": TrainedOn.of(SMILES).to_text()}
    (tmp_path / "split.json").write_text(json.dumps(stored), encoding="utf-8")
    assert TrainedOn.read(tmp_path) == TrainedOn.of(SMILES)
