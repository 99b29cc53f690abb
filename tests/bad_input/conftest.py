"""A model with random weights."""

from pathlib import Path

import pytest
from fits import untrained


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A model with random weights that predicts ``active`` and ``logp`` from the graph."""
    folder = tmp_path_factory.mktemp("model") / "m"
    untrained(folder)
    return folder
