"""The graph isomorphism network against its equation, written out atom by atom."""

import dataclasses

import torch
from tiny import wide_graph

from molweave.modalities.graph import GraphPart
from molweave.nn.encoders.gin import GIN, GINLayer

SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "C", "[Na+].[Cl-]", "C1CC1N", "C#N")


def network(layers: int = 3) -> GIN:
    """With running statistics that differ from their first values 0 and 1."""
    model = GIN(atom_width=133, bond_width=14, width=6, layers=layers, dropout=0.3).double()
    for _ in range(5):
        model(wide_graph(SMILES))
    return model.eval()


def normalized(layer: GINLayer, x: torch.Tensor) -> torch.Tensor:
    norm = layer.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return (x - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias


def naive(model: GIN, part: GraphPart, molecule: int) -> torch.Tensor:
    """One molecule, bond by bond."""
    mine = [v for v in range(len(part.atoms)) if part.molecule[v] == molecule]
    ends = list(zip(part.source.tolist(), part.target.tolist(), strict=True))
    h = {v: model.atom_input(part.atoms[v]) for v in mine}
    for number, layer in enumerate(model.layers):
        total = {v: h[v] + layer.loop for v in mine}
        for bond, (u, v) in enumerate(ends):
            if v in total:
                total[v] = total[v] + h[u] + layer.bond.weight @ part.bonds[bond]
        h = {v: normalized(layer, layer.network(total[v])) for v in mine}
        if number < len(model.layers) - 1:
            h = {v: h[v].clamp(min=0) for v in mine}
    return torch.stack([h[v] for v in mine]).mean(0)


def test_against_the_equation() -> None:
    model, part = network(), wide_graph(SMILES)
    with torch.no_grad():
        expected = torch.stack([naive(model, part, index) for index in range(len(SMILES))])
        torch.testing.assert_close(model(part), expected)


def test_the_first_bond_feature_stands_for_the_bias() -> None:
    assert (wide_graph(SMILES).bonds[:, 0] == 1).all()


def test_read_out_does_not_depend_on_the_order_of_atoms_and_bonds() -> None:
    model, part = network(), wide_graph(SMILES)
    atoms, bonds = torch.randperm(len(part.atoms)), torch.randperm(len(part.bonds))
    shuffled = dataclasses.replace(
        part,
        atoms=part.atoms[atoms],
        molecule=part.molecule[atoms],
        bonds=part.bonds[bonds],
        source=atoms.argsort()[part.source[bonds]],
        target=atoms.argsort()[part.target[bonds]],
    )
    with torch.no_grad():
        torch.testing.assert_close(model(shuffled), model(part))


def test_training_on_a_single_atom() -> None:
    model = network().train()
    found = model(wide_graph(("C",)))
    assert found.isfinite().all()
    found.sum().backward()
