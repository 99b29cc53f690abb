"""Scores of a model on the fixed splits of MoleculeNet, one row a run.

    python benchmarks/moleculenet.py --data DATA --splits SPLITS --datasets bbbp,esol \
        --split random0,random1,random2 --model forest

The model is chosen on the validation part and the test part is read once. Every run is a process
of its own, and its row is in the file as soon as it has ended; runs that the file already holds
are left out, so the same command goes on after a stop.
"""

import argparse
import datetime
import itertools
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from chemprop_baseline import VERSION
from rows import append_row, key_of, read_rows
from single import NETWORKS, Job, Outcome

from molweave.cli.values import parse_pairs
from molweave.data.moleculenet import BENCHMARK_SETS
from molweave.errors import UserError
from molweave.methods.pretrained import find_encoder, read_encoder
from molweave.version import versions

HERE = Path(__file__).parent
BASELINE_LABELS = {
    "forest": "count ECFP4",
    "boosting": "count ECFP4 + RDKit 2D",
    "chemprop": f"{VERSION}, defaults",
}
MODELS = (*BASELINE_LABELS, *NETWORKS)
SPLITS = ("scaffold", "random0", "random1", "random2")

Perform = Callable[[Job], Outcome]


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_places(parser)
    parser.add_argument("--datasets", type=names, default=tuple(BENCHMARK_SETS), metavar="NAMES")
    parser.add_argument("--split", type=names, default=SPLITS, metavar="NAMES", help="of SPLITS")
    add_seeds(parser)
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--preset", default="small", help="of the method")
    parser.add_argument("--modalities", type=names, default=(), metavar="NAMES")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="of the method")
    parser.add_argument("--train", nargs="+", default=[], metavar="NAME=VALUE", help="of training")
    parser.add_argument("--from", dest="encoder", default="", metavar="ENCODER", help="start from")
    parser.add_argument("--freeze", action="store_true", help="train the head alone")
    parser.add_argument("--label", help="what the column preset says")
    parser.add_argument("--out", type=Path, help="default: results/moleculenet_MODEL.csv")
    return parser


def add_places(parser: argparse.ArgumentParser) -> None:
    """Options that every benchmark on these splits has: where things are and what runs them."""
    parser.add_argument("--data", type=Path, help="folder of <set>.csv.gz; bundled sets without")
    parser.add_argument(
        "--splits", type=Path, required=True, help="folder of <set>.csv.gz: row,..."
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)


def add_seeds(parser: argparse.ArgumentParser) -> None:
    """The option ``--seeds``."""
    parser.add_argument(
        "--seeds",
        type=lambda text: tuple(int(seed) for seed in names(text)),
        default=(),
        help="default: 0,1,2 for split scaffold, N for randomN",
    )


def default_seeds(split: str) -> tuple[int, ...]:
    """Seeds of the runs on a split where none are asked for."""
    return (0, 1, 2) if split == "scaffold" else (int(split[-1]),)


def names(text: str) -> tuple[str, ...]:
    """``a,b`` as a tuple."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def make_jobs(arguments: argparse.Namespace) -> list[Job]:
    """The runs that a command line asks for."""
    network = arguments.model in NETWORKS
    settings = [*arguments.set, *arguments.train]
    if arguments.modalities:
        settings.insert(0, "+".join(arguments.modalities))
    if settings and not network:
        raise UserError(f"{arguments.model} takes neither --modalities nor --set nor --train")
    if arguments.encoder and not network:
        raise UserError(f"{arguments.model} cannot start from an encoder")
    settings += ["frozen"] * arguments.freeze
    label = ", ".join([arguments.preset, *settings])
    jobs = []
    for dataset, split in itertools.product(arguments.datasets, arguments.split):
        check_known(dataset, split)
        for seed in arguments.seeds or default_seeds(split):
            jobs.append(
                Job(
                    model=arguments.model,
                    dataset=dataset,
                    split=split,
                    seed=seed,
                    preset=arguments.preset if network else "",
                    label=arguments.label
                    or (label if network else BASELINE_LABELS[arguments.model]),
                    modalities=arguments.modalities,
                    method_options=parse_pairs(arguments.set, "--set"),
                    training=parse_pairs(arguments.train, "--train"),
                    pretrained=arguments.encoder,
                    freeze=arguments.freeze,
                    device=arguments.device,
                    threads=arguments.threads,
                )
            )
    return jobs


def check_known(dataset: str, split: str) -> None:
    """Refuse names of data sets and splits that are not known."""
    if dataset not in BENCHMARK_SETS:
        raise UserError(f"unknown data set {dataset!r}: use one of {', '.join(BENCHMARK_SETS)}")
    if split not in SPLITS:
        raise UserError(f"unknown split {split!r}: use one of {', '.join(SPLITS)}")


def command_of(job: Job) -> str:
    """The command that repeats exactly this run; DATA and SPLITS stand for the two folders."""
    words = ["python", "benchmarks/moleculenet.py", "--data", "DATA", "--splits", "SPLITS"]
    words += ["--datasets", job.dataset, "--split", job.split]
    if job.split == "scaffold" or (job.seed,) != default_seeds(job.split):
        words += ["--seeds", str(job.seed)]
    words += ["--model", job.model]
    if job.preset:
        words += ["--preset", job.preset]
    if job.modalities:
        words += ["--modalities", ",".join(job.modalities)]
    if job.pretrained:
        words += ["--from", Path(job.pretrained).name]
    words += ["--freeze"] * job.freeze
    for option, pairs in (("--set", job.method_options), ("--train", job.training)):
        if pairs:
            words += [option, *(f"{name}={value}" for name, value in pairs.items())]
    return shlex.join([*words, "--label", job.label])


def name_encoder(place: str) -> str:
    """Name and first digits of the SHA-256 of an encoder, so that rows of two are told apart."""
    if not place:
        return "none"
    encoder = read_encoder(find_encoder(place))
    return f"{Path(place).name}@{encoder.sha256[:8]}"


def code_version() -> str:
    """Version of molweave, the commit, and ``modified`` where the code differs from the commit."""
    found = versions()["molweave"]
    git = ["git", "-C", str(HERE)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        code = [*git, "diff", "--quiet", "HEAD", "--", "../src/molweave", "*.py"]
        changed = subprocess.run(code, check=False).returncode != 0
    except (OSError, subprocess.CalledProcessError):
        return found
    return f"{found}+{commit}" + (".modified" if changed else "")


def start(job: Job, data: Path | None, splits: Path) -> Outcome:
    """Perform a job in a fresh process.

    Raises:
        subprocess.CalledProcessError: it failed; why is on standard error.
    """
    asked = {"job": asdict(job), "data": str(data or ""), "splits": str(splits)}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(job.threads))
    done = subprocess.run(
        [sys.executable, str(HERE / "single.py")],
        input=json.dumps(asked),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **threads},
    )
    return Outcome(**json.loads(done.stdout))


def make_row(job: Job, outcome: Outcome, *, encoder: str, version: str) -> dict[str, str]:
    """The row of a run, in the order of `rows.COLUMNS`; ``encoder`` is named by `name_encoder`."""
    return {
        "method": job.model,
        "preset": job.label,
        "pretrained": encoder,
        "dataset": job.dataset,
        "split": job.split,
        "seed": str(job.seed),
        "metric": outcome.metric,
        "valid": f"{outcome.valid:.4f}",
        "test": f"{outcome.test:.4f}",
        "fit_seconds": f"{outcome.fit_seconds:.1f}",
        "predict_seconds": f"{outcome.predict_seconds:.2f}",
        "peak_rss_mb": f"{outcome.peak_rss_mb:.0f}",
        "device": outcome.device,
        "version": version,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command_of(job),
    }


def run_jobs(jobs: Sequence[Job], out: Path, perform: Perform) -> int:
    """Perform the jobs that ``out`` does not hold yet and add their rows.

    Returns:
        How many failed.

    Raises:
        UserError: ``out`` holds a run of the same label by another command.
    """
    failed = 0
    encoders = {place: name_encoder(place) for place in {job.pretrained for job in jobs}}
    missing = list(_missing(jobs, out, encoders))
    version = code_version()
    print(f"{len(missing)} of {len(jobs)} runs to do", flush=True)
    for job in missing:
        name = f"{job.model} ({job.label}) {job.dataset} {job.split} seed {job.seed}"
        try:
            outcome = perform(job)
        except subprocess.CalledProcessError as error:
            print(f"{name}: failed with exit status {error.returncode}", flush=True)
            failed += 1
            continue
        row = make_row(job, outcome, encoder=encoders[job.pretrained], version=version)
        append_row(out, row)
        scores = f"valid {row['valid']} test {row['test']}"
        print(f"{name}: {row['metric']} {scores} in {row['fit_seconds']} s", flush=True)
    return failed


def _missing(jobs: Sequence[Job], out: Path, encoders: Mapping[str, str]) -> Iterable[Job]:
    """The jobs without a row; ``encoders`` has the names of theirs by place."""
    done = {key_of(row): row["command"] for row in read_rows(out)}
    for job in jobs:
        key = (
            job.model,
            job.label,
            encoders[job.pretrained],
            job.dataset,
            job.split,
            str(job.seed),
        )
        if key not in done:
            yield job
        elif done[key] != command_of(job):
            raise UserError(f"{out} has this run by {done[key]!r}: give another --label")


def main() -> None:
    """Do what the command line asks."""
    arguments = make_parser().parse_args()
    out = arguments.out or HERE / "results" / f"moleculenet_{arguments.model}.csv"
    try:
        failed = run_jobs(
            make_jobs(arguments), out, lambda job: start(job, arguments.data, arguments.splits)
        )
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
