"""A table, and one small fitted model for all tests of the command line."""

import pytest

from molweave.cli.app import run

ROWS = (
    *(("C" * length + "O", 1) for length in range(1, 16)),
    *(("C" * length + "N", 0) for length in range(1, 16)),
    *(("c1ccccc1" + "C" * length + "O", 1) for length in range(1, 8)),
    *(("c1ccncc1" + "C" * length + "N", 0) for length in range(1, 8)),
)


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """44 alcohols and amines: ``name``, ``smiles``, ``alcohol`` (0 or 1), ``carbons``."""
    path = tmp_path_factory.mktemp("table") / "measured.csv"
    lines = ["name,smiles,alcohol,carbons"]
    for number, (smiles, alcohol) in enumerate(ROWS):
        lines.append(f"m{number},{smiles},{alcohol},{smiles.upper().count('C')}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def model(table, tmp_path_factory):
    """A model of both targets that was trained for a moment on the graph alone."""
    folder = tmp_path_factory.mktemp("model") / "both"
    code = run(
        f"fit {table} -t alcohol -t carbons -o {folder} --modalities graph --split random "
        "--epochs 2 --set width=16 --set hidden=16 --set shared=8 --set private=8 "
        "--device cpu --workers 1 --quiet".split()
    )
    assert code == 0
    return folder
