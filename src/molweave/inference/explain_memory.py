"""What the anchors of an MMSA memory stand for: the molecules that are nearest to each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np
import torch
from rdkit import Chem, rdBase

from molweave.chem.standardize import canonicalize
from molweave.chem.table import Table
from molweave.errors import UserError
from molweave.inference.stream import OnRow, Row, Runner
from molweave.methods.mmsa import MMSA
from molweave.methods.mmsa_structure import StructureAwareness
from molweave.methods.pretrained import EncoderModel, PretrainedEncoder
from molweave.nn.fusion.memory import perplexity

_CHUNK = 1024
_WIDER = 4
"""So many times more candidates than are kept, as a molecule may occur in several rows."""


@dataclass(frozen=True)
class Near:
    """A molecule near an anchor.

    Attributes:
        smiles: as in the input.
        row: of the input, 0-based.
        similarity: cosine of its g and the anchor, -1 to 1.
    """

    smiles: str
    row: int
    similarity: float


@dataclass(frozen=True)
class Anchor:
    """One anchor.

    Attributes:
        number: its place in the memory, 0-based.
        trained: share of the addressing at the end of the pre-training.
        used: share of the addressing by the molecules shown.
        nearest: the molecules most similar to it, all different, the nearest first.
    """

    number: int
    trained: float
    used: float
    nearest: tuple[Near, ...]


@dataclass(frozen=True)
class MemoryMap:
    """The anchors of a memory, and the molecules that they were shown.

    Attributes:
        anchors: the most used first.
        source: name of the table.
        molecules: rows that were shown.
        rejected: rows that could not be used.
        trained_perplexity: how many anchors were in use at the end of the pre-training.
        perplexity: how many the molecules shown use.
    """

    anchors: tuple[Anchor, ...]
    source: str
    molecules: int
    rejected: int
    trained_perplexity: float
    perplexity: float


def explain_memory(
    encoder: PretrainedEncoder,
    table: Table,
    *,
    nearest: int = 6,
    device: str = "auto",
    workers: int = 0,
    on_row: OnRow | None = None,
) -> MemoryMap:
    """Show molecules to a memory and keep, for every anchor, those nearest to it.

    Args:
        encoder: of MMSA, pre-trained with a memory.
        table: the molecules.
        nearest: molecules to keep of every anchor.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``mps``.
        workers: worker processes for conformers; 0 for one per core.
        on_row: told of the number of rows done.

    Raises:
        UserError: the encoder has no memory, or no row of the table can be used.
    """
    runner, awareness = _open(encoder, device, workers)
    seen = _Seen(awareness, nearest)
    rows = runner.rows(table, on_row)
    while chunk := list(islice(rows, _CHUNK)):
        seen.add(chunk)
    if not seen.molecules:
        raise UserError(f"{table.name}: no row holds a molecule that can be used")
    trained = awareness.memory.usage.cpu().double()
    trained = trained / trained.sum()
    used = seen.used / seen.molecules
    return MemoryMap(
        anchors=tuple(
            Anchor(number, float(trained[number]), float(used[number]), tuple(seen.nearest[number]))
            for number in used.argsort(descending=True).tolist()
        ),
        source=table.name,
        molecules=seen.molecules,
        rejected=seen.rejected,
        trained_perplexity=perplexity(trained),
        perplexity=perplexity(used),
    )


def _open(
    encoder: PretrainedEncoder, device: str, workers: int
) -> tuple[Runner[EncoderModel], StructureAwareness]:
    """The network that embeds by [c; r], and its memory."""
    spec = encoder.spec
    if spec.method != MMSA.name:
        raise UserError(
            f"only an encoder of {MMSA.name} has a memory to explain; this is one of {spec.method}"
        )
    if not (spec.method_config["memory"] or spec.method_config["recall"]):
        raise UserError(
            "this encoder was pre-trained with memory=0 and recall=0, without a memory; "
            "choose another encoder"
        )
    model = encoder.model({"protocol": "fused", "read_memory": True})
    runner = Runner(model, device=device, workers=workers)
    method = model.members[0].method
    assert isinstance(method, MMSA)  # noqa: S101 - the specification says so
    assert method.awareness is not None  # noqa: S101
    return runner, method.awareness


class _Seen:
    """What the rows so far make of the anchors."""

    def __init__(self, awareness: StructureAwareness, nearest: int) -> None:
        self.awareness, self.keep = awareness, nearest
        anchors = len(awareness.memory.usage)
        self.used = torch.zeros(anchors, dtype=torch.double)
        self.nearest: list[list[Near]] = [[] for _ in range(anchors)]
        self.molecules = self.rejected = 0

    @torch.inference_mode()
    def add(self, rows: Sequence[Row]) -> None:
        """Show more rows."""
        usable = [row for row in rows if not row.error]
        self.molecules += len(usable)
        self.rejected += len(rows) - len(usable)
        if not usable:
            return
        memory, layer = self.awareness.memory, self.awareness.hypergraph
        width = layer.references.shape[1]
        codes = torch.from_numpy(np.stack([row.embedding[:width] for row in usable]))
        structure = layer(codes.to(layer.references.device))
        self.used += memory.address(structure).cpu().double().sum(0)
        for number, column in enumerate(memory.similarity(structure).cpu().T):
            found = [
                Near(usable[place].record.smiles or "", usable[place].record.row, float(value))
                for value, place in zip(
                    *map(list, column.topk(min(_WIDER * self.keep, len(usable)))), strict=True
                )
            ]
            self.nearest[number] = _best([*self.nearest[number], *found], self.keep)


@lru_cache(maxsize=100_000)
def _canonical(smiles: str) -> str:
    with rdBase.BlockLogs():
        mol: Chem.Mol | None = Chem.MolFromSmiles(smiles)
        return smiles if mol is None else canonicalize(mol)[0]


def _best(candidates: Sequence[Near], count: int) -> list[Near]:
    """The ``count`` most similar ones of different molecules."""
    kept: dict[str, Near] = {}
    for near in sorted(candidates, key=lambda near: -near.similarity):
        kept.setdefault(_canonical(near.smiles), near)
    return list(kept.values())[:count]
