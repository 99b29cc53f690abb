"""How fast conformers are made by worker processes and served by a warm cache.

    python benchmarks/conformers.py corpus.smi.gz --count 300 --workers 1 2

Draws molecules from a (gzipped) SMILES file, makes their conformers with each number of workers,
then stores them and reads them back, and appends one row a measurement to
``benchmarks/results/conformers.csv``. Times are wall-clock with the start of the workers included;
``load`` is the number of busy processes just before, which should be near 0: on a busy machine
``processor_seconds`` of the workers still tells the cost of the work, and ``parent_seconds`` that
of the process which feeds them.
"""

import argparse
import csv
import datetime
import gzip
import os
import platform
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import rdkit
from rdkit import Chem, RDLogger

from molweave.chem.conformers import Conformer, ConformerSettings, generate_conformers
from molweave.data.cache import ConformerCache, load_conformers

RESULTS = Path(__file__).parent / "results" / "conformers.csv"


def draw(path: Path, count: int, seed: int) -> list[str]:
    """Draw SMILES that RDKit reads, as different canonical SMILES."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.readlines()
    picked = random.Random(seed).sample(lines, min(2 * count, len(lines)))
    mols = (Chem.MolFromSmiles(line.split()[0]) for line in picked)
    names = dict.fromkeys(Chem.MolToSmiles(mol) for mol in mols if mol is not None)
    return list(names)[:count]


def make(names: Sequence[str], workers: int) -> tuple[dict[str, float], dict[str, Conformer]]:
    """Make every conformer; processor time is that of the worker processes."""
    load = os.getloadavg()[0]
    before, start = os.times(), time.perf_counter()
    made = dict(generate_conformers(names, ConformerSettings(), workers=workers))
    wall, after = time.perf_counter() - start, os.times()
    processor = after.children_user + after.children_system
    processor -= before.children_user + before.children_system
    parent = after.user + after.system - before.user - before.system
    times = {"wall_seconds": wall, "processor_seconds": processor, "parent_seconds": parent}
    return times | {"load": load}, made


def serve(names: Sequence[str], made: dict[str, Conformer], copies: int) -> dict[str, float]:
    """Read a cache that holds every conformer under ``copies`` settings, one after the other."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, ConformerCache(Path(folder) / "c.db") as cache:
        every = [ConformerSettings(seed=seed) for seed in range(copies)]
        for settings in every:
            cache.put_many(made.items(), settings)
        before, start = time.process_time(), time.perf_counter()
        for settings in every:
            found = load_conformers(names, settings, cache=cache, workers=1)
            if found.keys() != set(names):
                raise SystemExit("the cache did not serve every molecule")
        wall, processor = time.perf_counter() - start, time.process_time() - before
    return {
        "wall_seconds": wall,
        "processor_seconds": 0.0,
        "parent_seconds": processor,
        "load": load,
    }


def main() -> None:
    """Measure and append the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--copies", type=int, default=50, help="settings that the cache holds")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    names = draw(arguments.corpus, arguments.count, arguments.seed)
    measured = []
    made: dict[str, Conformer] = {}
    for workers in arguments.workers:
        times, made = make(names, workers)
        measured.append((f"make, {workers} workers", len(names), times))
    times = serve(names, made, arguments.copies)
    measured.append(("warm cache", len(names) * arguments.copies, times))
    script = ["python", "benchmarks/conformers.py", arguments.corpus.name, *sys.argv[2:]]
    rows = [
        {
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "command": shlex.join(script),
            "seed": arguments.seed,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "python": platform.python_version(),
            "rdkit": rdkit.__version__,
            "settings": ConformerSettings().key,
            "measured": label,
            "molecules": count,
            "failed": sum(conformer.failure is not None for conformer in made.values()),
            **{name: round(value, 3) for name, value in times.items()},
            "molecules_per_second": round(count / times["wall_seconds"], 1),
        }
        for label, count, times in measured
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        print(row["measured"], row["molecules_per_second"], "molecules/s, load", row["load"])


if __name__ == "__main__":
    main()
