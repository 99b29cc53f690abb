"""Axis names and array types, used in annotations and checked in the tests only.

Axes: ``B`` molecules in a batch, ``N`` molecules that have a modality, ``A`` atoms of a batch,
``M`` bonds (undirected), ``E`` directed bonds, ``K`` bond angles (directed pairs of bonds),
``P`` pairs of atoms of a batch, ``n`` atoms that a molecule is padded to, ``L`` tokens,
``T`` tasks, ``V`` modalities (views), ``D`` features, ``H`` attention heads.
"""

from jaxtyping import Bool, Float, Int, Shaped, UInt
from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Shaped", "Tensor", "UInt"]
