"""Axis names and array types, used in annotations and checked in the tests only.

Axes: ``B`` molecules in a batch, ``N`` molecules that have a modality, ``A`` atoms of a batch,
``M`` bonds (undirected), ``E`` directed bonds, ``K`` bond angles (directed pairs of bonds),
``L`` tokens, ``T`` tasks, ``V`` modalities (views), ``D`` features.
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Tensor"]
