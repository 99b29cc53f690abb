"""A fitted model as a folder: config.json and model.safetensors; loading runs no code."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from torch import nn

from molweave.chem.columns import check_unique
from molweave.data.targets import KINDS, Task
from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.methods.config import replace_fields
from molweave.methods.folder import WEIGHTS, one_line, write_network
from molweave.methods.property_model import PropertyModel
from molweave.methods.spec import Spec, damaged, read_network


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """What is needed, besides the weights, to predict exactly as the model did when it was fitted.

    Attributes:
        tasks: what is predicted, with the scaling of the training labels.
        members: number of networks (ensemble).
    """

    kind: ClassVar[str] = "model"

    tasks: tuple[Task, ...]
    members: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for config.json."""
        return {**super().to_json(), "tasks": [asdict(task) for task in self.tasks]}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """The inverse of `to_json`, see `Spec.from_json`."""
        tasks = tuple(Task(**task) for task in plain["tasks"])
        check_unique([task.name for task in tasks], "tasks")
        if unknown := [task.kind for task in tasks if task.kind not in KINDS]:
            raise TypeError(f"the kind of task {unknown[0]!r} is unknown")
        return super().from_json({**plain, "tasks": tasks})


@dataclass(frozen=True)
class FittedModel:
    """A specification and the networks that belong to it, in evaluation mode."""

    spec: ModelSpec
    members: tuple[PropertyModel, ...]


def build_member(
    spec: ModelSpec, *, positive_weight: Sequence[float] | None = None
) -> PropertyModel:
    """A network of this specification with fresh weights."""
    entry = METHODS[spec.method]
    config = replace_fields(entry.config(), spec.method_config, where=spec.method)
    return PropertyModel(
        entry.method(config),
        spec.tasks,
        dropout=config.dropout,
        head=config.head,
        positive_weight=positive_weight,
    )


def write_model(model: FittedModel, folder: Path) -> None:
    """Write config.json and model.safetensors into an existing folder.

    Raises:
        OSError: they cannot be written; the disk is full, say.
    """
    write_network(model.spec.to_json(), _together(model.members).state_dict(), folder)


def read_model(folder: Path) -> FittedModel:
    """Load a folder that `write_model` wrote.

    Raises:
        UserError: not a model folder, truncated, written by a newer format, or made with
            featurizers that this version does not have.
    """
    spec, tensors = read_network(folder, ModelSpec)
    try:
        members = tuple(build_member(spec) for _ in range(spec.members))
        for member in members:
            if (*member.method.modalities, *member.method.predicts) != spec.modality_names:
                raise ValueError("modality_versions does not name the views of the network")
    except (TypeError, ValueError, AttributeError, RuntimeError, UserError) as error:
        raise damaged(folder, error) from error
    try:
        _together(members).load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(
            f"{folder / WEIGHTS} does not fit its config.json: {one_line(error)}; install the "
            "version of molweave that wrote it or fit again"
        ) from error
    return FittedModel(spec, tuple(member.eval() for member in members))


def _together(members: Sequence[PropertyModel]) -> nn.Module:
    """The members as one module, whose tensors are named ``members.0.head...`` and so on."""
    return nn.ModuleDict({"members": nn.ModuleList(members)})
