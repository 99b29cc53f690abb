"""Splits of a hundred labels: what to take where there are few of them.

    python benchmarks/make_small_splits.py SPLITS --data DATA
    python benchmarks/moleculenet.py --data DATA --splits SPLITS --split random0,random1,random2 ...

Each of the columns ``random0``, ``random1`` and ``random2`` draws SIZE different molecules, of
which four fifths train and the others choose the epoch, and 300 more to test on; the rest of the
table is in no part.
"""

import argparse
import csv
import gzip
from pathlib import Path

import numpy as np
from moleculenet import SPLITS, names

from molweave.chem.read import open_table
from molweave.chem.standardize import Standardizer
from molweave.data.moleculenet import BENCHMARK_SETS, find_dataset
from molweave.training.table import read_training_table

TEST = 300


def draw(rows: np.ndarray, size: int, seed: int) -> dict[int, str]:
    """Row to part, for ``size`` and `TEST` of the rows."""
    drawn = np.random.default_rng(seed).permutation(rows)[: size + TEST]
    train = round(0.8 * size)
    parts = ["train"] * train + ["valid"] * (size - train) + ["test"] * TEST
    return dict(zip(drawn.tolist(), parts, strict=True))


def write_splits(folder: Path, dataset: str, data: Path | None, size: int) -> None:
    """The split file of a data set, in the layout that `moleculenet.py` reads."""
    known = BENCHMARK_SETS[dataset]
    table = open_table(find_dataset(known.name, data))
    molecules = read_training_table(table, known.targets, Standardizer()).molecules
    first = {molecule.canonical: molecule.row for molecule in reversed(molecules)}
    rows = np.array(sorted(first.values()))
    columns = [split for split in SPLITS if split.startswith("random")]
    drawn = [draw(rows, size, seed) for seed in range(len(columns))]
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / known.file, "wt", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", *columns])
        for row in sorted(set().union(*drawn)):
            writer.writerow([row, *(parts.get(row, "") for parts in drawn)])


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("splits", type=Path, metavar="SPLITS")
    parser.add_argument("--data", type=Path, help="folder of <set>.csv.gz; bundled sets without")
    parser.add_argument("--datasets", type=names, default=("bbbp", "bace", "esol", "freesolv"))
    parser.add_argument("--size", type=int, default=120, help="labels to train and choose on")
    arguments = parser.parse_args()
    for dataset in arguments.datasets:
        write_splits(arguments.splits, dataset, arguments.data, arguments.size)


if __name__ == "__main__":
    main()
