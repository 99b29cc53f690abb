"""What fitted models and pre-trained encoders have in common: molecules in, vectors out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from molweave.events import Events
from molweave.inference.embed import embed_array, embed_file
from molweave.inference.source import molecules_of, row_counter, table_to_write
from molweave.inference.stream import AnyRunner
from molweave.inference.summary import PredictSummary

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Embeds(ABC):
    """A facade over a network that embeds molecules."""

    @property
    @abstractmethod
    def runner(self) -> AnyRunner:
        """The network on its device."""

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
        prefix: str = "",
        overwrite: bool = False,
        events: Events | None = None,
    ) -> PredictSummary:
        """Embed a table of any length into a Parquet file, in constant memory.

        The input's columns stay; `inference.embed.COLUMNS` are added, each after ``prefix``.
        """
        return embed_file(
            self.runner,
            table_to_write(data, out, smiles_column),
            out,
            prefix=prefix,
            overwrite=overwrite,
            on_row=row_counter(events, "embedding"),
        )
