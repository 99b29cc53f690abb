"""Models with random weights: what is tested here is what becomes of rows."""

import pytest
from fits import untrained

from molweave import Predictor


@pytest.fixture(scope="session")
def flat(tmp_path_factory) -> Predictor:
    """Graph only, one network, a class and a number."""
    return untrained(tmp_path_factory.mktemp("flat") / "m")


@pytest.fixture(scope="session")
def folder(flat):
    """The folder of `flat`."""
    return flat._folder


@pytest.fixture(scope="session")
def flat_views(tmp_path_factory) -> Predictor:
    """Every view that needs no conformer, three networks."""
    views = ("sequence", "graph", "descriptors")
    return untrained(tmp_path_factory.mktemp("views") / "m", modalities=views, members=3)


@pytest.fixture(scope="session")
def spatial(tmp_path_factory) -> Predictor:
    """Sequence and geometry; takes the 3D structures of the input."""
    views = ("sequence", "geometry")
    path = tmp_path_factory.mktemp("spatial") / "m"
    return untrained(path, modalities=views, coordinates="input")
