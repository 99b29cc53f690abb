"""What each part of a pre-training is worth: the preset, and changes of it one at a time.

    python benchmarks/pretraining_ablations.py SHARDS --data DATA --splits SPLITS \
        --method mmsa --epochs 1 --datasets bbbp,bace

Every variant is pre-trained from the same seed on the same molecules; ``--set`` and ``--train``
change all of them alike, as for a network that is smaller than the preset. Its row goes to
``results/pretraining_ablations_METHOD.csv``: the last validation of its log, and linear probes of
its frozen embedding on the scaffold split (logistic or ridge regression on standardised vectors,
the penalty chosen on the validation part, the test part read once).
"""

import argparse
import csv
import datetime
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from moleculenet import HERE, add_places, check_known, code_version, names
from rows import append_row, read_rows
from single import read_set

from molweave.cli.values import parse_pairs
from molweave.data.moleculenet import BENCHMARK_SETS, find_dataset
from molweave.encoder import Encoder
from molweave.errors import UserError
from molweave.metrics import METRICS, evaluate
from molweave.pretraining import pretrain

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Strengths of the ridge tried, per training molecule; the inverse of C of the regression."""


@dataclass(frozen=True)
class Study:
    """How the pre-training of a method is taken apart.

    Attributes:
        variants: by name, fields of the method's configuration that differ from those of the
            preset, which is first.
        logged: columns of the log to report.
        reads: by name, ways to read a molecule for the probes: fields likewise.
    """

    variants: Mapping[str, Mapping[str, object]]
    logged: tuple[str, ...]
    reads: Mapping[str, Mapping[str, object]] = field(default_factory=lambda: {"": {}})


STUDIES = {
    "mmsa": Study(
        variants={
            "full": {},
            "graph": {"views": ("graph",)},
            "graph, image": {"views": ("graph", "image")},
            "graph, geometry": {"views": ("graph", "geometry")},
            "without contrast": {"contrast": 0},
            "without reconstruction": {"reconstruction": 0},
            "without cross": {"cross": 0},
            "without memory and recall": {"memory": 0, "recall": 0},
            "no hypergraph": {"hypergraph": "none"},
            "k-NN graph": {"hypergraph": "knn"},
            "k = 1": {"neighbours": 1},
            "k = 5": {"neighbours": 5},
            "K = 32": {"anchors": 32},
            "K = 512": {"anchors": 512},
        },
        logged=(
            "valid_graph_to_geometry",
            "valid_graph_to_image",
            "effective_rank",
            "anchor_perplexity",
            "dead_anchors",
        ),
    ),
    "moleblend": Study(
        variants={
            "blended": {},
            "2D alone": {
                **{"show_spd": 0.5, "show_edge": 0.5, "show_distance": 0, "show_spatial_atom": 0},
                **{"whole_2d": 0.6, "whole_3d": 0, "whole_both": 0},
                **{"distance": 0, "denoise": 0, "noise": 0},
            },
            "3D alone": {
                **{"show_spd": 0, "show_edge": 0, "show_distance": 1, "show_spatial_atom": 1},
                **{"whole_2d": 0, "whole_3d": 0.6, "whole_both": 0},
                **{"spd": 0, "edge": 0},
            },
        },
        logged=("valid_spd_hidden", "valid_edge_hidden", "valid_distance_hidden"),
        reads={"2D": {}, "3D": {"views": "3d"}},
    ),
}
"""The variants of every method, and what is told of them."""


def last_values(history: Path, columns: Sequence[str]) -> dict[str, str]:
    """The last value of each column of a log, nothing where it has none."""
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {
        column: next((row[column] for row in reversed(rows) if row.get(column)), "")
        for column in columns
    }


def probe(encoder: Encoder, dataset: str, data: Path | None, splits: Path) -> float:
    """Test score of the best linear model of an embedding, the mean over the tasks."""
    known = BENCHMARK_SETS[dataset]
    place = find_dataset(known.name, data)
    _, table, split = read_set(known, place, splits / known.file, "scaffold")
    vectors = encoder.embed([molecule.canonical for molecule in table.molecules])
    train = vectors[split.train]
    vectors = (vectors - train.mean(axis=0)) / np.maximum(train.std(axis=0), 1e-6)
    sign = 1 if METRICS[known.metric].greater_is_better else -1
    tried = []
    for penalty in PENALTIES:
        predictions = np.stack(
            [
                _fit_linear(vectors, table.targets[:, task], split.train, known.kind, penalty)
                for task in range(table.targets.shape[1])
            ],
            axis=1,
        )
        scores = {
            part: evaluate(known.metric, table.targets[rows], predictions[rows]).value
            for part, rows in (("valid", split.valid), ("test", split.test))
        }
        tried.append((sign * scores["valid"], scores["test"]))
    return float(max(tried, key=lambda scores: scores[0])[1])


def _fit_linear(
    vectors: np.ndarray, values: np.ndarray, train: np.ndarray, kind: str, penalty: float
) -> np.ndarray:
    """Predictions for every row by a linear model of the training rows that have a value."""
    from sklearn.linear_model import LogisticRegression, Ridge

    rows = train[~np.isnan(values[train])]
    truth = values[rows]
    if truth.min() == truth.max():
        return np.full(len(values), truth[0])
    strength = penalty * len(rows)
    if kind == "regression":
        return np.asarray(Ridge(alpha=strength).fit(vectors[rows], truth).predict(vectors))
    model = LogisticRegression(C=1 / strength, max_iter=2000).fit(vectors[rows], truth)
    return np.asarray(model.decision_function(vectors))


def measure(variant: str, arguments: argparse.Namespace) -> dict[str, str]:
    """Pre-train a variant and measure it: one row, see `columns`."""
    study = STUDIES[arguments.method]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "encoder"
        pretrain(
            arguments.shards,
            out,
            method=arguments.method,
            method_options={
                **parse_pairs(arguments.set, "--set"),
                **study.variants[variant],
            },
            training={
                "epochs": arguments.epochs,
                "valid_molecules": 1000,
                **parse_pairs(arguments.train, "--train"),
            },
            device=arguments.device,
        )
        row = {"variant": variant, **last_values(out / "history.csv", [*study.logged, "seconds"])}
        for name, changes in study.reads.items():
            encoder = Encoder.from_pretrained(
                out, device=arguments.device, workers=arguments.threads, **changes
            )
            for dataset in arguments.datasets:
                score = probe(encoder, dataset, arguments.data, arguments.splits)
                row[_probe_name(dataset, name)] = f"{score:.4f}"
    row |= {
        "version": code_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command_of(variant, arguments),
    }
    return {name: row[name] for name in columns(arguments)}


def columns(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Those of the file of results."""
    study = STUDIES[arguments.method]
    probes = [_probe_name(dataset, name) for name in study.reads for dataset in arguments.datasets]
    return ("variant", *study.logged, *probes, "seconds", "version", "date", "command")


def _probe_name(dataset: str, reads: str) -> str:
    return f"{dataset} {reads}".strip()


def command_of(variant: str, arguments: argparse.Namespace) -> str:
    """The command that measures one variant."""
    words = ["python", "benchmarks/pretraining_ablations.py", "SHARDS", "--data", "DATA"]
    words += ["--splits", "SPLITS", "--method", arguments.method]
    words += ["--epochs", str(arguments.epochs), "--datasets", ",".join(arguments.datasets)]
    for option, pairs in (("--set", arguments.set), ("--train", arguments.train)):
        words += [option, *pairs] if pairs else []
    return shlex.join([*words, "--only", variant, "--threads", str(arguments.threads)])


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", type=Path, help="made by molweave prepare")
    add_places(parser)
    parser.add_argument("--method", choices=list(STUDIES), required=True)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--datasets", type=names, default=("bbbp", "bace", "esol"), metavar="NAMES")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of the method")
    parser.add_argument("--train", nargs="+", default=[], metavar="NAME=VALUE", help="of training")
    parser.add_argument("--only", action="append", metavar="VARIANT", help="repeatable")
    parser.add_argument(
        "--out", type=Path, help="default: results/pretraining_ablations_METHOD.csv"
    )
    return parser


def main(words: Sequence[str] | None = None) -> None:
    """Measure the variants that the file of results lacks."""
    arguments: Any = make_parser().parse_args(words)
    known = STUDIES[arguments.method].variants
    out = arguments.out or HERE / "results" / f"pretraining_ablations_{arguments.method}.csv"
    torch.set_num_threads(arguments.threads)
    try:
        for dataset in arguments.datasets:
            check_known(dataset, "scaffold")
        for variant in arguments.only or known:
            if variant not in known:
                raise UserError(f"unknown variant {variant!r}: use some of {'; '.join(known)}")
            rows = read_rows(out, columns(arguments))
            made = {row["variant"]: row["command"] for row in rows}
            command = command_of(variant, arguments)
            if made.get(variant, command) != command:
                raise UserError(f"{out} has {variant!r} by {made[variant]!r}: give another --out")
            if variant not in made:
                row = measure(variant, arguments)
                append_row(out, row, columns(arguments))
                print(", ".join(f"{name} {row[name]}" for name in columns(arguments)[:-3]))
    except UserError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
