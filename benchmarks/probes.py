"""How disentangled the codes of a fitted model are: linear probes and cross-modal retrieval.

    python benchmarks/probes.py bbbp-model src/molweave/data/bundled/bbbp.csv.gz

Probes: a linear model (logistic or ridge regression) predicts the label and simple descriptors from
one code of one modality. It is fitted on the training rows of the model's own split and scored on
its test rows. ``pooled`` is the encoder's output, from which the codes are made: what a probe could
find at most.

Retrieval: the code of a molecule in one modality is to find the same molecule among 256 in another
modality, by cosine similarity; the score is the share of molecules that come first, 1/256 by
chance. The molecules are drawn 10 times from those not trained on. ``mapped``: after a ridge
regression from the one code to the other, fitted on the training rows, so that what two codes share
is found in whatever basis they hold it.
"""

import argparse
import csv
import datetime
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from moleculenet import HERE, code_version
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

from molweave.chem.read import open_table
from molweave.chem.standardize import Standardizer
from molweave.data.dataset import Dataset, Featurizer, make_modalities
from molweave.data.sampler import sorted_batches
from molweave.data.splits import Split
from molweave.errors import UserError
from molweave.methods.checkpoint import FittedModel, read_model
from molweave.metrics import evaluate
from molweave.training.table import TrainingTable, read_training_table

COLUMNS = (
    *("model", "dataset", "split", "seed", "code", "modality", "probe", "metric", "score"),
    *("molecules", "version", "date", "command"),
)
KINDS = ("shared", "private", "pooled")
POOL, DRAWS = 256, 10
PROPERTIES: Mapping[str, Callable[[Chem.Mol], float]] = {
    "MolLogP": Crippen.MolLogP,
    "TPSA": rdMolDescriptors.CalcTPSA,
    "MolWt": Descriptors.MolWt,
    "rings": rdMolDescriptors.CalcNumRings,
    "H-bond donors": rdMolDescriptors.CalcNumHBD,
}


@dataclass(frozen=True)
class Codes:
    """Codes of every molecule of a data set.

    Attributes:
        values: kind of code to modality to float32 (molecules, width).
        present: modality to bool (molecules,): which molecules have it.
    """

    values: Mapping[str, Mapping[str, np.ndarray]]
    present: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Finding:
    """One score: which code says how much about what."""

    code: str
    modality: str
    probe: str
    metric: str
    score: float
    molecules: int


def encode(model: FittedModel, data: TrainingTable, threads: int) -> Codes:
    """The codes of the first member for every molecule."""
    views = make_modalities(model.spec.modality_names)
    featurizer = Featurizer(
        modalities=views,
        coordinates=model.spec.coordinates,
        settings=model.spec.conformers,
        workers=threads,
    )
    dataset = Dataset(
        molecules=data.molecules, samples=featurizer(data.molecules), modalities=views
    )
    method = model.members[0].method.eval()
    values: dict[str, dict[str, np.ndarray]] = {kind: {} for kind in KINDS}
    present = {view.name: np.zeros(len(dataset), dtype=bool) for view in views}
    with torch.inference_mode():
        for rows in sorted_batches(dataset.sizes, 128):
            batch = dataset.batch(rows)
            codes = method.encode(batch).codes
            for kind, view in itertools.product(KINDS, views):
                found = codes[kind][view.name].numpy()
                store = values[kind].setdefault(
                    view.name, np.zeros((len(dataset), found.shape[1]), dtype=np.float32)
                )
                store[rows] = found
                present[view.name][rows] = batch.present[view.name].numpy()
    return Codes(values, present)


def probe_classes(train: np.ndarray, truth: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Probabilities by logistic regression on standardised codes."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return np.asarray(model.fit(train, truth).predict_proba(test)[:, 1])


def probe_values(train: np.ndarray, truth: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Values by ridge regression, its penalty chosen by leave-one-out on the training rows."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-2, 4, 13)))
    return np.asarray(model.fit(train, truth).predict(test))


def probe_labels(
    codes: np.ndarray, data: TrainingTable, split: Split, kinds: Sequence[str]
) -> tuple[str, float]:
    """Metric and its mean over the tasks on which both training and test part allow one."""
    metrics = {"classification": "roc_auc", "regression": "r2"}
    scores = []
    for task, kind in enumerate(kinds):
        measured = ~np.isnan(data.targets[:, task])
        train, test = split.train[measured[split.train]], split.test[measured[split.test]]
        truth = data.targets[train, task]
        if kind != kinds[0] or not len(truth) or truth.min() == truth.max():
            continue
        probe = probe_classes if kind == "classification" else probe_values
        prediction = probe(codes[train], truth, codes[test])
        scores.append(evaluate(metrics[kind], data.targets[test, task], prediction).value)
    return metrics[kinds[0]], float(np.nanmean(scores)) if scores else float("nan")


def probe(
    codes: Codes, data: TrainingTable, split: Split, kinds: Sequence[str]
) -> Iterator[Finding]:
    """What every code of every modality says about the label and the descriptors."""
    truth = {
        name: np.array([compute(molecule.mol) for molecule in data.molecules])
        for name, compute in PROPERTIES.items()
    }
    for kind, by_view in codes.values.items():
        for view, values in by_view.items():
            there = codes.present[view]
            kept = Split(
                split.train[there[split.train]], split.valid, split.test[there[split.test]], ""
            )
            metric, score = probe_labels(values, data, kept, kinds)
            yield Finding(kind, view, "label", metric, score, len(kept.test))
            for name, wanted in truth.items():
                found = probe_values(values[kept.train], wanted[kept.train], values[kept.test])
                score = evaluate("r2", wanted[kept.test], found).value
                yield Finding(kind, view, name, "r2", score, len(kept.test))


def retrieve(codes: Codes, data: TrainingTable, split: Split, seed: int = 0) -> Iterator[Finding]:
    """How often one modality's code finds the molecule by another modality's, for every pair."""
    for kind, by_view in codes.values.items():
        for first, second in itertools.permutations(by_view, 2):
            both = codes.present[first] & codes.present[second]
            train = split.train[both[split.train]]
            unseen = _different(data, np.concatenate([split.valid, split.test]))
            unseen = unseen[both[unseen]]
            query, key = by_view[first], by_view[second]
            mapped = probe_values(query[train], key[train], query[unseen])
            pair = f"{first} → {second}"
            size = min(POOL, len(unseen))
            for name, found in (("retrieval", query[unseen]), ("retrieval, mapped", mapped)):
                if found.shape[1] != key.shape[1]:
                    continue
                score = top_1(found, key[unseen], size=size, seed=seed)
                yield Finding(kind, pair, name, "top-1", score, size)


def top_1(query: np.ndarray, key: np.ndarray, *, size: int, seed: int) -> float:
    """Share of rows whose own key is the most similar of ``size`` drawn keys, over `DRAWS` draws.

    A row whose best key is shared with others counts by its share of them.
    """
    rng = np.random.default_rng(seed)
    query, key = _unit(query), _unit(key)
    shares = []
    for _ in range(DRAWS):
        drawn = rng.choice(len(query), size, replace=False)
        similarity = query[drawn] @ key[drawn].T
        best = similarity >= similarity.max(axis=1, keepdims=True) - 1e-7
        shares.append(float(np.mean(np.diag(best) / best.sum(axis=1))))
    return float(np.mean(shares))


def _unit(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.float64)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))


def _different(data: TrainingTable, positions: np.ndarray) -> np.ndarray:
    """One position per canonical SMILES."""
    first = {data.molecules[position].canonical: position for position in positions[::-1]}
    return np.array(sorted(first.values()), dtype=np.int64)


def read_inputs(folder: Path, table: Path) -> tuple[FittedModel, TrainingTable, Split]:
    """The model, the data that it was fitted on, and its split.

    Raises:
        UserError: the model cannot be read, or was fitted on other data.
    """
    model = read_model(folder)
    standardizer = Standardizer.of_version(model.spec.standardizer)
    names = [task.name for task in model.spec.tasks]
    data = read_training_table(open_table(table), names, standardizer)
    if data.sha256 != model.spec.record["data"]["sha256"]:
        raise UserError(f"{folder} was fitted on other data than {table}: give that")
    stored = json.loads((folder / "split.json").read_text(encoding="utf-8"))
    return model, data, Split.from_json(stored)


def write(findings: Sequence[Finding], common: Mapping[str, str], out: Path) -> None:
    """Put the findings in the place of earlier ones of the same model and data set."""
    rows: list[Mapping[str, str]] = []
    if out.exists():
        with out.open(newline="", encoding="utf-8") as file:
            rows = [
                row
                for row in csv.DictReader(file)
                if any(row[name] != common[name] for name in ("model", "dataset", "split", "seed"))
            ]
    for finding in findings:
        own = {
            **vars(finding),
            "score": f"{finding.score:.4f}",
            "molecules": str(finding.molecules),
        }
        rows.append({**common, **own})
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.new")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    temporary.replace(out)


def main(words: Sequence[str] | None = None) -> None:
    """Probe one model and write its findings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("data", type=Path, help="the table that it was fitted on")
    parser.add_argument("--label", help="what the column model says; default: METHOD, PRESET")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "probes.csv")
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    try:
        model, data, split = read_inputs(arguments.model, arguments.data)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    codes = encode(model, data, arguments.threads)
    kinds = [task.kind for task in model.spec.tasks]
    findings = [*probe(codes, data, split, kinds), *retrieve(codes, data, split)]
    common = {
        "model": arguments.label or f"{model.spec.method}, {model.spec.preset}",
        "dataset": arguments.data.name.partition(".")[0],
        "split": split.kind,
        "seed": str(model.spec.record["seed"]),
        "version": code_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "python benchmarks/probes.py MODEL DATA",
    }
    write(findings, common, arguments.out)
    for finding in findings:
        where = f"{finding.code:8} {finding.modality:24} {finding.probe:18}"
        print(f"{where} {finding.metric} {finding.score:.3f}")


if __name__ == "__main__":
    main()
