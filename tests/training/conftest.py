"""A corpus to pre-train on."""

from pathlib import Path

import corpora
import pytest


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    """25 molecules to train on and 6 to validate on, which no test may change."""
    path = tmp_path_factory.mktemp("corpus") / "shards"
    corpora.write_corpus(path, (13, 12), valid=3)
    return path
