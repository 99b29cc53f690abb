"""Reconstruction of the features of a modality from its own code and from those of the others."""

from collections.abc import Callable, Mapping

import torch

from molweave.shapes import Bool, Float, Tensor

Decode = Callable[[str, Tensor], Tensor]
"""Modality and codes (N, C) to its features (N, H)."""


def reconstruction(
    hidden: Mapping[str, Tensor],
    codes: Mapping[str, Tensor],
    present: Mapping[str, Bool[Tensor, " B"]],
    decode: Decode,
    *,
    cross: bool,
) -> Float[Tensor, ""]:
    r"""How far features are from what the decoders make of codes.

    .. math::
        mean_m\, MSE(sg(x^m), D_m(c^m)) \quad or \quad
        mean_{m \ne n}\, MSE(sg(x^m), D_m(c^n))

    sg stops the gradient: features must not become simple to be easy to reconstruct. The second
    form is the mean over all that a random permutation without a fixed point could draw, without
    the noise of a draw. A pair counts for the molecules that have both; 0 where there are none.

    Args:
        hidden: modality to x, (B, H).
        codes: modality to c, (B, C).
        present: modality to who has it.
        decode: D.
        cross: reconstruct from the other modalities instead of from the same.
    """
    values = []
    for target, features in hidden.items():
        for source, code in codes.items():
            both = present[target] & present[source]
            if (source != target) == cross and both.any():
                decoded = decode(target, code[both])
                values.append((decoded - features[both].detach()).float().square().mean())
    if not values:
        return next(iter(codes.values())).new_zeros(())
    return torch.stack(values).mean()
