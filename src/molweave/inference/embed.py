"""Embeddings for every row of a table, in its order."""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

from molweave.chem.table import Table
from molweave.chem.write import OUTPUT_FORMATS, TableWriter
from molweave.errors import UserError
from molweave.inference.added import name_added
from molweave.inference.stream import AnyRunner, OnRow
from molweave.inference.summary import PredictSummary, Tally

COLUMNS = ("embedding", "missing", "error")
"""What is added to the columns of the input."""


def embed_array(runner: AnyRunner, table: Table) -> np.ndarray:
    """float32 (rows, dimensions); NaN rows where a row was rejected."""
    rows = [row.embedding for row in runner.rows(table)]
    return np.stack(rows) if rows else np.zeros((0, runner.embedding_dim), dtype=np.float32)


def embed_file(
    runner: AnyRunner,
    table: Table,
    out: str | Path,
    *,
    prefix: str = "",
    overwrite: bool = False,
    on_row: OnRow | None = None,
) -> PredictSummary:
    """Embed a table of any length into a Parquet file, which appears when it is complete.

    Columns: those of the input, then ``embedding`` (fixed-size list of float32, null where the row
    was rejected), ``missing`` (modalities that it was made without, with the reasons) and
    ``error``, each after the prefix, if there is one. The schema's metadata names the method with
    its settings, and the version.

    Raises:
        UserError: the output is not a .parquet file or cannot be written, or the input already has
            one of the new columns.
    """
    if OUTPUT_FORMATS.get(Path(out).suffix.lower()) != "parquet":
        raise UserError(f"embeddings are written as Parquet; name the output {out} with .parquet")
    added = name_added(COLUMNS, table.columns, prefix)
    tally = Tally()
    spec = runner.model.spec
    source = spec.record.get("corpus" if spec.kind == "encoder" else "data", {})
    metadata = {
        "molweave": version("molweave"),
        "method": spec.method,
        "preset": spec.preset,
        "settings": json.dumps(spec.method_config),
        "trained_on": str(source.get("sha256", "")),
    }
    vectors, text = np.dtype((np.float32, runner.embedding_dim)), np.dtype(str)
    types = {**table.types, **dict(zip(added, (vectors, text, text), strict=True))}
    names = [*table.columns, *added]
    with TableWriter(out, names, overwrite, metadata=metadata, types=types) as writer:
        for row in runner.rows(table, on_row):
            tally.add(row)
            vector = None if row.error else row.embedding
            writer.write([*row.record.values, vector, row.lacks, row.error or None])
    return tally.summary()
