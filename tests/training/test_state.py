"""The state of a training run survives a kill at any moment."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from kills import Killed
from torch import nn

from molweave.errors import UserError
from molweave.training.config import TrainConfig
from molweave.training.optim import make_optimizer
from molweave.training.state import (
    TrainState,
    load_state,
    optimizer_tensors,
    restore_model,
    restore_optimizer,
    save_state,
)


def state(epoch: int, **identity: object) -> TrainState:
    return TrainState(
        epoch=epoch,
        tensors={
            "model": {"a": torch.full((2, 3), float(epoch)), "b": torch.arange(3)},
            "best": {"a": torch.ones(3, 2).T},
        },
        best_score=-0.5,
        best_epoch=epoch - 1,
        history=[{"loss": 1 / 3}, {"loss": float("nan")}],
        identity=identity,
    )


def test_round_trip(tmp_path):
    folder = tmp_path / "deep" / "member-0"
    assert load_state(folder, {}) is None
    written = state(3)
    save_state(written, folder)
    found = load_state(folder, {})
    assert found is not None
    assert (found.epoch, found.best_score, found.best_epoch) == (3, -0.5, 2)
    assert found.history[0] == {"loss": 1 / 3}
    assert found.history[1]["loss"] != found.history[1]["loss"]
    assert found.tensors.keys() == written.tensors.keys()
    for group, tensors in written.tensors.items():
        for name, value in tensors.items():
            assert torch.equal(found.tensors[group][name], value)
    assert [path.name for path in folder.parent.iterdir()] == ["member-0"]


def test_no_score_yet_and_none_that_counts(tmp_path):
    for score in (None, float("-inf")):
        save_state(TrainState(best_score=score), tmp_path / "s")
        found = load_state(tmp_path / "s", {})
        assert found is not None
        assert found.best_score == score


def test_another_run_is_refused(tmp_path):
    save_state(state(1, data="a", seed=1), tmp_path / "s")
    with pytest.raises(UserError, match=r"another run: seed was 1, is 2; use the same command as"):
        load_state(tmp_path / "s", {"data": "a", "seed": 2})
    found = load_state(tmp_path / "s", {"data": "a", "seed": 1})
    assert found is not None


def killed_at(call: int, monkeypatch) -> None:
    """Be killed before the ``call``-th renaming or removal from now on."""
    count = iter(range(call))

    def limited(function):
        def run(*arguments, **options):
            if next(count, None) is None:
                raise Killed
            return function(*arguments, **options)

        return run

    monkeypatch.setattr(Path, "replace", limited(Path.replace))
    monkeypatch.setattr(shutil, "rmtree", limited(shutil.rmtree))


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("second", range(6))
def test_a_kill_leaves_the_old_state_or_the_new_one(tmp_path, monkeypatch, first, second):
    """Two kills in a row, each before any of the renamings and removals of a save."""
    folder = tmp_path / "s"
    save_state(state(1), folder)
    latest = 1
    for epoch, call in ((2, first), (3, second)):
        with monkeypatch.context() as patch:
            killed_at(call, patch)
            try:
                save_state(state(epoch), folder)
            except Killed:
                pass
            else:
                latest = epoch
        found = load_state(folder, {})
        assert found is not None
        assert latest <= found.epoch <= epoch
        assert found.tensors["model"]["a"].unique().tolist() == [found.epoch]
        latest = found.epoch
    save_state(state(4), folder)
    assert load_state(folder, {}).epoch == 4
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_a_kill_between_the_renamings_leaves_the_old_state_beside(tmp_path, monkeypatch):
    folder = tmp_path / "s"
    save_state(state(1), folder)
    with monkeypatch.context() as patch:
        killed_at(3, patch)
        with pytest.raises(Killed):
            save_state(state(2), folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.new", "s.old"]
    assert load_state(folder, {}).epoch == 1


def test_a_half_written_state_does_not_count(tmp_path, monkeypatch):
    folder = tmp_path / "s"
    save_state(state(1), folder)
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", lambda plain: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            save_state(state(2), folder)
    assert (tmp_path / "s.new" / "model.safetensors").exists()
    assert load_state(folder, {}).epoch == 1


@pytest.mark.parametrize("name", ["state.json", "model.safetensors"])
def test_a_damaged_state_is_explained(tmp_path, name):
    folder = tmp_path / "s"
    save_state(state(1), folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"is damaged .* start afresh with --overwrite"):
        load_state(folder, {})


def test_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"state was written by another version.*--overwrite"):
        restore_model(nn.Linear(3, 2), nn.Linear(2, 2).state_dict(), tmp_path / "state")


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot write the checkpoint .* another place"):
        save_state(state(1), tmp_path / "file" / "s")


def test_a_full_disk_leaves_the_old_state(tmp_path, monkeypatch):
    folder = tmp_path / "s"
    save_state(state(1), folder)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("molweave.training.state.save_file", full)
    with pytest.raises(UserError, match="No space left on device; make room"):
        save_state(state(2), folder)
    assert load_state(folder, {}).epoch == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("kind", ["adamw", "adam"])
def test_a_restored_optimizer_takes_the_same_steps(kind):
    def train(layer, optimizer, steps):
        for number in range(steps):
            optimizer.zero_grad()
            layer(torch.linspace(-1, number, 4)).square().sum().backward()
            optimizer.step()

    config = TrainConfig(optimizer=kind)
    torch.manual_seed(1)
    layer = nn.Linear(4, 2)
    optimizer = make_optimizer(layer, config)
    train(layer, optimizer, 3)
    weights = {name: value.clone() for name, value in layer.state_dict().items()}
    moments = {name: value.clone() for name, value in optimizer_tensors(optimizer).items()}
    train(layer, optimizer, 2)

    again = nn.Linear(4, 2)
    again.load_state_dict(weights)
    restored = make_optimizer(again, config)
    restore_optimizer(restored, moments)
    train(again, restored, 2)
    assert torch.equal(again.weight, layer.weight)
    assert torch.equal(again.bias, layer.bias)
