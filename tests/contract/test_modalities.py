"""What every registered modality promises."""

import dataclasses

import numpy as np
import pytest
import torch
from rdkit import Chem

from molweave.chem.conformers import Conformer
from molweave.chem.molecule import Molecule
from molweave.data.batch import collate
from molweave.modalities import MODALITIES
from molweave.modalities.base import AnyModality, Missing, Part

POINTS_INTO = {
    "source": "atoms",
    "target": "atoms",
    "reverse": "bonds",
    "bond_ends": "atoms",
    "angle_bonds": "bonds",
}
"""Fields that hold positions in another field, which move when molecules are laid end to end."""


@pytest.fixture(params=MODALITIES)
def modality(request: pytest.FixtureRequest) -> AnyModality:
    return MODALITIES[request.param]()


def read(smiles: str, row: int = 0) -> Molecule:
    canonical = Chem.MolToSmiles(Chem.MolFromSmiles(smiles))
    return Molecule(row, smiles, canonical, Chem.MolFromSmiles(canonical))


def place(molecule: Molecule) -> Conformer:
    shape = (molecule.mol.GetNumAtoms(), 3)
    coordinates = np.random.default_rng(shape[0]).normal(size=shape) * 3
    return Conformer(coordinates.astype(np.float32), "input", None)


def featurize(modality: AnyModality, smiles: str) -> object:
    molecule = read(smiles)
    return modality.featurize(molecule, place(molecule))


def featurize_odd(modality: AnyModality, odd_smiles) -> dict[str, object]:
    """The samples of the odd molecules; a polymer may be too large for a view, no other is."""
    samples = {kind: featurize(modality, smiles) for kind, smiles in odd_smiles.items()}
    missing = {kind for kind, sample in samples.items() if isinstance(sample, Missing)}
    assert missing == ({"1000 atoms"} if modality.name == "image" else set())
    return {kind: sample for kind, sample in samples.items() if kind not in missing}


def tensors(part: Part) -> dict[str, torch.Tensor]:
    fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return {name: value for name, value in fields.items() if isinstance(value, torch.Tensor)}


def lay_end_to_end(parts: list[Part], name: str) -> torch.Tensor:
    """The field of a batch, put together from the fields of its molecules alone."""
    values = [getattr(part, name) for part in parts]
    if name == "tokens":
        return torch.nn.utils.rnn.pad_sequence([v[0] for v in values], batch_first=True)
    if name == "molecule":
        return torch.cat([value + index for index, value in enumerate(values)])
    if name not in POINTS_INTO:
        return torch.cat(values)
    sizes = [len(getattr(part, POINTS_INTO[name])) for part in parts]
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return torch.cat([v + start for v, start in zip(values, starts, strict=True)], dim=-1)


def test_is_registered_under_its_name(modality: AnyModality) -> None:
    assert MODALITIES[modality.name] is type(modality)
    assert modality.version.startswith(f"{modality.name}-")


def test_same_alone_as_in_a_batch_in_any_order(modality: AnyModality, odd_smiles) -> None:
    samples = list(featurize_odd(modality, odd_smiles).values())
    for order in (samples, samples[::-1]):
        batch = modality.collate(order)
        alone = [modality.collate([sample]) for sample in order]
        assert batch.num_molecules == len(samples)
        assert {part.num_molecules for part in alone} == {1}
        for name, value in tensors(batch).items():
            assert torch.equal(value, lay_end_to_end(alone, name)), name


def test_does_not_depend_on_the_numbering_of_atoms(modality: AnyModality) -> None:
    smiles = "C[C@@H](Oc1ccc(Cl)cc1)C(=O)N1CC/C(=C\\F)C1"
    mol = Chem.MolFromSmiles(smiles)
    first = modality.collate([featurize(modality, smiles)])
    generator = np.random.default_rng(0)
    for _ in range(5):
        order = generator.permutation(mol.GetNumAtoms()).tolist()
        renumbered = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
        again = modality.collate([featurize(modality, renumbered)])
        for name, value in tensors(first).items():
            assert torch.equal(value, getattr(again, name)), name


def test_every_odd_molecule_gives_finite_numbers(modality: AnyModality, odd_smiles) -> None:
    for kind, sample in featurize_odd(modality, odd_smiles).items():
        for name, value in tensors(modality.collate([sample])).items():
            assert value.isfinite().all(), (kind, name)
            assert value.dtype in (torch.float32, torch.int64, torch.uint8), (kind, name)


def test_only_geometry_needs_a_conformer(modality: AnyModality) -> None:
    for conformer in (None, Conformer(None, "failed", "it would not embed")):
        sample = modality.featurize(read("CCO"), conformer)
        assert isinstance(sample, Missing) == modality.needs_conformer


def test_a_part_moves_to_a_device(modality: AnyModality) -> None:
    part = modality.collate([featurize(modality, "CCO")])
    moved = part.to(torch.device("meta"))
    assert type(moved) is type(part)
    assert moved.num_molecules == 1
    assert {value.device.type for value in tensors(moved).values()} == {"meta"}
    assert {value.device.type for value in tensors(part).values()} == {"cpu"}


def test_featurizing_again_gives_the_same(modality: AnyModality) -> None:
    molecule = read("CC(=O)Oc1ccccc1C(=O)O")
    conformer = place(molecule)
    first, second = (modality.collate([modality.featurize(molecule, conformer)]) for _ in range(2))
    for name, value in tensors(first).items():
        assert torch.equal(value, getattr(second, name)), name


def test_a_molecule_without_a_conformer_is_masked() -> None:
    molecules = [read("CCO"), read("CCN"), read("C")]
    conformers = [place(molecules[0]), None, place(molecules[2])]
    modalities = [kind() for kind in MODALITIES.values()]
    samples = [
        {modality.name: modality.featurize(*pair) for modality in modalities}
        for pair in zip(molecules, conformers, strict=True)
    ]
    batch = collate(samples, modalities, rows=[0, 1, 2])
    assert batch.present["geometry"].tolist() == [True, False, True]
    assert batch.parts["geometry"].num_molecules == 2
    assert batch.parts["geometry"].molecule.tolist() == [0, 0, 0, 1]
    for name in set(MODALITIES) - {"geometry"}:
        assert batch.present[name].all()
        assert batch.parts[name].num_molecules == 3
