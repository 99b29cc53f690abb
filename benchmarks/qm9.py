"""Errors on the twelve targets of QM9 with the DFT geometry as input, one row a target.

    python benchmarks/qm9.py --data DATA --geometry GEOMETRY --method moleblend --set views=3d \
        --targets homo,lumo,gap mu --out results/qm9.csv

DATA holds ``qm9.csv.gz``, GEOMETRY ``qm9_geometry.npz``. Targets joined by commas are learnt by one
network together. The model is chosen on the validation part and the test part is read once. Rows
that the file already holds are not made again; with ``--checkpoint`` a stopped fit goes on.
"""

import argparse
import datetime
import os
import platform
import resource
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from moleculenet import code_version, name_encoder, names
from qm9_data import QM9, UNITS, QM9Table, read_qm9, split_rows
from rows import append_row, read_rows
from timing import Clock, choose, describe_device

from molweave.cli.values import parse_pairs
from molweave.errors import UserError
from molweave.events import Epoch
from molweave.training.options import FitOptions
from molweave.training.pipeline import FitResult, fit_table

HERE = Path(__file__).parent
COLUMNS = (
    "method",
    "preset",
    "pretrained",
    "target",
    "unit",
    "learnt",
    "train_molecules",
    "seed",
    "epochs",
    "valid",
    "test",
    "fit_seconds",
    "peak_rss_mb",
    "device",
    "version",
    "date",
    "command",
)
"""The columns of the results, see README.md."""


class Log(Clock):
    """A clock that prints what it is told."""

    def message(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def stage(self, name: str, total: int | None = None) -> None:
        """Print the stage and note the time."""
        super().stage(name, total)
        print(f"{name} ...", flush=True)

    def epoch(self, member: int, info: Epoch) -> None:
        """Print the scores and losses of an epoch."""
        scores = " ".join(f"{key}={value:.5g}" for key, value in info.record.items())
        print(f"epoch {info.number}/{info.total}: {scores}", flush=True)


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of qm9.csv.gz")
    add("--geometry", type=Path, required=True, help="folder of qm9_geometry.npz")
    add("--targets", type=names, nargs="+", default=[tuple(UNITS)], metavar="NAMES")
    add("--train-size", type=int, default=100_000, help="training molecules")
    add("--held-out", type=int, default=10_000, help="molecules of validation, and of test")
    add("--seed", type=int, default=0, help="of the split and the model")
    add("--method", default="auto")
    add("--preset", default="auto")
    add("--from", dest="encoder", default="", metavar="ENCODER", help="start from")
    add("--freeze", action="store_true", help="train the head alone")
    add("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of the method")
    add("--train", nargs="+", default=[], metavar="NAME=VALUE", help="of training")
    add("--label", help="what the column preset says")
    add("--device", default="auto")
    add("--threads", type=int, default=os.cpu_count() or 1)
    add("--checkpoint", type=Path, help="folder for the state of the training; goes on from it")
    add("--out", type=Path, default=HERE / "results" / "qm9.csv")
    return parser


def make_options(arguments: argparse.Namespace, targets: Sequence[str]) -> FitOptions:
    """How the network of these targets is fitted.

    The epoch is chosen by what is reported, the mean absolute error; of several targets, whose
    units differ, by the mean over them of the squared standardised error.
    """
    unknown = [name for name in targets if name not in UNITS]
    if unknown:
        raise UserError(f"unknown target {unknown[0]!r}: use one of {', '.join(UNITS)}")
    metric = "mae" if len(targets) == 1 else "loss"
    return FitOptions(
        method=arguments.method,
        preset=arguments.preset,
        pretrained=arguments.encoder or None,
        freeze=arguments.freeze,
        method_options=parse_pairs(arguments.set, "--set"),
        training={"metric": metric, **parse_pairs(arguments.train, "--train")},
        kinds="regression",
        split="column:part",
        seed=arguments.seed,
        device=arguments.device,
        workers=arguments.threads,
    )


def label_of(arguments: argparse.Namespace, options: FitOptions) -> str:
    """What the column preset says."""
    changes = [*arguments.set, *arguments.train, *["frozen"] * arguments.freeze]
    return arguments.label or ", ".join([options.preset_name, *changes])


def command_of(arguments: argparse.Namespace, targets: Sequence[str]) -> str:
    """The command that repeats this fit; DATA and GEOMETRY stand for the two folders."""
    words = ["python", "benchmarks/qm9.py", "--data", "DATA", "--geometry", "GEOMETRY"]
    words += ["--targets", ",".join(targets), "--train-size", str(arguments.train_size)]
    words += ["--held-out", str(arguments.held_out), "--seed", str(arguments.seed)]
    if arguments.encoder:
        words += ["--from", Path(arguments.encoder).name]
    else:
        words += ["--method", arguments.method, "--preset", arguments.preset]
    words += ["--freeze"] * arguments.freeze
    for option, pairs in (("--set", arguments.set), ("--train", arguments.train)):
        words += [option, *pairs] if pairs else []
    return shlex.join([*words, *(["--label", arguments.label] if arguments.label else [])])


def make_rows(
    arguments: argparse.Namespace,
    options: FitOptions,
    result: FitResult,
    clock: Clock,
    *,
    encoder: str,
) -> list[dict[str, str]]:
    """The rows of a fit, in the order of `COLUMNS`; ``encoder`` is named by `name_encoder`."""
    targets = [task.name for task in result.model.spec.tasks]
    device = next(result.model.members[0].parameters()).device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    common = {
        "method": options.method_name,
        "preset": label_of(arguments, options),
        "pretrained": encoder,
        "learnt": "+".join(targets),
        "train_molecules": str(len(result.split.train)),
        "seed": str(arguments.seed),
        "epochs": str(len(result.fits[0].history)),
        "fit_seconds": f"{choose(clock.fit, name, arguments.threads):.1f}",
        "peak_rss_mb": f"{peak / (2**20 if platform.system() == 'Darwin' else 2**10):.0f}",
        "device": describe_device(name, arguments.threads),
        "version": code_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command_of(arguments, targets),
    }
    rows = []
    for target in targets:
        scores = {part: result.scores[part][target]["mae"] for part in ("valid", "test")}
        errors = {part: "" if mae is None else f"{mae:.4f}" for part, mae in scores.items()}
        row = {**common, **errors, "target": target, "unit": UNITS[target][0]}
        rows.append({column: row[column] for column in COLUMNS})
    return rows


def run(arguments: argparse.Namespace, data: QM9, targets: Sequence[str], *, encoder: str) -> None:
    """Fit the network of these targets and add its rows to the results."""
    options = make_options(arguments, targets)
    parts = split_rows(
        data, train=arguments.train_size, held_out=arguments.held_out, seed=arguments.seed
    )
    log = Log()
    place = arguments.checkpoint
    result = fit_table(
        QM9Table(data, parts, targets),
        targets,
        options,
        checkpoint=None if place is None else place / "+".join(targets),
        resume=place is not None,
        events=log,
    )
    for row in make_rows(arguments, options, result, log, encoder=encoder):
        append_row(arguments.out, row, COLUMNS)
        print(f"{row['target']}: valid {row['valid']} test {row['test']} {row['unit']}", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """Do what the command line asks."""
    arguments = make_parser().parse_args(words)
    torch.set_num_threads(arguments.threads)
    try:
        rows = read_rows(arguments.out, COLUMNS)
        done = {(row["command"], row["pretrained"]) for row in rows}
        encoder = name_encoder(arguments.encoder)
        missing = [
            group
            for group in arguments.targets
            if (command_of(arguments, group), encoder) not in done
        ]
        for group in missing:
            make_options(arguments, group)
        print(f"{len(missing)} of {len(arguments.targets)} fits to do", flush=True)
        if missing:
            table, geometry = arguments.data / "qm9.csv.gz", arguments.geometry / "qm9_geometry.npz"
            data = read_qm9(table, geometry)
        for group in missing:
            run(arguments, data, group, encoder=encoder)
    except UserError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
