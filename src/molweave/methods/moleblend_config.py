"""Configuration of MoleBLEND: views, sizes, blending, loss weights and presets."""

import math
from dataclasses import dataclass, replace

from molweave.errors import UserError
from molweave.methods.config import (
    ABOVE_0,
    DROPOUT,
    PROBABILITY,
    at_least,
    check_fields,
    check_one_of,
)
from molweave.nn.heads import HEADS

VIEWS: dict[str, tuple[str, ...]] = {
    "2d": ("relations",),
    "3d": ("relations", "geometry"),
    "both": ("relations", "geometry"),
    "blend": ("relations", "geometry"),
}
"""What a network reads, and the modalities that it takes."""

_COUNTS = ("layers", "heads", "feed_forward")
_WHOLE = ("whole_2d", "whole_3d", "whole_both")
_PROBABILITIES = (
    *("show_spd", "show_edge", "show_distance", "show_spatial_atom", "hide_atoms"),
    *_WHOLE,
)
TERMS = ("spd", "edge", "distance", "denoise", "atoms", "descriptors", "fingerprint")
"""What a blending network recovers, each the field of its weight."""


@dataclass(frozen=True, kw_only=True)
class MoleBLENDConfig:
    """Sizes, blending and loss weights of MoleBLEND; the defaults are the paper's sizes.

    Attributes:
        views: ``2d`` reads shortest paths and bonds, and needs no conformer; ``3d`` distances;
            ``both`` adds them up; ``blend`` is the pre-training: one relation drawn per pair in
            training, and the recovery of all as objectives (in evaluation it reads as ``both``).
        width: of the atom states and of the embedding.
        layers: Transformer layers.
        heads: attention heads.
        feed_forward: hidden width of the layers' second half.
        kernels: Gaussians of a distance.
        reach: distance of the last Gaussian at the start, in angstrom.
        encoder_dropout: of attention weights and activations.
        drop_path: probability that a layer's branch is left out of a molecule in training.
        dropout: of the property head.
        head: the property head: ``mlp``, with a hidden layer, or ``linear``.
        show_spd: probability that a pair shows its shortest-path distance.
        show_edge: probability that it shows the bonds of its path.
        show_distance: probability that it shows its distance.
        show_spatial_atom: probability that an atom shows its 3D feature, else its 2D feature.
        whole_2d: probability that a molecule shows all its 2D relations instead of a blend, as in
            fine-tuning with ``2d``.
        whole_3d: probability that it shows all its distances, as with ``3d``.
        whole_both: probability that it shows everything, as with ``both``.
        hide_atoms: probability that the features of an atom are hidden, to be recovered.
        symmetric: draw once for both directions of a pair.
        noise: standard deviation of the noise on the coordinates, in angstrom.
        spd: weight of the recovery of the shortest-path distance.
        edge: weight of the recovery of the bonds.
        distance: weight of the recovery of the distance.
        denoise: weight of the recovery of the noise.
        atoms: weight of the recovery of hidden atoms' features.
        descriptors: weight of the prediction of physical descriptors from the graph token.
        fingerprint: weight of the prediction of fingerprint bits from the graph token.
    """

    views: str = "2d"
    width: int = 768
    layers: int = 12
    heads: int = 32
    feed_forward: int = 768
    kernels: int = 128
    reach: float = 16.0
    encoder_dropout: float = 0.1
    drop_path: float = 0.1
    dropout: float = 0.1
    head: str = "mlp"
    show_spd: float = 0.2
    show_edge: float = 0.2
    show_distance: float = 0.6
    show_spatial_atom: float = 0.6
    whole_2d: float = 0.0
    whole_3d: float = 0.0
    whole_both: float = 0.0
    hide_atoms: float = 0.15
    symmetric: bool = False
    noise: float = 0.2
    spd: float = 1.0
    edge: float = 1.0
    distance: float = 1.0
    denoise: float = 1.0
    atoms: float = 0.0
    descriptors: float = 0.0
    fingerprint: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        check_one_of("head", self.head, HEADS)
        check_one_of("views", self.views, VIEWS)
        self._check_numbers()
        self._check_probabilities()

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the views need, and what a blending network predicts."""
        return VIEWS[self.views] + self.predicts

    @property
    def predicts(self) -> tuple[str, ...]:
        """The modality that the graph token of a blending network is to tell, if any."""
        told = self.views == "blend" and self.descriptors + self.fingerprint > 0
        return ("descriptors",) if told else ()

    @property
    def shown(self) -> tuple[float, float, float]:
        """The probabilities of the three relations of a pair."""
        return (self.show_spd, self.show_edge, self.show_distance)

    @property
    def whole(self) -> tuple[float, float, float]:
        """The probabilities that a molecule shows all of 2D, of 3D, or of both."""
        return (self.whole_2d, self.whole_3d, self.whole_both)

    @property
    def idle(self) -> dict[str, str]:
        """Fields that change nothing, and why."""
        if self.views == "blend":
            return {} if self.atoms else {"hide_atoms": "atoms=0"}
        names = (*_PROBABILITIES, *TERMS, "symmetric", "noise")
        distances = ("kernels", "reach") if self.views == "2d" else ()
        return dict.fromkeys((*names, *distances), f"views={self.views}")

    def _check_numbers(self) -> None:
        for names, lowest in ((_COUNTS, 1), (("width", "kernels"), 2), ((*TERMS, "noise"), 0)):
            check_fields(self, names, at_least(lowest, "moleblend"))
        check_fields(self, ("reach",), ABOVE_0)
        if self.width % 2 or self.width % self.heads:
            raise UserError(
                f"width must be even and a multiple of heads; found width {self.width}, "
                f"heads {self.heads}"
            )
        if self.denoise > 0 and self.noise == 0:
            raise UserError("denoise needs noise above 0; set denoise=0 to train without noise")
        if self.atoms > 0 and self.hide_atoms == 0:
            raise UserError("atoms needs hide_atoms above 0; set atoms=0 to show every atom")

    def _check_probabilities(self) -> None:
        check_fields(self, ("encoder_dropout", "drop_path", "dropout"), DROPOUT)
        check_fields(self, _PROBABILITIES, PROBABILITY)
        if sum(self.whole) > 1:
            raise UserError(
                f"whole_2d, whole_3d and whole_both add up to {sum(self.whole):g}; use at most 1"
            )
        if not math.isclose(sum(self.shown), 1.0, abs_tol=1e-6):
            spd, edge, distance = self.shown
            raise UserError(
                "show_spd, show_edge and show_distance must add up to 1; found "
                f"{spd} + {edge} + {distance} = {sum(self.shown):g}"
            )


_PAPER = MoleBLENDConfig()
_OURS = replace(
    _PAPER,
    whole_2d=0.4,
    whole_3d=0.1,
    whole_both=0.1,
    atoms=1.0,
    descriptors=1.0,
    fingerprint=1.0,
)

MOLEBLEND_PRESETS: dict[str, MoleBLENDConfig] = {
    "small": replace(_OURS, width=256, layers=6, heads=8, feed_forward=512, kernels=64),
    "base": replace(_OURS, width=512, layers=12, heads=16, feed_forward=1024),
    "paper": _PAPER,
}
