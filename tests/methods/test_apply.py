import numpy as np
import pytest
import torch
from tiny import DRUGLIKE, TASKS, make_batch, molecule, sample, tiny_config, tiny_model

from molweave.data.dataset import Dataset, make_modalities
from molweave.methods.apply import apply_members

NAMES = ("sequence", "graph", "geometry", "descriptors")
SMILES = [*DRUGLIKE, "C", "CCCCCCCCCC", "[Na+].[Cl-]"]
FLAT = {1, 6}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset(
        molecules=[molecule(text) for text in SMILES],
        samples=[sample(text, index not in FLAT) for index, text in enumerate(SMILES)],
        modalities=make_modalities(NAMES),
    )


def test_results_are_in_the_order_of_the_data_whatever_the_batches(dataset) -> None:
    members = [tiny_model(seed=seed) for seed in (0, 1, 2)]
    expected = [member.predict(make_batch(SMILES, flat=sorted(FLAT))) for member in members]
    for batch_size in (2, 4, 100):
        found = apply_members(members, dataset, batch_size=batch_size)
        assert found.predictions.shape == (3, len(SMILES), len(TASKS))
        for number, result in enumerate(expected):
            np.testing.assert_allclose(found.predictions[number], result.values, atol=1e-5)
        first = expected[0].encoding.embedding.detach()
        np.testing.assert_allclose(found.embeddings, first, atol=1e-5)
        mean = torch.stack([result.encoding.weights for result in expected]).mean(0)
        np.testing.assert_allclose(found.weights, mean, atol=1e-5)
        assert found.usable.all()
    assert found.predictions.dtype == np.float64
    assert found.embeddings.dtype == np.float32


def test_a_molecule_without_any_modality_is_not_usable(dataset) -> None:
    found = apply_members([tiny_model(tiny_config(modalities=("geometry",)))], dataset)
    assert np.flatnonzero(~found.usable).tolist() == sorted(FLAT)
    assert (found.weights[sorted(FLAT)] == 0).all()


def test_each_member_gets_its_own_mode_back(dataset) -> None:
    members = [tiny_model().train(), tiny_model()]
    apply_members(members, dataset)
    assert [member.training for member in members] == [True, False]


def test_progress_counts_to_the_end(dataset) -> None:
    seen: list[tuple[int, int]] = []
    config = tiny_config(modalities=("descriptors",))
    apply_members(
        [tiny_model(config)], dataset, batch_size=4, progress=lambda *call: seen.append(call)
    )
    assert seen == [(3, 9), (6, 9), (9, 9)]
