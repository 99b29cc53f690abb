"""``molweave prepare``: shards for pre-training from a corpus of molecules."""

from typing import TYPE_CHECKING, Annotated

import typer

from molweave.chem.columns import list_names
from molweave.cli import options
from molweave.cli.output import print_json
from molweave.cli.progress import open_display
from molweave.cli.values import format_duration, given_only
from molweave.wording import counted

if TYPE_CHECKING:
    from molweave.data.prepare import PrepareResult

Corpus = Annotated[
    str,
    typer.Argument(
        metavar="CORPUS",
        show_default=False,
        help="Table of molecules (.smi, .csv, .tsv, .sdf or .parquet, each also with .gz) or a "
        "folder of such tables.",
    ),
]
Out = Annotated[str, typer.Option("--out", "-o", metavar="FOLDER", help="Folder for the shards.")]
Exclude = Annotated[
    list[str] | None,
    options.option(
        "--exclude",
        options.DATA,
        "Leave out the molecules of this table (repeatable): test sets, say.",
        "FILE",
    ),
]
Valid = Annotated[
    float | None,
    options.option("--valid", options.DATA, "Share of the molecules to hold out.", "X", "0.02"),
]
Conformers = Annotated[
    str | None,
    options.option(
        "--conformers",
        options.DATA,
        "input: coordinates of the corpus, the missing ones generated; generate; none.",
        "NAME",
        "input",
    ),
]
ShardSize = Annotated[
    int | None,
    typer.Option(
        "--shard-size",
        min=1,
        metavar="N",
        show_default="10000",
        help="Molecules per pair of shards.",
    ),
]
_REASONS = 5


def prepare(
    corpus: Corpus,
    out: Out,
    smiles_column: options.SmilesColumn = None,
    exclude: Exclude = None,
    standardize: options.Standardize = None,
    valid: Valid = None,
    conformers: Conformers = None,
    shard_size: ShardSize = None,
    workers: options.Workers = None,
    overwrite: options.Overwrite = False,
    _config: options.Config = None,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Standardise a corpus, drop duplicates, add coordinates, and write it as shards.

    When it was interrupted, the same command goes on where it stopped.
    """
    with open_display(quiet) as display:
        from molweave.data.prepare import PrepareSettings
        from molweave.data.prepare import prepare as run

        display.stage("preparing")
        settings = PrepareSettings(
            **given_only(
                conformers=conformers,
                shard_size=shard_size,
                valid_share=valid,
                standardize=standardize,
            )
        )
        try:
            result = run(
                corpus,
                out,
                exclude=exclude or (),
                smiles_column=smiles_column,
                settings=settings,
                **given_only(workers=workers),
                overwrite=overwrite,
                progress=display.advance,
            )
        except KeyboardInterrupt as stop:
            same = "the same command without --overwrite" if overwrite else "the same command"
            raise KeyboardInterrupt(f"{same} goes on from here") from stop
        for line in describe_corpus(result):
            display.message(line)
    if json:
        found = {"out": out, "seconds": result.seconds, "unread": result.unread}
        print_json({**found, **result.manifest.to_json()})


def describe_corpus(result: "PrepareResult") -> list[str]:
    """Lines with the counts: rows, molecules, rejects by reason, origins of the coordinates."""
    manifest = result.manifest
    done = manifest.rows - result.resumed
    rate = done / result.seconds if result.seconds else 0.0
    train, valid = manifest.molecules("train"), manifest.molecules("valid")
    rejected = sum(manifest.rejected.values())
    lines = [
        f"{counted(manifest.rows, 'row')}: {counted(train, 'molecule')} to train on, "
        f"{valid:,} held out, {rejected:,} rejected, {counted(len(manifest.shards), 'shard')}"
    ]
    if result.resumed:
        lines.append(f"  {counted(result.resumed, 'row')} had been done before")
    if done:
        lines.append(
            f"  {counted(done, 'row')} in {format_duration(result.seconds)} ({rate:,.0f} rows/s)"
        )
    reasons = list(manifest.rejected.items())
    lines += [f"  {count:,} rejected: {reason}" for reason, count in reasons[:_REASONS]]
    others = sum(count for _, count in reasons[_REASONS:])
    if others:
        lines.append(f"  {others:,} rejected for other reasons: see rejects.csv")
    lines += [f"  {count:,} coordinates: {name}" for name, count in manifest.coordinates.items()]
    lines += [
        f"  nothing excluded by {counted(count, 'row')} of {name} (no molecule)"
        for name, count in result.skipped.items()
    ]
    if result.unread:
        lines.append(f"  not read: {list_names(result.unread)}")
    if manifest.unusable:
        lines.append(f"  {manifest.unusable:,} given coordinates do not fit their structure")
    return lines
