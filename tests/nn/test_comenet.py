"""ComENet against its equations atom by atom, and mirror images."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from tiny import batch_of, conformer, molecule, sample

from molweave.chem.conformers import Conformer
from molweave.modalities.geometry import ATOM_CARDINALITIES, GeometryModality, GeometryPart
from molweave.nn.encoders.comenet import ComENet, Convolution, Interaction
from molweave.nn.frames import look_around

SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "C", "[Na+].[Cl-]", "C1CC1N", "CO", "CC#N")


def network(layers: int = 2, cutoff: float = 8.0) -> ComENet:
    torch.manual_seed(1)
    model = ComENet(atom_cardinalities=ATOM_CARDINALITIES, width=6, layers=layers, cutoff=cutoff)
    return model.double().eval()


def double(part: object) -> GeometryPart:
    assert isinstance(part, GeometryPart)
    return dataclasses.replace(part, positions=part.positions.double())


def geometry(smiles: tuple[str, ...]) -> GeometryPart:
    return double(batch_of([sample(text) for text in smiles]).parts["geometry"])


def moved(smiles: str, change: np.ndarray, shift: float = 0.0) -> GeometryPart:
    mine = molecule(smiles)
    coordinates = conformer(mine.canonical).coordinates
    assert coordinates is not None
    placed = Conformer((coordinates @ change.T + shift).astype(np.float32), "input")
    modality = GeometryModality()
    return double(modality.collate([modality.featurize(mine, placed)]))


def sigma(x: torch.Tensor) -> torch.Tensor:
    return x / (1 + torch.exp(-x))


def naive(model: ComENet, part: GeometryPart, index: int) -> torch.Tensor:
    """One molecule, pair by pair; the harmonics of l = 1 are the components of the direction."""
    mine = part.molecule == index
    positions = part.positions[mine]
    size = len(positions)
    found = look_around(positions[None], torch.ones(1, size, dtype=torch.bool), model.cutoff)
    radial = model.radial(found.distance)[0]
    local, torsion = {}, {}
    for i, j in found.near[0].nonzero().tolist():
        (flat, steep), (x, y, z) = radial[i, j], found.direction[0, i, j].tolist()
        one = math.sqrt(3 / (4 * math.pi))
        level = flat * math.sqrt(1 / (4 * math.pi))
        local[i, j] = torch.cat([level, steep * one * x, steep * one * y, steep * one * z])
        cosine, sine = found.torsion[0, i, j].tolist()
        torsion[i, j] = torch.cat([level, steep * one * cosine, steep * one * sine])

    def convolve(layer: Convolution, x: torch.Tensor, basis: dict) -> torch.Tensor:
        total = torch.zeros_like(x)
        for (i, j), values in basis.items():
            total[i] += (layer.filter.T @ values) * x[j]
        return total @ layer.gather.weight.T + x @ layer.own.weight.T + layer.own.bias

    def interact(layer: Interaction, h: torch.Tensor) -> torch.Tensor:
        x = sigma(layer.input(h))
        both = [convolve(layer.local, x, local), convolve(layer.torsion, x, torsion)]
        y = layer.join(torch.cat([sigma(value) for value in both], dim=1)) + x
        for residual in layer.residuals:
            y = y + sigma(residual(y))
        return h + layer.output(layer.norm(y))

    h = sigma(model.embedding(part.atoms[mine]))
    for layer in model.layers:
        h = interact(layer, h)
    return model.norm(sigma(model.output(h)).mean(0))


@pytest.mark.parametrize("cutoff", [8.0, 2.0])
def test_against_the_equations(cutoff: float) -> None:
    model, part = network(cutoff=cutoff), geometry(SMILES)
    with torch.no_grad():
        expected = torch.stack([naive(model, part, index) for index in range(len(SMILES))])
        torch.testing.assert_close(model(part), expected)


@pytest.mark.parametrize("smiles", SMILES)
def test_rotation_and_translation_change_nothing_and_stretching_does(smiles: str) -> None:
    model = network()
    generator = np.random.default_rng(0)
    with torch.no_grad():
        expected = model(moved(smiles, np.eye(3)))
        for _ in range(3):
            turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
            turn *= np.linalg.det(turn)
            found = model(moved(smiles, turn, 20.0))
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        stretched = model(moved(smiles, np.diag([1.3, 1.1, 1.0])))
    assert molecule(smiles).mol.GetNumAtoms() == 1 or not torch.allclose(
        stretched, expected, atol=1e-3
    )


def test_does_not_depend_on_the_order_of_atoms() -> None:
    model, part = network(), geometry(SMILES)
    for _ in range(5):
        order = torch.randperm(len(part.atoms))
        shuffled = dataclasses.replace(
            part,
            atoms=part.atoms[order],
            molecule=part.molecule[order],
            positions=part.positions[order],
        )
        with torch.no_grad():
            torch.testing.assert_close(model(shuffled), model(part))


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "C[C@@H]1CCO1", "OC(F)C#N"])
def test_mirror_images_of_a_chiral_conformer_differ(smiles: str) -> None:
    """The atoms keep their features: only the coordinates tell the two apart."""
    model = network()
    with torch.no_grad():
        first, second = model(moved(smiles, np.eye(3))), model(moved(smiles, np.diag([1, 1, -1])))
    assert (first - second).abs().max() > 1e-3


def test_mirror_images_of_flat_molecules_agree() -> None:
    model = network()
    mine = molecule("Nc1ncnc2[nH]cnc12")
    flat = Chem.Mol(mine.mol)
    assert rdDistGeom.EmbedMolecule(flat, randomSeed=3) == 0
    positions = flat.GetConformer().GetPositions()
    middle = positions.mean(0)
    _, _, axes = np.linalg.svd(positions - middle)
    positions = (positions - middle) @ axes.T * [1, 1, 0]
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    modality = GeometryModality()

    def encode(coordinates: np.ndarray) -> torch.Tensor:
        placed = Conformer(coordinates.astype(np.float32), "input")
        with torch.no_grad():
            return model(double(modality.collate([modality.featurize(mine, placed)])))

    mirrored = positions @ np.diag([-1, 1, 1]) @ turn.T
    torch.testing.assert_close(encode(mirrored), encode(positions), atol=1e-4, rtol=0)


def test_beyond_the_cutoff_there_is_nothing() -> None:
    model, part = network(cutoff=5.0), geometry(("[Na+].[Cl-]",))
    with torch.no_grad():
        near, far, farther = (
            model(dataclasses.replace(part, positions=part.positions.sign() * side))
            for side in (1.0, 3.0, 30.0)
        )
    torch.testing.assert_close(far, farther)
    assert not torch.allclose(near, far, atol=1e-3)


def test_fades_out_at_the_cutoff() -> None:
    """No jump when an atom leaves the neighbourhood of two atoms that keep their references."""
    model = network(cutoff=5.0)
    part = geometry(("CCC",))

    def at(distance: float) -> torch.Tensor:
        line = torch.tensor([[0.0, 0, 0], [1.5, 0, 0], [0.5, 0, 0]], dtype=torch.float64)
        line[2, 0] = distance
        with torch.no_grad():
            return model(dataclasses.replace(part, positions=line))

    torch.testing.assert_close(at(6.5 - 1e-4), at(6.5 + 1e-4), atol=1e-3, rtol=0)


@pytest.mark.parametrize("smiles", ["C", "CO", "[Na+].[Cl-]", "CC#C", "C1CC1", "CC(C)(C)C"])
def test_small_and_straight_molecules_have_finite_gradients(smiles: str) -> None:
    model, part = network(), geometry((smiles,))
    positions = part.positions.clone().requires_grad_()
    found = model(dataclasses.replace(part, positions=positions))
    assert found.isfinite().all()
    (found * torch.randn(6)).sum().backward()
    assert positions.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())
