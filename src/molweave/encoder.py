"""The facade of a pre-trained encoder: molecules in, vectors out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molweave.events import Events
from molweave.inference.embed import embed_array, embed_file
from molweave.inference.source import molecules_of, row_counter, table_to_write
from molweave.inference.stream import Runner
from molweave.inference.summary import PredictSummary
from molweave.methods.pretrained import (
    EncoderModel,
    PretrainedEncoder,
    find_encoder,
    read_encoder,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Encoder:
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

    def embed(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        *,
        smiles_column: str | None = None,
    ) -> "np.ndarray":
        """The vector of every row: float32 (rows, d), NaN where a row was rejected.

        Args:
            data: a list of SMILES, a DataFrame, or a file.
            smiles_column: where the SMILES are; None looks for the usual names.
        """
        return embed_array(self.runner, molecules_of(data, smiles_column))

    def embed_file(
        self,
        data: "str | Path | Sequence[str] | pd.DataFrame",
        out: str | Path,
        *,
        smiles_column: str | None = None,
        overwrite: bool = False,
        events: Events | None = None,
    ) -> PredictSummary:
        """Embed a table of any length into a Parquet file, in constant memory."""
        table = table_to_write(data, out, smiles_column)
        on_row = row_counter(events, "embedding")
        return embed_file(self.runner, table, out, overwrite=overwrite, on_row=on_row)

    @property
    def runner(self) -> Runner[EncoderModel]:
        """The network on its device."""
        return self._runner

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
