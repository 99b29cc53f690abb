"""The geometry encoder: dense re-computation, and invariance from coordinates to vector."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from tiny import batch_of, conformer, molecule, sample

from molweave.chem.conformers import Conformer
from molweave.modalities.geometry import (
    ATOM_CARDINALITIES,
    BOND_CARDINALITIES,
    GeometryModality,
    GeometryPart,
)
from molweave.nn.encoders.geognn import GeoGNN, GINEBlock

SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "C", "[Na+].[Cl-]", "C1CC1N", "CO")


def network(layers: int = 2) -> GeoGNN:
    torch.manual_seed(1)
    model = GeoGNN(
        atom_cardinalities=ATOM_CARDINALITIES,
        bond_cardinalities=BOND_CARDINALITIES,
        width=6,
        layers=layers,
        dropout=0.3,
    )
    return model.double().eval()


def double(part: object) -> GeometryPart:
    assert isinstance(part, GeometryPart)
    return dataclasses.replace(
        part,
        bond_length=part.bond_length.double(),
        angle=part.angle.double(),
        positions=part.positions.double(),
    )


def geometry(smiles: tuple[str, ...]) -> GeometryPart:
    return double(batch_of([sample(text) for text in smiles]).parts["geometry"])


def test_gine_block_against_a_dense_matrix() -> None:
    block = GINEBlock(4, dropout=0.5).eval()
    nodes, edges = torch.randn(5, 4), torch.randn(6, 4)
    source = torch.tensor([0, 1, 1, 2, 3, 0])
    target = torch.tensor([1, 0, 2, 1, 1, 3])
    dense = torch.zeros(5, 5, 4)
    for row, (u, v) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        dense[v, u] = nodes[u] + edges[row]
    update = block.norm(block.network(nodes + dense.sum(1)))
    expected = nodes + update.clamp(min=0)
    torch.testing.assert_close(block(nodes, edges, source, target), expected)


def angle_between(part: GeometryPart, first: int, second: int) -> float | None:
    """The angle at the atom that two bonds share; None where they share none."""
    a, b = (set(part.bond_ends[:, bond].tolist()) for bond in (first, second))
    shared = a & b
    if first == second or not shared:
        return None
    centre = shared.pop()
    u, v = (part.positions[(ends - {centre}).pop()] - part.positions[centre] for ends in (a, b))
    return math.acos(float(u @ v / (u.norm() * v.norm())))


def naive(model: GeoGNN, part: GeometryPart) -> torch.Tensor:
    """All states with dense adjacency, lengths and angles measured anew from the positions."""
    num_atoms, num_bonds = len(part.atoms), len(part.bonds)
    ends = part.bond_ends
    lengths = (part.positions[ends[0]] - part.positions[ends[1]]).norm(dim=1)

    def gine(block: GINEBlock, nodes: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        return nodes + torch.relu(block.norm(block.network(nodes + total)))

    atoms = model.atom_embedding(part.atoms)
    for layer in range(len(model.lengths)):
        bonds = model.bond_embeddings[layer](part.bonds)
        bonds = bonds + model.lengths[layer](model.length_basis(lengths))
        total = torch.zeros_like(bonds)
        for i in range(num_bonds):
            for j in range(num_bonds):
                angle = angle_between(part, i, j)
                if angle is not None:
                    basis = model.angle_basis(torch.tensor([angle], dtype=torch.float64))
                    total[i] += bonds[j] + model.angles[layer](basis)[0]
        bonds = gine(model.bond_blocks[layer], bonds, total)
        total = torch.zeros_like(atoms)
        for bond, (v, w) in enumerate(ends.T.tolist()):
            total[v] += atoms[w] + bonds[bond]
            total[w] += atoms[v] + bonds[bond]
        atoms = gine(model.atom_blocks[layer], atoms, total)
    members = [atoms[part.molecule == index] for index in range(part.num_molecules)]
    both = [torch.cat([states.mean(0), states.sum(0) / 20]) for states in members]
    assert num_atoms == len(part.positions)
    return model.readout.norm(model.readout.mix(torch.stack(both)))


def test_against_a_dense_recomputation_from_positions() -> None:
    model, part = network(), geometry(("CC(N)O", "C", "C1CC1", "CO"))
    with torch.no_grad():
        torch.testing.assert_close(model(part), naive(model, part), atol=1e-5, rtol=1e-5)


def moved(smiles: str, change: np.ndarray, shift: np.ndarray) -> GeometryPart:
    mine = molecule(smiles)
    coordinates = conformer(mine.canonical).coordinates
    assert coordinates is not None
    placed = Conformer((coordinates @ change.T + shift).astype(np.float32), "input")
    modality = GeometryModality()
    return double(modality.collate([modality.featurize(mine, placed)]))


@pytest.mark.parametrize("smiles", SMILES)
def test_rotation_and_translation_change_nothing_and_stretching_does(smiles: str) -> None:
    model = network()
    generator = np.random.default_rng(0)
    nowhere = np.zeros(3)
    with torch.no_grad():
        expected = model(moved(smiles, np.eye(3), nowhere))
        for _ in range(3):
            turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
            turn *= np.linalg.det(turn)
            found = model(moved(smiles, turn, generator.normal(size=3) * 20))
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        stretched = model(moved(smiles, np.diag([1.3, 1.0, 1.0]), nowhere))
    if molecule(smiles).mol.GetNumBonds():
        assert not torch.allclose(stretched, expected, atol=1e-3)


def test_bond_angles_matter() -> None:
    model, part = network(), geometry(("CCO",))
    bent = dataclasses.replace(part, angle=part.angle - 0.4)
    with torch.no_grad():
        assert not torch.allclose(model(bent), model(part), atol=1e-3)


def test_read_out_does_not_depend_on_the_order_of_atoms_bonds_and_angles() -> None:
    model, part = network(), geometry(SMILES)
    atoms, bonds, angles = (
        torch.randperm(size) for size in (len(part.atoms), len(part.bonds), len(part.angle))
    )
    shuffled = dataclasses.replace(
        part,
        atoms=part.atoms[atoms],
        molecule=part.molecule[atoms],
        positions=part.positions[atoms],
        bonds=part.bonds[bonds],
        bond_ends=atoms.argsort()[part.bond_ends[:, bonds]].flip(0),
        bond_length=part.bond_length[bonds],
        angle_bonds=bonds.argsort()[part.angle_bonds[:, angles]],
        angle=part.angle[angles],
    )
    with torch.no_grad():
        torch.testing.assert_close(model(shuffled), model(part))


def test_a_batch_without_bonds() -> None:
    part = geometry(("C", "[Na+].[Cl-]", "[Xe]"))
    assert len(part.bonds) == len(part.angle) == 0
    found = network()(part)
    assert found.shape == (3, 6)
    assert found.isfinite().all()
    found.sum().backward()
