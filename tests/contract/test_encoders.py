"""What every registered encoder promises."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from rdkit import Chem
from tiny import (
    DRUGLIKE,
    batch_of,
    conformer,
    labels,
    make_batch,
    molecule,
    sample,
    thirty_two,
    tiny_config,
)
from torch import nn

from molweave.chem.conformers import Conformer
from molweave.chem.depict import MOST_ATOMS
from molweave.chem.molecule import Rejected
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record
from molweave.methods import dmmrl, mmsa_encoders
from molweave.methods.dmmrl_config import DMMRL_MODALITIES
from molweave.metrics import evaluate
from molweave.modalities import MODALITIES
from molweave.modalities.base import Part

LARGE = "1000 atoms"
VIEWS = {
    **{name: name for name in dmmrl.ENCODERS},
    "resnet": "image",
    "gin": "graph",
    "comenet": "geometry",
}
"""The encoders, by the modality that they read; those of DMMRL have the name of theirs."""
WITHOUT_DROPOUT = {"resnet", "comenet", "relations"}
WITH_BATCH_STATISTICS = {"resnet", "gin"}
WITHOUT_NUMBERS = {"sequence", "resnet"}
"""Those whose part holds whole numbers only."""


@pytest.fixture(params=VIEWS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def odd(odd_smiles) -> dict[str, str]:
    """The odd molecules that can be predicted."""
    read = Standardizer()
    kept = {
        kind: smiles
        for kind, smiles in odd_smiles.items()
        if not isinstance(read(Record(0, (smiles,), smiles)), Rejected)
    }
    assert {"ion", "salt", "single atom", "noble gas", "complex", LARGE} <= set(kept)
    return kept


def build(name: str, *, seed: int = 0, dropout: float = 0.1, width: int = 16) -> nn.Module:
    torch.manual_seed(seed)
    if name in dmmrl.ENCODERS:
        config = tiny_config(encoder_dropout=dropout, width=width)
        return dmmrl.ENCODERS[name](config).eval()
    config = tiny_config(
        "mmsa",
        encoder_dropout=dropout,
        image_channels=width // 8,
        image_reduce=4,
        graph_width=width,
        geometry_width=width,
    )
    return mmsa_encoders.ENCODERS[name](config).eval()


def part_of(name: str, smiles: Sequence[str]) -> Part:
    return make_batch(smiles).parts[VIEWS[name]]


def test_every_modality_of_the_methods_has_an_encoder() -> None:
    assert set(dmmrl.ENCODERS) == set(DMMRL_MODALITIES) <= set(MODALITIES)
    assert set(mmsa_encoders.ENCODERS) <= {*VIEWS, "cmpnn"}  # which is the graph encoder of DMMRL


def test_same_alone_as_in_a_batch_in_any_order(name: str, odd) -> None:
    smiles = [*DRUGLIKE, *(text for kind, text in odd.items() if kind != LARGE)]
    network = build(name)
    with torch.no_grad():
        alone = torch.cat([network(part_of(name, [text])) for text in smiles])
        assert alone.shape == (len(smiles), 16)
        assert alone.dtype == torch.float32
        assert alone.isfinite().all()
        together = network(part_of(name, smiles))
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
        backwards = network(part_of(name, smiles[::-1]))
        torch.testing.assert_close(backwards.flip(0), alone, atol=1e-5, rtol=0)


def test_a_large_mate_does_not_matter(name: str, odd) -> None:
    network = build(name)
    polymer = "C" * MOST_ATOMS if VIEWS[name] == "image" else odd[LARGE]
    with torch.no_grad():
        large, small = (network(part_of(name, [text])) for text in (polymer, "CCO"))
        both = network(part_of(name, [polymer, "CCO"]))
    torch.testing.assert_close(both, torch.cat([large, small]), atol=1e-5, rtol=0)


def test_molecules_are_told_apart(name: str) -> None:
    with torch.no_grad():
        vectors = build(name)(part_of(name, DRUGLIKE))
    distances = torch.cdist(vectors, vectors) + 10 * torch.eye(len(DRUGLIKE))
    assert distances.min() > 1e-2


def test_a_batch_without_bonds(name: str) -> None:
    smiles = ["C", "[Xe]", "[Na+].[Cl-]", "[NH4+]"]
    network = build(name)
    vectors = network(part_of(name, smiles))
    assert vectors.isfinite().all()
    vectors.square().sum().backward()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_numbering_of_atoms_and_orientation_do_not_matter(name: str) -> None:
    """From a 3D structure of the input, its atoms shuffled, rotated and moved."""
    network, read, modality = build(name), Standardizer(), MODALITIES[VIEWS[name]]()
    mine = molecule("C[C@@H](Oc1ccc(Cl)cc1)C(=O)N1CC/C(=C\\F)C1")
    coordinates = conformer(mine.canonical).coordinates
    assert coordinates is not None
    generator = np.random.default_rng(0)

    def encode(order: list[int], turn: np.ndarray, shift: np.ndarray) -> torch.Tensor:
        mol = Chem.Mol(mine.mol)
        placed = Chem.Conformer(mol.GetNumAtoms())
        placed.SetPositions(coordinates.astype(np.float64) @ turn.T + shift)
        placed.Set3D(True)
        mol.AddConformer(placed)
        given = read(Record(0, (), None, mol=Chem.RenumberAtoms(mol, order)))
        assert not isinstance(given, Rejected)
        assert given.coordinates is not None
        assert given.canonical == mine.canonical
        placed_sample = modality.featurize(given, Conformer(given.coordinates, "input"))
        with torch.no_grad():
            return network(modality.collate([placed_sample]))

    size = mine.mol.GetNumAtoms()
    expected = encode(list(range(size)), np.eye(3), np.zeros(3))
    for _ in range(4):
        turn, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        turn *= np.linalg.det(turn)
        order = generator.permutation(size).tolist()
        found = encode(order, turn, generator.normal(size=3) * 10)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_gradients_reach_every_parameter(name: str) -> None:
    network = build(name)  # in training, batch normalisation takes the biases before it away
    torch.manual_seed(1)
    (network(part_of(name, DRUGLIKE)) * torch.randn(16)).sum().backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter
        assert value.grad.abs().sum() > 0, parameter


@pytest.mark.parametrize("name", sorted(VIEWS.keys() - WITHOUT_NUMBERS))
def test_no_gradient_crosses_between_molecules(name: str) -> None:
    part = part_of(name, DRUGLIKE)
    floats = {
        field.name: getattr(part, field.name).requires_grad_()
        for field in dataclasses.fields(part)
        if isinstance(getattr(part, field.name), torch.Tensor)
        and getattr(part, field.name).is_floating_point()
    }
    network = build(name).train(name not in WITH_BATCH_STATISTICS)
    network(part)[0].square().sum().backward()
    first = part_of(name, DRUGLIKE[:1])
    for field, value in floats.items():
        if value.grad is None:
            continue
        inside = len(getattr(first, field))
        assert value.grad[:inside].abs().sum() > 0, field
        assert value.grad[inside:].abs().sum() == 0, field


@pytest.mark.parametrize("name", sorted(VIEWS.keys() - WITHOUT_DROPOUT))
def test_dropout_acts_in_training_only(name: str) -> None:
    network, part = build(name, dropout=0.5), part_of(name, DRUGLIKE)
    with torch.no_grad():
        assert torch.equal(network(part), network(part))
        network.train()
        assert not torch.equal(network(part), network(part))


def test_a_seed_decides_weights_and_dropout(name: str) -> None:
    part = part_of(name, DRUGLIKE)
    first, second, other = (build(name, seed=seed).train() for seed in (3, 3, 4))
    results = []
    for network in (first, second, other):
        torch.manual_seed(5)
        results.append(network(part).detach())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_memorises_32_molecules(name: str) -> None:
    smiles, targets = thirty_two()
    part = batch_of([sample(text) for text in smiles]).parts[VIEWS[name]]
    wanted = torch.from_numpy((targets - [0.0, 2.0]) / [1.0, 1.5]).float()
    network = nn.Sequential(build(name, dropout=0.0, width=32), nn.Linear(32, 2)).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for step in range(60):
        optimizer.param_groups[0]["lr"] = 5e-3 * (1 - step / 60)
        out = network(part)
        loss = nn.functional.binary_cross_entropy_with_logits(out[:, 0], wanted[:, 0])
        loss = loss + (out[:, 1] - wanted[:, 1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        out = network.eval()(part).numpy()
    assert evaluate("roc_auc", labels(32)[:, 0], out[:, 0]).value == 1.0
    assert evaluate("rmse", wanted[:, 1].numpy(), out[:, 1]).value < 0.5
