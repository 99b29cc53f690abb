"""Configuration of DMMRL: sizes, loss weights and presets."""

from dataclasses import dataclass, replace

from molweave.errors import UserError
from molweave.methods.config import (
    ABOVE_0,
    DROPOUT,
    at_least,
    check_fields,
    check_one_of,
    of_other_views,
)
from molweave.nn.fusion.gated import FUSIONS
from molweave.nn.heads import HEADS
from molweave.nn.objectives.orthogonality import ORTHOGONALITY

DMMRL_MODALITIES = (
    "sequence",
    "graph",
    "geometry",
    "descriptors",
    "fingerprint",
    "relations",
)
"""The views that DMMRL has an encoder for; the paper uses the first three."""

_COUNTS = (
    "recurrent_layers",
    "attention_layers",
    "heads",
    "feed_forward",
    "rounds",
    "geometry_layers",
    "pair_layers",
    "pair_heads",
    "pair_feed_forward",
)
_SIZES = ("width", "pair_width", "hidden", "shared", "private")
TERMS = ("kl", "mmd", "align", "orth", "rec")
"""The terms besides the task, each the field of its weight."""
_OF_VIEW = {
    "sequence": ("recurrent_layers", "attention_layers", "feed_forward"),
    "graph": ("rounds",),
    "geometry": ("geometry_layers",),
    "descriptors": ("fourier",),
    "relations": ("pair_width", "pair_layers", "pair_heads", "pair_feed_forward", "pair_rate"),
}
"""Fields that only the encoder of one view reads; `width` has to suit ``heads`` without it, too."""


@dataclass(frozen=True, kw_only=True)
class DMMRLConfig:
    """Sizes and loss weights of DMMRL; the defaults are the paper's.

    Attributes:
        modalities: which views take part, of `DMMRL_MODALITIES`.
        width: d, the width of every encoder's output.
        recurrent_layers: LSTM layers of the sequence encoder.
        attention_layers: Transformer layers of the sequence encoder.
        heads: attention heads of the sequence encoder.
        feed_forward: feed-forward width of the sequence encoder.
        rounds: K, message-passing rounds of the graph encoder.
        geometry_layers: layers of the geometry encoder.
        fourier: learnt Fourier features of the physical descriptors, which the encoder of
            descriptors reads instead of them; 0 for the descriptors themselves.
        pair_width: width of the Transformer of the encoder of relations, see MoleBLEND.
        pair_layers: its layers.
        pair_heads: its attention heads.
        pair_feed_forward: its feed-forward width.
        pair_rate: factor on its learning rate.
        encoder_dropout: dropout inside the encoders, but for that of relations.
        hidden: H, hidden width of the variational heads.
        shared: d_s, size of a shared code.
        private: d_p, size of a private code.
        dropout: dropout in the variational heads and the property head.
        head: the property head: ``mlp``, with a hidden layer, or ``linear``.
        modality_dropout: probability that a molecule's modality is hidden from the fusion in
            training, so that predictions without a conformer stay sound; at least one modality
            is always kept.
        fusion: ``gated``, ``mean`` or ``concat``.
        orthogonality: ``correlation`` or ``cosine``.
        temperature: tau of the alignment.
        ramp: W, the length of the ramps, as a share of the training.
        kl: beta, weight of the KL divergence of the shared codes.
        mmd: weight of the maximum mean discrepancy of the private codes.
        align: weight of the alignment of the shared codes.
        orth: weight of the orthogonality of shared and private codes.
        rec: weight of the reconstruction.
    """

    modalities: tuple[str, ...] = ("sequence", "graph", "geometry")
    width: int = 256
    recurrent_layers: int = 3
    attention_layers: int = 4
    heads: int = 4
    feed_forward: int = 256
    rounds: int = 4
    geometry_layers: int = 8
    fourier: int = 0
    pair_width: int = 256
    pair_layers: int = 6
    pair_heads: int = 8
    pair_feed_forward: int = 512
    pair_rate: float = 0.3
    encoder_dropout: float = 0.1
    hidden: int = 256
    shared: int = 128
    private: int = 128
    dropout: float = 0.5
    head: str = "mlp"
    modality_dropout: float = 0.0
    fusion: str = "gated"
    orthogonality: str = "correlation"
    temperature: float = 0.1
    ramp: float = 0.32
    kl: float = 0.1
    mmd: float = 0.8
    align: float = 0.1
    orth: float = 0.1
    rec: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        unknown = [name for name in self.modalities if name not in DMMRL_MODALITIES]
        if unknown or not self.modalities:
            found = ", ".join(self.modalities) or "none"
            raise UserError(
                f"dmmrl takes one or more of the modalities {', '.join(DMMRL_MODALITIES)}; "
                f"found {found}"
            )
        if len(set(self.modalities)) < len(self.modalities):
            raise UserError(f"each modality once, please; found {', '.join(self.modalities)}")
        self._check_numbers()
        check_one_of("head", self.head, HEADS)
        check_one_of("fusion", self.fusion, FUSIONS)
        check_one_of("orthogonality", self.orthogonality, ORTHOGONALITY)
        if self.orthogonality == "cosine" and self.shared != self.private:
            raise UserError(
                f"orthogonality=cosine needs shared and private codes of one size, "
                f"found {self.shared} and {self.private}"
            )

    @property
    def idle(self) -> dict[str, str]:
        """Fields that change nothing, and why."""
        why = f"modalities={','.join(self.modalities)}"
        found = dict.fromkeys(of_other_views(_OF_VIEW, self.modalities), why)
        if len(self.modalities) == 1:
            found |= dict.fromkeys(("align", "temperature", "modality_dropout"), why)
        for term, name in (("align", "temperature"), ("orth", "orthogonality")):
            if not getattr(self, term):
                found[name] = f"{term}=0"
        if not any(getattr(self, term) for term in TERMS):
            found["ramp"] = f"{', '.join(TERMS)} of 0"
        return found

    def _check_numbers(self) -> None:
        for names, lowest in ((_COUNTS, 1), (_SIZES, 2), (("fourier", *TERMS), 0)):
            check_fields(self, names, at_least(lowest, "dmmrl"))
        check_fields(self, ("encoder_dropout", "dropout", "modality_dropout"), DROPOUT)
        check_fields(self, ("temperature", "ramp", "pair_rate"), ABOVE_0)
        if self.pair_width % self.pair_heads:
            raise UserError(
                "pair_width must be a multiple of pair_heads; found pair_width "
                f"{self.pair_width}, pair_heads {self.pair_heads}"
            )
        if self.width % 2 or self.width % self.heads:
            raise UserError(
                f"width must be even and a multiple of heads; found width {self.width}, "
                f"heads {self.heads}"
            )


_SMALL = DMMRLConfig(
    width=128,
    recurrent_layers=1,
    attention_layers=1,
    rounds=3,
    geometry_layers=3,
    hidden=128,
    shared=64,
    private=64,
    encoder_dropout=0.0,
    dropout=0.2,
    modality_dropout=0.1,
)

_HYBRID = replace(_SMALL, modalities=("sequence", "graph", "geometry", "descriptors"))
_ROBUST = replace(_HYBRID, encoder_dropout=0.3, dropout=0.5, kl=1.0)

DMMRL_PRESETS: dict[str, DMMRLConfig] = {
    "paper": DMMRLConfig(),
    "small": _SMALL,
    "hybrid": _HYBRID,
    "robust": _ROBUST,
    "relational": replace(_ROBUST, modalities=("relations", "graph", "descriptors")),
    "flat": replace(
        _SMALL,
        modalities=("graph", "descriptors", "fingerprint"),
        hidden=256,
        shared=128,
        private=128,
        dropout=0.0,
    ),
}
