"""Pre-training from the command line: shards in, encoder out, and it survives being killed."""

import csv
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

SIZES = ("width=16", "layers=1", "heads=2", "feed_forward=16", "kernels=8")
TINY = [
    *("--method", "moleblend", "--device", "cpu", "--batch-size", "8", "--epochs", "4"),
    *(word for size in SIZES for word in ("--set", size)),
    *("--train", "log_steps=2", "--train", "valid_steps=4", "--train", "save_minutes=0"),
]
SECONDS = 120  # after so long something hangs


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    from molweave.cli.app import run

    folder = tmp_path_factory.mktemp("corpus")
    smiles = [f"{'C' * n}{end}" for n in range(1, 17) for end in ("O", "N", "Cl")]
    (folder / "corpus.smi").write_text("\n".join([*smiles, "nonsense"]) + "\n")
    words = f"prepare {folder}/corpus.smi -o {folder}/shards --valid 0.2 --workers 1 --quiet"
    assert run([*words.split(), "--conformers", "none"]) == 0
    return folder / "shards"


def log(folder) -> list[dict[str, str]]:
    """The log without what depends on the clock."""
    with (folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"], row["molecules_per_second"]
    return rows


def test_shards_in_encoder_out(cli, shards):
    done = cli("pretrain", shards, *TINY, "--out", "encoder")
    assert done.code == 0, done.err
    assert "the corpus has no coordinates: geometry is missing for every molecule" in done.err
    assert "step 16/16" in done.err or "step 20/20" in done.err
    assert "valid loss" in done.out
    assert "report   encoder/report.html" in done.out
    assert load_file("encoder/model.safetensors")["encoder.token"].dtype.itemsize == 2
    done = cli("info", "encoder")
    assert done.code == 0, done.err
    assert "moleblend" in done.out
    embed = ("embed", "encoder", shards.parent / "corpus.smi", "--out", "v.parquet", "--quiet")
    done = cli(*embed)
    assert done.code == 0, done.err
    done = cli(*embed, "--overwrite", "--set", "views=both")
    assert done.code == 2
    assert "pre-trained without coordinates and knows nothing of geometry" in done.err
    card = Path("encoder/README.md").read_text()
    assert "; no molecule had coordinates" in card
    assert "precision 32-true" in card


def test_of_several_processes_the_first_one_tells(cli, shards, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    done = cli("pretrain", shards, *TINY, "--out", "encoder", "--epochs", "1", "--quiet")
    assert (done.code, done.out) == (0, "")


def test_json(cli, shards):
    done = cli("pretrain", shards, *TINY, "--out", "encoder", "--json", "--quiet")
    assert done.err == ""
    found = json.loads(done.out)
    assert (found["kind"], found["record"]["stopped"]) == ("encoder", "epochs")
    assert found["record"]["command"].startswith("molweave pretrain shards --method moleblend")


def test_killed_it_goes_on_to_the_same_log_and_weights(cli, shards, tmp_path):
    assert cli("pretrain", shards, *TINY, "--out", "alone", "--quiet").code == 0
    command = [sys.executable, "-m", "molweave", "pretrain", str(shards), *TINY, "--out", "killed"]
    state = tmp_path / "killed.training" / "encoder" / "state.json"
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        while not state.exists():
            assert process.poll() is None, "it ended before a checkpoint was seen"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    done = cli("pretrain", shards, *TINY, "--out", "killed", "--resume", "--quiet")
    assert done.code == 0, done.err
    assert log(tmp_path / "killed") == log(tmp_path / "alone")
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("alone", "killed")]
    assert all(weights[0][name].equal(value) for name, value in weights[1].items())
    assert not state.parent.parent.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: no such folder; make it with molweave prepare"),
        (["."], "not a corpus, no manifest.json"),
        (["SHARDS", "--preset", "huge"], "moleblend has the presets small, base, paper"),
        (["SHARDS", "--set", "widht=3"], "did you mean 'width'?"),
        (["SHARDS", "--train", "epoch=3"], "did you mean 'epochs'?"),
        (["SHARDS", "--set", "show_spd=0.9"], "must add up to 1"),
        (["SHARDS", "--max-time", "soon"], "--max-time takes a time such as"),
        (["SHARDS", "--batch-size", "9999"], "fewer than batch_size 9999; lower batch_size"),
    ],
)
def test_mistakes_are_told_in_one_line(cli, shards, words, message):
    places = [str(shards) if word == "SHARDS" else word for word in words]
    done = cli("pretrain", *places, "--method", "moleblend", "--out", "encoder")
    assert done.code == 2
    assert message in done.err
    assert done.err.splitlines()[-1].startswith("error: ")
    assert not Path("encoder").exists()


def test_a_shard_that_was_changed_is_refused(cli, shards, tmp_path):
    shutil.copytree(shards, tmp_path / "changed")
    victim = next((tmp_path / "changed").glob("train-*.parquet"))
    victim.write_bytes(victim.read_bytes()[:-1])
    done = cli("pretrain", "changed", *TINY, "--out", "encoder")
    assert done.code == 2
    assert "the checksum is" in done.err


def test_an_existing_output_is_kept(cli, shards, tmp_path):
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "mine.txt").write_text("mine")
    done = cli("pretrain", shards, *TINY, "--out", "encoder", "--overwrite")
    assert done.code == 2
    assert (tmp_path / "encoder" / "mine.txt").read_text() == "mine"
