"""The facade of a pre-trained encoder: molecules in, vectors out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from molweave.inference.embeds import Embeds
from molweave.inference.stream import Runner
from molweave.methods.pretrained import (
    EncoderModel,
    PretrainedEncoder,
    find_encoder,
    read_encoder,
)


class Encoder(Embeds):
    """A pre-trained encoder, which embeds molecules without having been fitted on any label.

    Example:
        >>> encoder = Encoder.from_pretrained("moleblend-small")
        >>> vectors = encoder.embed(["CCO", "c1ccccc1O"])
    """

    def __init__(
        self,
        pretrained: PretrainedEncoder,
        changes: Mapping[str, object],
        *,
        device: str = "auto",
        workers: int = 0,
    ) -> None:
        """Build the network; `from_pretrained` is the usual way, and describes the arguments."""
        self.changes = dict(changes)
        self.device, self.workers = device, workers
        self.pretrained = pretrained
        self._runner = Runner(pretrained.model(changes), device=device, workers=workers)

    @classmethod
    def from_pretrained(
        cls, place: str | Path, *, device: str = "auto", workers: int = 0, **changes: object
    ) -> "Encoder":
        """Load an encoder.

        Args:
            place: an encoder folder, or the name of an encoder that ships with the package.
            device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``mps``.
            workers: worker processes; 0 for one per core.
            changes: fields of the method's configuration to change; MoleBLEND reads the 2D
                structure alone, and ``views="both"`` or ``views="3d"`` conformers, too.

        Raises:
            UserError: no encoder, damaged, of another format version, or without the weights that
                the changes need.
        """
        pretrained = read_encoder(find_encoder(place))
        return cls(pretrained, changes, device=device, workers=workers)

    @property
    def runner(self) -> Runner[EncoderModel]:
        """The network on its device."""
        return self._runner

    def __repr__(self) -> str:
        spec = self.runner.model.spec
        changes = "".join(f", {name}={value}" for name, value in self.changes.items())
        return (
            f"<Encoder: {spec.method}, preset {spec.preset}{changes}, "
            f"{self.runner.embedding_dim} dimensions, from {', '.join(spec.modality_names)}>"
        )

    def info(self) -> dict[str, Any]:
        """Specification, record, digest of the weights, sizes, as plain values."""
        model = self.runner.model
        parameters = sum(value.numel() for value in model.members[0].parameters())
        return {
            **model.spec.to_json(),
            "parameters": parameters,
            "embedding_dim": self.runner.embedding_dim,
            "sha256": self.pretrained.sha256,
        }
