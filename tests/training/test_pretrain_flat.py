"""Pre-training of views that need no coordinates, on a corpus without any."""

import corpora

from molweave.events import Events
from molweave.training.pretrain_corpus import pretrain_corpus
from molweave.training.pretrain_options import PretrainOptions


class Listen(Events):
    """Remembers messages."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text):
        self.told.append(text)


def test_flat_is_pretrained_without_coordinates(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "made_up", lambda name: None)
    corpora.write_corpus(tmp_path / "shards", (9,), valid=3)
    options = PretrainOptions(
        method="dmmrl",
        preset="flat",
        method_options={"width": 16},
        training={"epochs": 1, "batch_size": 4},
        device="cpu",
    )
    listening = Listen()
    result = pretrain_corpus(tmp_path / "shards", options, events=listening)
    assert result.method.modalities == ("graph", "descriptors", "fingerprint")
    assert not any("coordinates" in text for text in listening.told)
