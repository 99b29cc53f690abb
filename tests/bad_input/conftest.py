"""The command line in an empty folder, and a model with random weights."""

from pathlib import Path

import pytest
from fits import untrained
from refusals import Result

from molweave.cli.app import run


@pytest.fixture
def cli(capfd, monkeypatch, tmp_path):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    capfd.readouterr()

    def call(*arguments: object) -> Result:
        code = run([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A model with random weights that predicts ``active`` and ``logp`` from the graph."""
    folder = tmp_path_factory.mktemp("model") / "m"
    untrained(folder)
    return folder
