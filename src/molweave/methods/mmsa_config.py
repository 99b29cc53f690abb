"""Configuration of MMSA: protocol, encoders, hypergraph, memory, loss weights and presets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from molweave.chem.depict import IMAGE_SIZE
from molweave.errors import UserError
from molweave.methods.config import (
    ABOVE_0,
    DROPOUT,
    PROBABILITY,
    at_least,
    check_fields,
    check_one_of,
    of_other_views,
)
from molweave.nn.fusion.hypergraph import HYPERGRAPHS
from molweave.nn.heads import HEADS

PROTOCOLS = ("graph", "fused", "pretrain")
MMSA_MODALITIES = ("image", "graph", "geometry")
"""The views that MMSA has an encoder for."""
GRAPH_ENCODERS = ("gin", "cmpnn")
_REDUCTIONS = (1, 2, 4, 7)

_COUNTS = (
    "image_channels",
    "graph_layers",
    "geometry_layers",
    "neighbours",
    "anchors",
    "references",
)
_SIZES = ("graph_width", "geometry_width", "hidden", "code", "structure")
_WEIGHTS = ("contrast", "reconstruction", "cross", "memory", "recall")
_IN_PRETRAINING = (
    *_WEIGHTS,
    "temperature",
    "geometry_rate",
    "rotation",
    "flip",
    "grey",
    "jitter",
)
_OF_AWARENESS = (
    "structure",
    "hypergraph",
    "neighbours",
    "symmetric",
    "references",
    "anchors",
    "sharpness",
)
_OF_FUSION = ("views", "hidden", "code")
_OF_VIEW = {
    "image": ("image_channels", "image_reduce", "rotation", "flip", "grey", "jitter"),
    "graph": ("graph_encoder", "graph_width", "graph_layers", "encoder_dropout"),
    "geometry": ("geometry_width", "geometry_layers", "cutoff", "geometry_rate"),
}
"""Fields by what they are about."""

_ABOVE_ZERO = ("cutoff", "temperature", "sharpness", "geometry_rate")


@dataclass(frozen=True, kw_only=True)
class MMSAConfig:
    """Sizes and loss weights of MMSA; the defaults are those of docs/methods/mmsa.md.

    Attributes:
        protocol: ``graph`` is the graph encoder alone, without images and conformers; ``fused``
            the unified embedding of all ``views``; ``pretrain`` the same with the objectives.
        views: which views take part in ``fused`` and ``pretrain``, of `MMSA_MODALITIES`.
        image_channels: channels of the first stage of the image encoder; its output is 8 times
            as wide.
        image_reduce: how many pixels along each side of an image are averaged to one.
        rotation: largest angle that an image is turned by in training, in degrees.
        flip: probability that an image is mirrored in training, which hides chirality.
        grey: probability that an image loses its colours in training.
        jitter: standard deviation of the displacements of the atoms of an image in training, as
            a share of its side (a bond is about a tenth of it).
        graph_encoder: one of `GRAPH_ENCODERS`.
        graph_width: width of the graph encoder.
        graph_layers: its layers, or rounds of message passing.
        geometry_width: width of the geometry encoder.
        geometry_layers: its interaction blocks.
        cutoff: largest distance between atoms that hear of each other, in angstrom.
        encoder_dropout: in the graph encoder.
        hidden: width of x, what the decoders reconstruct.
        code: width of the codes and of the unified embedding c.
        structure: width of g, r and the anchors.
        hypergraph: ``hypergraph``, ``knn`` (a plain graph of nearest neighbours) or ``none``.
        neighbours: k, the size of a hyperedge, the molecule itself included.
        symmetric: normalise the hypergraph symmetrically, not as a random walk.
        references: how many codes of molecules seen in training a single molecule's hyperedge is
            drawn from.
        anchors: K, of the memory bank.
        sharpness: T, temperature of the addressing of the anchors.
        read_memory: in ``fused``, put the reading r of the frozen memory beside c.
        temperature: tau of the two contrastive terms.
        contrast: weight of the contrast between the modalities.
        reconstruction: weight of the reconstruction of each modality from its own code.
        cross: weight of the reconstruction from the codes of the others.
        memory: weight of the distance between g and r.
        recall: weight of the contrast between r and the codes of the modalities.
        geometry_rate: factor on the learning rate of the geometry encoder.
        dropout: of the property head.
        head: the property head: ``mlp``, with a hidden layer, or ``linear``.
    """

    protocol: str = "graph"
    views: tuple[str, ...] = MMSA_MODALITIES
    image_channels: int = 64
    image_reduce: int = 1
    rotation: float = 180.0
    flip: float = 0.0
    grey: float = 0.2
    jitter: float = 0.01
    graph_encoder: str = "gin"
    graph_width: int = 300
    graph_layers: int = 5
    geometry_width: int = 256
    geometry_layers: int = 4
    cutoff: float = 8.0
    encoder_dropout: float = 0.5
    hidden: int = 1024
    code: int = 512
    structure: int = 256
    hypergraph: str = "hypergraph"
    neighbours: int = 10
    symmetric: bool = False
    references: int = 1024
    anchors: int = 128
    sharpness: float = 0.05
    read_memory: bool = False
    temperature: float = 0.1
    contrast: float = 0.6
    reconstruction: float = 0.2
    cross: float = 0.2
    memory: float = 0.2
    recall: float = 0.2
    geometry_rate: float = 0.1
    dropout: float = 0.2
    head: str = "mlp"

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        check_one_of("protocol", self.protocol, PROTOCOLS)
        check_one_of("head", self.head, HEADS)
        check_one_of("graph_encoder", self.graph_encoder, GRAPH_ENCODERS)
        check_one_of("hypergraph", self.hypergraph, HYPERGRAPHS)
        unknown = [name for name in self.views if name not in MMSA_MODALITIES]
        if unknown or not self.views:
            raise UserError(
                f"views of mmsa are one or more of {', '.join(MMSA_MODALITIES)}; "
                f"found {', '.join(self.views) or 'none'}"
            )
        if len(set(self.views)) < len(self.views):
            raise UserError(f"each view once, please; found {', '.join(self.views)}")
        if self.protocol == "graph" and "graph" not in self.views:
            raise UserError(
                f"protocol=graph needs the view graph; found {', '.join(self.views)}; "
                "add it, or choose protocol=fused"
            )
        self._check_numbers()
        check_fields(self, ("flip", "grey"), PROBABILITY)
        check_fields(self, ("encoder_dropout", "dropout"), DROPOUT)
        if self.read_memory and self.protocol == "fused" and not self.memory + self.recall > 0:
            raise UserError(
                "read_memory needs a memory, and with memory=0 and recall=0 there is none; leave "
                "it out, or pre-train with one of them above 0"
            )
        if self.protocol == "pretrain" and not any(getattr(self, name) for name in _WEIGHTS):
            raise UserError(
                f"there is nothing to learn: {', '.join(_WEIGHTS)} are all 0; keep one above 0"
            )

    @property
    def modalities(self) -> tuple[str, ...]:
        """What the protocol needs."""
        return ("graph",) if self.protocol == "graph" else self.views

    @property
    def aware(self) -> bool:
        """Whether there are a hypergraph and a memory bank: whether anything uses them."""
        if self.protocol == "pretrain":
            return self.memory > 0 or self.recall > 0
        return self.protocol == "fused" and self.read_memory

    @property
    def idle(self) -> dict[str, str]:
        """Fields that change nothing, and why."""
        protocol = f"protocol={self.protocol}"
        found = {name: f"views={','.join(self.views)}" for name in self._of_other_views()}
        if self.protocol == "pretrain":
            names: tuple[str, ...] = ("read_memory",)
        elif self.protocol == "fused":
            names = (*_IN_PRETRAINING, "symmetric")
        else:
            names = (*_IN_PRETRAINING, *_OF_AWARENESS, *_OF_FUSION, "read_memory")
        found |= dict.fromkeys(names, protocol)
        if self.protocol == "graph":
            found["views"] = f"{protocol} (protocol=fused reads several)"
        if not self.aware and self.protocol != "graph":
            no_memory = "memory=0 and recall=0" if self.protocol == "pretrain" else "no read_memory"
            found |= dict.fromkeys(_OF_AWARENESS, no_memory)
        elif self.hypergraph == "none":
            found |= dict.fromkeys(("neighbours", "symmetric", "references"), "hypergraph=none")
        if self.protocol == "pretrain" and not self.contrast and not self.recall:
            found["temperature"] = "contrast=0 and recall=0"
        return found

    def _of_other_views(self) -> list[str]:
        """The fields of encoders and losses that the chosen views have no use for."""
        views = self.modalities
        names = of_other_views(_OF_VIEW, views)
        return names + (["contrast", "cross"] if len(views) == 1 else [])

    def _check_numbers(self) -> None:
        for names, lowest in ((_COUNTS, 1), (_SIZES, 2), (_WEIGHTS, 0)):
            check_fields(self, names, at_least(lowest, "mmsa"))
        check_fields(self, _ABOVE_ZERO, ABOVE_0)
        if self.image_reduce not in _REDUCTIONS:
            raise UserError(
                f"image_reduce must be one of {', '.join(map(str, _REDUCTIONS))}, so that images "
                f"of {IMAGE_SIZE} pixels shrink evenly; found {self.image_reduce}"
            )
        if not 0 <= self.rotation <= 180:
            raise UserError(f"rotation is an angle of 0 to 180 degrees; found {self.rotation}")
        if not 0 <= self.jitter <= 0.1:
            raise UserError(f"jitter is a share of the side, 0 to 0.1; found {self.jitter}")


def finetuned(fields: Mapping[str, object]) -> dict[str, object]:
    """What the use of a pre-trained encoder changes: the protocol, and dropout in the graph.

    Args:
        fields: those of its configuration. Without the view ``graph`` only ``fused`` is possible.
    """
    views = fields["views"]
    graph = isinstance(views, Sequence) and "graph" in views
    return {"protocol": "graph" if graph else "fused", "encoder_dropout": 0.5}


_PAPER = MMSAConfig()

MMSA_PRESETS: dict[str, MMSAConfig] = {
    "small": replace(
        _PAPER,
        image_channels=32,
        image_reduce=2,
        rotation=15.0,
        jitter=0.0,
        geometry_width=128,
        geometry_layers=2,
        hidden=384,
        references=512,
    ),
    "paper": _PAPER,
}
