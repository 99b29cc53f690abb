"""A fitted model as a folder: config.json and model.safetensors; loading runs no code."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from molweave.chem.conformers import ConformerSettings
from molweave.chem.standardize import Standardizer
from molweave.data.dataset import make_modalities
from molweave.data.targets import Task
from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.methods.config import replace_fields
from molweave.methods.property_model import PropertyModel

FORMAT_VERSION = 1
MODEL_FILES = frozenset(
    {
        "README.md",
        "config.json",
        "history.csv",
        "metrics.json",
        "model.safetensors",
        "report.html",
        "split.json",
    }
)
"""What a model folder may hold; anything else is the user's own."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is needed, besides the weights, to predict exactly as the model did when it was fitted.

    Attributes:
        method: name in `METHODS`.
        preset: the preset that the configuration started from.
        method_config: every field of the method's configuration.
        tasks: what is predicted, with the scaling of the training labels.
        standardizer: version of the standardisation, ``default-1`` say.
        conformers: how conformers are generated.
        coordinates: where they come from, see `Featurizer`.
        modality_versions: modality name to version of its featurizer.
        members: number of networks (ensemble).
        record: where the model comes from: data, split, training, versions; information only.
    """

    method: str
    preset: str
    method_config: Mapping[str, Any]
    tasks: tuple[Task, ...]
    standardizer: str
    conformers: ConformerSettings
    coordinates: str
    modality_versions: Mapping[str, str]
    members: int
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def modality_names(self) -> tuple[str, ...]:
        """The modalities, in the method's order."""
        return tuple(self.modality_versions)

    def to_json(self) -> dict[str, Any]:
        """Plain values for config.json."""
        plain = asdict(self)
        plain["tasks"] = [asdict(task) for task in self.tasks]
        return {"format_version": FORMAT_VERSION, **plain}


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
        entry.method(config), spec.tasks, dropout=config.dropout, positive_weight=positive_weight
    )


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place where no model folder can be written; nothing is left there.

    Raises:
        UserError: ``folder`` exists and ``overwrite`` is False, it is something else than a model
            folder, or the place cannot be written to.
    """
    if folder.exists() and not overwrite:
        raise UserError(f"{folder} exists; choose another name or allow overwriting it")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder; choose another name")
    found = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if found and "config.json" not in found:
        raise UserError(f"{folder} is not a model folder and is not empty; choose another name")
    if others := found - MODEL_FILES:
        raise UserError(
            f"{folder} holds other files than a model's ({min(others)}), which overwriting would "
            "delete; choose another name"
        )
    _make_beside(folder).rmdir()


def _make_beside(folder: Path) -> Path:
    """A new empty folder beside ``folder``."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose another place") from error


@contextmanager
def replace_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of ``folder`` at the end.

    Raises:
        UserError: see `check_folder`; or the disk is full, say.
    """
    check_folder(folder, overwrite=overwrite)
    fresh = _make_beside(folder)
    try:
        yield fresh
        fresh.chmod(0o755)
        if folder.exists():
            old = fresh.with_name(fresh.name + ".old")
            folder.replace(old)
            fresh.replace(folder)
            shutil.rmtree(old)
        else:
            fresh.replace(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write_model(model: FittedModel, folder: Path) -> None:
    """Write config.json and model.safetensors into an existing folder.

    Raises:
        OSError: they cannot be written; the disk is full, say.
    """
    tensors = {
        name: value.detach().cpu().contiguous()
        for name, value in _together(model.members).state_dict().items()
    }
    try:
        save_file(tensors, folder / "model.safetensors")
        (folder / "model.safetensors").chmod(0o644)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    text = json.dumps(model.spec.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")


def read_model(folder: Path) -> FittedModel:
    """Load a folder that `write_model` wrote.

    Raises:
        UserError: not a model folder, truncated, written by a newer format, or made with
            featurizers that this version does not have.
    """
    spec = read_spec(folder)
    path = folder / "model.safetensors"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot read the weights {path} ({_line(error)}); the folder is damaged, copy it again"
        ) from error
    try:
        members = tuple(build_member(spec) for _ in range(spec.members))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{folder / 'config.json'} is damaged ({_line(error)}); copy it again"
        ) from error
    try:
        _together(members).load_state_dict(tensors)
    except RuntimeError as error:
        raise UserError(f"{path} does not fit its config.json: {_line(error)}") from error
    return FittedModel(spec, tuple(member.eval() for member in members))


def _together(members: Sequence[PropertyModel]) -> nn.Module:
    """The members as one module, whose tensors are named ``members.0.head...`` and so on."""
    return nn.ModuleDict({"members": nn.ModuleList(members)})


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def read_spec(folder: Path) -> ModelSpec:
    """The specification in config.json, checked against what this version can do.

    Raises:
        UserError: see `read_model`.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(f"{folder} is not a model folder: it has no config.json")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        version = plain.pop("format_version")
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UserError(f"{path} is damaged ({_line(error)}); copy it again") from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{folder} has model format {version}, this version of molweave reads format "
            f"{FORMAT_VERSION}; install the version that wrote it"
        )
    try:
        plain["tasks"] = tuple(Task(**task) for task in plain["tasks"])
        plain["conformers"] = ConformerSettings(**plain["conformers"])
        spec = ModelSpec(**plain)
        _check_versions(spec, folder)
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({_line(error)}); copy it again") from error
    return spec


def _check_versions(spec: ModelSpec, folder: Path) -> None:
    if spec.method not in METHODS:
        raise UserError(f"{folder} needs the method {spec.method!r}; known: {', '.join(METHODS)}")
    found = {modality.name: modality.version for modality in make_modalities(spec.modality_names)}
    found["standardizer"] = Standardizer(spec.standardizer.rsplit("-", 1)[0]).version
    wanted = {**spec.modality_versions, "standardizer": spec.standardizer}
    changed = [name for name, version in wanted.items() if found.get(name) != version]
    if changed:
        name = changed[0]
        raise UserError(
            f"{folder} was fitted with {name} version {wanted[name]}, this version of molweave "
            f"has {found.get(name)}; install the version that wrote it or fit again"
        )
