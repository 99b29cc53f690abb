"""Make ``descriptor_statistics.json``, the scaling constants of the descriptors modality.

    python benchmarks/make_statistics.py corpus.smi.gz [more.smi.gz ...] --source "which corpora"

Draws the same number of molecules from every corpus. A descriptor is heavy-tailed, and scaled after
a signed logarithm, when its skewness is above 2 and the logarithm makes that smaller. Standard
deviations below 0.05 are set to 1: nearly constant columns must not blow up on rare molecules.
"""

import argparse
import gzip
import json
import random
from pathlib import Path

import numpy as np
from rdkit import Chem, RDLogger

from molweave.chem import descriptors

SMALLEST_STD = 0.05


def sample(path: Path, count: int, seed: int) -> list[Chem.Mol]:
    """Draw ``count`` readable molecules from a gzipped SMILES file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.readlines()
    drawn = random.Random(seed).sample(lines, 2 * count)
    molecules = (Chem.MolFromSmiles(line.split()[0]) for line in drawn)
    return [mol for mol in molecules if mol is not None and mol.GetNumAtoms()][:count]


def skewness(values: np.ndarray) -> float:
    """The third standardised moment."""
    centred = values - values.mean()
    return float((centred**3).mean() / max(float((centred**2).mean()), 1e-12) ** 1.5)


def column(values: np.ndarray) -> tuple[int, float, float]:
    """Whether to take the logarithm (0 or 1), mean and standard deviation of one descriptor."""
    values = values[np.isfinite(values)]
    shortened = descriptors.signed_log(values)
    logged = abs(skewness(values)) > 2 and abs(skewness(shortened)) < abs(skewness(values))
    chosen = shortened if logged else values
    std = float(chosen.std())
    return (
        int(logged),
        float(f"{chosen.mean():.6g}"),
        float(f"{std:.6g}") if std >= SMALLEST_STD else 1.0,
    )


def main() -> None:
    """Describe the molecules and write the constants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--count", type=int, default=10_000, help="molecules of each corpus")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--source", required=True, help="what the corpora are, for the record")
    arguments = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    molecules = [
        mol for path in arguments.corpora for mol in sample(path, arguments.count, arguments.seed)
    ]
    raw = np.stack([descriptors.raw_descriptors(mol) for mol in molecules])
    table = {name: column(raw[:, index]) for index, name in enumerate(descriptors.NAMES)}
    head = json.dumps(
        {"source": arguments.source, "columns": ["signed logarithm", "mean", "std"]}, indent=0
    )
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in table.items())
    text = f'{head[:-2]},\n"descriptors": {{\n{rows}\n}}\n}}\n'
    json.loads(text)
    descriptors.PATH.write_text(text, encoding="utf-8")
    logged = sum(row[0] for row in table.values())
    print(f"{len(molecules)} molecules, {len(table)} descriptors, {logged} after a logarithm")


if __name__ == "__main__":
    main()
