"""One run of a benchmark, in a process of its own: a job as JSON in, its scores as JSON out.

``moleculenet.py`` starts it; a fresh process gives a peak of memory that is the run's own.
"""

import json
import os
import platform
import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from timing import Clock, choose, describe_device, now

from molweave.data.given_splits import split_from_file
from molweave.data.moleculenet import BENCHMARK_SETS, BenchmarkSet, find_dataset

if TYPE_CHECKING:
    from molweave.chem.table import Table
    from molweave.data.splits import Split
    from molweave.training.table import TrainingTable

NETWORKS = ("dmmrl", "moleblend", "mmsa")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run: which model on which split of which data set.

    Attributes:
        model: ``forest``, ``boosting``, ``chemprop`` or a method of molweave.
        dataset: a key of `BENCHMARK_SETS`.
        split: a column of the split file.
        seed: of the model.
        preset: of the method; empty for baselines.
        label: what the column ``preset`` of the results says.
        modalities: views of the method; empty for the preset's.
        method_options: fields of the method's configuration to change.
        training: fields of the training's configuration to change.
        pretrained: folder or name of the encoder to start from; empty for none.
        freeze: train the head alone.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: of the processor to use.
    """

    model: str
    dataset: str
    split: str
    seed: int
    preset: str = ""
    label: str = ""
    modalities: tuple[str, ...] = ()
    method_options: Mapping[str, str] = field(default_factory=dict)
    training: Mapping[str, str] = field(default_factory=dict)
    pretrained: str = ""
    freeze: bool = False
    device: str = "auto"
    threads: int = 1

    def to_json(self) -> str:
        """The job as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that `to_json` described."""
        plain = json.loads(text)
        return cls(**plain | {"modalities": tuple(plain["modalities"])})


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run gave.

    Attributes:
        metric: name of the score.
        valid: mean over tasks, on the validation part.
        test: mean over tasks, on the test part.
        fit_seconds: from molecules to a model chosen on validation: featurising, with the
            conformers in the cache, training and validating. Processor time with one thread of
            the CPU, so that other work on the machine does not count; else wall time.
        predict_seconds: from the molecules of the test part to their predictions, likewise.
        peak_rss_mb: largest resident memory of the process, or of one that it started, in MiB.
        device: what it ran on.
    """

    metric: str
    valid: float
    test: float
    fit_seconds: float
    predict_seconds: float
    peak_rss_mb: float
    device: str


def perform(job: Job, data: Path | None, splits: Path) -> Outcome:
    """Run a job on a known data set, with the fixed split of ``splits``."""
    known = BENCHMARK_SETS[job.dataset]
    return measure(job, known, find_dataset(known.name, data), splits / known.file)


def measure(job: Job, known: BenchmarkSet, table: Path, split_file: Path) -> Outcome:
    """Run a job on a table and a split file."""
    run = _run_network if job.model in NETWORKS else _run_baseline
    scores, fit_seconds, predict_seconds, device = run(job, known, table, split_file)
    processes = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(process).ru_maxrss for process in processes)
    return Outcome(
        metric=known.metric,
        valid=scores["valid"],
        test=scores["test"],
        fit_seconds=fit_seconds,
        predict_seconds=predict_seconds,
        peak_rss_mb=peak / (2**20 if platform.system() == "Darwin" else 2**10),
        device=device,
    )


def read_set(
    known: BenchmarkSet, path: Path, split_file: Path, column: str
) -> tuple["Table", "TrainingTable", "Split"]:
    """A data set as it is measured: the table, its usable molecules, and a column of a split."""
    from molweave.chem.read import open_table
    from molweave.chem.standardize import Standardizer
    from molweave.training.table import read_training_table

    table = open_table(path)
    data = read_training_table(table, known.targets, Standardizer())
    split = split_from_file(split_file, data.molecules, column=column, keep_copies=True)
    return table, data, split


_Result = tuple[dict[str, float], float, float, str]


def _run_baseline(job: Job, known: BenchmarkSet, path: Path, split_file: Path) -> _Result:
    from baselines import BASELINES, fit_baseline
    from chemprop_baseline import fit_chemprop

    from molweave.metrics import evaluate

    _, data, split = read_set(known, path, split_file, job.split)
    fitted = (
        fit_chemprop if job.model == "chemprop" else partial(fit_baseline, BASELINES[job.model])
    )
    fit = fitted(
        data.molecules,
        data.targets,
        split,
        kind=known.kind,
        seed=job.seed,
        threads=job.threads,
    )
    scores = {
        name: evaluate(known.metric, data.targets[rows], fit.predictions[rows]).value
        for name, rows in split.parts.items()
        if name != "train"
    }
    return scores, fit.fit_seconds, fit.predict_seconds, describe_device("cpu", job.threads)


def _run_network(job: Job, known: BenchmarkSet, path: Path, split_file: Path) -> _Result:
    import torch

    from molweave.data.dataset import Dataset, Featurizer, make_modalities
    from molweave.methods.apply import apply_members
    from molweave.methods.pretrained import EncoderSpec, find_encoder
    from molweave.methods.spec import read_spec
    from molweave.training.options import FitOptions
    from molweave.training.pipeline import fit_table

    torch.set_num_threads(job.threads)
    preset = job.preset
    if job.pretrained and read_spec(find_encoder(job.pretrained), EncoderSpec).method == job.model:
        preset = "auto"  # the encoder decides it
    options = FitOptions(
        method=job.model,
        preset=preset,
        pretrained=job.pretrained or None,
        freeze=job.freeze,
        modalities=job.modalities or None,
        method_options=job.method_options,
        training=job.training,
        kinds=known.kind,
        seed=job.seed,
        device=job.device,
        workers=job.threads,
    )
    clock = Clock()
    table, _, split = read_set(known, path, split_file, job.split)
    result = fit_table(table, known.targets, options, split=split, events=clock)
    mean = result.scores["mean"]
    scores = {name: float(mean[name][known.metric] or "nan") for name in ("valid", "test")}

    started = now()
    molecules = [result.data.molecules[index] for index in split.test]
    views = make_modalities(options.method_config.modalities)
    samples = Featurizer(modalities=views, workers=job.threads)(molecules)
    device = next(result.model.members[0].parameters()).device
    apply_members(
        result.model.members,
        Dataset(molecules=molecules, samples=samples, modalities=views),
        device=device,
    )
    taken = now() - started
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    fit_seconds = choose(clock.fit, name, job.threads)
    predict_seconds = choose(taken, name, job.threads)
    return scores, fit_seconds, predict_seconds, describe_device(name, job.threads)


def main() -> None:
    """Read a job and two folders from standard input, write the outcome to standard output."""
    asked = json.load(sys.stdin)
    job = Job.from_json(json.dumps(asked["job"]))
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints belongs into the log, not into the answer
    data = Path(asked["data"]) if asked["data"] else None
    outcome = perform(job, data, Path(asked["splits"]))
    with os.fdopen(out, "w") as answer:
        json.dump(asdict(outcome), answer)


if __name__ == "__main__":
    main()
