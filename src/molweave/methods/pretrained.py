"""A pre-trained encoder as a folder: the network of a method without a head, and how to reuse it.

The folder holds config.json and model.safetensors, often in half precision; loading runs no code.
Some encoders ship with the package and are found by name.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from molweave.data.dataset import make_modalities
from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.methods.base import Method
from molweave.methods.config import refuse_idle, replace_fields, to_plain
from molweave.methods.folder import CONFIG, WEIGHTS, write_network
from molweave.methods.property_model import Embedder
from molweave.methods.spec import Spec, damaged, read_network
from molweave.modalities import spatial
from molweave.paths import exists
from molweave.shapes import Tensor
from molweave.wording import counted

SHIPPED = Path(__file__).parents[1] / "encoders"
"""The folder of the encoders that come with the package."""


@dataclass(frozen=True, kw_only=True)
class EncoderSpec(Spec):
    """What belongs to the weights of a pre-trained encoder; ``method_config`` is pre-training's."""

    kind: ClassVar[str] = "encoder"

    @property
    def placed(self) -> bool:
        """Whether a molecule of the pre-training had coordinates, as far as is recorded."""
        kinds = set(self.record.get("corpus", {}).get("coordinates", ()))
        return bool(self.record.get("placed", kinds != {"none"}))

    def configure(self, changes: Mapping[str, object]) -> Any:
        """The method's configuration for the use of this encoder.

        That of the pre-training, with what the method changes for fine-tuning
        (`MethodEntry.finetuning`) and then ``changes``.

        Raises:
            UserError: an unknown field, or a value that makes no sense.
        """
        entry = METHODS[self.method]
        values = {**self.method_config, **entry.finetuning(self.method_config), **changes}
        return replace_fields(entry.config(), values, where=self.method)


@dataclass(frozen=True)
class EncoderModel:
    """An encoder that is ready to embed: what it reads now, and its one network."""

    spec: EncoderSpec
    members: tuple[Embedder, ...]


@dataclass(frozen=True)
class PretrainedEncoder:
    """A specification and the tensors of the method's network, float32 on the CPU."""

    spec: EncoderSpec
    tensors: Mapping[str, Tensor]

    @property
    def sha256(self) -> str:
        """Digest over names, shapes and values of the tensors."""
        digest = hashlib.sha256()
        for name, value in sorted(self.tensors.items()):
            digest.update(f"{name} {tuple(value.shape)}\n".encode())
            digest.update(value.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def build(self, changes: Mapping[str, object], *, fresh: tuple[str, ...] = ()) -> Method:
        """A network with these weights, in evaluation mode, see `EncoderSpec.configure`.

        Args:
            changes: fields of the method's configuration to change.
            fresh: see `load_into`.

        Raises:
            UserError: see `EncoderSpec.configure`, `refuse_idle` and `load_into`; or it reads
                coordinates, of which the pre-training saw none.
        """
        config = self.spec.configure(changes)
        refuse_idle(changes, config, self.spec.configure({}))
        method = METHODS[self.spec.method].method(config)
        self.load_into(method, to_plain(config), fresh=fresh)
        unseen = [] if self.spec.placed else spatial(method.modalities)
        if unseen:
            raise UserError(
                "this encoder was pre-trained without coordinates and knows nothing of "
                f"{', '.join(unseen)}; choose views of 2D alone, or pre-train it on a corpus with "
                "coordinates"
            )
        return method.eval()

    def model(self, changes: Mapping[str, object]) -> EncoderModel:
        """The network of `build`, with the specification of what it reads."""
        method = self.build(changes)
        views = make_modalities(method.modalities)
        spec = replace(
            self.spec,
            method_config=to_plain(self.spec.configure(changes)),
            modality_versions={view.name: view.version for view in views},
        )
        return EncoderModel(spec, (Embedder(method).eval(),))

    def load_into(
        self, method: Method, method_config: Mapping[str, Any], *, fresh: tuple[str, ...] = ()
    ) -> list[str]:
        """Give the weights to a network; tensors that it does not have are left out.

        Args:
            method: the network, of this encoder's method.
            method_config: its configuration, for the message.
            fresh: beginnings of the names of tensors that keep what they are where this encoder
                does not have them.

        Returns:
            Names of the tensors that kept what they were.

        Raises:
            UserError: a tensor of the network is not in the encoder, or has another shape.
        """
        wanted = method.state_dict()
        kept = [name for name in wanted if name.startswith(fresh) and name not in self.tensors]
        wrong = [
            name
            for name, value in wanted.items()
            if name not in kept
            and (name not in self.tensors or self.tensors[name].shape != value.shape)
        ]
        if wrong:
            why = "has not" if wrong[0] not in self.tensors else "has in another shape"
            raise UserError(
                f"the network needs {counted(len(wrong), 'tensor')} that the encoder {why} "
                f"({', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}): "
                f"{self._differences(method_config)}"
            )
        found = {name: self.tensors[name] for name in wanted if name not in kept}
        method.load_state_dict({**wanted, **found})
        return kept

    def lend_to(self, method: Method) -> None:
        """Give the weights to the part of a network of another method that starts from them.

        The network has the sizes of this encoder, see `Method.borrows`.
        """
        borrowed = method.borrows[self.spec.method]
        fresh = method.state_dict()
        lent = {
            name: self.tensors[borrowed.theirs + name.removeprefix(borrowed.ours)]
            for name in fresh
            if name.startswith(borrowed.ours)
        }
        method.load_state_dict({**fresh, **lent})

    def _differences(self, method_config: Mapping[str, Any]) -> str:
        """The settings that decide which tensors there are, where they differ."""
        found = self.spec.method_config
        changed = [name for name, value in method_config.items() if found.get(name) != value]
        names = [name for name in changed if self._reshapes({name: method_config[name]})]
        return "; ".join(
            f"it was pre-trained with {name}={found.get(name)}, not {name}={method_config[name]}"
            for name in names or changed
        )

    def _reshapes(self, change: Mapping[str, Any]) -> bool:
        """Whether a change of the pre-training's settings alone needs other tensors."""
        try:
            wanted = _wanted(self.spec.method, {**self.spec.method_config, **change})
        except UserError:  # it takes another setting along
            return True
        found = _shapes(self.tensors)
        return any(found.get(name) != shape for name, shape in wanted.items())


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in tensors.items()}


def _wanted(method: str, method_config: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Names and shapes of the tensors of a network, which takes no memory."""
    entry = METHODS[method]
    with torch.device("meta"):
        network = entry.method(replace_fields(entry.config(), method_config, where=method))
    return _shapes(network.state_dict())


def write_encoder(
    spec: EncoderSpec, tensors: Mapping[str, Tensor], folder: Path, *, half: bool
) -> None:
    """Write config.json and model.safetensors into an existing folder.

    Args:
        spec: the specification.
        tensors: ``Method.state_dict()`` of the pre-trained network.
        folder: where to write.
        half: store float16, but for tensors with a value that float16 cannot hold.

    Raises:
        OSError: they cannot be written; the disk is full, say.
    """
    kept = {name: _halve(value) if half else value for name, value in tensors.items()}
    write_network(spec.to_json(), kept, folder)


def _halve(value: Tensor) -> Tensor:
    small = value.detach().half() if value.is_floating_point() else value
    return small if torch.isfinite(small).all() else value


def read_encoder(folder: Path) -> PretrainedEncoder:
    """Load a folder that `write_encoder` wrote.

    Raises:
        UserError: not an encoder folder, truncated, written by a newer format, made with
            featurizers that this version does not have, or with tensors that are not those of its
            configuration.
    """
    spec, stored = read_network(folder, EncoderSpec)
    tensors = {
        name: value.float() if value.is_floating_point() else value
        for name, value in stored.items()
    }
    try:
        shapes = _wanted(spec.method, spec.method_config)
    except (TypeError, ValueError, AttributeError, RuntimeError, UserError) as error:
        raise damaged(folder, error) from error
    found = _shapes(tensors)
    wrong = [name for name in {**shapes, **found} if shapes.get(name) != found.get(name)]
    if wrong:
        states = {True: "missing", False: "of another shape"}
        state = "unknown" if wrong[0] not in shapes else states[wrong[0] not in found]
        raise UserError(
            f"{folder / WEIGHTS} does not fit its config.json: {wrong[0]} is {state} "
            f"({counted(len(wrong), 'tensor')} in all)"
        )
    return PretrainedEncoder(spec, tensors)


def shipped_encoders() -> tuple[str, ...]:
    """Names of the encoders that come with the package."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}")))


def find_encoder(place: str | Path) -> Path:
    """The folder of an encoder that is named by its path, or by its name where it is shipped.

    Raises:
        UserError: there is neither; lists those that ship.
    """
    folder = Path(place)
    if exists(folder):
        return folder
    names = shipped_encoders()
    if str(place) in names:
        return SHIPPED / str(place)
    raise UserError(
        f"{place} is neither a folder nor an encoder that ships with molweave; shipped: "
        f"{', '.join(names) or 'none'}"
    )
