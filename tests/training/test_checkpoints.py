"""Checkpoints beside the output: nobody's files are deleted, nobody's run is forgotten."""

import json

import corpora
import pytest
import torch
from fits import frame, options
from tiny import SIZES

from molweave import UserError
from molweave.methods.pretrained import read_encoder
from molweave.predictor import Predictor
from molweave.pretraining import pretrain
from molweave.training.pretrain import Pretrainer
from molweave.training.pretrain_state import load_pretraining, refuse_different_steps
from molweave.training.state import has_state, remove_states, save_folder

RECIPE = {"epochs": 1, "batch_size": 6, "log_steps": 2, "valid_molecules": 6}


def learn(shards, out, **changes):
    training = {**RECIPE, **changes.pop("training", {})}
    given = {"method": "moleblend", "method_options": SIZES["moleblend"], "device": "cpu"}
    return pretrain(shards, out, **given, training=training, **changes)


def leave_state(folder):
    save_folder({"step": 1, "identity": {}}, {}, folder)


def test_files_of_the_user_stay(shards, tmp_path):
    """Beside the states, and in a folder whose name is like theirs."""
    places = [tmp_path / "new.training", tmp_path / "new.training.old"]
    for place in places:
        place.mkdir()
        (place / "precious.csv").write_text("1")
    learn(shards, tmp_path / "new", training={"save_minutes": 0})
    assert all((place / "precious.csv").read_text() == "1" for place in places)
    assert not (tmp_path / "new.training" / "encoder").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_of_the_other_kind_is_not_forgotten(shards, tmp_path, overwrite):
    leave_state(tmp_path / "a.training" / "member-0")
    with pytest.raises(UserError, match="holds an interrupted fit, not a pre-training; choose"):
        learn(shards, tmp_path / "a", overwrite=overwrite)
    leave_state(tmp_path / "b.training" / "encoder")
    model = Predictor(**options())
    with pytest.raises(UserError, match="holds an interrupted pre-training, not a fit; choose"):
        model.fit(frame(), "alcohol", out=tmp_path / "b", overwrite=overwrite)
    assert (tmp_path / "a.training" / "member-0" / "state.json").exists()
    assert (tmp_path / "b.training" / "encoder" / "state.json").exists()


def test_a_run_from_another_encoder_is_another_run(shards, tmp_path, monkeypatch):
    for seed, name in enumerate(("one", "two")):
        learn(shards, tmp_path / name, seed=seed)

    def stop(*_):
        raise KeyboardInterrupt

    out, often = tmp_path / "new", {"save_minutes": 0}
    with monkeypatch.context() as patched:
        patched.setattr(Pretrainer, "_record", stop)
        with pytest.raises(KeyboardInterrupt):
            learn(shards, out, pretrained=str(tmp_path / "one"), training=often)
    with pytest.raises(UserError, match="another run: from was"):
        learn(shards, out, pretrained=str(tmp_path / "two"), training=often, resume=True)


def test_an_encoder_is_not_written_over_the_one_that_it_starts_from(shards, tmp_path):
    learn(shards, tmp_path / "first")
    (tmp_path / "link").symlink_to("first")
    for name in ("first", "link"):
        with pytest.raises(UserError, match=f"{name} is the encoder to start from"):
            learn(shards, tmp_path / name, pretrained=str(tmp_path / "first"), overwrite=True)
    spec = learn(shards, tmp_path / "second", pretrained=str(tmp_path / "first"))
    digest = read_encoder(tmp_path / "first").sha256
    assert spec.record["from"] == {"name": "first", "sha256": digest}


def test_states_are_found_and_removed_by_kind(tmp_path):
    parent = tmp_path / "x.training"
    assert not has_state(parent, "fit")
    leave_state(parent / "member-0")
    leave_state(parent / "member-1-head.old")
    assert has_state(parent, "fit")
    remove_states(parent, "pre-training")
    assert has_state(parent, "fit")
    remove_states(parent, "fit")
    assert not parent.exists()


def test_control_c_in_the_last_validation_loses_nothing(shards, tmp_path, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Pretrainer, "_validate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            learn(shards, tmp_path / "stopped", training={"max_minutes": 1e-9})
    state = tmp_path / "stopped.training" / "encoder" / "state.json"
    assert json.loads(state.read_text())["step"] == 1
    resumed = learn(shards, tmp_path / "stopped", resume=True)
    assert resumed.record["valid"] == learn(shards, tmp_path / "alone").record["valid"]


def test_hours_of_training_are_not_forgotten_by_mistake(shards, tmp_path):
    out, state = tmp_path / "encoder", tmp_path / "encoder.training" / "encoder"
    learn(shards, tmp_path / "encoder", training={"max_minutes": 1e-9})
    before = (state / "state.json").read_text()
    message = "holds an interrupted pre-training; go on with it by --resume, or"
    with pytest.raises(UserError, match=message):
        learn(shards, out, training={"max_minutes": 1e-9})
    assert (state / "state.json").read_text() == before
    state.rename(state.with_name("encoder.old"))  # killed between two renamings
    with pytest.raises(UserError, match=message):
        learn(shards, out)
    learn(shards, out, overwrite=True)
    weights = (out / "model.safetensors").stat().st_mtime_ns
    with pytest.raises(UserError, match="nothing to resume; train anew with --overwrite"):
        learn(shards, out, resume=True)
    assert (out / "model.safetensors").stat().st_mtime_ns == weights


def test_processes_that_find_different_states_do_not_go_on(tmp_path):
    refuse_different_steps([4, 4], tmp_path)
    refuse_different_steps([None], tmp_path)
    message = r"different states in .* \(step 4, none\); write to a folder that all machines share"
    with pytest.raises(UserError, match=message):
        refuse_different_steps([4, None], tmp_path)


def test_no_molecule_is_held_out(tmp_path):
    corpora.write_corpus(tmp_path / "shards", (13,))
    with pytest.raises(UserError, match=r"prepare it with a larger share \(--valid 0\.2\)"):
        learn(tmp_path / "shards", tmp_path / "a")


def test_a_checkpoint_without_its_step_is_damaged(tmp_path):
    save_folder({"seconds": 1.0, "identity": {}, "terms": []}, {"sums": {}}, tmp_path / "encoder")
    with pytest.raises(UserError, match="encoder is damaged \\(no 'step'\\); start afresh"):
        load_pretraining(tmp_path / "encoder", {}, torch.device("cpu"))
