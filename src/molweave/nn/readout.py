"""From the states of atoms to one vector per molecule."""

import torch
from torch import nn

from molweave.nn.layers import segment_counts, segment_sum
from molweave.shapes import Float, Int, Tensor

_TYPICAL_ATOMS = 20
"""Heavy atoms of a small molecule, so that the sum is about as large as the mean."""


class Readout(nn.Module):
    r"""Mean and sum of the atoms, mixed and normalised.

    .. math:: h = LN\Big(W \Big[\frac1n \sum_v a_v; \frac1{20} \sum_v a_v\Big] + b\Big)

    A mean alone, and all the more a normalised one, is the same for a molecule and for two of it
    side by side; solubility and free energies grow with the number of atoms.
    """

    def __init__(self, width: int) -> None:
        """Atoms and molecules have ``width`` features."""
        super().__init__()
        self.mix = nn.Linear(2 * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, atoms: Float[Tensor, "A D"], molecule: Int[Tensor, " A"], num_molecules: int
    ) -> Float[Tensor, "N D"]:
        """One vector per molecule; ``molecule`` is that of each atom."""
        total = segment_sum(atoms, molecule, num_molecules)
        mean = total / segment_counts(molecule, num_molecules)
        both = torch.cat([mean, total / _TYPICAL_ATOMS], dim=1)
        out: Tensor = self.norm(self.mix(both))
        return out
