"""The encoders of MMSA, by view and name."""

from collections.abc import Callable

from torch import nn

from molweave.methods.mmsa_config import MMSAConfig
from molweave.modalities import geometry, graph
from molweave.nn.augment import ImageAugmentation
from molweave.nn.encoders.cmpnn import CMPNN
from molweave.nn.encoders.comenet import ComENet
from molweave.nn.encoders.gin import GIN
from molweave.nn.encoders.resnet import ResNet18


def _resnet(config: MMSAConfig) -> nn.Module:
    augment = ImageAugmentation(
        rotation=config.rotation, flip=config.flip, grey=config.grey, jitter=config.jitter
    )
    return ResNet18(
        width=config.image_channels,
        reduce=config.image_reduce,
        augment=augment if config.protocol == "pretrain" else None,
    )


def _gin(config: MMSAConfig) -> nn.Module:
    return GIN(
        atom_width=graph.ATOM_WIDTH,
        bond_width=graph.BOND_WIDTH,
        width=config.graph_width,
        layers=config.graph_layers,
        dropout=config.encoder_dropout,
    )


def _cmpnn(config: MMSAConfig) -> nn.Module:
    return CMPNN(
        atom_width=graph.ATOM_WIDTH,
        bond_width=graph.BOND_WIDTH,
        width=config.graph_width,
        rounds=config.graph_layers,
        dropout=config.encoder_dropout,
    )


def _comenet(config: MMSAConfig) -> nn.Module:
    return ComENet(
        atom_cardinalities=geometry.ATOM_CARDINALITIES,
        width=config.geometry_width,
        layers=config.geometry_layers,
        cutoff=config.cutoff,
    )


ENCODERS: dict[str, Callable[[MMSAConfig], nn.Module]] = {
    "resnet": _resnet,
    "gin": _gin,
    "cmpnn": _cmpnn,
    "comenet": _comenet,
}


def build_encoders(config: MMSAConfig) -> nn.ModuleDict:
    """The encoder of every view that the protocol reads, with fresh weights."""
    names = {"image": "resnet", "graph": config.graph_encoder, "geometry": "comenet"}
    return nn.ModuleDict({view: ENCODERS[names[view]](config) for view in config.modalities})


def widths(config: MMSAConfig) -> dict[str, int]:
    """Width of what the encoder of every view gives."""
    found = {
        "image": 8 * config.image_channels,
        "graph": config.graph_width,
        "geometry": config.geometry_width,
    }
    return {view: found[view] for view in config.modalities}
