"""A small data set with a split, as the benchmark scripts read them."""

import csv
from pathlib import Path

import pytest

from molweave.data.moleculenet import open_dataset

PARTS = ["train"] * 8 + ["valid", "test"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety molecules of ESOL with a value, two classes with gaps, and a split."""
    folder = tmp_path_factory.mktemp("data")
    records = list(open_dataset("esol"))[:180:2]
    with (folder / "tiny.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["smiles", "y", "a", "b", "part"])
        for row, record in enumerate(records):
            ring, oxygen = int("1" in record.smiles), int("O" in record.smiles)
            gap = "" if row % 7 == 0 else oxygen
            writer.writerow([record.smiles, record.values[1], ring, gap, PARTS[row % 10]])
    with (folder / "split.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "random0"])
        writer.writerows((row, PARTS[row % 10]) for row in range(len(records)))
    return folder


@pytest.fixture(scope="module")
def frame(folder: Path):
    import pandas

    return pandas.read_csv(folder / "tiny.csv")
