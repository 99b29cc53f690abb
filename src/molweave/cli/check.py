"""``molweave check``: the audit of a data set."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from molweave.cli import options
from molweave.cli.choices import choose_kinds, choose_split, find_targets
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.values import given_only

if TYPE_CHECKING:
    from molweave.data.findings import Audit
    from molweave.data.splits import Split


def check(
    data: options.Data,
    target: options.OptionalTarget = None,
    smiles_column: options.SmilesColumn = None,
    kind: options.Kind = None,
    split: options.AuditedSplit = None,
    split_column: options.SplitColumn = None,
    split_file: options.SplitFile = None,
    standardize: options.Standardize = None,
    seed: options.Seed = None,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Look for what may spoil a model of this table, and say in which rows and what to do.

    With a split, also for molecules on both sides of it. Rows count from 0, without the header.
    Findings do not change the exit code.
    """
    with open_display(quiet) as display:
        display.stage("checking")
        found, parts = _audit(
            data,
            find_targets(target or [], data, smiles_column),
            smiles_column=smiles_column,
            kinds=choose_kinds(kind),
            split=choose_split(split, split_column, split_file),
            standardize=standardize,
            seed=seed or 0,
        )
    if json:
        drawn = {"kind": parts.kind, "notes": parts.notes} if parts is not None else None
        print_json({**found.to_json(), "split": drawn})
        return
    counts, *findings = found.summary
    for line in (counts, *([parts.summary] if parts is not None else ()), *findings):
        typer.echo(line)


def _audit(
    data: str,
    targets: Sequence[str],
    *,
    smiles_column: str | None,
    kinds: str | Mapping[str, str] | None,
    split: str | None,
    standardize: str | None,
    seed: int,
) -> "tuple[Audit, Split | None]":
    """Read the table as a fit would, and audit it; the split, if it was asked for and exists."""
    from molweave.chem.read import open_table
    from molweave.chem.standardize import Standardizer
    from molweave.data.audit import audit
    from molweave.data.splits import ImpossibleSplitError
    from molweave.training.splitting import choose_split as draw_split
    from molweave.training.table import read_training_table

    table = open_table(data, smiles_column=smiles_column)
    found = read_training_table(table, targets, Standardizer(**given_only(name=standardize)))
    parts = impossible = None
    if split is not None:
        try:
            parts = draw_split(
                split,
                found.molecules,
                columns=table.columns,
                records=found.records,
                seed=seed,
                rows=found.rows,
                labelled=found.labelled if found.labelled.any() else None,
            )
        except ImpossibleSplitError as error:
            impossible = error
    audited = audit(
        found.molecules,
        found.targets if targets else None,
        targets,
        rejected=found.rejected,
        kinds=kinds,
        split=parts or impossible,
    )
    return audited, parts
