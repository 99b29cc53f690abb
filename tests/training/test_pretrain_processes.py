"""Two processes under gloo learn what one process with the same global batch learns."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import corpora
import pytest

SECONDS = 240  # after so long something hangs
NEVER = -1
SCRIPT = """
import sys
from molweave.pretraining import pretrain
from molweave.training.pretrain import Pretrainer
from tiny import SIZES

end, log_steps = (int(number) for number in sys.argv[3:])
step = Pretrainer._step


def step_or_stop(self, batches):
    if self.state.step == end:
        raise KeyboardInterrupt
    step(self, batches)


Pretrainer._step = step_or_stop
still = {"encoder_dropout": 0.0, "drop_path": 0.0, "noise": 0.0, "denoise": 0.0}
plain = {"show_spd": 0.0, "show_edge": 1.0, "show_distance": 0.0, "show_spatial_atom": 0.0}
plain |= {"whole_2d": 0.0, "whole_3d": 0.0, "whole_both": 0.0, "atoms": 0.0}
recipe = {"epochs": 4, "batch_size": 8, "learning_rate": 3e-3, "valid_molecules": 9}
try:
    pretrain(
        sys.argv[1],
        sys.argv[2],
        method="moleblend",
        method_options={**SIZES["moleblend"], "kernels": 16, **still, **plain},
        training={**recipe, "valid_steps": 4, "log_steps": log_steps, "save_minutes": 0},
        device="cpu",
        resume=True,
    )
except KeyboardInterrupt:
    pass
"""

APART = (
    SCRIPT.replace("sys.argv[2],", "sys.argv[2] + os.environ['RANK'],")
    .replace("import sys", "import os, pathlib, sys\nfrom molweave import UserError", 1)
    .replace(
        "except KeyboardInterrupt:\n    pass",
        "except KeyboardInterrupt:\n    pass\nexcept UserError as error:\n"
        "    pathlib.Path(sys.argv[2] + os.environ['RANK'] + '.txt').write_text(str(error))",
    )
)
"""Every process writes to a place of its own, as on machines that share no disk."""

MMSA = """
import sys
from molweave.pretraining import pretrain
from tiny import SIZES

pretrain(
    sys.argv[1],
    sys.argv[2],
    method="mmsa",
    method_options=SIZES["mmsa"],
    training={"epochs": 1, "batch_size": 8, "log_steps": 1, "valid_molecules": 8},
    device="cpu",
)
"""

SLOPE = """
import json, os, sys
from pathlib import Path
import torch
from molweave.data.shards import ShardedCorpus
from molweave.methods.base import Assessment, Encoding, Method, Term
from molweave.training.pretrain import Pretrainer
from molweave.training.pretrain_config import PretrainConfig
from molweave.training.processes import join_processes


class Slope(Method):
    name = "slope"

    def __init__(self):
        super().__init__()
        self.modalities, self.embedding_dim = ("relations",), 1
        self.slope = torch.nn.Parameter(torch.ones(1, 1))
        self.register_buffer("last", torch.zeros(()))
        self.draws = []

    def encode(self, batch):
        sizes = torch.tensor(batch.parts["relations"].sizes, dtype=torch.float32)[:, None]
        if self.training:
            self.last = torch.rand(())
            self.draws.append(float(self.last))
        return Encoding(sizes / 10 @ self.slope, self.modalities, torch.ones(batch.size, 1))

    def objectives(self, encoding, batch, progress):
        return {"square": Term(1.0, encoding.embedding.square().mean())}

    def assess(self, batch, generator):
        return Assessment(self.objectives(self.encode(batch), batch, 1.0), {})


recipe = PretrainConfig(
    epochs=2, batch_size=8, learning_rate=0.1, weight_decay=0.5, clip=0.5, log_steps=1,
    valid_steps=5, valid_molecules=4,
)
method = Slope()
fabric = join_processes("cpu", "32-true")
found = Pretrainer(method, ShardedCorpus(sys.argv[1]), recipe, fabric).run()
times = ("seconds", "molecules_per_second")
told = {
    "slope": float(method.slope.detach()),
    "draws": method.draws,
    "buffer": float(method.last),
    "log": [{k: v for k, v in line.items() if k not in times} for line in found.history],
}
Path(f"{sys.argv[2]}{os.environ.get('RANK', '0')}.json").write_text(json.dumps(told))
if fabric.world_size > 1:
    torch.distributed.destroy_process_group()
"""
"""A method of one parameter, whose gradient of a whole batch is the mean of those of its halves."""


def learn(
    shards: Path,
    out: Path,
    processes: int,
    source: str = SCRIPT,
    *numbers: int,
) -> None:
    """A pre-training in so many processes, of a script that takes these numbers."""
    script = out.with_suffix(".py")
    script.write_text(source, encoding="utf-8")
    path = [os.environ["PYTHONPATH"], str(Path(corpora.__file__).parent), *sys.path]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), str(script), str(shards)]
    done = subprocess.run(
        [*command, str(out), *map(str, numbers)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def read_log(out: Path) -> list[dict[str, float]]:
    """Its history."""
    with (out / "history.csv").open() as file:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(file)
        ]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "shards"
    corpora.write_corpus(path, (20, 20), valid=5)
    return path


@pytest.mark.slow
def test_two_processes_learn_as_one(shards, tmp_path):
    for count in (1, 2):
        learn(shards, tmp_path / f"by-{count}", count, SCRIPT, NEVER, 1)
    one, two = (read_log(tmp_path / f"by-{count}") for count in (1, 2))
    assert len(one) == len(two) == 20
    for expected, found in zip(one, two, strict=True):
        assert found["spd"] == pytest.approx(expected["spd"], rel=0.05)
        assert found["edge"] == pytest.approx(expected["edge"], rel=0.05, abs=0.01)
    assert one[-1]["spd"] < 0.7 * one[0]["spd"], "the curves must have somewhere to go"
    assert two[-1]["valid_loss"] == pytest.approx(one[-1]["valid_loss"], rel=0.05)


@pytest.mark.slow
def test_two_processes_take_the_very_steps_of_one(shards, tmp_path):
    for count in (1, 2):
        learn(shards, tmp_path / f"by-{count}-", count, SLOPE)
    one, first, second = (
        json.loads((tmp_path / f"by-{name}.json").read_text()) for name in ("1-0", "2-0", "2-1")
    )
    assert first["slope"] == second["slope"] == pytest.approx(one["slope"], rel=1e-5)
    assert abs(one["slope"] - 1) > 0.1
    assert first["log"] == [pytest.approx(line, rel=1e-5) for line in one["log"]]
    assert set(first["draws"]).isdisjoint(second["draws"])
    assert first["buffer"] == second["buffer"]


@pytest.mark.slow
def test_two_processes_go_on_between_two_lines_of_the_log(shards, tmp_path):
    alone, stopped = tmp_path / "alone", tmp_path / "stopped"
    learn(shards, alone, 2, SCRIPT, NEVER, 2)
    learn(shards, stopped, 2, SCRIPT, 7, 2)
    state = json.loads((tmp_path / "stopped.training" / "encoder" / "state.json").read_text())
    assert state["step"] == 7
    learn(shards, stopped, 2, SCRIPT, NEVER, 2)
    times = ("seconds", "molecules_per_second")
    logs = [
        [{k: v for k, v in line.items() if k not in times} for line in read_log(out)]
        for out in (alone, stopped)
    ]
    assert [line["step"] for line in logs[0]] == list(range(2, 21, 2))
    assert logs[1] == [pytest.approx(line, rel=1e-5) for line in logs[0]]


@pytest.mark.slow
def test_a_state_that_one_process_alone_has_is_not_gone_on_from(shards, tmp_path):
    """Going on from different steps, the processes would wait for each other for ever."""
    out = tmp_path / "encoder"
    learn(shards, out, 2, APART, 7, 2)
    assert not list(tmp_path.glob("*.txt"))
    learn(shards, out, 2, APART, NEVER, 2)
    told = [(tmp_path / f"encoder{rank}.txt").read_text() for rank in (0, 1)]
    assert all("find different states" in text for text in told)
    assert all("(step 7, none); write to a folder" in text for text in told)


@pytest.mark.slow
def test_a_score_that_one_process_has_no_molecule_for(tmp_path):
    """Every second held-out molecule has coordinates: all are in the share of the first process."""
    shards = tmp_path / "shards"
    corpora.write_corpus(shards, (16,), valid=8, placed=True)
    learn(shards, tmp_path / "encoder", 2, MMSA)
    last = read_log(tmp_path / "encoder")[-1]
    assert 0 <= last["valid_graph_to_geometry"] <= 1
    assert 0 <= last["valid_graph_to_image"] <= 1
