"""Where an atom sees the others: distance, two angles and a torsion, as ComENet measures them."""

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from molweave.shapes import Bool, Float, Int, Tensor

_STRAIGHT = math.sin(math.radians(10)) ** 2
_APART = math.sin(math.radians(20)) ** 2
_TIE = 1e-3
_NOWHERE = 1e-12
_SHORT = 1e-2


@dataclass(frozen=True)
class Surroundings:
    """What every atom i of m molecules sees of every other atom j.

    Attributes:
        near: True where j is another atom within the cutoff of i; else the rest means nothing.
        distance: d, in angstrom.
        direction: cos(theta), sin(theta) cos(phi), sin(theta) sin(phi): the unit vector from i to j
            in the frame of i.
        torsion: cos(tau), sin(tau); both 0 where there is no torsion.
    """

    near: Bool[Tensor, "m n n"]
    distance: Float[Tensor, "m n n"]
    direction: Float[Tensor, "m n n 3"]
    torsion: Float[Tensor, "m n n 2"]


def look_around(
    positions: Float[Tensor, "m n 3"], mask: Bool[Tensor, "m n"], cutoff: float
) -> Surroundings:
    r"""Distance and angles of all pairs of atoms within a cutoff.

    f_i is the nearest neighbour of atom i, s_i the nearest one that is not in line with i and f_i.
    theta is the angle between i->f_i and i->j, phi the angle about i->f_i from s_i to j. tau is
    the angle about i->j from the reference of i to that of j; the reference is f, or s where f is
    in line with i and j, as it is when f_i = j. (d, theta, phi) place the neighbours of i, tau
    turns the neighbourhoods of i and j to each other (Wang et al. 2022). All are invariant under
    rotation and translation; a mirror image has the opposite sin(phi) and sin(tau).

    Only cosines and sines are computed, from vectors, so that gradients are finite everywhere: for
    an atom without s_i, as in a linear molecule, phi and tau have cosine and sine 0. "In line"
    means within 10 degrees (20 for the choice of s_i). Of two neighbours at the same distance
    (within about 0.001 angstrom) the one farther from the middle of the molecule is the nearer;
    only where symmetry makes these equal too does the order of the atoms decide.

    Args:
        positions: in angstrom; anything finite where ``mask`` is False.
        mask: True where there is an atom.
        cutoff: in angstrom.
    """
    delta = positions[:, None] - positions[:, :, None]
    distance = delta.square().sum(-1).clamp(min=_NOWHERE).sqrt()
    unit = delta / distance[..., None]
    other = ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    near = mask[:, :, None] & mask[:, None] & other & (distance < cutoff)

    weight = mask[..., None].to(positions.dtype)
    middle = (positions * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp(min=1)
    order = distance - _TIE * (positions - middle).norm(dim=-1)[:, None]
    first = _choose(unit, order, near)
    across = unit - _dot(unit, first[:, :, None])[..., None] * first[:, :, None]
    off_line = across.square().sum(-1)
    second = _choose(unit, order, near & (off_line > _APART))

    up = functional.normalize(_off(second, first), dim=-1, eps=_SHORT)
    frame = torch.stack([first, up, torch.linalg.cross(first, up)], dim=-1)
    in_line = (off_line < _STRAIGHT)[..., None]
    reference = torch.where(in_line, second[:, :, None], first[:, :, None])
    arm = functional.normalize(_off(reference, unit), dim=-1, eps=_SHORT)
    other_arm = arm.transpose(1, 2)
    sine = _dot(unit, torch.linalg.cross(arm, other_arm))
    return Surroundings(
        near=near,
        distance=distance,
        direction=_in_frame(unit, frame),
        torsion=torch.stack([_dot(arm, other_arm), sine], dim=-1),
    )


def _choose(
    unit: Float[Tensor, "m n n 3"], order: Float[Tensor, "m n n"], allowed: Bool[Tensor, "m n n"]
) -> Float[Tensor, "m n 3"]:
    """The direction to the allowed atom that comes first, 0 where none is allowed."""
    index: Int[Tensor, "m n"] = order.detach().masked_fill(~allowed, math.inf).argmin(-1)
    chosen = unit.gather(2, index[..., None, None].expand(*index.shape, 1, 3))[:, :, 0]
    return chosen * allowed.any(-1, keepdim=True)


def _in_frame(unit: Float[Tensor, "m n n 3"], frame: Float[Tensor, "m n 3 3"]) -> Tensor:
    """Coordinates in the frame of each atom; not in bf16, which would depend on the rotation."""
    with torch.autocast(unit.device.type, enabled=False):
        return unit @ frame


def _dot(a: Float[Tensor, "*x 3"], b: Float[Tensor, "*y 3"]) -> Tensor:
    return (a * b).sum(-1)


def _off(vector: Float[Tensor, "*x 3"], axis: Float[Tensor, "*y 3"]) -> Tensor:
    """The part of a vector at right angles to an axis of length 1."""
    return vector - _dot(vector, axis)[..., None] * axis


class SphericalBessel(torch.nn.Module):
    r"""Radial functions of a spherical cavity of radius c that vanish at its wall.

    .. math:: R_{ln}(d) = \sqrt{2} / |j_{l+1}(z_{ln})| \; j_l(z_{ln} d / c)

    with z_ln the n-th zero of the spherical Bessel function j_l, here for l = 0, 1 and n = 1..N.
    Over x = d / c from 0 to 1 the integral of x^2 R_ln R_lm is 1 for n = m, else 0 (Gasteiger et
    al., ICLR 2020, arXiv:2003.03123).
    """

    zeros: Tensor
    scale: Tensor

    def __init__(self, count: int, cutoff: float) -> None:
        """``count`` is N; ``cutoff`` is c in angstrom."""
        super().__init__()
        self.cutoff = cutoff
        zeros = [[n * math.pi for n in range(1, count + 1)], _zeros_of_j1(count)]
        scale = [[math.sqrt(2) * z for z in zeros[0]]]
        scale.append([math.sqrt(2) * z / abs(math.sin(z)) for z in zeros[1]])
        self.register_buffer("zeros", torch.tensor(zeros), persistent=False)
        self.register_buffer("scale", torch.tensor(scale), persistent=False)

    def forward(self, distance: Float[Tensor, "m n n"]) -> Float[Tensor, "m n n 2 N"]:
        """R_0n and R_1n; distances below 0.05 angstrom count as 0.05."""
        x = (distance.clamp(min=0.05) / self.cutoff)[..., None, None] * self.zeros
        sinc = x.sin() / x
        flat, steep = sinc[..., 0, :], (sinc[..., 1, :] - x[..., 1, :].cos()) / x[..., 1, :]
        return torch.stack([flat, steep], dim=-2) * self.scale


def _zeros_of_j1(count: int) -> list[float]:
    """The first positive solutions of tan x = x, by Newton's method for sin x - x cos x."""
    found = []
    for n in range(1, count + 1):
        x = (n + 0.5) * math.pi
        for _ in range(8):
            x -= (math.sin(x) - x * math.cos(x)) / (x * math.sin(x))
        found.append(x)
    return found
