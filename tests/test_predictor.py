"""The facade: what it takes, what it gives, what it keeps."""

import inspect
import json
import random
import re
from dataclasses import fields
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from fits import SPLIT, TINY, fitted, frame, options, same_weights, untrained, write_table
from rdkit import Chem

import molweave
from molweave import Predictor, UserError
from molweave.events import Events
from molweave.training.options import FitOptions

SMILES = frame()["smiles"].tolist()


class Remember(Events):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []
        self.done: list[tuple[int, int]] = []

    def stage(self, name, total=None):
        self.stages.append((name, total))

    def advance(self, done, total):
        self.done.append((done, total))


def test_the_options_are_those_of_a_fit_and_explicit():
    parameters = inspect.signature(Predictor).parameters
    assert {*parameters, "split"} == {field.name for field in fields(FitOptions)}
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in parameters.values())
    own, plain = Predictor().options, FitOptions()
    changed = {name for name, value in own.items() if value != getattr(plain, name)}
    assert changed == set()
    assert FitOptions(**own) == plain


@pytest.mark.parametrize("given", ["graph, sequence", ["graph", "sequence"], ("graph", "sequence")])
def test_modalities_may_be_a_text(given):
    assert Predictor(modalities=given).options["modalities"] == ("graph", "sequence")


def test_a_model_fitted_in_memory_is_the_same_as_from_a_file(tmp_path):
    table = write_table(tmp_path / "measured.csv")
    out = tmp_path / "m"
    from_file = Predictor(**options()).fit(table, "alcohol", split=SPLIT, out=out)
    in_memory = Predictor(**options()).fit(frame(), ["alcohol"], split=SPLIT)
    assert same_weights(from_file, in_memory)
    assert same_weights(from_file, Predictor.load(out))
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "config.json",
        "history.csv",
        "metrics.json",
        "model.safetensors",
        "report.html",
        "split.json",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "measured.csv"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("epochs", 2, "unknown option 'epochs'; write training={'epochs': 2}"),
        ("fusion", "mean", "unknown option 'fusion'; write method_options={'fusion': 'mean'}"),
        ("split", "random", "unknown option 'split'; it belongs to the method fit"),
        ("presett", "small", "unknown option 'presett'; did you mean 'preset'?"),
        ("xyzzy", 1, "unknown option 'xyzzy'; known: method, preset, modalities"),
    ],
)
def test_an_unknown_option_is_told_where_it_belongs(name, value, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        Predictor(**{name: value})


def test_the_scores_of_a_fit_are_at_hand(tmp_path):
    out = tmp_path / "m"
    model = Predictor(**options()).fit(frame(), "alcohol", split=SPLIT, out=out)
    stored = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    loaded = Predictor.load(out)
    assert model.metrics == loaded.metrics == stored
    assert model.info()["scores"] == loaded.info()["scores"] == stored
    (out / "metrics.json").unlink()
    assert loaded.metrics == {}
    with pytest.raises(UserError, match="not fitted"):
        _ = Predictor().metrics


def test_how_it_shows_itself(tmp_path):
    assert repr(Predictor()) == "Predictor()"
    assert repr(Predictor(seed=3, training={"epochs": 2})) == (
        "Predictor(training={'epochs': 2}, seed=3)"
    )
    assert repr(fitted(ensemble=2)) == (
        "<Predictor of alcohol (classification), carbons (regression): dmmrl, preset hybrid, "
        "2 networks, from graph>"
    )


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_a_molecule_in_the_place_of_a_file(verb, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"no such file; .* a list, \['CCO'\], .* --smiles CCO"):
        getattr(fitted(), verb)("CCO")
    with pytest.raises(UserError, match=r"no such file$"):
        getattr(fitted(), verb)("absent.csv")
    monkeypatch.chdir(tmp_path)
    frame().to_csv("CCO.csv", index=False)
    (tmp_path / "CCO.csv").rename("CCO")
    with pytest.raises(UserError, match=r"CCO: .*(suffix|format)"):
        getattr(fitted(), verb)("CCO")


def test_fit_returns_itself_and_tells_of_its_stages():
    told = Remember()
    model = Predictor(**options())
    assert model.fit(frame(), "alcohol", split=SPLIT, events=told) is model
    names = [name for name, _ in told.stages]
    assert names == ["reading", "conformers", "training 1/1", "scoring"]
    assert told.done[-1] == (40, 40)


def test_a_smiles_column_of_any_name():
    table = frame().rename(columns={"smiles": "what", "name": "SMILES"})
    model = Predictor(**options()).fit(table, "alcohol", smiles_column="what", split=SPLIT)
    assert same_weights(model, Predictor(**options()).fit(frame(), "alcohol", split=SPLIT))
    found = model.predict(table, smiles_column="what")
    assert found["error"].isna().all()
    assert model.predict(table)["error"].notna().all()
    vectors = model.embed(table, smiles_column="what")
    assert np.array_equal(vectors, model.embed(SMILES))
    assert model.evaluate(table, smiles_column="what").rows.predicted == 40


@pytest.mark.parametrize("as_file", [False, True])
def test_what_predict_takes(tmp_path, as_file):
    model = fitted()
    table = write_table(tmp_path / "new.csv") if as_file else frame()
    found = model.predict(table)
    assert list(found.columns) == [
        "name",
        "smiles",
        "alcohol",
        "carbons",
        "alcohol_prob",
        "carbons_pred",
        "missing",
        "error",
    ]
    numbers = ["alcohol_prob", "carbons_pred"]
    column = np.array(SMILES)[:, None]
    for given in (SMILES, np.array(SMILES), column, pd.Series(SMILES), tuple(SMILES)):
        again = model.predict(given)
        assert again["smiles"].tolist() == SMILES
        np.testing.assert_array_equal(again[numbers], found[numbers])
    mols = [Chem.MolFromSmiles(text) for text in SMILES]
    for given in (mols, pd.DataFrame({"smiles": mols})):
        np.testing.assert_allclose(model.predict(given)[numbers], found[numbers], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (Chem.MolFromSmiles("CCO"), "Mol"),
        (3, "int"),
        (None, "NoneType"),
        ({"smiles": []}, "dict"),
        (pyarrow.table({"smiles": ["C"]}), "Table"),
        (np.array("C"), "ndarray"),
        (np.array([["C", "N"]]), "ndarray"),
    ],
)
def test_what_is_no_data(given, kind, tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    uses = (
        lambda: fitted().predict(given),
        lambda: fitted().predict_file(given, tmp_path / "out.csv"),
        lambda: fitted().evaluate(given),
        lambda: Predictor(**options()).fit(given, "alcohol"),
    )
    for use in uses:
        with pytest.raises(UserError, match=f"data must be a file, .*; found {kind}; put a single"):
            use()


@pytest.mark.parametrize(
    ("targets", "kind"),
    [
        (frame()["carbons"].to_numpy(), "float64"),
        (frame()[["carbons"]].to_numpy(), "ndarray"),
        (frame()["alcohol"].tolist(), "int"),
        (1, "int"),
        (None, "NoneType"),
    ],
)
def test_values_in_the_place_of_names(targets, kind, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match=f"must name columns of the data; found {kind}; put SMILES"):
        Predictor(**options()).fit(SMILES, targets)


def test_no_target_at_all():
    with pytest.raises(UserError, match="no target column was given"):
        Predictor(**options()).fit(frame(), [])


def test_one_text_is_not_a_list_of_molecules():
    with pytest.raises(UserError, match="CCO: no such file"):
        fitted().predict("CCO")


def test_predictions_have_the_index_of_their_table():
    table = frame().iloc[[30, 4, 17]].set_index("name")
    found = fitted().predict(table)
    assert found.index.tolist() == ["m30", "m4", "m17"]
    joined = table.assign(p=found["alcohol_prob"])
    assert joined["p"].notna().all()
    again = fitted().predict(table["smiles"])
    pd.testing.assert_series_equal(again["alcohol_prob"], found["alcohol_prob"])
    twice = pd.concat([table, table])
    assert fitted().predict(twice["smiles"])["smiles"].tolist() == twice["smiles"].tolist()


COLUMNS = {
    "smiles": ["CCO", "C1CC", "CC"],
    "id": pd.array([9007199254740993, None, 1], dtype="Int64"),
    "flag": pd.array([True, None, False], dtype="boolean"),
    "batch": pd.Categorical(["a", "b", "a"]),
    "x": np.array([0.1, 0.2, 0.3], dtype=np.float32),
    0: [1, 2, 3],
}


def test_the_columns_of_a_table_come_back_as_they_were(tmp_path):
    table = pd.DataFrame(COLUMNS, index=[7, 7, 3])
    found = fitted().predict(table)
    pd.testing.assert_frame_equal(found[list(table.columns)], table)
    assert found["error"].notna().tolist() == [False, True, False]
    table.drop(columns=0).to_parquet(tmp_path / "a.parquet", index=False)
    ids = fitted().predict(tmp_path / "a.parquet")["id"]
    assert ids.tolist() == table["id"].tolist()
    large = {"smiles": ["C", "N"], "x": pyarrow.array([2**63 + 1, None], pyarrow.uint64())}
    pyarrow.parquet.write_table(pyarrow.table(large), tmp_path / "b.parquet")
    assert fitted().predict(tmp_path / "b.parquet")["x"][0] == 2**63 + 1


def test_a_column_of_a_list():
    with pytest.raises(UserError, match="smiles_column='x' names a column, and a list of"):
        fitted().predict(SMILES, smiles_column="x")
    named = pd.Series(SMILES, name="structure")
    for data, column in ((SMILES, "smiles"), (named, "structure")):
        assert fitted().predict(data, smiles_column=column)["smiles"].tolist() == SMILES


def test_a_loaded_model_is_not_fitted_again_with_other_settings(tmp_path):
    fitted().save(tmp_path / "model")
    with pytest.raises(UserError, match="this model was loaded, and fit would start another one"):
        Predictor.load(tmp_path / "model").fit(frame(), "alcohol")


def test_a_model_from_a_relative_path_knows_its_folder_elsewhere(tmp_path, monkeypatch):
    fitted().save(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    model = Predictor.load("model")
    monkeypatch.chdir("/")
    assert model.metrics == fitted().metrics
    assert model.evaluate(frame()).trained_on
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert model.metrics == fitted().metrics


def test_a_model_whose_folder_holds_another_one_by_now_says_nothing_of_that_one(tmp_path):
    fitted().save(tmp_path / "model")
    model = Predictor.load(tmp_path / "model")
    fitted("carbons").save(tmp_path / "model", overwrite=True)
    assert model.metrics == {}
    assert model.evaluate(frame()).trained_on is None
    model.save(tmp_path / "copy")
    names = sorted(path.name for path in (tmp_path / "copy").iterdir())
    assert names == ["config.json", "model.safetensors"]


def test_a_copy_of_files_that_are_read_only_can_be_written(tmp_path):
    fitted().save(tmp_path / "model")
    for path in (tmp_path / "model").iterdir():
        path.chmod(0o444)
    Predictor.load(tmp_path / "model").save(tmp_path / "copy")
    assert all(path.stat().st_mode & 0o200 for path in (tmp_path / "copy").iterdir())


def test_a_fit_leaves_the_random_numbers_of_the_caller_alone(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # it draws which items it sees

    def draw():
        return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002

    def seed():
        random.seed(5)
        np.random.seed(5)  # noqa: NPY002
        torch.manual_seed(5)

    seed()
    expected = [draw(), draw()]
    seed()
    found = [draw()]
    Predictor(**options(training={"epochs": 1})).fit(frame(), "alcohol", split=SPLIT)
    assert [*found, draw()] == expected


def test_numbers_of_numpy_are_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    (seed,), training = np.arange(1), {"epochs": np.int64(1), "learning_rate": np.float32(0.01)}
    settings = options(training=training, seed=seed, ensemble=np.int64(2), workers=np.int8(1))
    model = Predictor(**settings).fit(frame(), "alcohol", split=SPLIT, out=tmp_path / "m")
    assert len(model.model.members) == 2
    assert model.info()["record"]["training"]["epochs"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["regression"]}, r"kinds is one kind .*; found \['regression'\]"),
        ({"training": ["epochs=1"]}, r"training is a mapping .*; found \['epochs=1'\]"),
        ({"method_options": "width=8"}, "method_options is a mapping .*; found 'width=8'"),
    ],
)
def test_settings_of_another_shape_are_refused(options, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match=message):
        Predictor(**options).fit(frame(), "alcohol")


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.predict(SMILES),
        lambda model: model.embed(SMILES),
        lambda model: model.evaluate(frame()),
        lambda model: model.save("nowhere"),
        lambda model: model.info(),
    ],
)
def test_what_is_not_fitted_says_so(use, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"not fitted; call fit first, or Predictor.load"):
        use(Predictor())
    assert list(tmp_path.iterdir()) == []


def test_save_and_load(tmp_path):
    model = fitted()
    model.save(tmp_path / "a" / "m")
    again = Predictor.load(str(tmp_path / "a" / "m"), device="cpu", workers=1)
    pd.testing.assert_frame_equal(again.predict(SMILES), model.predict(SMILES))
    with pytest.raises(UserError, match="m exists; choose another name or pass --overwrite"):
        model.save(tmp_path / "a" / "m")
    model.save(tmp_path / "a" / "m", overwrite=True)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["m"]


def test_a_loaded_model_is_saved_with_all_its_files(tmp_path):
    fitted().save(tmp_path / "m")
    loaded = Predictor.load(tmp_path / "m")
    loaded.save(tmp_path / "copy")
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("m", "copy")
    )
    assert one == other
    loaded.save(tmp_path / "copy", overwrite=True)
    assert same_weights(Predictor.load(tmp_path / "copy"), fitted())


def test_files_of_the_user_in_a_model_folder_are_not_deleted(tmp_path):
    fitted().save(tmp_path / "m")
    (tmp_path / "m" / "data.csv").write_text("smiles,y\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"holds other files than a model's \(data.csv\)"):
        fitted().save(tmp_path / "m", overwrite=True)
    assert (tmp_path / "m" / "data.csv").exists()


def test_a_folder_with_a_config_of_another_program_is_not_deleted(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"db": "prod"}', encoding="utf-8")
    with pytest.raises(UserError, match="is not a model folder and is not empty"):
        fitted().save(tmp_path / "m", overwrite=True)
    (tmp_path / "m" / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="is not a model folder and is not empty"):
        fitted().save(tmp_path / "m", overwrite=True)
    (tmp_path / "m" / "config.json").write_text("{", encoding="utf-8")
    fitted().save(tmp_path / "m", overwrite=True)
    assert same_weights(Predictor.load(tmp_path / "m"), fitted())


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    fitted("carbons").save(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to("new")
    for name in ("link", "dangling"):
        fitted().save(tmp_path / name, overwrite=True)
        assert (tmp_path / name).is_symlink()
    for name in ("real", "new"):
        assert same_weights(Predictor.load(tmp_path / name), fitted())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["dangling", "link", "new", "real"]


@pytest.mark.parametrize("name", [".", "..", "../here"])
def test_the_folder_that_one_is_in_is_not_replaced(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(UserError, match="is the folder that you are in"):
        fitted().save(name, overwrite=True)


def test_a_place_that_is_only_looked_at_gets_no_folder(tmp_path):
    with pytest.raises(UserError, match="no target column"):
        Predictor(**options()).fit(frame(), "absent", out=tmp_path / "a" / "b" / "c")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_lost_its_folder_is_saved_without_report(tmp_path):
    model = untrained(tmp_path / "m")
    (tmp_path / "m").rename(tmp_path / "gone")
    model.save(tmp_path / "new")
    names = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert names == ["config.json", "model.safetensors"]


def test_info_is_plain(tmp_path):
    info = fitted().info()
    assert json.loads(json.dumps(info)) == info
    parameters = sum(value.numel() for value in fitted().model.members[0].parameters())
    assert info["parameters_per_member"] == parameters
    assert info["tasks"][0]["name"] == "alcohol"
    assert info["method_config"]["width"] == TINY["width"]


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("the data were read")

    monkeypatch.setattr("molweave.training.pipeline.fit_table", never)
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "full" / "of").mkdir(parents=True)
    for out, message in [
        ("file", "exists"),
        ("file/m", "cannot write"),
        ("full", "is not a model folder and is not empty"),
    ]:
        with pytest.raises(UserError, match=message):
            Predictor(**options()).fit(
                frame(), "alcohol", out=tmp_path / out, overwrite=out == "full"
            )
    with pytest.raises(UserError, match="no device 'tpu' here"):
        Predictor(**options(device="tpu")).fit(frame(), "alcohol", out=tmp_path / "m")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full"]


def test_overwriting_replaces_a_model(tmp_path):
    out = tmp_path / "m"
    untrained(out)
    model = Predictor(**options()).fit(frame(), "alcohol", split=SPLIT, out=out, overwrite=True)
    assert same_weights(Predictor.load(out), model)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_what_a_fit_says_of_the_data_is_logged(caplog):
    data = pd.concat([frame(), frame().iloc[:1]])
    with caplog.at_level("INFO", logger="molweave"):
        Predictor(**options()).fit(data, "alcohol", split="random")
    assert "DataFrame: 41 rows, 41 usable molecules" in caplog.messages
    assert any("1 molecule in more than one row" in line for line in caplog.messages)


def test_files_tell_of_every_row(tmp_path):
    told = Remember()
    fitted().predict_file(SMILES, tmp_path / "p.csv", events=told)
    fitted().embed_file(SMILES, tmp_path / "v.parquet", events=told)
    assert told.stages == [("predicting", None), ("embedding", None)]
    assert told.done == [(row, 0) for row in range(1, 41)] * 2


def test_the_package_gives_its_public_names():
    assert set(molweave.__all__) <= set(dir(molweave))
    assert molweave.Predictor is Predictor
    assert issubclass(molweave.UserError, Exception)
    with pytest.raises(AttributeError, match="no attribute 'Predicter'"):
        _ = molweave.Predicter


def test_predicting_does_not_change_the_model_or_its_mode():
    model = fitted()
    before = {name: value.clone() for name, value in model.model.members[0].state_dict().items()}
    model.predict(SMILES)
    assert not any(member.training for member in model.model.members)
    after = model.model.members[0].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_paths_may_be_texts(tmp_path):
    table = write_table(tmp_path / "new.csv")
    model = fitted()
    summary = model.predict_file(str(table), str(tmp_path / "out.csv"))
    assert summary.rows == 40
    assert Path(tmp_path / "out.csv").exists()
    assert np.array_equal(model.embed(str(table)), model.embed(table))
