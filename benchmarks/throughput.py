"""Molecules a second of a method in pre-training and in prediction, and where the time goes.

    python benchmarks/throughput.py SHARDS --models moleblend:small,mmsa:small \
        --out benchmarks/results/throughput.csv

``train``: forward, backward and a step of the optimiser over all objectives of a pre-training.
``predict``: embeddings by the network that a fit has. The share of each part of the work is that of
one process which does them in turn: parsing SMILES, drawing (the image), featurizing (the other
views), collating, network. Time is processor time with one thread of the CPU, wall time otherwise.
The count of floating-point operations is torch's, of matrix products and convolutions; ``--peak``
is the matrix peak of the device in TFLOP/s, for their fraction of it.
"""

import argparse
import datetime
import itertools
import math
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from moleculenet import names
from rows import append_row
from timing import choose, describe_device, now
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from molweave.data.batch import Batch, Samples, collate
from molweave.data.dataset import make_modalities
from molweave.data.feed import count_atoms, read_sample
from molweave.data.shard_file import Sample
from molweave.data.shards import ShardedCorpus
from molweave.methods import METHODS
from molweave.methods.base import Method, add_up
from molweave.methods.config import replace_fields, to_plain
from molweave.version import versions

STAGES = ("train", "predict")
PARTS = ("parsing", "drawing", "featurizing", "collating", "network")


class Stopwatch:
    """Adds up the seconds of each part of the work."""

    def __init__(self, device: str, threads: int) -> None:
        """All are 0."""
        self.device, self.threads = device, threads
        self.seconds = dict.fromkeys(PARTS, 0.0)

    def __call__(self, part: str, work: Callable[[], Any]) -> Any:
        """Do the work on the account of a part."""
        start = now()
        found = work()
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.seconds[part] += choose(now() - start, self.device, self.threads)
        return found


def build(name: str, preset: str, stage: str) -> Method:
    """The network of a stage, with fresh weights."""
    entry = METHODS[name]
    config = entry.presets[preset]
    changes = entry.pretraining if stage == "train" else entry.finetuning(to_plain(config))
    return entry.method(replace_fields(config, changes, where=name))


def batches(raw: Sequence[Sample], method: Method, size: int, watch: Stopwatch) -> Iterator[Batch]:
    """The molecules as batches, every part of the work on its account."""
    views = make_modalities((*method.modalities, *method.predicts))
    for first in range(0, len(raw), size):
        some = raw[first : first + size]
        pairs = watch("parsing", lambda some=some: [read_sample(*x) for x in enumerate(some)])
        samples: list[dict[str, object]] = [{} for _ in some]
        for view in views:
            part = "drawing" if view.name == "image" else "featurizing"
            made = watch(part, lambda view=view, pairs=pairs: [view.featurize(*p) for p in pairs])
            for sample, value in zip(samples, made, strict=True):
                sample[view.name] = value
        yield watch("collating", lambda samples=samples: _collate(samples, views))


def _collate(samples: Sequence[Samples], views: Any) -> Batch:
    return collate(samples, views, rows=range(len(samples)))


def make_step(method: Method, stage: str, precision: str) -> Callable[[Batch], None]:
    """What is done with a batch."""
    device = next(method.parameters()).device
    autocast = torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
    optimizer = torch.optim.AdamW(method.parameters(), lr=1e-4, fused=True)

    def train(batch: Batch) -> None:
        batch = batch.to(device)
        with autocast:
            loss = add_up(method.objectives(method.encode(batch), batch, 0.5))["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def predict(batch: Batch) -> None:
        with torch.inference_mode(), autocast:
            method.encode(batch.to(device))

    method.train(stage == "train")
    return train if stage == "train" else predict


def count_operations(step: Callable[[Batch], None], batches: Sequence[Batch]) -> int:
    """Floating-point operations of products and convolutions in all steps."""
    with (
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False, custom_mapping=_ONEDNN) as all_,
    ):
        for batch in batches:
            step(batch)
    return int(all_.get_total_flops())


def _linear_operations(x: Sequence[int], weight: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * math.prod(x) * weight[0]


_ONEDNN = {torch.ops.mkldnn._linear_pointwise: _linear_operations}
"""The product of `molweave.nn.linear`, which the counter does not know."""


def measure(
    raw: Sequence[Sample], name: str, preset: str, stage: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """One row."""
    device, threads = arguments.device, arguments.threads
    method = build(name, preset, stage).to(device)
    raw = sorted(raw, key=count_atoms) if method.pads else raw
    step = make_step(method, stage, arguments.precision)
    cold, watch = Stopwatch("cpu", 1), Stopwatch(device, threads)
    warm = list(batches(raw, method, arguments.batch, cold))
    operations = count_operations(step, warm)
    for batch in batches(raw, method, arguments.batch, watch):
        watch("network", lambda batch=batch: step(batch))
    total = sum(watch.seconds.values())
    network = watch.seconds["network"]
    achieved = operations / network / 1e12
    return {
        "method": name,
        "preset": preset,
        "stage": stage,
        "views": "+".join(method.modalities),
        "molecules": len(raw),
        "batch": arguments.batch,
        "precision": arguments.precision,
        "per_second": f"{len(raw) / total:.0f}",
        "network_per_second": f"{len(raw) / network:.0f}",
        **{part: f"{seconds / total:.3f}" for part, seconds in watch.seconds.items()},
        "gflop_per_molecule": f"{operations / len(raw) / 1e9:.3f}",
        "tflops": f"{achieved:.3f}",
        "peak_fraction": f"{achieved / arguments.peak:.3f}" if arguments.peak else "",
        "device": describe_device(arguments.name or device, threads),
    }


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", type=Path, help="a corpus made by molweave prepare")
    parser.add_argument("--models", type=names, required=True, metavar="METHOD:PRESET,...")
    parser.add_argument("--stages", type=names, default=STAGES, metavar="NAMES")
    parser.add_argument("--count", type=int, default=1024, help="molecules")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precision", choices=("32", "bf16"), default="32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", type=float, help="of the device, in TFLOP/s")
    parser.add_argument("--name", help="what the column device says")
    parser.add_argument("--out", type=Path, help="append the rows to this file")
    return parser


def main() -> None:
    """Measure and append."""
    arguments = make_parser().parse_args()
    torch.set_num_threads(arguments.threads)
    raw = list(itertools.islice(ShardedCorpus(arguments.shards).train(seed=0), arguments.count))
    words = [Path(word).name if Path(word).exists() else word for word in sys.argv[1:]]
    for model, stage in itertools.product(arguments.models, arguments.stages):
        name, _, preset = model.partition(":")
        if name not in METHODS or preset not in METHODS[name].presets or stage not in STAGES:
            raise SystemExit(f"no such METHOD:PRESET or stage: {model}, {stage}")
        row = measure(raw, name, preset, stage, arguments)
        print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
        if arguments.out:
            append(arguments.out, row, shlex.join(["python", "benchmarks/throughput.py", *words]))


def append(path: Path, row: dict[str, Any], command: str) -> None:
    """Write a row with what is the same for all of a run."""
    row = {
        **row,
        "version": versions()["molweave"],
        "torch": torch.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": command,
    }
    append_row(path, row, tuple(row))


if __name__ == "__main__":
    main()
