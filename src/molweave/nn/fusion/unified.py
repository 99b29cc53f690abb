"""The multi-modal module: every modality into one code space, their mean, and back."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from molweave.shapes import Bool, Float, Tensor


@dataclass(frozen=True)
class Unified:
    """What the modalities of a batch have in common; rows without a modality are 0.

    Attributes:
        hidden: per modality x^m, what its decoder reconstructs, (B, H).
        codes: per modality c^m, (B, C).
        embedding: c, the mean of the codes that a molecule has.
        weights: share of every modality in c; 0 where it is missing.
    """

    hidden: Mapping[str, Tensor]
    codes: Mapping[str, Tensor]
    embedding: Float[Tensor, "B C"]
    weights: Float[Tensor, "B V"]


class UnifiedCode(nn.Module):
    r"""Auto-encoders of the modalities around one code space.

    .. math::
        x^m = \tanh(W_h^m f^m), \quad c^m = \tanh(W_e^m x^m), \quad
        D_m(c) = \tanh(W_d^m c), \quad c = mean_{m\ present}\, c^m

    with f^m what the encoder of modality m gives, d_m wide.
    """

    def __init__(
        self, widths: Mapping[str, int], *, hidden: int, code: int, decoders: bool
    ) -> None:
        """Build the module.

        Args:
            widths: modality to d_m, in the order of the columns of the weights.
            hidden: H, width of x.
            code: C, width of the codes.
            decoders: whether there are D_m, which only pre-training needs.
        """
        super().__init__()
        self.widths = dict(widths)
        self.hidden = nn.ModuleDict({name: nn.Linear(d, hidden) for name, d in widths.items()})
        self.code = nn.ModuleDict({name: nn.Linear(hidden, code) for name in widths})
        self.decoder = nn.ModuleDict({name: nn.Linear(code, hidden) for name in widths if decoders})

    def forward(
        self, features: Mapping[str, Tensor], present: Mapping[str, Bool[Tensor, " B"]]
    ) -> Unified:
        """Codes and their mean.

        Args:
            features: modality to f^m, (N, d_m), of the N molecules that have it; a modality that
                no molecule has is left out.
            present: modality to who has it.
        """
        mask = torch.stack([present[name] for name in self.widths], dim=1)
        hidden: dict[str, Tensor] = {}
        codes: dict[str, Tensor] = {}
        like = next(self.parameters())
        for (name, width), rows in zip(self.widths.items(), mask.T, strict=True):
            given = features.get(name, like.new_zeros(0, width))
            x = torch.tanh(self.hidden[name](given))
            c = torch.tanh(self.code[name](x))
            where = rows.nonzero()[:, 0]
            hidden[name] = x.new_zeros(len(mask), x.shape[1]).index_copy(0, where, x)
            codes[name] = c.new_zeros(len(mask), c.shape[1]).index_copy(0, where, c)
        weights = mask.float() / mask.sum(1, keepdim=True).clamp(min=1)
        stacked = torch.stack([codes[name] for name in self.widths], dim=1)
        embedding = torch.einsum("bv,bvc->bc", weights, stacked.float())
        return Unified(hidden, codes, embedding, weights)

    def decode(self, name: str, codes: Float[Tensor, "N C"]) -> Float[Tensor, "N H"]:
        """D_m: the hidden features of modality ``name`` from codes of any modality."""
        out: Tensor = torch.tanh(self.decoder[name](codes))
        return out
