"""An interrupted or killed fit goes on to the very result of one that was left alone."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import FLAGS, SPLIT, fake_clock, frame, options, same_weights, write_table
from lightning_fabric.plugins.precision import Precision
from rdkit import Chem
from told import Told

from molweave import Predictor, UserError
from molweave.chem.read import table_from_frame
from molweave.cli.app import run
from molweave.events import Events
from molweave.sklearn.targets import LabelledMolecules
from molweave.training.finetune import Trainer
from molweave.training.options import FitOptions
from molweave.training.pipeline import FitResult, fit_table

SECONDS = 120  # after so long something hangs


class InterruptAt(Events):
    """Ctrl-C after an epoch of a member."""

    def __init__(self, member: int, number: int) -> None:
        self.at = (member, number)

    def epoch(self, member, info):
        if (member, info.number) == self.at:
            raise KeyboardInterrupt


def fit(checkpoint=None, *, targets=("alcohol",), table=None, events=None, **changes):
    begin = {name: changes.pop(name) for name in {"resume", "overwrite"} & changes.keys()}
    settings = FitOptions(**options(**{"split": SPLIT, **changes}))
    table = table_from_frame(frame() if table is None else table)
    return fit_table(table, targets, settings, checkpoint=checkpoint, events=events, **begin)


def interrupted(checkpoint: Path, member: int, number: int, **changes) -> list[dict[str, float]]:
    """The history of a fit that was interrupted after an epoch."""
    with pytest.raises(KeyboardInterrupt):
        fit(checkpoint, events=InterruptAt(member, number), **changes)
    state = json.loads((checkpoint / f"member-{member}" / "state.json").read_text(encoding="utf-8"))
    assert state["epoch"] == len(state["history"]) == number
    return state["history"]


def test_the_time_before_an_interruption_counts(tmp_path, monkeypatch):
    fake_clock(monkeypatch, 10.0)
    history = interrupted(tmp_path, 0, 7, training={"epochs": 30, "max_minutes": 9.0})
    assert sum(record["seconds"] for record in history) == 70
    (done,) = fit(tmp_path, resume=True, training={"epochs": 30, "max_minutes": 1.0}).fits
    assert (len(done.history), done.stopped) == (7, "time")


def without_times(result: FitResult) -> list[dict[str, float]]:
    """The histories of all members but for the seconds."""
    return [
        {name: value for name, value in record.items() if name != "seconds"}
        for done in result.fits
        for record in done.history
    ]


@pytest.mark.parametrize(
    ("member", "number", "changes"),
    [
        (0, 1, {}),
        (0, 3, {"training": {"epochs": 4, "average": 0.9, "schedule": "noam"}}),
        (1, 2, {"training": {"epochs": 3, "balance": True}, "ensemble": 2}),
        (0, 2, {"training": {"epochs": 3, "optimizer": "adam"}, "targets": ("alcohol", "carbons")}),
    ],
)
def test_an_interrupted_fit_goes_on_to_the_same_bits(tmp_path, member, number, changes):
    changes = {"training": {"epochs": 3}, **changes}
    alone = fit(**changes)
    history = interrupted(tmp_path, member, number, **changes)
    torch.manual_seed(12345)
    resumed = fit(tmp_path, resume=True, **changes)
    assert same_weights(resumed.model, alone.model)
    assert without_times(resumed) == without_times(alone)
    assert resumed.fits[member].history[:number] == history, "epochs were trained again"


def test_a_member_that_had_stopped_early_is_not_trained_further(tmp_path, monkeypatch):
    def score(self, record):
        record["valid_scripted"] = 0.0
        return -abs(self.state.epoch - 1)

    monkeypatch.setattr(Trainer, "_score", score)
    changes = {"training": {"epochs": 9, "patience": 2}, "ensemble": 2}
    alone = fit(**changes)
    interrupted(tmp_path, 1, 1, **changes)
    resumed = fit(tmp_path, resume=True, **changes)
    assert [len(done.history) for done in (*alone.fits, *resumed.fits)] == [4] * 4
    assert same_weights(resumed.model, alone.model)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"epochs": 4}},
        {"training": {"learning_rate": 0.01}},
        {"seed": 1},
        {"modalities": ("sequence",)},
        {"targets": ("carbons",)},
        {"table": frame().assign(alcohol=1 - frame()["alcohol"])},
        {"table": frame().iloc[:-1]},
        {"standardize": "full"},
    ],
)
def test_a_resume_with_other_settings_or_data_is_refused(tmp_path, changes):
    interrupted(tmp_path, 0, 1)
    with pytest.raises(UserError, match="the checkpoint of another run: "):
        fit(tmp_path, resume=True, **changes)
    assert same_weights(fit(tmp_path, resume=True).model, fit().model)


def test_a_resume_with_other_coordinates_is_refused(tmp_path):
    def table(shift: float) -> LabelledMolecules:
        molecules = []
        for smiles in frame()["smiles"]:
            mol = Chem.MolFromSmiles(smiles)
            places = np.random.default_rng(0).normal(size=(mol.GetNumAtoms(), 3)) + shift
            conformer = Chem.Conformer(mol.GetNumAtoms())
            conformer.SetPositions(places.astype(np.float64))
            conformer.Set3D(True)
            mol.AddConformer(conformer)
            molecules.append(mol)
        return LabelledMolecules(molecules, frame()[["alcohol"]].to_numpy(float), ["alcohol"])

    def begin(shift: float, resume: bool, events=None, overwrite=False, **changes):
        settings = FitOptions(**options(split=SPLIT, **changes))
        return fit_table(
            table(shift),
            ["alcohol"],
            settings,
            checkpoint=tmp_path,
            resume=resume,
            overwrite=overwrite,
            events=events,
        )

    with pytest.raises(KeyboardInterrupt):
        begin(0, False, InterruptAt(0, 1))
    with pytest.raises(
        UserError, match=r"the checkpoint of another run: data\.coordinates_sha256 was "
    ):
        begin(0.5, True)
    record = begin(0, True).model.spec.record
    assert len(record["data"]["coordinates_sha256"]) == 64
    unread = begin(0, False, conformers="none", overwrite=True).model.spec.record
    assert unread["data"]["coordinates_sha256"] is None


def test_the_scale_of_sixteen_bit_gradients_is_resumed(tmp_path, monkeypatch):
    """As a gradient scaler gives it; this machine may have no device for 16-bit training."""
    scale = {"scale": 1024.0, "growth_factor": 2.0, "growth_interval": 2000, "_growth_tracker": 3}
    restored = []
    monkeypatch.setattr(Precision, "state_dict", lambda self: scale)
    monkeypatch.setattr(Precision, "load_state_dict", lambda self, state: restored.append(state))
    interrupted(tmp_path, 0, 1)
    assert restored == []
    fit(tmp_path, resume=True)
    assert restored == [scale]


def test_more_time_is_not_another_setting(tmp_path):
    interrupted(tmp_path, 0, 1, training={"max_minutes": 5.0})
    assert same_weights(fit(tmp_path, resume=True).model, fit().model)


def test_resume_where_nothing_was_begun_is_a_plain_fit(tmp_path):
    assert same_weights(fit(tmp_path / "none", resume=True).model, fit().model)


@pytest.mark.parametrize(
    ("begun", "resume", "line"),
    [
        (False, True, "nothing to resume in {}: starting afresh"),
        (True, True, None),
        (False, False, None),
    ],
)
def test_a_resume_of_nothing_is_said_first(tmp_path, begun, resume, line):
    checkpoint = tmp_path / "m.training"
    if begun:
        interrupted(checkpoint, 0, 1)
    told = Told()
    fit(checkpoint, resume=resume, events=told)
    said = [text for text in told.lines if "resume" in text]
    assert len(said) == (line is not None)
    if line is not None:
        assert said[0].startswith(line.format(checkpoint))
        assert said[0] == told.lines[0]


def test_resume_without_a_folder_is_refused():
    with pytest.raises(UserError, match="resume needs out"):
        Predictor(**options()).fit(frame(), "alcohol", split=SPLIT, resume=True)


def test_an_interrupted_fit_is_not_forgotten_unless_asked(tmp_path):
    out, checkpoint = tmp_path / "m", tmp_path / "m.training"
    history = interrupted(checkpoint, 0, 1, seed=5)
    message = f"{checkpoint} holds an interrupted fit; go on with it by --resume"
    with pytest.raises(UserError, match=re.escape(message)):
        Predictor(**options()).fit(frame(), "alcohol", split=SPLIT, out=out)
    state = json.loads((checkpoint / "member-0" / "state.json").read_text(encoding="utf-8"))
    assert state["history"] == history
    model = Predictor(**options()).fit(frame(), "alcohol", split=SPLIT, out=out, overwrite=True)
    assert same_weights(model, fit().model)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_fresh_start_forgets_every_member(tmp_path):
    interrupted(tmp_path, 1, 1, ensemble=2, seed=5)
    interrupted(tmp_path, 0, 1, ensemble=2, overwrite=True)
    resumed = fit(tmp_path, ensemble=2, resume=True)
    assert same_weights(resumed.model, fit(ensemble=2).model)


def test_a_killed_process_is_resumed_to_the_same_result(tmp_path):
    table = write_table(tmp_path / "measured.csv")
    flags = ["-t", "alcohol", "-t", "carbons", "--epochs", "24", "--quiet", *FLAGS]
    out = tmp_path / "killed"
    command = ["fit", str(table), "-o", str(out), *flags]
    checkpoint = tmp_path / "killed.training"
    first = checkpoint / "member-0" / "state.json"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-m", "molweave", *command], env=environment) as process:
        for _ in range(SECONDS * 200):
            try:
                process.wait(timeout=0.005)
            except subprocess.TimeoutExpired:
                if not first.exists():
                    continue
                process.send_signal(signal.SIGKILL)
            break
    assert process.returncode == -signal.SIGKILL
    assert not out.exists()
    found = first if first.exists() else checkpoint / "member-0.old" / "state.json"
    state = json.loads(found.read_text(encoding="utf-8"))
    assert 1 <= state["epoch"] < 24

    assert run([*command, "--resume", "--seed", "7"]) == 2
    assert run([*command, "--resume"]) == 0
    assert run(["fit", str(table), "-o", str(tmp_path / "alone"), *flags]) == 0
    resumed, alone = Predictor.load(out), Predictor.load(tmp_path / "alone")
    assert same_weights(resumed, alone)
    for name in ("alcohol_prob", "carbons_pred"):
        one, other = (model.predict(frame())[name].to_numpy() for model in (resumed, alone))
        assert np.array_equal(one, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "killed", "measured.csv"]
