"""A stretch of the corpus in the making: its rows sorted out, its coordinates found."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from molweave.chem.conformers import Conformer, ConformerSettings
from molweave.chem.diagnose import generalize
from molweave.chem.molecule import Rejected
from molweave.data.cache import ConformerCache, load_conformers
from molweave.data.corpus import CorpusRow, Place
from molweave.data.shard_file import CorpusMolecule
from molweave.data.sieve import Sieve
from molweave.events import Progress


@dataclass
class Draft:
    """What is to become a `molweave.data.manifest.Span`.

    Attributes:
        place: where the next span begins.
        molecules: those that were kept, in the order of the input.
        rows: rows read.
        rejected: reason to number of rows left out.
        coordinates: origin of the coordinates to number of molecules.
        unusable: kept rows whose given coordinates do not fit their structure.
    """

    place: Place
    molecules: list[CorpusMolecule] = field(default_factory=list)
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    coordinates: Counter[str] = field(default_factory=Counter)
    unusable: int = 0


def read_draft(
    rows: Iterator[CorpusRow], sieve: Sieve, size: int, reject: Callable[[str, Rejected], None]
) -> Draft | None:
    """Read on until ``size`` molecules are kept; None at the end of the corpus.

    Args:
        rows: the rest of the corpus.
        sieve: says which rows are kept.
        size: molecules of a span.
        reject: told the file and the row of each that is not.
    """
    draft: Draft | None = None
    for row in rows:
        draft = draft or Draft(row.after)
        draft.place = row.after
        draft.rows += 1
        result = sieve(row.record)
        if isinstance(result, Rejected):
            draft.rejected[_reason(result)] += 1
            reject(row.source, result)
            continue
        molecule, part = result
        draft.unusable += molecule.unfit
        draft.molecules.append(
            CorpusMolecule(molecule.canonical, molecule.coordinates, row.source, part)
        )
        if len(draft.molecules) == size:
            break
    return draft


def add_coordinates(
    draft: Draft,
    source: str,
    settings: ConformerSettings,
    *,
    workers: int,
    cache: ConformerCache | None,
    progress: Progress,
) -> None:
    """Give every molecule its coordinates and count where they come from.

    Args:
        draft: its molecules have the coordinates of the input, if any.
        source: one of `molweave.chem.conformers.COORDINATE_SOURCES`.
        settings: how conformers are generated.
        workers: processes that do it.
        cache: where conformers are kept; None for the default place.
        progress: told how many of the conformers to generate are there, and how many they are.
    """
    if source == "none":
        draft.molecules = [replace(molecule, coordinates=None) for molecule in draft.molecules]
        draft.coordinates["none"] = len(draft.molecules)
        return
    given = {
        molecule.canonical: Conformer(molecule.coordinates, "input")
        for molecule in draft.molecules
        if source == "input" and molecule.coordinates is not None
    }
    names = [m.canonical for m in draft.molecules if m.canonical not in given]
    found = dict(given)
    if names:
        with nullcontext(cache) if cache else ConformerCache() as store:
            found |= load_conformers(
                names, settings, cache=store, workers=workers, progress=progress
            )
    draft.molecules = [
        replace(molecule, coordinates=found[molecule.canonical].coordinates)
        for molecule in draft.molecules
    ]
    draft.coordinates.update(_origin(found[molecule.canonical]) for molecule in draft.molecules)


def _origin(conformer: Conformer) -> str:
    failure = conformer.failure
    return conformer.origin if failure is None else f"{conformer.origin}: {generalize(failure)}"


def _reason(rejected: Rejected) -> str:
    """The reason under which a row is counted; that of a molecule left out names a file."""
    text = str(rejected)
    return text if rejected.stage in ("duplicate", "exclude") else generalize(text)
