"""DMMRL: disentangled multi-modal representation learning with variational autoencoders.

Source: "DMMRL: Disentangled Multi-Modal Representation Learning via Variational Autoencoders for
Molecular Property Prediction" (arXiv cs.LG, 2026-03). The symbols of the paper are those of
docs/methods/dmmrl.md, which also lists where this implementation corrects the released code.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import nn

from molweave.data.batch import Batch
from molweave.methods.base import Borrowed, Encoding, Method, Term
from molweave.methods.dmmrl_config import DMMRLConfig
from molweave.methods.moleblend import build_encoder
from molweave.methods.moleblend_config import MoleBLENDConfig
from molweave.modalities import descriptors, fingerprint, geometry, graph, sequence
from molweave.nn.encoders.cmpnn import CMPNN
from molweave.nn.encoders.geognn import GeoGNN
from molweave.nn.encoders.perceptron import Perceptron
from molweave.nn.encoders.recurrent_transformer import RecurrentTransformer
from molweave.nn.encoders.relations import RelationsEncoder
from molweave.nn.fusion.gated import Fusion
from molweave.nn.fusion.variational import Decoder, VariationalHead
from molweave.nn.objectives.bottleneck import kl_divergence, maximum_mean_discrepancy
from molweave.nn.objectives.contrastive import contrast_modalities
from molweave.nn.objectives.orthogonality import ORTHOGONALITY
from molweave.shapes import Bool, Float, Tensor


def _sequence(config: DMMRLConfig) -> nn.Module:
    return RecurrentTransformer(
        vocabulary_size=sequence.VOCABULARY_SIZE,
        width=config.width,
        recurrent_layers=config.recurrent_layers,
        attention_layers=config.attention_layers,
        heads=config.heads,
        feed_forward=config.feed_forward,
        dropout=config.encoder_dropout,
    )


def _graph(config: DMMRLConfig) -> nn.Module:
    return CMPNN(
        atom_width=graph.ATOM_WIDTH,
        bond_width=graph.BOND_WIDTH,
        width=config.width,
        rounds=config.rounds,
        dropout=config.encoder_dropout,
    )


def _geometry(config: DMMRLConfig) -> nn.Module:
    return GeoGNN(
        atom_cardinalities=geometry.ATOM_CARDINALITIES,
        bond_cardinalities=geometry.BOND_CARDINALITIES,
        width=config.width,
        layers=config.geometry_layers,
        dropout=config.encoder_dropout,
    )


def _descriptors(config: DMMRLConfig) -> nn.Module:
    return Perceptron(
        inputs=descriptors.WIDTH,
        width=config.width,
        dropout=config.encoder_dropout,
        smooth=descriptors.PHYSICAL,
        fourier=config.fourier,
    )


def _fingerprint(config: DMMRLConfig) -> nn.Module:
    return Perceptron(inputs=fingerprint.WIDTH, width=config.width, dropout=config.encoder_dropout)


def _relations(config: DMMRLConfig) -> nn.Module:
    sizes = MoleBLENDConfig(
        views="2d",
        width=config.pair_width,
        layers=config.pair_layers,
        heads=config.pair_heads,
        feed_forward=config.pair_feed_forward,
        encoder_dropout=0.0,
        drop_path=0.0,
    )
    return RelationsEncoder(build_encoder(sizes), inputs=config.pair_width, width=config.width)


ENCODERS: dict[str, Callable[[DMMRLConfig], nn.Module]] = {
    "sequence": _sequence,
    "graph": _graph,
    "geometry": _geometry,
    "descriptors": _descriptors,
    "fingerprint": _fingerprint,
    "relations": _relations,
}


def _ramp(progress: float, speed: float) -> float:
    """sigmoid(10 (speed * progress - 0.5)): near 0 at the start, 1 after ``1 / speed``."""
    return 1 / (1 + math.exp(-10 * (speed * progress - 0.5)))


class DMMRL(Method):
    r"""Shared and private variational codes per modality, gated fusion of the shared ones.

    For every modality m an encoder gives h_m, a variational head splits it into z_m^s and z_m^p,
    and the fusion of the z_m^s is the embedding. The loss terms (`objectives`):

    .. math::
        \beta k(e) KL + \lambda_{mmd} o(e) MMD + \lambda_{align} o(e) Align
        + \lambda_{orth} k(e) Orth + \lambda_{rec} o(e) Rec

    with :math:`k(e) = \sigma(10 (e/W - 0.5))` and :math:`o(e) = \sigma(10 (2e/W - 0.5))`.
    """

    name: ClassVar[str] = "dmmrl"
    untaught: ClassVar[tuple[str, ...]] = ("fusion.",)
    borrows: ClassVar[Mapping[str, Borrowed]] = MappingProxyType(
        {
            "moleblend": Borrowed(
                view="relations",
                preset="relational",
                theirs="encoder.",
                ours="encoders.relations.encoder.",
                sizes={
                    "width": "pair_width",
                    "layers": "pair_layers",
                    "heads": "pair_heads",
                    "feed_forward": "pair_feed_forward",
                },
            )
        }
    )

    def __init__(self, config: DMMRLConfig) -> None:
        """Build the network with fresh weights."""
        super().__init__()
        self.config = config
        self.modalities = config.modalities
        self.embedding_dim = config.shared
        self.encoders = nn.ModuleDict({name: ENCODERS[name](config) for name in self.modalities})
        self.heads = nn.ModuleDict(
            {
                name: VariationalHead(
                    inputs=config.width,
                    hidden=config.hidden,
                    shared=config.shared,
                    private=config.private,
                    dropout=config.dropout,
                )
                for name in self.modalities
            }
        )
        self.decoders = nn.ModuleDict(
            {
                name: Decoder(
                    shared=config.shared,
                    private=config.private,
                    hidden=config.hidden,
                    outputs=config.width,
                )
                for name in self.modalities
            }
        )
        self.fusion = Fusion(
            config.fusion, num_modalities=len(self.modalities), width=config.shared
        )

    def encode(self, batch: Batch) -> Encoding:
        """Codes, fused embedding and modality weights of every molecule.

        `Encoding.codes` holds, per modality: ``pooled`` (h_m), ``shared`` and ``private`` (the
        samples; the means in evaluation), and ``shared_mean``, ``shared_log_variance``.
        """
        codes: dict[str, dict[str, Tensor]] = {
            kind: {}
            for kind in ("pooled", "shared", "private", "shared_mean", "shared_log_variance")
        }
        for name in self.modalities:
            for kind, values in self._modality_codes(name, batch).items():
                codes[kind][name] = values
        present = torch.stack([batch.present[name] for name in self.modalities], dim=1)
        if self.training and self.config.modality_dropout > 0:
            present = _drop_modalities(present, self.config.modality_dropout)
        shared = torch.stack([codes["shared"][name] for name in self.modalities], dim=1)
        embedding, weights = self.fusion(shared, present)
        return Encoding(embedding, self.modalities, weights, codes)

    def _modality_codes(self, name: str, batch: Batch) -> dict[str, Tensor]:
        """Codes of one modality, scattered to the rows of the molecules that have it."""
        config = self.config
        if name not in batch.parts:
            widths = {
                "pooled": config.width,
                "shared": config.shared,
                "private": config.private,
                "shared_mean": config.shared,
                "shared_log_variance": config.shared,
            }
            like = next(self.parameters())
            return {kind: like.new_zeros(batch.size, width) for kind, width in widths.items()}
        pooled = self.encoders[name](batch.parts[name])
        shared, private = self.heads[name](pooled)
        found = {
            "pooled": pooled,
            "shared": shared.sample,
            "private": private.sample,
            "shared_mean": shared.mean,
            "shared_log_variance": shared.log_variance,
        }
        rows = batch.present[name].nonzero()[:, 0]
        return {
            kind: values.new_zeros(batch.size, values.shape[1]).index_copy(0, rows, values)
            for kind, values in found.items()
        }

    def objectives(self, encoding: Encoding, batch: Batch, progress: float) -> dict[str, Term]:
        """The terms ``kl``, ``mmd``, ``align``, ``orth`` and ``rec`` with their ramped weights.

        A term with weight 0 in the configuration is left out; so is a modality of which the
        batch holds fewer than two molecules.
        """
        config = self.config
        slow = _ramp(progress, 1 / config.ramp)
        fast = _ramp(progress, 2 / config.ramp)
        plan: list[tuple[str, float, float, Callable[[Encoding, Batch], Tensor]]] = [
            ("kl", config.kl, slow, self._kl),
            ("mmd", config.mmd, fast, self._mmd),
            ("align", config.align, fast, self._align),
            ("orth", config.orth, slow, self._orth),
            ("rec", config.rec, fast, self._rec),
        ]
        return {
            name: Term(weight * ramp, term(encoding, batch))
            for name, weight, ramp, term in plan
            if weight > 0
        }

    @property
    def weighs(self) -> bool:
        """With the gate, where there is something to choose."""
        return self.config.fusion == "gated" and len(self.modalities) > 1

    def learning_rate_factors(self) -> dict[str, float]:
        """The encoder of relations, which may be a pre-trained one, learns at its own rate."""
        return {self.borrows["moleblend"].ours: self.config.pair_rate}

    def _mean_over_modalities(
        self, batch: Batch, term: Callable[[str, Bool[Tensor, " B"]], Tensor]
    ) -> Float[Tensor, ""]:
        values = [
            term(name, batch.present[name])
            for name in self.modalities
            if name in batch.parts and batch.parts[name].num_molecules > 1
        ]
        if not values:
            return next(self.parameters()).new_zeros(())
        return torch.stack(values).mean()

    def _kl(self, encoding: Encoding, batch: Batch) -> Tensor:
        codes = encoding.codes
        return self._mean_over_modalities(
            batch,
            lambda name, there: kl_divergence(
                codes["shared_mean"][name][there], codes["shared_log_variance"][name][there]
            ),
        )

    def _mmd(self, encoding: Encoding, batch: Batch) -> Tensor:
        def term(name: str, there: Tensor) -> Tensor:
            private = encoding.codes["private"][name][there]
            return maximum_mean_discrepancy(private, torch.randn_like(private))

        return self._mean_over_modalities(batch, term)

    def _orth(self, encoding: Encoding, batch: Batch) -> Tensor:
        measure = ORTHOGONALITY[self.config.orthogonality]
        codes = encoding.codes
        return self._mean_over_modalities(
            batch,
            lambda name, there: measure(
                codes["shared"][name][there], codes["private"][name][there]
            ),
        )

    def _rec(self, encoding: Encoding, batch: Batch) -> Tensor:
        def term(name: str, there: Tensor) -> Tensor:
            shared, private, pooled = (
                encoding.codes[kind][name][there] for kind in ("shared", "private", "pooled")
            )
            decoded: Tensor = self.decoders[name](shared, private)
            return (decoded - pooled.detach()).square().mean()

        return self._mean_over_modalities(batch, term)

    def _align(self, encoding: Encoding, batch: Batch) -> Tensor:
        return contrast_modalities(
            {name: encoding.codes["shared"][name] for name in self.modalities},
            batch.present,
            temperature=self.config.temperature,
        )


def _drop_modalities(present: Bool[Tensor, "B V"], probability: float) -> Bool[Tensor, "B V"]:
    """Hide modalities at random, but never the last one that a molecule has."""
    kept = present & (torch.rand(present.shape, device=present.device) >= probability)
    return torch.where(kept.any(1, keepdim=True), kept, present)
