"""What belongs to the weights of a network: config.json, checked against this version."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from molweave.chem.conformers import ConformerSettings
from molweave.chem.standardize import Standardizer
from molweave.data.dataset import Featurizer, make_modalities
from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.methods.folder import CHECKSUM, CONFIG, one_line, read_tensors
from molweave.paths import is_file
from molweave.shapes import Tensor

FORMAT_VERSION = 2
KINDS = {
    "model": ("a fitted model", "predict and embed take it"),
    "encoder": ("a pre-trained encoder", "fit --from and embed take it"),
}
"""What a folder may hold, and what can be done with it."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is needed, besides the weights, to read molecules exactly as in training.

    Attributes:
        method: name in `METHODS`.
        preset: the preset that the configuration started from.
        method_config: every field of the method's configuration.
        standardizer: version of the standardisation, ``default-1`` say.
        conformers: how conformers are generated.
        coordinates: where they come from, see `Featurizer`.
        modality_versions: modality name to version of its featurizer.
        record: where the weights come from: data, training, versions; information only.
    """

    kind: ClassVar[str]

    method: str
    preset: str
    method_config: Mapping[str, Any]
    standardizer: str
    conformers: ConformerSettings
    coordinates: str
    modality_versions: Mapping[str, str]
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def modality_names(self) -> tuple[str, ...]:
        """The modalities, in the method's order."""
        return tuple(self.modality_versions)

    def to_json(self) -> dict[str, Any]:
        """Plain values for config.json."""
        return {"format_version": FORMAT_VERSION, "kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        """The inverse of `to_json`, without version and kind.

        Raises:
            TypeError, KeyError, AttributeError: a field is missing, unknown or of another type.
            UserError: a setting of the conformers makes no sense.
        """
        for name in ("method_config", "modality_versions", "record"):
            if not isinstance(plain.get(name, {}), dict):
                raise TypeError(f"{name} is not a table of values")
        if not plain["modality_versions"]:
            raise TypeError("modality_versions is empty")
        return cls(**{**plain, "conformers": ConformerSettings(**plain["conformers"])})


SpecT = TypeVar("SpecT", bound=Spec)


def folder_kind(folder: Path) -> str:
    """Which of `KINDS` a folder holds.

    Raises:
        UserError: neither, damaged, or of another format version.
    """
    return _read_config(folder, "a model folder nor an encoder folder")[0]


def read_spec(folder: Path, spec_type: type[SpecT]) -> SpecT:
    """The specification in config.json, checked against what this version can do.

    Raises:
        UserError: not such a folder, damaged, written by a newer format, or made with featurizers
            that this version does not have.
    """
    return _read(folder, spec_type)[0]


def read_network(folder: Path, spec_type: type[SpecT]) -> tuple[SpecT, dict[str, Tensor]]:
    """The specification and the tensors that were written with it.

    Raises:
        UserError: see `read_spec` and `read_tensors`.
    """
    spec, checksum = _read(folder, spec_type)
    return spec, read_tensors(folder, checksum)


def _read(folder: Path, spec_type: type[SpecT]) -> tuple[SpecT, str]:
    """The specification, and the checksum of the weights."""
    wanted = spec_type.kind
    article = "an" if wanted == "encoder" else "a"
    kind, plain = _read_config(folder, f"{article} {wanted} folder")
    if kind != wanted:
        found, use = KINDS[kind]
        raise UserError(f"{folder} is {found}, not {KINDS[wanted][0]}; {use}")
    try:
        checksum = plain.pop(CHECKSUM)
        if not isinstance(checksum, str):
            raise TypeError(f"{CHECKSUM} is not a text")
        spec = spec_type.from_json(plain)
    except (TypeError, KeyError, AttributeError, UserError) as error:
        raise damaged(folder, error) from error
    _check_versions(spec, folder)
    return spec, checksum


def damaged(folder: Path, error: Exception) -> UserError:
    """The error for a config.json that makes no sense."""
    reason = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
    return UserError(f"{folder / CONFIG} is damaged ({reason}); copy it again")


def _read_config(folder: Path, wanted: str) -> tuple[str, dict[str, Any]]:
    """Kind and other fields of config.json."""
    path = folder / CONFIG
    if not is_file(path):
        raise UserError(f"{folder} is not {wanted}: it has no {CONFIG}")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict):
            raise TypeError("it is not a table of values")
        version = plain.pop("format_version")
        kind = plain.pop("kind", "model")
        if kind not in KINDS:
            raise ValueError(f"the kind {kind!r} is unknown")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(folder, error) from error
    if version != FORMAT_VERSION:
        raise UserError(
            f"{folder} has {kind} format {version}, this version of molweave reads format "
            f"{FORMAT_VERSION}; install the version that wrote it"
        )
    return kind, plain


def _check_versions(spec: Spec, folder: Path) -> None:
    if spec.method not in tuple(METHODS):
        raise UserError(f"{folder} needs the method {spec.method!r}; known: {', '.join(METHODS)}")
    try:
        views = make_modalities(spec.modality_names)
        Featurizer(modalities=views, coordinates=spec.coordinates)
        standardizer = Standardizer.of_version(spec.standardizer)
    except (AttributeError, UserError) as error:
        raise damaged(folder, error) from error
    found = {view.name: view.version for view in views} | {"standardizer": standardizer.version}
    wanted = {**spec.modality_versions, "standardizer": spec.standardizer}
    changed = [name for name, version in wanted.items() if found.get(name) != version]
    if changed:
        name = changed[0]
        raise UserError(
            f"{folder} was fitted with {name} version {wanted[name]}, this version of molweave "
            f"has {found.get(name)}; install the version that wrote it or fit again"
        )
