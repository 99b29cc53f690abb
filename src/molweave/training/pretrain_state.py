"""What an interrupted pre-training goes on from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from molweave.errors import UserError
from molweave.methods.base import Method
from molweave.shapes import Tensor
from molweave.training.state import (
    load_folder,
    optimizer_tensors,
    refuse_other_run,
    restore_model,
    restore_optimizer,
    save_folder,
)


@dataclass
class PretrainState:
    """What the next step depends on, but for weights and moments.

    Attributes:
        step: steps done.
        seconds: that they took.
        history: the lines of the log.
        sums: of every term since the last of them.
    """

    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)

    def save(
        self,
        folder: Path,
        method: Method,
        optimizer: torch.optim.Optimizer,
        *,
        average: Mapping[str, Tensor],
        identity: Mapping[str, Any],
    ) -> None:
        """Write everything to go on from; see `molweave.training.state.save_folder`."""
        tensors = {
            "model": dict(method.state_dict()),
            "optimizer": optimizer_tensors(optimizer),
            "sums": self.sums,
            "average": average,
        }
        plain = {
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "terms": list(self.sums),
            "identity": dict(identity),
        }
        save_folder(plain, tensors, folder)


@dataclass(frozen=True)
class SavedPretraining:
    """What `PretrainState.save` wrote, read again.

    Attributes:
        folder: where it was.
        state: of the run.
        tensors: named groups: ``model``, ``optimizer``, ``average``.
    """

    folder: Path
    state: PretrainState
    tensors: Mapping[str, Mapping[str, Tensor]]

    def restore(self, method: Method, optimizer: torch.optim.Optimizer) -> None:
        """Give a network and its optimiser back what they had.

        Raises:
            UserError: the weights are those of another network.
        """
        restore_model(method, self.tensors["model"], self.folder)
        restore_optimizer(optimizer, self.tensors["optimizer"])


def load_pretraining(
    folder: Path, identity: Mapping[str, Any], device: torch.device
) -> SavedPretraining | None:
    """The state of a run in ``folder``; None where there is none.

    Raises:
        UserError: it is damaged, or that of another run, as ``identity`` tells.
    """
    found = load_folder(folder)
    if found is None:
        return None
    plain, tensors = found
    refuse_other_run(folder, plain.get("identity", {}), identity)
    try:
        sums = {name: tensors["sums"][name].to(device) for name in plain["terms"]}
        state = PretrainState(plain["step"], plain["seconds"], plain["history"], sums)
    except KeyError as error:
        raise UserError(
            f"the checkpoint {folder} is damaged (no {error}); start afresh with --overwrite"
        ) from error
    return SavedPretraining(folder, state, tensors)


def refuse_different_steps(steps: Sequence[int | None], folder: Path) -> None:
    """Refuse to go on from other states in other processes.

    Args:
        steps: that each process has found in ``folder``; None for no state.
        folder: their place.

    Raises:
        UserError: they differ.
    """
    if len(set(steps)) > 1:
        told = ", ".join("none" if step is None else f"step {step}" for step in steps)
        raise UserError(
            f"the processes find different states in {folder} ({told}); write to a folder that "
            "all machines share"
        )
