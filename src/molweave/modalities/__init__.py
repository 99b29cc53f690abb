"""Views of a molecule; `MODALITIES` names those that a method can ask for."""

from collections.abc import Iterable

from molweave.modalities.base import AnyModality
from molweave.modalities.descriptors import DescriptorsModality
from molweave.modalities.fingerprint import FingerprintModality
from molweave.modalities.geometry import GeometryModality
from molweave.modalities.graph import GraphModality
from molweave.modalities.image import ImageModality
from molweave.modalities.relations import RelationsModality
from molweave.modalities.sequence import SequenceModality

MODALITIES: dict[str, type[AnyModality]] = {
    "sequence": SequenceModality,
    "graph": GraphModality,
    "geometry": GeometryModality,
    "image": ImageModality,
    "descriptors": DescriptorsModality,
    "fingerprint": FingerprintModality,
    "relations": RelationsModality,
}


def spatial(names: Iterable[str]) -> list[str]:
    """Those of the named views that are made from a conformer."""
    return [name for name in names if MODALITIES[name].needs_conformer]
