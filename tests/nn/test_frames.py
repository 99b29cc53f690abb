"""Angles against RDKit's, radial functions against SciPy's."""

import math

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolTransforms
from scipy.integrate import simpson
from scipy.special import spherical_jn

from molweave.nn.frames import SphericalBessel, Surroundings, look_around


def seen(positions: np.ndarray, cutoff: float = 8.0) -> Surroundings:
    placed = torch.from_numpy(np.asarray(positions, dtype=np.float64))[None]
    return look_around(placed, torch.ones(1, len(positions), dtype=torch.bool), cutoff)


def embedded(smiles: str) -> Chem.Mol:
    mol = Chem.MolFromSmiles(smiles)
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=5) == 0
    return mol


def in_line(conformer: Chem.Conformer, i: int, j: int, k: int, degrees: float) -> bool:
    """Whether i is (nearly) on the line of j and k as seen from i."""
    if j == k:
        return True
    angle = rdMolTransforms.GetAngleDeg(conformer, j, i, k)
    return min(angle, 180 - angle) < degrees


def test_directions_are_not_rounded_to_bf16() -> None:
    positions = torch.from_numpy(embedded("CC(N)C(=O)OC").GetConformer().GetPositions()).float()
    mask = torch.ones(1, len(positions), dtype=torch.bool)
    exact = look_around(positions[None], mask, 8.0).direction
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = look_around(positions[None], mask, 8.0).direction
    assert torch.equal(found, exact)


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)OCCF", "N#CC(O)CC#CCO", "C1CC1c1ccccc1Cl"])
@pytest.mark.parametrize("cutoff", [8.0, 3.1])
def test_angles_against_rdkit(smiles: str, cutoff: float) -> None:
    conformer = embedded(smiles).GetConformer()
    size, found = conformer.GetNumAtoms(), seen(conformer.GetPositions(), cutoff)

    def length(i: int, j: int) -> float:
        return rdMolTransforms.GetBondLength(conformer, i, j)

    def neighbours(i: int) -> list[int]:
        near = [j for j in range(size) if j != i and length(i, j) < cutoff]
        return sorted(near, key=lambda j: length(i, j))

    def references(i: int) -> tuple[int, int | None]:
        first, *rest = neighbours(i)
        return first, next((j for j in rest if not in_line(conformer, i, first, j, 20)), None)

    def turned(*atoms: int | None) -> tuple[float, float]:
        """Cosine and sine of a dihedral angle; it is 0 from an atom to itself."""
        if None in atoms:
            return 0.0, 0.0
        angle = rdMolTransforms.GetDihedralRad(conformer, *atoms) if len({*atoms}) == 4 else 0.0
        return math.cos(angle), math.sin(angle)

    torsions = 0
    for i in range(size):
        assert found.near[0, i].nonzero()[:, 0].tolist() == sorted(neighbours(i))
        first, second = references(i)
        for j in neighbours(i):
            assert found.distance[0, i, j] == pytest.approx(length(i, j), abs=1e-9)
            theta = 0.0 if j == first else rdMolTransforms.GetAngleRad(conformer, first, i, j)
            cosine, sine = turned(second, i, first, j)
            direction = (math.cos(theta), math.sin(theta) * cosine, math.sin(theta) * sine)
            assert found.direction[0, i, j].tolist() == pytest.approx(direction, abs=1e-6)
            first_j, second_j = references(j)
            mine = second if in_line(conformer, i, first, j, 10) else first
            other = second_j if in_line(conformer, j, first_j, i, 10) else first_j
            expected = turned(mine, i, j, other)
            assert found.torsion[0, i, j].tolist() == pytest.approx(expected, abs=1e-6)
            torsions += abs(expected[1]) > 0.1
    assert torsions > 10


SHAPES = {
    "one atom": [[0, 0, 0]],
    "two atoms": [[0, 0, 0], [1.2, 0, 0]],
    "in line": [[-1.2, 0, 0], [0, 0, 0], [1.2, 0, 0], [2.4, 0, 0]],
    "in one place": [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]],
    "far apart": [[0, 0, 0], [9, 0, 0]],
    "square": [[1, 1, 0], [1, -1, 0], [-1, -1, 0], [-1, 1, 0]],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_finite_values_and_gradients(shape: str) -> None:
    positions = torch.tensor(SHAPES[shape], dtype=torch.float32)[None].requires_grad_()
    found = look_around(positions, torch.ones(1, positions.shape[1], dtype=torch.bool), 8.0)
    radial = SphericalBessel(3, 8.0)(found.distance)
    parts = (found.distance, found.direction, found.torsion, radial)
    for part in parts:
        assert part.isfinite().all()
    sum(part[found.near].sum() for part in parts).backward()
    assert positions.grad.isfinite().all()
    assert positions.grad.abs().max() < 1e4


def test_a_linear_molecule_has_no_phi_and_no_tau() -> None:
    found = seen(np.array(SHAPES["in line"]))
    assert found.near.sum() == 12
    assert (found.direction[..., 1:] == 0).all()
    assert (found.torsion[found.near] == 0).all()
    assert found.direction[0, 1, 0, 0] == -found.direction[0, 1, 2, 0]
    assert found.direction[0, 0, 1, 0] == 1


def test_a_mirror_turns_the_sines_around() -> None:
    positions = embedded("C[C@H](N)C(=O)OCCF").GetConformer().GetPositions()
    first, mirrored = seen(positions), seen(positions * [1, 1, -1])
    torch.testing.assert_close(mirrored.direction, first.direction * torch.tensor([1.0, 1, -1]))
    torch.testing.assert_close(mirrored.torsion, first.torsion * torch.tensor([1.0, -1]))
    assert first.direction[..., 2].abs().max() > 0.5


def test_equal_neighbours_are_told_apart_by_the_middle_of_the_molecule() -> None:
    """The nearest of two atoms at the same distance is the outer one, in whatever order."""
    positions = np.array([[0, 0, 0], [1, 0, 0], [-1, 0, 0], [2.5, 0.3, 0], [4, 0, 0.5]])
    for order in ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [3, 2, 1, 4, 0]):
        found = seen(positions[order])
        centre, outer = order.index(0), order.index(2)
        torch.testing.assert_close(
            found.direction[0, centre, outer], torch.tensor([1.0, 0, 0], dtype=torch.float64)
        )


def test_radial_functions_against_scipy() -> None:
    basis = SphericalBessel(4, 6.0).double()
    x = np.linspace(0.05, 6.0, 4001)
    found = basis(torch.from_numpy(x)[:, None, None])[:, 0, 0].numpy()
    for order in (0, 1):
        for n in range(4):
            zero = float(basis.zeros[order, n])
            assert spherical_jn(order, zero) == pytest.approx(0, abs=1e-6)
            assert np.pi * (n + 1 + order / 2 - 0.2) < zero <= np.pi * (n + 1 + order / 2) + 1e-6
            expected = (
                math.sqrt(2)
                / abs(spherical_jn(order + 1, zero))
                * spherical_jn(order, zero * x / 6)
            )
            np.testing.assert_allclose(found[:, order, n], expected, atol=1e-5)
    for order in (0, 1):
        overlap = np.einsum("xn,xm,x->xnm", found[:, order], found[:, order], (x / 6) ** 2)
        np.testing.assert_allclose(simpson(overlap, x=x / 6, axis=0), np.eye(4), atol=1e-3)
