"""How fast one core makes samples: molecules a second for each modality.

    python benchmarks/featurize.py corpus.smi.gz --count 5000

Draws molecules from a (gzipped) SMILES file, parses them outside the clock, and appends one row a
modality to ``benchmarks/results/featurize.csv``. Time is processor time of this process, so that a
busy machine does not change it much. ``geometry`` measures the features of made-up coordinates, not
the embedding; ``together`` is sequence, graph and descriptors one after the other.
"""

import argparse
import csv
import datetime
import gzip
import platform
import random
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rdkit
from rdkit import Chem, RDLogger

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.modalities import MODALITIES
from molweave.modalities.base import Missing

RESULTS = Path(__file__).parent / "results" / "featurize.csv"
TOGETHER = ("sequence", "graph", "descriptors")


def draw(path: Path, count: int, seed: int) -> list[str]:
    """Draw SMILES that RDKit reads, as canonical SMILES."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = file.readlines()
    mols = (Chem.MolFromSmiles(x.split()[0]) for x in random.Random(seed).sample(lines, 2 * count))
    return [Chem.MolToSmiles(mol) for mol in mols if mol is not None and mol.GetNumAtoms()][:count]


def seconds(canonical: Sequence[str], names: Sequence[str], batch: int) -> tuple[float, float]:
    """Processor seconds to featurize and to collate molecules that RDKit has cached nothing of."""
    generator = np.random.default_rng(0)
    modalities = [MODALITIES[name]() for name in names]
    molecules = [
        Molecule(row=row, smiles=smiles, canonical=smiles, mol=Chem.MolFromSmiles(smiles))
        for row, smiles in enumerate(canonical)
    ]
    shapes = [(molecule.mol.GetNumAtoms(), 3) for molecule in molecules]
    conformers = [
        Conformer(generator.normal(size=shape).astype(np.float32), "made up", None)
        for shape in shapes
    ]
    start = time.process_time()
    samples = [
        [modality.featurize(*pair) for modality in modalities]
        for pair in zip(molecules, conformers, strict=True)
    ]
    featurized = time.process_time()
    for first in range(0, len(samples), batch):
        columns = zip(*samples[first : first + batch], strict=True)
        for modality, column in zip(modalities, columns, strict=True):
            modality.collate([sample for sample in column if not isinstance(sample, Missing)])
    return featurized - start, time.process_time() - featurized


def main() -> None:
    """Measure every modality and append the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    canonical = draw(arguments.corpus, arguments.count, arguments.seed)
    given = [Path(word).name if Path(word).is_file() else word for word in sys.argv[1:]]
    command = shlex.join(["python", "benchmarks/featurize.py", *given])
    rows = []
    for label, names in [*((name, (name,)) for name in MODALITIES), ("together", TOGETHER)]:
        featurize, collate = seconds(canonical, names, arguments.batch)
        rows.append(
            {
                "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
                "command": command,
                "seed": arguments.seed,
                "machine": platform.machine(),
                "python": platform.python_version(),
                "rdkit": rdkit.__version__,
                "numpy": np.__version__,
                "modality": label,
                "version": " ".join(MODALITIES[name]().version for name in names),
                "molecules": len(canonical),
                "featurize_per_second": round(len(canonical) / featurize),
                "collate_per_second": round(len(canonical) / collate),
            }
        )
        print(label, rows[-1]["featurize_per_second"], rows[-1]["collate_per_second"])
    RESULTS.parent.mkdir(exist_ok=True)
    fresh = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
