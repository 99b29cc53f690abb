"""The structure-awareness module of MMSA: hypergraph, memory bank and their two losses."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from molweave.methods.mmsa_config import MMSAConfig
from molweave.nn.fusion.hypergraph import HypergraphLayer
from molweave.nn.fusion.memory import MemoryBank
from molweave.nn.objectives.contrastive import info_nce
from molweave.shapes import Bool, Float, Tensor


@dataclass(frozen=True)
class Awareness:
    """What the module makes of a batch.

    Attributes:
        structure: g, the embedding that has heard of similar molecules.
        reading: r, what the memory returns for g.
    """

    structure: Float[Tensor, "B S"]
    reading: Float[Tensor, "B S"]


class StructureAwareness(nn.Module):
    """The hypergraph layer, the memory bank, and the projection of codes to compare with r."""

    def __init__(self, config: MMSAConfig) -> None:
        """In all protocols but ``pretrain``, references and anchors are frozen."""
        super().__init__()
        frozen = config.protocol != "pretrain"
        self.hypergraph = HypergraphLayer(
            inputs=config.code,
            outputs=config.structure,
            neighbours=config.neighbours,
            kind=config.hypergraph,
            symmetric=config.symmetric,
            references=config.references,
            frozen=frozen,
        )
        self.memory = MemoryBank(
            anchors=config.anchors,
            width=config.structure,
            temperature=config.sharpness,
            frozen=frozen,
        )
        if not frozen and config.recall > 0:
            self.project = nn.Linear(config.code, config.structure)

    def forward(self, codes: Float[Tensor, "B C"], known: Bool[Tensor, " B"]) -> Awareness:
        """g and r of every molecule; 0 for those of which nothing is ``known``, no view at all."""
        if bool(known.all()):
            structure = self.hypergraph(codes)
            return Awareness(structure, self.memory(structure))
        rows = known.nonzero()[:, 0]
        empty = codes.new_zeros(len(codes), self.memory.anchors.shape[1])
        structure = self.hypergraph(codes[rows]) if len(rows) else empty[:0]
        found = (structure, self.memory(structure))
        return Awareness(*(empty.index_copy(0, rows, part.to(empty.dtype)) for part in found))

    def recall(
        self,
        reading: Float[Tensor, "B S"],
        codes: Mapping[str, Tensor],
        present: Mapping[str, Bool[Tensor, " B"]],
        *,
        temperature: float,
    ) -> Float[Tensor, ""]:
        r"""The memory-enhanced contrast: from what the memory returns, tell which molecule it was.

        .. math:: mean_m\, InfoNCE(r, W_p c^m)

        Args:
            reading: r.
            codes: modality to c^m, (B, C).
            present: modality to who has it.
            temperature: tau.

        Returns:
            The mean over the modalities that at least two molecules have; 0 where there is none.
        """
        values = [
            info_nce(reading[rows], self.project(code[rows]), temperature=temperature)
            for code, rows in ((code, present[name]) for name, code in codes.items())
            if int(rows.sum()) > 1
        ]
        return torch.stack(values).mean() if values else reading.new_zeros(())


def memory_loss(found: Awareness) -> Float[Tensor, ""]:
    """MSE(g, r): embeddings and anchors come close to each other."""
    return functional.mse_loss(found.reading.float(), found.structure.float())
