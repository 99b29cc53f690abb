"""chemprop as a baseline: its own program, with its defaults, on the same molecules and split.

``chemprop`` is no dependency: whoever measures it installs the version below into an environment
of its own and puts that environment's ``bin`` at the end of the PATH.
"""

import csv
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from baselines import BaselineFit
from timing import choose

from molweave.chem.molecule import Molecule
from molweave.data.splits import Split
from molweave.errors import UserError

VERSION = "2.3.1"
PARTS = {"train": "train", "valid": "val", "test": "test"}
"""The parts of a split, as chemprop names them."""


def fit_chemprop(
    molecules: Sequence[Molecule],
    targets: np.ndarray,
    split: Split,
    *,
    kind: str,
    seed: int,
    threads: int,
) -> BaselineFit:
    """Train, and predict the other two parts.

    chemprop chooses the epoch on the validation part. Times include the start of its program.

    Raises:
        UserError: no chemprop on the PATH, or another version.
        subprocess.CalledProcessError: it failed; why is on standard error.
    """
    program = find_chemprop()
    names = [f"task{number}" for number in range(targets.shape[1])]
    predictions = np.full(targets.shape, np.nan)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = write_table(folder / "data.csv", molecules, targets, split, names)
        train = [program, "train", "--data-path", str(table), "--task-type", kind]
        train += ["--target-columns", *names, "--splits-column", "split"]
        train += ["--output-dir", str(folder / "model"), "--pytorch-seed", str(seed)]
        seconds = {"train": _run(train, threads)}
        for part in ("valid", "test"):
            rows = split.parts[part]
            asked = _write(
                folder / f"{part}.csv", ["smiles"], [[s] for s in _smiles(molecules, rows)]
            )
            found = folder / f"{part}-predictions.csv"
            predict = [program, "predict", "--test-path", str(asked), "--output", str(found)]
            predict += ["--model-paths", str(folder / "model" / "model_0" / "best.pt")]
            seconds[part] = _run(predict, threads)
            predictions[rows] = _read(found, names)
    return BaselineFit(predictions, seconds["train"], seconds["test"])


def find_chemprop() -> str:
    """The program, of the version that is measured here."""
    program = shutil.which("chemprop")
    if program is None:
        raise UserError(
            f"no program 'chemprop' on the PATH: install chemprop=={VERSION} into an environment "
            "of its own and add its bin folder to the PATH"
        )
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if VERSION not in told.stdout.split():
        raise UserError(f"this measures chemprop {VERSION}; found {told.stdout.strip()}")
    return program


def write_table(
    path: Path,
    molecules: Sequence[Molecule],
    targets: np.ndarray,
    split: Split,
    names: Sequence[str],
) -> Path:
    """What chemprop trains on: SMILES, tasks (empty where a label is missing), part."""
    lines = []
    for part, rows in split.parts.items():
        for row, smiles in zip(rows, _smiles(molecules, rows), strict=True):
            labels = ["" if np.isnan(value) else f"{value:.10g}" for value in targets[row]]
            lines.append([smiles, *labels, PARTS[part]])
    return _write(path, ["smiles", *names, "split"], lines)


def _smiles(molecules: Sequence[Molecule], rows: np.ndarray) -> list[str]:
    return [molecules[row].canonical for row in rows]


def _write(path: Path, header: Sequence[str], lines: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *lines])
    return path


def _read(path: Path, names: Sequence[str]) -> np.ndarray:
    with path.open(newline="", encoding="utf-8") as file:
        return np.array([[float(row[name]) for name in names] for row in csv.DictReader(file)])


def _run(command: Sequence[str], threads: int) -> float:
    """Run a command on the CPU; processor time with one thread, else wall time."""
    started = _now()
    subprocess.run(
        [*command, "--smiles-columns", "smiles", "--accelerator", "cpu"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
    )
    return choose(_now() - started, "cpu", threads)


def _now() -> np.ndarray:
    """Wall time, and processor time of the programs that have ended, as `timing.now`."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.array([time.perf_counter(), usage.ru_utime + usage.ru_stime])
