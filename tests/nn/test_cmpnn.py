"""The graph encoder against the equations of its docstring, written out bond by bond."""

import dataclasses

import pytest
import torch
from tiny import wide_graph

from molweave.modalities.graph import GraphPart
from molweave.nn.encoders.cmpnn import CMPNN

SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "C", "[Na+].[Cl-]", "C1CC1N", "C#N")


def network(rounds: int = 3) -> CMPNN:
    return CMPNN(atom_width=133, bond_width=14, width=6, rounds=rounds, dropout=0.3).double().eval()


def naive(model: CMPNN, part: GraphPart, molecule: int) -> torch.Tensor:
    """One molecule, with a dictionary of bonds."""
    atoms = [v for v in range(len(part.atoms)) if part.molecule[v] == molecule]
    ends = [(int(v), int(w)) for v, w in zip(part.source, part.target, strict=True)]
    bonds = {pair: index for index, pair in enumerate(ends) if pair[0] in atoms}
    h0 = {v: torch.relu(model.atom_input(part.atoms[v])) for v in atoms}
    e0 = {
        (v, w): torch.relu(model.bond_input(torch.cat([part.atoms[v], part.bonds[index]])))
        for (v, w), index in bonds.items()
    }
    h, e = dict(h0), dict(e0)

    def message(v: int) -> torch.Tensor:
        arriving = [e[pair] for pair in bonds if pair[1] == v]
        if not arriving:
            return torch.zeros(6, dtype=torch.float64)
        stacked = torch.stack(arriving)
        return stacked.sum(0) * stacked.max(0).values

    for update in model.updates:
        h = {v: h[v] + message(v) for v in atoms}
        e = {(v, w): torch.relu(e0[v, w] + update(h[v] - e[w, v])) for v, w in bonds}
    m = {v: message(v) for v in atoms}
    states = [model.output(torch.cat([m[v], h[v] + m[v], h0[v]])) for v in atoms]
    total = torch.stack(states).sum(0)
    return model.readout.norm(model.readout.mix(torch.cat([total / len(atoms), total / 20])))


@pytest.mark.parametrize("rounds", [1, 4])
def test_against_the_equations(rounds: int) -> None:
    model, part = network(rounds), wide_graph(SMILES)
    with torch.no_grad():
        found = model(part)
        expected = torch.stack([naive(model, part, index) for index in range(len(SMILES))])
    torch.testing.assert_close(found, expected)


def renumbered(part: GraphPart, order: torch.Tensor) -> GraphPart:
    """The same molecules with atom ``order[i]`` in place i and the bonds listed backwards."""
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    backwards = torch.arange(len(part.bonds)).flip(0)
    return dataclasses.replace(
        part,
        atoms=part.atoms[order],
        molecule=part.molecule[order],
        bonds=part.bonds[backwards],
        source=place[part.source[backwards]],
        target=place[part.target[backwards]],
        reverse=len(part.bonds) - 1 - part.reverse[backwards],
    )


def test_read_out_does_not_depend_on_the_order_of_atoms_and_bonds() -> None:
    model, part = network(), wide_graph(SMILES)
    with torch.no_grad():
        expected = model(part)
        for _ in range(5):
            shuffled = renumbered(part, torch.randperm(len(part.atoms)))
            torch.testing.assert_close(model(shuffled), expected)


def test_a_batch_without_bonds() -> None:
    model = network()
    part = wide_graph(("C", "[Na+].[Cl-]", "[Xe]"))
    assert len(part.bonds) == 0
    found = model(part)
    assert found.shape == (3, 6)
    assert found.isfinite().all()
    found.sum().backward()


def test_dropout_acts_on_bonds_only_in_training() -> None:
    model, part = network().train(), wide_graph(SMILES)
    first, second = model(part), model(part)
    moved = (first != second).any(1)
    assert moved.tolist() == [True, False, False, True, True]
