import numpy as np
import pandas as pd
import pytest
from fits import frame
from sklearn import metrics

from molweave import UserError

LABELS = frame().rename(columns={"alcohol": "active", "carbons": "logp"})


@pytest.fixture(scope="module")
def table():
    """Some labels are missing, some molecules cannot be used."""
    table = LABELS.astype({"active": float})
    table.loc[table.index % 5 == 0, "active"] = np.nan
    table.loc[table.index % 7 == 0, "logp"] = np.nan
    table.loc[[4, 9], "smiles"] = ["C1CC", ""]
    return table


def test_scores_are_those_of_scikit_learn(flat, table):
    found = flat.evaluate(table)
    prediction = flat.predict(table)
    usable = prediction["error"].isna()
    rows = usable & table["active"].notna()
    truth, probability = table["active"][rows], prediction["active_prob"][rows]
    score = found.scores["active"]
    assert score["n"] == rows.sum() == 30
    label = probability >= 0.5
    expected = {
        "roc_auc": metrics.roc_auc_score(truth, probability),
        "pr_auc": metrics.average_precision_score(truth, probability),
        "accuracy": metrics.accuracy_score(truth, label),
        "f1": metrics.f1_score(truth, label, zero_division=0),
        "mcc": metrics.matthews_corrcoef(truth, label),
        "log_loss": metrics.log_loss(truth, probability),
        "brier": metrics.brier_score_loss(truth, probability),
    }
    assert {name: score[name] for name in expected} == pytest.approx(expected)
    rows = usable & table["logp"].notna()
    truth, value = table["logp"][rows], prediction["logp_pred"][rows]
    score = found.scores["logp"]
    assert score["n"] == rows.sum()
    expected = {
        "rmse": metrics.root_mean_squared_error(truth, value),
        "mae": metrics.mean_absolute_error(truth, value),
        "r2": metrics.r2_score(truth, value),
        "pearson": np.corrcoef(truth, value)[0, 1],
    }
    assert {name: score[name] for name in expected} == pytest.approx(expected)
    assert found.mean["rmse"] == found.scores["logp"]["rmse"]
    assert (found.rows.rows, found.rows.predicted) == (40, 38)
    assert list(found.rows.rejected.values()) == [1, 1]


def test_an_ensemble_is_judged_by_its_mean(flat_views, table):
    prediction = flat_views.predict(table)
    rows = prediction["error"].isna() & table["logp"].notna()
    expected = metrics.mean_absolute_error(table["logp"][rows], prediction["logp_pred"][rows])
    assert flat_views.evaluate(table).scores["logp"]["mae"] == pytest.approx(expected)


def test_one_class_has_no_roc_curve(flat):
    found = flat.evaluate(LABELS.assign(active=1)).scores["active"]
    assert found["roc_auc"] is None
    assert found["n"] == 40
    assert found["accuracy"] is not None


def test_labels_of_rows_without_a_molecule_do_not_count(flat, table):
    extra = pd.DataFrame({"smiles": ["C1CC"], "logp": ["<5"], "active": ["?"]})
    again = flat.evaluate(pd.concat([table, extra]))
    assert again.scores == flat.evaluate(table).scores
    rejected = [sum(found.rows.rejected.values()) for found in (again, flat.evaluate(table))]
    assert rejected[0] == rejected[1] + 1


def test_predictions_in_the_table_do_not_matter(flat, table):
    again = flat.evaluate(table.assign(active_prob=0.5, error="x"))
    assert again.scores == flat.evaluate(table).scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table[["name", "smiles"]], "no target column 'active'; found 'name'"),
        (lambda table: table.assign(logp="<5"), r"target 'logp' is '<5' in row 0 .* limit"),
        (lambda table: table.assign(logp="high"), "target 'logp' is 'high' in row 0"),
    ],
)
def test_labels_that_cannot_be_read(flat, change, message):
    with pytest.raises(UserError, match=message):
        flat.evaluate(change(LABELS))


def test_targets_without_a_column_are_named_and_the_others_scored(flat, table, caplog):
    with caplog.at_level("INFO", logger="molweave"):
        found = flat.evaluate(table.rename(columns={"active": "Activ"}))
    line = "not scored, for lack of a column: 'active'; did you mean 'Activ' for 'active'?"
    assert caplog.messages == [line]
    assert found.absent == ("active",)
    assert found.scores == {"logp": flat.evaluate(table).scores["logp"]}
    assert set(found.mean) == set(found.scores["logp"]) - {"n"}
    assert flat.evaluate(table).absent == ()
    unlabelled = table.drop(columns="active").assign(logp=np.nan)
    message = "no row with a label; there is nothing to compare; not scored, for lack of a column"
    with pytest.raises(UserError, match=message):
        flat.evaluate(unlabelled)
