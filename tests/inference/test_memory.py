"""Memory does not grow with the number of rows."""

import itertools
import os
import subprocess
import sys

import pytest

from molweave.data.moleculenet import open_dataset

PEAK = """
import resource, sys
from molweave.cli.app import run
code = run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)  # KiB on Linux
sys.exit(code)
"""


def peak(folder, tmp_path, rows: int, smiles: list[str]) -> float:
    """MiB that a prediction of so many rows needs at most."""
    path, out = tmp_path / f"{rows}.csv", tmp_path / f"{rows}.out.csv"
    with path.open("w", encoding="utf-8") as text:
        text.write("id,molecule\n")
        for number, molecule in zip(range(rows), itertools.cycle(smiles), strict=False):
            text.write(f"m{number},{molecule}\n")
    command = ["predict", folder, path, "--out", out, "--device", "cpu", "-q"]
    command += ["--smiles-column", "molecule"]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *map(str, command)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    with out.open(encoding="utf-8") as text:
        assert sum(1 for _ in text) == rows + 1
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
def test_ten_times_the_rows_need_the_memory_of_one(folder, tmp_path):
    smiles = [str(record.smiles) for record in open_dataset("bbbp")]
    few = peak(folder, tmp_path, 20_000, smiles)
    many = peak(folder, tmp_path, 200_000, smiles)
    print(f"peak memory: {few:.0f} MiB for 20,000 rows, {many:.0f} MiB for 200,000")  # noqa: T201
    assert many < 1.1 * few
