"""MMSA: image, graph and geometry in one code, made aware of other molecules.

After "Multi-Modal Molecular Representation Learning via Structure Awareness" (arXiv:2505.05877,
IEEE TIP 2025), of which only the abstract and summaries were at hand: a reconstruction, not a
port. docs/methods/mmsa.md says what the paper states and what was chosen here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch

from molweave.data.batch import Batch
from molweave.methods.base import Assessment, Encoding, Method, Term
from molweave.methods.mmsa_config import MMSAConfig
from molweave.methods.mmsa_encoders import build_encoders, widths
from molweave.methods.mmsa_structure import Awareness, StructureAwareness, memory_loss
from molweave.nn.collapse import effective_rank, spread
from molweave.nn.fusion.memory import perplexity
from molweave.nn.fusion.unified import Unified, UnifiedCode
from molweave.nn.objectives.contrastive import contrast_modalities, retrieved
from molweave.nn.objectives.reconstruction import reconstruction
from molweave.nn.objectives.score import Score, score
from molweave.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class AwareEncoding(Encoding):
    """An encoding with what the objectives need.

    Attributes:
        unified: x, c^m and c.
        awareness: g and r; None in a network without hypergraph and memory.
    """

    unified: Unified
    awareness: Awareness | None


@dataclass(frozen=True)
class _Snapshot:
    """What is kept of the last training batch for `MMSA.monitors`; no gradients."""

    code: Float[Tensor, "B C"]
    structure: Float[Tensor, "B S"] | None
    contrast: Float[Tensor, ""] | None

    @classmethod
    def of(cls, encoding: AwareEncoding, terms: Mapping[str, Term]) -> "_Snapshot":
        awareness, contrast = encoding.awareness, terms.get("contrast")
        return cls(
            encoding.unified.embedding.detach(),
            None if awareness is None else awareness.structure.detach(),
            None if contrast is None else contrast.value.detach(),
        )


class MMSA(Method):
    r"""One unified code of image, graph and geometry, and a graph encoder that profits from it.

    The protocol ``graph`` is the graph encoder alone; ``fused`` embeds by the unified code c, with
    `MMSAConfig.read_memory` by [c; r]; ``pretrain`` embeds by c and has the objectives

    .. math::
        0.6\,L_{contrast} + 0.2\,(L_{reconstruction} + L_{cross})
        + \lambda_{mem} L_{memory} + \lambda_g L_{recall}

    A network has the parameters that its protocol needs, under the same names in all protocols.
    """

    name: ClassVar[str] = "mmsa"

    def __init__(self, config: MMSAConfig) -> None:
        """Build the network with fresh weights."""
        super().__init__()
        self.config = config
        self.modalities = config.modalities
        self.encoders = build_encoders(config)
        self.unified: UnifiedCode | None = None
        self.awareness: StructureAwareness | None = None
        self._last: _Snapshot | None = None
        if config.protocol == "graph":
            self.embedding_dim = config.graph_width
            return
        self.unified = UnifiedCode(
            widths(config),
            hidden=config.hidden,
            code=config.code,
            decoders=config.protocol == "pretrain" and config.reconstruction + config.cross > 0,
        )
        if config.aware:
            self.awareness = StructureAwareness(config)
        read = config.protocol == "fused" and config.read_memory
        self.embedding_dim = config.code + read * config.structure

    def encode(self, batch: Batch) -> Encoding:
        """Embed every molecule; the codes ``shared`` are c^m, per modality."""
        features = {
            name: encoder(batch.parts[name])
            for name, encoder in self.encoders.items()
            if name in batch.parts
        }
        if self.unified is None:
            weights = batch.present["graph"].float()[:, None]
            return Encoding(features["graph"], self.modalities, weights)
        unified = self.unified(features, batch.present)
        embedding, awareness = unified.embedding, None
        if self.awareness is not None:
            awareness = self.awareness(embedding, unified.weights.any(1))
            if self.config.protocol == "fused":
                embedding = torch.cat([embedding, awareness.reading], dim=1)
        return AwareEncoding(
            embedding=embedding,
            modalities=self.modalities,
            weights=unified.weights,
            codes={"shared": unified.codes},
            unified=unified,
            awareness=awareness,
        )

    def objectives(self, encoding: Encoding, batch: Batch, progress: float) -> dict[str, Term]:
        """``contrast``, ``reconstruction``, ``cross``, ``memory`` and ``recall``.

        A term of weight 0 is left out, and so are ``contrast`` and ``cross`` with one view only.
        Outside of the protocol ``pretrain`` there are none.
        """
        if self.config.protocol != "pretrain" or not isinstance(encoding, AwareEncoding):
            return {}
        losses = {
            **self._modal_losses(encoding.unified, batch),
            **self._memory_losses(encoding, batch),
        }
        terms = {
            name: Term(weight, loss())
            for name, loss in losses.items()
            if (weight := getattr(self.config, name)) > 0
        }
        if self.training:
            self._last = _Snapshot.of(encoding, terms)
        return terms

    def _modal_losses(self, unified: Unified, batch: Batch) -> dict[str, Callable[[], Tensor]]:
        """The terms of the multi-modal module."""
        if self.unified is None:
            return {}
        present = {name: batch.present[name] for name in self.modalities}
        recover = partial(
            reconstruction, unified.hidden, unified.codes, present, self.unified.decode
        )
        losses: dict[str, Callable[[], Tensor]] = {"reconstruction": partial(recover, cross=False)}
        if len(present) > 1:
            losses["contrast"] = partial(
                contrast_modalities, unified.codes, present, temperature=self.config.temperature
            )
            losses["cross"] = partial(recover, cross=True)
        return losses

    def _memory_losses(
        self, encoding: AwareEncoding, batch: Batch
    ) -> dict[str, Callable[[], Tensor]]:
        """The terms of the structure-awareness module."""
        module, found = self.awareness, encoding.awareness
        if module is None or found is None:
            return {}
        recall = partial(
            module.recall,
            found.reading,
            encoding.unified.codes,
            batch.present,
            temperature=self.config.temperature,
        )
        return {"memory": partial(memory_loss, found), "recall": recall}

    def assess(self, batch: Batch, generator: torch.Generator) -> Assessment:
        """The terms, and how often a graph finds its own image or conformer among the batch's.

        The scores ``graph_to_image`` and ``graph_to_geometry`` are shares of the molecules that
        have both, by the cosine of the codes; they get harder with the size of the batch. Where
        no molecule has both there is no score.
        """
        encoding = self.encode(batch)
        scores: dict[str, Score] = {}
        if isinstance(encoding, AwareEncoding) and "graph" in self.modalities:
            codes = encoding.unified.codes
            for name in self.modalities:
                both = batch.present["graph"] & batch.present[name]
                if name != "graph" and both.any():
                    hits = retrieved(codes["graph"][both], codes[name][both])
                    scores[f"graph_to_{name}"] = score(hits.float(), torch.ones_like(hits))
        return Assessment(self.objectives(encoding, batch, 1.0), scores)

    def monitors(self) -> dict[str, float]:
        """What shows a collapse, of the last training batch; empty before the first.

        ``effective_rank`` and ``spread`` (standard deviation, mean over the dimensions) of c,
        ``structure_spread`` of g, ``contrast_share``, the contrast over log B, which is near 1
        where nothing is learnt, and of the memory ``anchor_perplexity`` and ``dead_anchors``.
        """
        last = self._last
        if last is None:
            return {}
        found = {"effective_rank": effective_rank(last.code), "spread": spread(last.code)}
        if last.contrast is not None:
            found["contrast_share"] = float(last.contrast) / math.log(max(len(last.code), 2))
        if self.awareness is not None and last.structure is not None:
            memory = self.awareness.memory
            found["structure_spread"] = spread(last.structure)
            found["anchor_perplexity"] = perplexity(memory.usage)
            found["dead_anchors"] = float(memory.dead.sum())
        return found

    def learning_rate_factors(self) -> dict[str, float]:
        """The geometry encoder is pre-trained at a rate of its own."""
        if self.config.protocol != "pretrain":
            return {}
        return {"encoders.geometry.": self.config.geometry_rate}
