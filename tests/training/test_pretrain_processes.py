"""Two processes under gloo learn what one process with the same global batch learns."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import corpora
import pytest

SECONDS = 240  # after so long something hangs
SCRIPT = """
import sys
from molweave.pretraining import pretrain
from tiny import SIZES

still = {"encoder_dropout": 0.0, "drop_path": 0.0, "noise": 0.0, "denoise": 0.0}
plain = {"show_spd": 0.0, "show_edge": 1.0, "show_distance": 0.0, "show_spatial_atom": 0.0}
plain |= {"whole_2d": 0.0, "whole_3d": 0.0, "whole_both": 0.0, "atoms": 0.0}
recipe = {"epochs": 4, "batch_size": 8, "log_steps": 1, "learning_rate": 3e-3, "valid_molecules": 9}
pretrain(
    sys.argv[1],
    sys.argv[2],
    method="moleblend",
    method_options={**SIZES["moleblend"], **still, **plain},
    training={**recipe, "valid_steps": 4},
    device="cpu",
)
"""

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


def learn(shards: Path, out: Path, processes: int, source: str = SCRIPT) -> list[dict[str, float]]:
    """The log of a pre-training in so many processes."""
    script = out.with_suffix(".py")
    script.write_text(source, encoding="utf-8")
    support = Path(corpora.__file__).parent
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else [])]
    done = subprocess.run(
        [*command, str(script), str(shards), str(out)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(support), *sys.path])},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
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
    one, two = (learn(shards, tmp_path / f"by-{count}", count) for count in (1, 2))
    assert len(one) == len(two) == 20
    for expected, found in zip(one, two, strict=True):
        assert found["spd"] == pytest.approx(expected["spd"], rel=0.05)
        assert found["edge"] == pytest.approx(expected["edge"], rel=0.05, abs=0.01)
    assert one[-1]["spd"] < 0.7 * one[0]["spd"], "the curves must have somewhere to go"
    assert two[-1]["valid_loss"] == pytest.approx(one[-1]["valid_loss"], rel=0.05)


@pytest.mark.slow
def test_a_score_that_one_process_has_no_molecule_for(tmp_path):
    """Every second held-out molecule has coordinates: all are in the share of the first process."""
    shards = tmp_path / "shards"
    corpora.write_corpus(shards, (16,), valid=8, placed=True)
    last = learn(shards, tmp_path / "encoder", 2, MMSA)[-1]
    assert 0 <= last["valid_graph_to_geometry"] <= 1
    assert 0 <= last["valid_graph_to_image"] <= 1
