"""One test for every mistake of the released DMMRL code, numbered as in docs/methods/dmmrl.md."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fits import TINY
from rdkit import Chem
from tiny import (
    DRUGLIKE,
    TASKS,
    labels,
    make_batch,
    molecule,
    thirty_two,
    tiny_config,
    tiny_model,
    total,
)

from molweave.chem import vocabulary
from molweave.chem.conformers import Conformer, ConformerSettings, embed_conformer
from molweave.chem.read import open_table, table_from_frame, table_from_smiles
from molweave.chem.standardize import Standardizer
from molweave.data.cache import ConformerCache
from molweave.data.dataset import Dataset, Featurizer, make_modalities
from molweave.data.targets import Task
from molweave.inference.stream import Runner
from molweave.methods.apply import apply_members
from molweave.methods.checkpoint import FittedModel, ModelSpec
from molweave.methods.config import to_plain
from molweave.methods.property_model import PropertyModel
from molweave.metrics import evaluate
from molweave.training.options import FitOptions
from molweave.training.pipeline import FitResult, fit_table
from molweave.training.table import read_training_table


def test_1_a_prediction_does_not_depend_on_batch_mates() -> None:
    """The released Transformer attends across the molecules of the batch."""
    model = tiny_model()
    alone = torch.cat([model.predict(make_batch([text])).values for text in DRUGLIKE])
    together = model.predict(make_batch(DRUGLIKE)).values
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    others = model.predict(make_batch([DRUGLIKE[0], "[Xe]", "O=C1CCCCCCCCCCCCCCO1"])).values
    torch.testing.assert_close(others[0], alone[0], atol=1e-5, rtol=0)


def test_2_missing_labels_do_not_count_in_the_loss() -> None:
    model = tiny_model(tiny_config(dropout=0.0, encoder_dropout=0.0)).train()
    known = labels(len(DRUGLIKE))
    known[1, 0] = known[4, 1] = np.nan

    def gradients(targets: np.ndarray, value: float | None) -> list[torch.Tensor]:
        batch = make_batch(DRUGLIKE, targets=targets)
        if value is not None:
            assert batch.targets is not None
            assert batch.target_mask is not None
            batch.targets[~batch.target_mask] = value
        model.zero_grad()
        torch.manual_seed(0)
        loss = total(model(batch, 0.5))
        loss.backward()
        return [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]

    masked = gradients(known, None)
    assert all(map(torch.equal, gradients(known, 7.0), masked))
    as_negative = gradients(np.nan_to_num(known), None)
    assert not torch.equal(as_negative[0], masked[0])


def test_2_missing_labels_do_not_count_in_the_metric() -> None:
    truth = np.array([[1.0], [0.0], [np.nan], [1.0], [np.nan]])
    probability = np.array([[0.9], [0.2], [0.95], [0.8], [0.99]])
    assert evaluate("roc_auc", truth, probability).value == 1.0
    assert evaluate("roc_auc", np.nan_to_num(truth), probability).value < 0.5


def test_3_tokenizer_and_vocabulary_agree() -> None:
    """In the released code "Cl" and "Br" become unknown."""
    (chlorine,), (bromine,) = vocabulary.encode("Cl"), vocabulary.encode("Br")
    assert len({chlorine, bromine, vocabulary.UNKNOWN, vocabulary.PAD}) == 4
    for smiles in (*DRUGLIKE, "C[N+](=O)[O-]", "c1cc[nH]c1", "C[C@@H](Cl)Br", "C1CC%10CC1CC%10"):
        ids = vocabulary.encode(smiles)
        assert "".join(vocabulary.tokens()[number - 2] for number in ids) == smiles
    model = tiny_model(tiny_config(modalities=("sequence",)))
    values = model.predict(make_batch(["CCCl", "CCBr", "CCC"])).values
    assert torch.pdist(values).min() > 1e-4


def test_4_a_prediction_does_not_depend_on_atom_numbering() -> None:
    """The released read-out is a recurrent network over the atoms in file order."""
    model = tiny_model()
    for smiles in DRUGLIKE:
        mol = Chem.MolFromSmiles(smiles)
        expected = model.predict(make_batch([smiles])).values
        for _ in range(3):
            order = torch.randperm(mol.GetNumAtoms()).tolist()
            written = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
            found = model.predict(make_batch([written])).values
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_5_every_angle_is_a_real_bond_angle() -> None:
    """46 % of the released angles are self-loop artefacts and 23 % go back and forth."""
    part = make_batch(DRUGLIKE).parts["geometry"]
    for first, second in part.angle_bonds.T.tolist():
        ends = [set(part.bond_ends[:, bond].tolist()) for bond in (first, second)]
        assert len(ends[0] & ends[1]) == 1
        assert len(ends[0] | ends[1]) == 3
    degrees = [atom.GetDegree() for smiles in DRUGLIKE for atom in molecule(smiles).mol.GetAtoms()]
    assert len(part.angle) == sum(degree * (degree - 1) for degree in degrees)
    assert Counter(map(tuple, part.angle_bonds.T.tolist())).most_common(1)[0][1] == 1
    assert part.angle.min() > 0.8, "an angle of nearly 0 is a bond with itself"


def test_6_a_bad_row_does_not_shift_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "labelled.csv"
    rows = ["C,1.0", "CC,2.0", "not a molecule,99", "CCC,3.0", ",98", "*C,97", "CCCC,4.0"]
    path.write_text("\n".join(["smiles,carbons", *rows]))
    found = read_training_table(open_table(path), ["carbons"], Standardizer())
    assert [mine.mol.GetNumAtoms() for mine in found.molecules] == [1, 2, 3, 4]
    assert found.targets[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert [mine.row for mine in found.molecules] == [0, 1, 3, 6]
    assert [record.values[0] for record in found.records] == ["C", "CC", "CCC", "CCCC"]
    assert [(bad.row, bad.stage) for bad in found.rejected] == [
        (2, "parse"),
        (4, "parse"),
        (5, "standardize"),
    ]
    assert all(bad.reason for bad in found.rejected)


def test_7_conformers_are_seeded_and_never_flat() -> None:
    settings = ConformerSettings(force_field="none")
    canonical = molecule(DRUGLIKE[0]).canonical
    first, second = (embed_conformer(canonical, settings).coordinates for _ in range(2))
    other = embed_conformer(canonical, ConformerSettings(force_field="none", seed=1)).coordinates
    assert np.array_equal(first, second)
    assert not np.allclose(first, other)
    spread = np.linalg.svd(first - first.mean(0), compute_uv=False)
    assert spread[-1] > 0.1, "the conformer lies in a plane"


def runner(model: PropertyModel, cache: ConformerCache) -> Runner:
    """The model as `predict` runs it, with the conformers of ``cache``."""
    config = model.method.config
    modalities = make_modalities(config.modalities)
    spec = ModelSpec(
        method="dmmrl",
        preset="paper",
        method_config=to_plain(config),
        tasks=TASKS,
        standardizer="default-1",
        conformers=ConformerSettings(),
        coordinates="generate",
        modality_versions={modality.name: modality.version for modality in modalities},
        members=1,
    )
    made = Runner(FittedModel(spec, (model,)), device="cpu", workers=1)
    made.featurizer = Featurizer(modalities=modalities, coordinates="generate", cache=cache)
    return made


def test_7_a_failed_conformer_is_recorded_and_masked(tmp_path: Path) -> None:
    """The released code goes on with flat coordinates and says nothing."""
    smiles = ["CCO", "CCN", "C1CC"]
    with ConformerCache(tmp_path / "cache.sqlite") as cache:
        cache.put_many(
            [
                ("CCO", Conformer.failed("it would not embed")),
                ("CCN", embed_conformer("CCN", ConformerSettings())),
            ],
            ConformerSettings(),
        )
        failed, fine, rejected = runner(tiny_model(), cache).rows(table_from_smiles(smiles))
    assert failed.missing == {"geometry": "no conformer: it would not embed"}
    assert failed.error == ""
    assert np.isfinite(failed.predictions).all()
    assert failed.weights[2] == 0
    assert failed.weights.sum() == pytest.approx(1.0)
    masked = tiny_model().predict(make_batch(["CCO"], flat=[0])).values
    np.testing.assert_allclose(failed.predictions[0], masked[0].numpy(), atol=1e-5)
    assert fine.missing == {}
    assert (fine.weights > 0).all()
    assert rejected.error.startswith("parse:")
    assert np.isnan(rejected.predictions).all()


def test_7_without_any_modality_there_is_an_error_and_no_number(tmp_path: Path) -> None:
    model = tiny_model(tiny_config(modalities=("geometry",)))
    with ConformerCache(tmp_path / "cache.sqlite") as cache:
        cache.put_many([("CCO", Conformer.failed("it would not embed"))], ConformerSettings())
        (row,) = runner(model, cache).rows(table_from_smiles(["CCO"]))
    assert "it would not embed" in row.error
    assert np.isnan(row.predictions).all()


PARTS = np.array(["train"] * 16 + ["valid"] * 8 + ["test"] * 8)


def fit(values: np.ndarray, part: np.ndarray = PARTS, kind: str = "classification") -> FitResult:
    """Three epochs on 32 molecules, split by a column."""
    smiles, _ = thirty_two()
    order = np.random.default_rng(0).permutation(32)
    frame = pd.DataFrame({"smiles": np.array(smiles)[order], "y": values, "part": part})
    options = FitOptions(
        preset="paper",
        modalities=("graph", "descriptors"),
        method_options=dict(TINY),
        training={"epochs": 3, "batch_size": 8, "precision": "32-true", "learning_rate": 3e-3},
        kinds=kind,
        split="column:part",
        device="cpu",
        workers=1,
    )
    return fit_table(table_from_frame(frame), ["y"], options)


def weights(result: FitResult) -> torch.Tensor:
    (member,) = result.model.members
    return torch.cat([value.flatten() for value in member.state_dict().values()])


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_8_the_test_part_decides_nothing(kind: str) -> None:
    """The released code scores the test part every epoch and reports the best."""
    generator = np.random.default_rng(1)
    values = generator.permutation(np.arange(32) % 2).astype(float)
    values[PARTS == "test"] = [0, 1] * 4
    if kind == "regression":
        values = generator.normal(size=32)
    honest = fit(values, kind=kind)
    destroyed = values.copy()
    test = PARTS == "test"
    destroyed[test] = 1 - values[test] if kind == "classification" else 1e3 * values[test]
    blind = fit(destroyed, kind=kind)
    assert torch.equal(weights(blind), weights(honest))
    assert blind.model.spec.tasks == honest.model.spec.tasks
    assert [epoch["loss"] for epoch in blind.fits[0].history] == [
        epoch["loss"] for epoch in honest.fits[0].history
    ]
    assert not any("test" in name for epoch in honest.fits[0].history for name in epoch)
    assert str(blind.scores) != str(honest.scores)
    other = values.copy()
    other[PARTS == "train"] = other[PARTS == "train"][::-1]
    assert not torch.equal(weights(fit(other, kind=kind)), weights(honest))


def test_9_evaluation_mode_ends_with_the_evaluation() -> None:
    """The released code never leaves it: no dropout after the first epoch."""
    modalities = make_modalities(["sequence", "graph", "descriptors"])
    molecules = [molecule(text) for text in DRUGLIKE]
    samples = Featurizer(modalities=modalities, coordinates="none")(molecules)
    dataset = Dataset(molecules=molecules, samples=samples, modalities=modalities)
    model = tiny_model(tiny_config(modalities=("sequence", "graph"))).train()
    first, second = (apply_members([model], dataset).predictions for _ in range(2))
    assert np.array_equal(first, second), "dropout or sampling was on"
    assert all(module.training for module in model.modules())
    model.eval()
    apply_members([model], dataset)
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("term", ["kl", "mmd", "align", "orth", "rec"])
def test_9_every_term_can_be_turned_off_from_the_command_line(term: str) -> None:
    options = FitOptions(preset="paper", method_options={term: "0", "width": "16"})
    assert getattr(options.method_config, term) == 0
    assert options.method_config.width == 16
    config = tiny_config(**{term: 0.0})
    batch = make_batch(DRUGLIKE, targets=labels(len(DRUGLIKE)))
    terms = tiny_model(config).train()(batch, 0.5)
    assert set(terms) == {"task", "kl", "mmd", "align", "orth", "rec"} - {term}


@pytest.mark.parametrize("left_out", ["sequence", "graph", "geometry"])
def test_9_every_modality_can_be_turned_off_from_the_command_line(left_out: str) -> None:
    kept = tuple(name for name in ("sequence", "graph", "geometry") if name != left_out)
    options = FitOptions(preset="paper", method_options={"modalities": ",".join(kept)})
    assert options.method_config.modalities == kept
    assert FitOptions(preset="paper", modalities=kept).method_config.modalities == kept
    model = tiny_model(tiny_config(modalities=kept))
    assert not any(f".{left_out}." in name for name in model.state_dict())
    assert model.predict(make_batch(DRUGLIKE)).encoding.weights.shape == (len(DRUGLIKE), 2)


def test_9_targets_are_scaled_by_training_rows_only() -> None:
    values = np.arange(32.0)
    (task,) = fit(values, kind="regression").model.spec.tasks
    assert task == Task("y", "regression", mean=7.5, scale=float(np.arange(16.0).std()))
