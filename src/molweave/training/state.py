"""The resumable state of a training run: safetensors and JSON, written atomically."""

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from molweave.data.manifest import changed_values
from molweave.errors import UserError
from molweave.paths import exists
from molweave.shapes import Tensor

KINDS = {"fit": "member-*", "pre-training": "encoder*"}
"""The runs that leave checkpoints, and the names of the states in a folder of theirs."""


@dataclass
class TrainState:
    """Everything that the next epoch depends on.

    Attributes:
        epoch: epochs done.
        tensors: named groups of tensors: ``model``, ``average``, ``best`` (weights) and
            ``optimizer`` (its moments, by parameter number).
        best_score: best validation score so far, larger is better; None before the first.
        best_epoch: the last epoch (0-based) that reached it.
        gain_epoch: the first epoch that reached it; patience counts from there.
        history: one mapping per epoch: losses, scores, seconds.
        precision: what 16-bit training scales its gradients by; empty for other precisions.
        identity: names the data, configuration and seed of the run by plain values; a state of
            another run is refused.
    """

    epoch: int = 0
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    best_score: float | None = None
    best_epoch: int = -1
    gain_epoch: int = -1
    history: list[dict[str, float]] = field(default_factory=list)
    precision: dict[str, Any] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)


def save_state(state: TrainState, folder: Path) -> None:
    """Write ``state``; see `save_folder`."""
    plain = {
        "epoch": state.epoch,
        "best_score": state.best_score,
        "best_epoch": state.best_epoch,
        "gain_epoch": state.gain_epoch,
        "history": state.history,
        "precision": state.precision,
        "identity": state.identity,
    }
    save_folder(plain, state.tensors, folder)


def load_state(folder: Path, identity: Mapping[str, Any]) -> TrainState | None:
    """The state in ``folder``; None where there is none.

    Raises:
        UserError: the state belongs to other data or another configuration, or is damaged.
    """
    found = load_folder(folder)
    if found is None:
        return None
    plain, tensors = found
    refuse_other_run(folder, plain.get("identity", {}), identity)
    return TrainState(**{**plain, "tensors": tensors})


def refuse_other_run(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with other data or settings than the run of a checkpoint had.

    Raises:
        UserError: names everything that is different, or the method where that is another one.
    """
    if changed := changed_values(before, now):
        told = [line for line in changed if line.startswith("method was ")] or changed
        raise UserError(
            f"{folder} is the checkpoint of another run: {'; '.join(told)}; use the same command "
            "as before, or start afresh with --overwrite"
        )


def save_folder(
    plain: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Tensor]], folder: Path
) -> None:
    """Write plain values and named groups of tensors as a folder.

    A kill at any moment leaves either the old folder or the new one.

    Raises:
        UserError: it cannot be written; the disk is full, say.
    """
    fresh = folder.with_name(folder.name + ".new")
    old = folder.with_name(folder.name + ".old")
    first = not exists(folder.parent)
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for group, values in tensors.items():
            contiguous = {name: value.contiguous() for name, value in values.items()}
            save_file(contiguous, fresh / f"{group}.safetensors")
        text = json.dumps({**plain, "groups": sorted(tensors)})
        (fresh / "state.json").write_text(text, encoding="utf-8")
        if exists(folder):
            shutil.rmtree(old, ignore_errors=True)
            folder.replace(old)
        fresh.replace(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if first:
            with suppress(OSError):
                folder.parent.rmdir()
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot write the checkpoint {folder}: {reason}; make room or choose another place"
        ) from error
    shutil.rmtree(old, ignore_errors=True)


def load_folder(folder: Path) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]] | None:
    """What `save_folder` wrote; None where there is nothing.

    Raises:
        UserError: it is damaged.
    """
    if not exists(folder):
        folder = folder.with_name(folder.name + ".old")
    if not exists(folder / "state.json"):
        return None
    try:
        plain = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        tensors = {
            group: load_file(folder / f"{group}.safetensors") for group in plain.pop("groups")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(
            f"the checkpoint {folder} is damaged ({error}); start afresh with --overwrite"
        ) from error
    return plain, tensors


def checkpoint_of(out: Path) -> Path:
    """The folder beside ``out`` for the states of the run that is to write it."""
    return out.parent / f"{out.name}.training"


def has_state(parent: Path, kind: str) -> bool:
    """Whether ``parent`` holds the state of an interrupted run of a ``kind`` of `KINDS`.

    Raises:
        UserError: it holds one of the other kind, which nothing but the user may forget.
    """
    for name, pattern in KINDS.items():
        if any(holds_state(folder) for folder in parent.glob(pattern) if folder.suffix != ".new"):
            if name == kind:
                return True
            raise UserError(
                f"{parent} holds an interrupted {name}, not a {kind}; choose another output, or "
                "delete that folder"
            )
    return False


def holds_state(folder: Path) -> bool:
    """Whether `load_folder` finds a state for ``folder``."""
    places = (folder, folder.with_name(folder.name + ".old"))
    return any(exists(place / "state.json") for place in places)


def remove_states(parent: Path, kind: str) -> None:
    """Forget the states of a ``kind`` of `KINDS` in ``parent``, and it, where nothing is left."""
    for folder in list(parent.glob(KINDS[kind])):
        _remove(folder)
    with suppress(OSError):
        parent.rmdir()


def remove_state(folder: Path) -> None:
    """Forget the state in ``folder``, if there is one."""
    for suffix in ("", ".new", ".old"):
        _remove(folder.with_name(folder.name + suffix))


def _remove(folder: Path) -> None:
    """Delete a folder that `save_folder` may have written; one that holds other files stays."""
    if not folder.is_dir():
        return
    names = [path.name for path in folder.iterdir()]
    if all(name == "state.json" or name.endswith(".safetensors") for name in names):
        shutil.rmtree(folder, ignore_errors=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The moments and step counts of an optimiser as named tensors."""
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def restore_model(model: nn.Module, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Give a network the weights of a checkpoint.

    Raises:
        UserError: they are those of another network, although the settings are the same.
    """
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"the checkpoint {folder} was written by another version of molweave, with other "
            "tensors; go on with that one, or start afresh with --overwrite"
        ) from error


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of `optimizer_tensors` back."""
    plain = optimizer.state_dict()
    plain["state"] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        plain["state"].setdefault(int(number), {})[name] = value
    optimizer.load_state_dict(plain)
