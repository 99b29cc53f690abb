"""From a table to a fitted model: which rows count, what is recorded, what is repeatable."""

import csv
import json
from itertools import chain

import numpy as np
import pytest
import torch
from fits import SPLIT, TINY, frame, options, same_weights, weights
from rdkit import Chem
from sklearn.metrics import roc_auc_score
from told import Told

from molweave import Predictor, UserError
from molweave.chem.conformers import Conformer
from molweave.chem.read import table_from_frame
from molweave.chem.standardize import Standardizer
from molweave.data.dataset import Featurizer
from molweave.training.table import read_training_table
from molweave.wording import describe_unfit

TWO = ("sequence", "graph")


def fit(*targets: str, table=None, split: str = SPLIT, events=None, **changes) -> Predictor:
    model = Predictor(**options(**changes))
    table = frame() if table is None else table
    return model.fit(table, targets or ("alcohol",), split=split, events=events)


def test_the_same_seed_gives_the_same_bits():
    model = fit("alcohol", "carbons", ensemble=2)
    torch.manual_seed(99)
    assert same_weights(model, fit("alcohol", "carbons", ensemble=2))
    other = fit("alcohol", "carbons", ensemble=2, seed=1)
    assert not any(
        np.array_equal(value, weights(other)[name])
        for name, value in weights(model).items()
        if name.endswith(("gate.0.weight", "network.1.weight"))
    )


def test_the_standardisation_reaches_fit_and_prediction(tmp_path):
    salts = frame()
    amine = salts["alcohol"] == 0
    salts.loc[amine, "smiles"] += ".Cl"
    plain, full = fit(standardize="full"), fit(table=salts, standardize="full")
    assert same_weights(plain, full)
    assert not same_weights(full, fit(table=salts))
    full.save(tmp_path / "m")
    bases, forms = frame()["smiles"].tolist(), salts["smiles"].tolist()
    for model in (full, Predictor.load(tmp_path / "m")):
        found, expected = (model.predict(smiles)["alcohol_prob"] for smiles in (forms, bases))
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(model.embed(forms), model.embed(bases), atol=1e-5)
        scores = [model.evaluate(table).scores["alcohol"]["brier"] for table in (salts, frame())]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_the_command_names_a_smiles_column_that_is_not_found_by_itself():
    table = frame().rename(columns={"smiles": "what"})
    model = Predictor(**options()).fit(table, "alcohol", smiles_column="what", split=SPLIT)
    assert "--smiles-column what" in model.info()["record"]["command"]
    assert "--smiles-column" not in fit().info()["record"]["command"]


def test_device_and_precision_are_recorded():
    record = fit(device="cpu", training={"epochs": 1, "precision": "bf16-mixed"}).info()["record"]
    assert (record["device"], record["precision"]) == ("cpu", "bf16-mixed")
    assert "--device cpu" in record["command"]
    assert fit().info()["record"]["precision"] == "32-true"


def test_the_number_of_threads_is_recorded():
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert fit().info()["record"]["threads"] == threads + 1
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("source", ["input", "generate", "none"])
def test_a_fit_takes_the_coordinates_of_a_table(source):
    places = [[float(i), 0.0, 0.0] for i in range(40)]
    table = frame()
    atoms = [Chem.MolFromSmiles(text).GetNumAtoms() for text in table["smiles"]]
    table["coordinates"] = [places[:count] for count in atoms]
    table.at[3, "coordinates"] = places[: atoms[3] + 1]
    told = Told()
    views = ("graph", "geometry")
    model = fit(table=table, events=told, modalities=views, conformers=source, workers=1)
    taken = [molecule.coordinates for molecule in model._result.data.molecules]
    assert [len(item) if item is not None else None for item in taken[:5]] == [
        *atoms[:3],
        None,
        atoms[4],
    ]
    assert (describe_unfit(1) in told.lines) == (source == "input")
    digest = model.info()["record"]["data"]["coordinates_sha256"]
    assert (digest is not None) == (source == "input")


def test_every_part_of_a_drawn_split_has_its_share_of_a_sparse_target():
    table = frame()
    labelled = [*range(4), *range(20, 36)]
    table.loc[~table.index.isin(labelled), "carbons"] = float("nan")
    told = Told()
    split = fit("carbons", table=table, events=told)._result.split
    assert [len(part) for part in split.parts.values()] == [12, 4, 4]
    assert sorted(np.concatenate(list(split.parts.values()))) == labelled
    assert "20 molecules left out, without any label" in told.lines


def test_balance_needs_classes():
    with pytest.raises(UserError, match="balance weighs classes, and every target is a regression"):
        fit("carbons", training={"balance": True})
    config = fit("alcohol", "carbons", training={"balance": True}).info()["record"]["training"]
    assert config["balance"]


def test_members_of_an_ensemble_are_networks_of_other_seeds():
    split = "column:part"
    table = frame().assign(part=(["train"] * 3 + ["valid", "test"]) * 8)
    both = fit(table=table, split=split, ensemble=2)
    second = fit(table=table, split=split, seed=1000)
    found = weights(both)
    assert not np.array_equal(found["0.head.network.1.weight"], found["1.head.network.1.weight"])
    for name, value in weights(second).items():
        assert np.array_equal(value, found[f"1.{name.removeprefix('0.')}"])


def test_rows_that_cannot_be_used_are_kept_apart():
    table = frame()
    table.loc[[3, 8], "smiles"] = ["C1CC", ""]
    data = read_training_table(table_from_frame(table), ["carbons"], Standardizer())
    assert (data.rows, len(data.molecules)) == (40, 38)
    assert [item.row for item in data.rejected] == [3, 8]
    assert [molecule.row for molecule in data.molecules] == [
        n for n in range(40) if n not in (3, 8)
    ]
    np.testing.assert_array_equal(data.targets[:, 0], table["carbons"].drop([3, 8]))
    without = fit("carbons", table=frame().drop(index=[3, 8]))
    assert same_weights(fit("carbons", table=table), without)


def test_the_digest_of_the_data_follows_molecules_and_labels_only():
    def digest(table):
        return read_training_table(table_from_frame(table), ["carbons"], Standardizer()).sha256

    expected = digest(frame())
    assert digest(frame().drop(columns=["name"])) == expected
    assert digest(frame().assign(smiles=frame()["smiles"].str.replace("CO", "C(O)"))) == expected
    assert digest(frame().assign(carbons=frame()["carbons"] + 1)) != expected
    assert digest(frame()[::-1]) != expected


def test_what_is_recorded():
    told = Told()
    table = frame()
    table.loc[[3, 8], "smiles"] = ["CC(C)(C)(C)C", "CCC(C)(C)(C)C"]
    model = fit("alcohol", "carbons", table=table, seed=4, events=told)
    record = model.info()["record"]
    assert record["data"]["rows"] == 40
    assert record["data"]["molecules"] == 38
    reason = "parse: valence of atom … (C) is …, more than allowed"
    assert record["data"]["rejected"] == {reason: 2}
    assert (record["split"]["kind"], record["split"]["seed"], record["seed"]) == ("random", 4, 4)
    assert sum(record["split"]["sizes"].values()) == 38
    assert record["training"]["epochs"] == 2
    assert record["versions"]["torch"] == torch.__version__
    assert "DataFrame: 40 rows, 38 usable molecules" in told.lines
    assert "alcohol: classification, carbons: regression; dmmrl, preset hybrid" in told.lines
    assert any(text.startswith("split random: sizes: train 22") for text in told.lines)


def test_a_small_table_starts_from_the_encoder_that_ships():
    told = Told()
    plain = {"training": {"epochs": 1, "batch_size": 16}, "device": "cpu", "workers": 1}
    model = Predictor(**plain).fit(frame(), "carbons", split=SPLIT, events=told)
    assert model.info()["record"]["pretrained"]["name"] == "moleblend-small"
    assert (model.info()["method"], model.info()["preset"]) == ("moleblend", "small")
    assert "--from moleblend-small" in model.info()["record"]["command"]
    assert (
        "24 labelled molecules to train on: on such tables the pre-trained moleblend-small did "
        "well on the benchmarks, so it is fine-tuned, for 1 epoch; --method dmmrl --preset hybrid "
        "starts afresh"
    ) in told.lines


@pytest.mark.parametrize(("kinds", "told"), [(None, True), ("regression", False)])
def test_codes_of_classes_are_told_unless_the_kind_was_given(kinds, told):
    model = fit(table=frame().assign(alcohol=frame()["alcohol"] - 1), kinds=kinds)
    assert model.model.spec.tasks[0].kind == "regression"
    assert any("taken as regression" in line for line in model._result.audit) == told


@pytest.fixture
def only_long_chains_have_conformers(monkeypatch):
    """Geometry without chemistry: molecules of more than six atoms lie on a line, others fail."""

    def place(self, molecules, progress=None):
        return [
            Conformer(np.outer(np.arange(n, dtype=np.float32), [1.5, 0, 0]).astype("f4"), "input")
            if (n := molecule.mol.GetNumAtoms()) > 6
            else Conformer.failed("too short")
            for molecule in molecules
        ]

    monkeypatch.setattr(Featurizer, "conformers", place)


@pytest.mark.usefixtures("only_long_chains_have_conformers")
def test_molecules_without_any_view_are_left_out():
    told = Told()
    model = fit("carbons", modalities=("geometry",), events=told)
    lengths = frame()["smiles"].str.count("[CNO]") + frame()["smiles"].str.count("[cn]")
    short = (lengths <= 6).to_numpy()
    sizes = model.info()["record"]["split"]["sizes"]
    assert sum(sizes.values()) == 40 - short.sum()
    note = f"{short.sum()} molecules left out, without any view"
    assert note in told.lines
    assert note in model.info()["record"]["split"]["notes"]
    found = model.predict(frame()["smiles"].tolist())
    assert (
        found["error"].eq("featurize: geometry: no conformer: too short").tolist() == short.tolist()
    )
    assert found["carbons_pred"].isna().tolist() == short.tolist()


@pytest.mark.usefixtures("only_long_chains_have_conformers")
def test_a_modality_that_no_molecule_has():
    chains = frame().iloc[[*range(5), *range(13, 18)]]
    refused = r"no molecule of the train part can be used: 10 molecules .*; take another split"
    with pytest.raises(UserError, match=refused):
        fit("carbons", table=chains, modalities=("geometry",))


@pytest.mark.usefixtures("only_long_chains_have_conformers")
def test_flat_needs_no_conformers():
    flat = {"preset": "flat", "modalities": None, "method_options": {"width": 16}}
    found = fit("carbons", **flat).predict(["CCO", "C" * 12], details=True)
    assert found["missing"].isna().all()
    assert (found[["weight_graph", "weight_descriptors", "weight_fingerprint"]] > 0).all(axis=None)
    with pytest.raises(UserError, match="conformers"):
        fit("carbons", **flat, conformers="generate")


@pytest.mark.usefixtures("only_long_chains_have_conformers")
def test_a_missing_view_is_a_mask_in_training_too():
    model = fit("carbons", modalities=("graph", "geometry"))
    assert sum(model.info()["record"]["split"]["sizes"].values()) == 40
    found = model.predict(["CCO", "C" * 12], details=True)
    assert found["missing"].tolist() == ["geometry: no conformer: too short", None]
    assert found["weight_geometry"][0] == 0
    assert found["weight_graph"][0] == 1
    assert 0 < found["weight_geometry"][1] < 1


def test_no_test_part_is_needed(tmp_path):
    model = fit("alcohol", split="random:75/25/0")
    model.save(tmp_path / "m")
    scores = json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))
    assert scores["test"]["alcohol"]["n"] == 0
    assert scores["test"]["alcohol"]["roc_auc"] is None
    assert scores["valid"]["alcohol"]["n"] == 10
    assert (tmp_path / "m" / "report.html").stat().st_size > 1000


def test_files_of_a_model_folder_agree_with_the_model(tmp_path):
    model = fit("alcohol", ensemble=2)
    model.save(tmp_path / "m")
    stored = json.loads((tmp_path / "m" / "split.json").read_text(encoding="utf-8"))
    scores = json.loads((tmp_path / "m" / "metrics.json").read_text(encoding="utf-8"))
    assert list(stored["rows"].values()) == list(stored["positions"].values())
    assert sorted(chain(*stored["rows"].values())) == list(range(40))
    prediction = model.predict(frame())["alcohol_prob"].to_numpy()
    truth = frame()["alcohol"].to_numpy()
    for part, rows in stored["positions"].items():
        expected = roc_auc_score(truth[rows], prediction[rows])
        assert scores[part]["alcohol"]["roc_auc"] == pytest.approx(expected)
    with (tmp_path / "m" / "history.csv").open(newline="", encoding="utf-8") as text:
        history = list(csv.DictReader(text))
    assert [(row["member"], row["epoch"]) for row in history] == [
        ("0", "0.0"),
        ("0", "1.0"),
        ("1", "0.0"),
        ("1", "1.0"),
    ]
    assert all(float(row["loss"]) > 0 and float(row["kl"]) >= 0 for row in history)
    page = (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    for member in range(2):
        values = [float(row["valid_roc_auc"]) for row in history if row["member"] == str(member)]
        best = max(epoch for epoch, value in enumerate(values) if value == max(values))
        assert f"member {member + 1} (epoch {best + 1} of 2)" in page


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"modalities": TWO, "method_options": {**TINY, "fusion": "mean"}}, {"fusion": "mean"}),
        ({"modalities": TWO, "method_options": {**TINY, "fusion": "concat"}}, {"fusion": "concat"}),
        (
            {
                "modalities": TWO,
                "method_options": {
                    **TINY,
                    **dict.fromkeys(("kl", "mmd", "align", "orth", "rec"), 0),
                },
            },
            {"kl": 0.0, "rec": 0.0},
        ),
        ({"modalities": ("sequence", "graph")}, {"modalities": ["sequence", "graph"]}),
        ({"modalities": "descriptors"}, {"modalities": ["descriptors"]}),
        ({"preset": "paper"}, {"ramp": 0.32}),
    ],
)
def test_choices_reach_the_model(changes, fields):
    model = fit("carbons", training={"epochs": 1}, **changes)
    config = model.info()["method_config"]
    assert {name: config[name] for name in fields} == fields
    assert np.isfinite(model.predict(["CCO"])["carbons_pred"][0])
