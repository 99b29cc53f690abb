"""What the estimators do with molecules; scikit-learn's own checks: test_sklearn_checks.py."""

import copy
import io
import pickle  # noqa: TID251 - what joblib does with any estimator
import tracemalloc
from typing import Any

import jaxtyping
import numpy as np
import pandas as pd
import pytest
from encoders import write_tiny
from fits import OPTIONS, TINY, fitted, frame, same_weights
from rdkit import Chem
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline

from molweave import (
    Encoder,
    MolweaveClassifier,
    MolweaveEmbedder,
    MolweaveRegressor,
    Predictor,
    UserError,
)
from molweave.sklearn.molecules import one_column

SMALL: dict[str, Any] = {
    "modalities": ["graph"],
    "method_options": dict(TINY),
    "training": {"epochs": 2, "batch_size": 16},
    "device": "cpu",
    "workers": 1,
}
TABLE = frame()
SMILES = TABLE["smiles"].tolist()
ALCOHOL = TABLE["alcohol"].to_numpy()
CARBONS = TABLE["carbons"].to_numpy()
BAD = ["CCO", "C1CC", "CCN"]


@pytest.fixture(scope="module")
def classifier():
    return MolweaveClassifier(**SMALL).fit(SMILES, ALCOHOL)


@pytest.fixture(scope="module")
def regressor():
    return MolweaveRegressor(**SMALL).fit(SMILES, CARBONS)


@pytest.fixture(scope="module")
def embedder():
    return MolweaveEmbedder(fitted()).fit(SMILES)


def test_probabilities_are_those_of_the_predictor(classifier):
    expected = classifier.predictor_.predict(SMILES)["y_prob"].to_numpy()
    found = classifier.predict_proba(SMILES)
    assert found.shape == (len(SMILES), 2)
    np.testing.assert_array_equal(found[:, 1], expected)
    np.testing.assert_allclose(found.sum(1), 1)
    assert classifier.classes_.tolist() == [0, 1]
    assert classifier.n_features_in_ == 1


def test_fit_is_that_of_the_predictor(classifier):
    settings = {**OPTIONS, "training": SMALL["training"]}
    direct = Predictor(**settings).fit(TABLE, "alcohol", split="random:0.9/0.1/0")
    assert same_weights(classifier.predictor_, direct)
    assert classifier.predictor_.info()["record"]["split"]["sizes"] == {
        "train": 36,
        "valid": 4,
        "test": 0,
    }


def test_scores_are_those_of_scikit_learn(classifier, regressor):
    expected = accuracy_score(ALCOHOL, classifier.predict(SMILES))
    assert classifier.score(SMILES, ALCOHOL) == pytest.approx(expected)
    expected = r2_score(CARBONS, regressor.predict(SMILES))
    assert regressor.score(SMILES, CARBONS) == pytest.approx(expected)


@pytest.mark.parametrize("labels", [("inactive", "active"), (-1, 1), (False, True), (2.0, 7.0)])
def test_any_two_labels_are_classes(classifier, labels):
    y = [labels[value] for value in ALCOHOL]
    model = MolweaveClassifier(**SMALL).fit(SMILES, y)
    assert model.classes_.tolist() == sorted(labels)
    positive = model.classes_.tolist().index(labels[1])
    expected = classifier.predict_proba(SMILES)[:, 1]
    if positive == 1:
        np.testing.assert_array_equal(model.predict_proba(SMILES)[:, 1], expected)
    found = model.predict(SMILES)
    likely = model.predict_proba(SMILES).argmax(1)
    assert found.tolist() == model.classes_[likely].tolist()
    assert model.score(SMILES, y) == pytest.approx(np.mean(found == np.array(y)))


@pytest.mark.parametrize(
    "make",
    [
        tuple,
        np.array,
        pd.Series,
        lambda smiles: np.array(smiles)[:, None],
        lambda smiles: [[text] for text in smiles],
        lambda smiles: pd.DataFrame({"structure": smiles}),
        lambda smiles: [Chem.MolFromSmiles(text) for text in smiles],
    ],
)
def test_every_way_to_hand_over_molecules(regressor, make):
    given = make(SMILES)
    again = MolweaveRegressor(**SMALL).fit(given, CARBONS)
    assert same_weights(again.predictor_, regressor.predictor_)
    np.testing.assert_array_equal(again.predict(given), regressor.predict(SMILES))


def test_a_molecule_keeps_its_own_coordinates():
    flat = "C" * 4 + "O"
    given = Chem.MolFromSmiles(flat)
    conformer = Chem.Conformer(given.GetNumAtoms())
    conformer.SetPositions(np.random.default_rng(0).normal(size=(5, 3)) * 3)
    conformer.Set3D(True)
    given.AddConformer(conformer)
    settings = {**SMALL, "modalities": ["geometry"], "conformers": "input"}
    model = MolweaveRegressor(**settings).fit(SMILES, CARBONS)
    own, generated = model.predict([given, flat])
    assert abs(own - generated) > 1e-3


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("CCO", ValueError, "expected a sequence"),
        (3, ValueError, "expected a sequence"),
        (b"CCO", ValueError, "expected a sequence"),
        ({"CCO", "C"}, ValueError, "expected a sequence"),
        ({"CCO": 1}, ValueError, "expected a sequence"),
        ([], ValueError, "found 0 molecules"),
        (pd.DataFrame({"a": ["C"], "b": ["C"]}), ValueError, "X has 2 features"),
        (np.array([["C", "C"]]), ValueError, "X has 2 features"),
    ],
)
def test_what_is_not_a_column_of_molecules(classifier, given, error, message):
    with pytest.raises(error, match=message):
        classifier.predict(given)


def test_a_sparse_matrix_is_refused(classifier):
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="sparse"):
        classifier.predict(csr_array(np.ones((2, 1))))


def test_invalid_molecules_are_named(classifier):
    with pytest.raises(ValueError, match=r"1 molecule of X .* first row 1: parse: .*'nan'"):
        classifier.predict(BAD)
    with pytest.raises(UserError, match="first row 40: parse: empty SMILES"):
        MolweaveRegressor(**SMALL).fit([*SMILES, ""], [*CARBONS, 1.0])
    with pytest.raises(ValueError, match="on_invalid must be one of raise, nan; found 'skip'"):
        MolweaveRegressor(**SMALL, on_invalid="skip").fit(SMILES, CARBONS)


def test_invalid_molecules_become_nan(classifier, regressor):
    lenient = MolweaveRegressor(**SMALL, on_invalid="nan").fit([*SMILES, "C1CC"], [*CARBONS, 1e6])
    assert same_weights(lenient.predictor_, regressor.predictor_)
    found = lenient.predict(BAD)
    assert np.isnan(found).tolist() == [False, True, False]
    np.testing.assert_array_equal(found[[0, 2]], regressor.predict(["CCO", "CCN"]))
    assert lenient.score(BAD, [2.0, 5.0, 4.0]) == pytest.approx(r2_score([2.0, 4.0], found[[0, 2]]))
    forgiving = copy.deepcopy(classifier).set_params(on_invalid="nan")
    assert np.isnan(forgiving.predict_proba(BAD)).tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert np.isnan(forgiving.predict(BAD)).tolist() == [False, True, False]
    assert forgiving.predict(["CCO"]).dtype.kind == "i"
    forgiving.classes_ = np.array(["no", "yes"])
    assert [found in ("no", "yes") for found in forgiving.predict(BAD)] == [True, False, True]
    assert forgiving.predict(BAD)[1] is None


def test_several_tasks_with_missing_labels():
    y = pd.DataFrame({"alcohol": ALCOHOL, "long": (CARBONS > 6).astype(float)})
    y.loc[::3, "long"] = np.nan
    model = MolweaveClassifier(**SMALL).fit(SMILES, y)
    probabilities = model.predict_proba(SMILES)
    assert probabilities.shape == (len(SMILES), 2)
    assert [task.name for task in model.predictor_.model.spec.tasks] == ["alcohol", "long"]
    labels = model.predict(SMILES)
    assert labels.tolist() == (probabilities > 0.5).astype(int).tolist()
    assert model.classes_.tolist() == [0, 1]
    known = y["long"].notna().to_numpy()
    expected = [
        accuracy_score(y["alcohol"], labels[:, 0]),
        accuracy_score(y["long"][known], labels[known, 1]),
    ]
    assert model.score(SMILES, y) == pytest.approx(np.mean(expected))
    numbers = np.column_stack([CARBONS, -CARBONS])
    numbers[1, 0] = np.nan
    values = MolweaveRegressor(**SMALL).fit(SMILES, numbers)
    found = values.predict(SMILES)
    assert found.shape == (len(SMILES), 2)
    rest = np.delete(np.arange(len(SMILES)), 1)
    expected = [
        r2_score(numbers[rest, 0], found[rest, 0]),
        r2_score(numbers[:, 1], found[:, 1]),
    ]
    assert values.score(SMILES, numbers) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64"])
def test_missing_labels_of_pandas(dtype):
    y = pd.Series(ALCOHOL).astype(dtype)
    y[::3] = pd.NA
    model = MolweaveClassifier(**SMALL).fit(SMILES, y)
    labels = np.where(y.isna(), np.nan, np.asarray(ALCOHOL, dtype=float))
    again = MolweaveClassifier(**SMALL).fit(SMILES, labels)
    assert same_weights(model.predictor_, again.predictor_)


def test_a_long_molecule_among_many_takes_no_room():
    tracemalloc.start()
    one_column(["CCO"] * 20_000 + ["C" * 5_000])
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y"),
        (np.arange(40) % 3, "Only binary classification"),
        (np.zeros(40), "more than one class"),
        (np.linspace(0, 1, 40), "Unknown label type"),
        (np.zeros((40, 2, 2)), "shape"),
        ([None] * 40, "nothing but missing labels"),
        (np.arange(80).reshape(40, 2), "must be 0, 1 or missing"),
        (np.arange(7) % 2, "inconsistent numbers of samples"),
    ],
)
def test_labels_that_cannot_be_learnt(y, message):
    with pytest.raises(ValueError, match=message):
        MolweaveClassifier(**SMALL).fit(SMILES, y)


def test_infinity_is_not_a_number_to_learn():
    with pytest.raises(ValueError, match="infinity"):
        MolweaveRegressor(**SMALL).fit(SMILES, np.where(CARBONS == 3, np.inf, CARBONS))


@pytest.mark.parametrize("kind", [MolweaveClassifier, MolweaveRegressor])
def test_parameters_survive_clone_and_set(kind):
    model = kind(**SMALL, ensemble=2, random_state=7)
    assert set(model.get_params()) >= set(SMALL)
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert again.set_params(ensemble=1, on_invalid="nan").get_params()["ensemble"] == 1
    with pytest.raises(ValueError, match="epochz"):
        model.set_params(epochz=3)
    with pytest.raises(NotFittedError):
        model.predict(SMILES)


def test_random_state():
    settings = {**SMALL, "training": {"epochs": 1}}

    def fit(random_state):
        return MolweaveRegressor(**settings, random_state=random_state).fit(SMILES, CARBONS)

    first, again, other = fit(3), fit(np.int64(3)), fit(4)
    assert same_weights(first.predictor_, again.predictor_)
    assert not same_weights(first.predictor_, other.predictor_)
    drawn, same = fit(np.random.RandomState(1)), fit(np.random.RandomState(1))
    assert same_weights(drawn.predictor_, same.predictor_)
    assert not same_weights(fit(None).predictor_, fit(None).predictor_)


def test_probabilities_of_several_tasks_in_cross_validation():
    y = np.column_stack([ALCOHOL, CARBONS > 6]).astype(int)
    model = MolweaveClassifier(**{**SMALL, "training": {"epochs": 1}})
    folds = KFold(2, shuffle=True, random_state=0)
    found = cross_val_predict(model, SMILES, y, cv=folds, method="predict_proba")
    assert found.shape == y.shape
    train, test = next(folds.split(SMILES))
    smiles = np.array(SMILES, dtype=object)
    alone = clone(model).fit(smiles[train], y[train]).predict_proba(smiles[test])
    assert found[test].shape == alone.shape


@pytest.mark.parametrize("split", ["rndm", "k-fold", "random:80/10/10"])
def test_a_validation_part_is_drawn_as_asked(split):
    with pytest.raises(UserError, match=f"unknown split '{split}': use one of scaffold, "):
        MolweaveRegressor(**SMALL, split=split).fit(SMILES, CARBONS)


def test_wrong_options_say_so():
    with pytest.raises(UserError, match="unknown option 'epoch' of training"):
        MolweaveRegressor(**{**SMALL, "training": {"epoch": 1}}).fit(SMILES, CARBONS)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, True, "tenth", None])
def test_a_validation_part_is_needed(fraction, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match=f"^validation_fraction must .*; found {fraction!r}"):
        MolweaveClassifier(**SMALL, validation_fraction=fraction).fit(SMILES, ALCOHOL)


def test_a_fraction_in_single_precision(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    model = MolweaveRegressor(**SMALL, validation_fraction=np.float32(0.123))
    assert len(model.fit(SMILES, CARBONS).predictor_._result.split.valid) == 5


def test_cross_validation_and_grid_search():
    scores = cross_val_score(MolweaveClassifier(**SMALL), SMILES, ALCOHOL, cv=2, scoring="roc_auc")
    assert scores.shape == (2,)
    assert ((scores >= 0) & (scores <= 1)).all()
    useless, good = {"epochs": 1, "learning_rate": 1e-6}, {"epochs": 20, "learning_rate": 1e-2}
    grid = {"training": [useless, good]}
    search = GridSearchCV(MolweaveRegressor(**SMALL), grid, cv=2, error_score="raise")
    search.fit(np.array(SMILES), CARBONS)
    assert search.best_params_ == {"training": good}
    expected = search.best_estimator_.predict(SMILES)
    np.testing.assert_array_equal(search.predict(SMILES), expected)


def test_calibration_on_top(classifier):
    calibrated = CalibratedClassifierCV(clone(classifier), cv=2, method="sigmoid")
    found = calibrated.fit(np.array(SMILES), ALCOHOL).predict_proba(SMILES)
    np.testing.assert_allclose(found.sum(1), 1)


def test_weights_of_samples_are_not_offered(classifier):
    with pytest.raises(TypeError, match="sample_weight"):
        classifier.fit(SMILES, ALCOHOL, sample_weight=np.ones(len(SMILES)))


def test_embeddings_are_those_of_the_predictor(embedder):
    found = embedder.transform(SMILES)
    np.testing.assert_array_equal(found, fitted().embed(SMILES))
    assert found.dtype == np.float32
    assert embedder.get_feature_names_out().tolist() == [f"embedding{n}" for n in range(8)]


def test_embedder_from_a_folder(embedder, tmp_path):
    fitted().save(tmp_path / "m")
    again = MolweaveEmbedder(str(tmp_path / "m"), device="cpu", workers=1)
    np.testing.assert_array_equal(again.fit_transform(SMILES), embedder.transform(SMILES))
    with pytest.raises(UserError, match="not a model folder"):
        MolweaveEmbedder(tmp_path).fit(SMILES)
    with pytest.raises(UserError, match="not fitted"):
        MolweaveEmbedder(Predictor()).fit(SMILES)
    with pytest.raises(NotFittedError):
        MolweaveEmbedder(tmp_path / "m").transform(SMILES)


def test_an_encoder_needs_no_fitted_model(tmp_path):
    place = write_tiny(tmp_path / "tiny")
    encoder = Encoder.from_pretrained(place, device="cpu", workers=1)
    expected = encoder.embed(SMILES)
    for given in (str(place), encoder):
        made = MolweaveEmbedder(given, device="cpu", workers=1).fit(SMILES)
        np.testing.assert_array_equal(made.transform(SMILES), expected)
        again = pickle.loads(pickle.dumps(made))
        np.testing.assert_array_equal(again.transform(SMILES), expected)
    blended = Encoder.from_pretrained(place, device="cpu", workers=1, views="blend")
    again = pickle.loads(pickle.dumps(MolweaveEmbedder(blended).fit(SMILES)))
    assert again.predictor_.changes == {"views": "blend"}


def test_a_classifier_starts_from_an_encoder(tmp_path):
    place = str(write_tiny(tmp_path / "tiny"))
    training = {"epochs": 1, "batch_size": 16}
    model = MolweaveClassifier(
        pretrained=place, freeze=True, training=training, device="cpu", workers=1
    ).fit(SMILES, ALCOHOL)
    record = model.predictor_.info()["record"]["pretrained"]
    assert (record["name"], record["frozen"]) == ("tiny", True)


def test_embedder_in_a_pipeline_and_as_a_table(embedder):
    with pytest.raises(ValueError, match="1 molecule of X"):
        embedder.transform(BAD)
    lenient = clone(embedder).set_params(on_invalid="nan").fit(SMILES)
    assert np.isnan(lenient.transform(BAD)).all(1).tolist() == [False, True, False]
    table = lenient.set_output(transform="pandas").transform(TABLE["smiles"][5:8])
    assert table.columns.tolist() == lenient.get_feature_names_out().tolist()
    assert table.index.tolist() == [5, 6, 7]
    pipeline = make_pipeline(MolweaveEmbedder(fitted()), LogisticRegression(C=100))
    scores = cross_val_score(pipeline, SMILES, ALCOHOL, cv=2)
    assert scores.shape == (2,)


def test_a_column_of_a_table_beside_numbers():
    both = ColumnTransformer(
        [("vector", MolweaveEmbedder(fitted()), ["smiles"]), ("rest", "passthrough", ["carbons"])]
    ).set_output(transform="pandas")
    found = both.fit_transform(TABLE)
    assert found.columns.tolist() == [f"vector__embedding{n}" for n in range(8)] + ["rest__carbons"]
    np.testing.assert_array_equal(found.to_numpy()[:, :8], fitted().embed(SMILES))
    assert both.named_transformers_["vector"].feature_names_in_.tolist() == ["smiles"]
    single = ColumnTransformer([("vector", MolweaveEmbedder(fitted()), "smiles")])
    np.testing.assert_array_equal(single.fit_transform(TABLE), fitted().embed(SMILES))
    with pytest.raises(ValueError, match="feature names"):
        both.named_transformers_["vector"].transform(TABLE[["name"]])


def test_pickles_hold_safetensors_and_predict_the_same(classifier, embedder):
    content = pickle.dumps(classifier)
    assert b"format_version" in content
    assert b"torch.nn" not in content
    again = pickle.loads(content)
    np.testing.assert_array_equal(again.predict_proba(SMILES), classifier.predict_proba(SMILES))
    assert again.get_params() == classifier.get_params()
    copied = copy.deepcopy(embedder)
    np.testing.assert_array_equal(copied.transform(SMILES), embedder.transform(SMILES))
    unfitted = pickle.loads(pickle.dumps(MolweaveRegressor(**SMALL)))
    with pytest.raises(NotFittedError):
        unfitted.predict(SMILES)


def test_joblib_files(regressor, tmp_path):
    import joblib

    buffer = io.BytesIO()
    joblib.dump(regressor, buffer)
    buffer.seek(0)
    again = joblib.load(buffer)
    np.testing.assert_array_equal(again.predict(SMILES), regressor.predict(SMILES))
    again.predictor_.save(tmp_path / "m")
    assert same_weights(Predictor.load(tmp_path / "m"), regressor.predictor_)
