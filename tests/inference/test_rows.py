"""Every row comes out, in its place, with what the model says of that molecule alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fits import frame

from molweave.chem.diagnose import MAX_REASONS
from molweave.chem.read import table_from_smiles
from molweave.data.dataset import Dataset
from molweave.errors import UserError
from molweave.inference import stream
from molweave.inference.summary import Tally
from molweave.methods import apply

NUMBERS = ["active_prob", "logp_pred"]
GOOD = frame()["smiles"].tolist()
BAD = {"": "empty SMILES", "C1CC": "ring", "*CC": "wildcard atom", "C[N": "", "[H][H]": "hydrogen"}


def mixed() -> list[str]:
    """`GOOD` with something bad at the start, at the end and in between."""
    bad = list(BAD)
    rows = [bad[0], bad[1], *GOOD, bad[2]]
    rows.insert(10, bad[3])
    rows.insert(25, bad[4])
    return rows


@pytest.mark.parametrize("chunk", [1, 2, 7, 45, 1024])
@pytest.mark.parametrize("model", ["flat", "flat_views"])
def test_bad_rows_change_nothing_for_the_others(request, monkeypatch, chunk, model):
    model = request.getfixturevalue(model)
    alone = model.predict(GOOD)
    monkeypatch.setattr(stream, "CHUNK_ROWS", chunk)
    rows = mixed()
    found = model.predict(rows)
    assert found["smiles"].tolist() == rows
    bad = np.array([text in BAD for text in rows])
    assert bad.sum() == 5
    assert found["error"].notna().tolist() == bad.tolist()
    for text, error in zip(found["smiles"][bad], found["error"][bad], strict=True):
        stage, _, reason = error.partition(": ")
        assert stage in ("parse", "standardize")
        assert BAD[text] in reason
        assert reason
    numbers = [name for name in alone.columns if alone[name].dtype == float]
    assert found.loc[bad, numbers].isna().all(axis=None)
    np.testing.assert_allclose(found.loc[~bad, numbers], alone[numbers], atol=1e-5)


def test_a_row_without_a_finite_number_says_so(flat, monkeypatch):
    apply_all = stream.apply_members

    def spoilt(*given, **options):
        found = apply_all(*given, **options)
        found.predictions[0, 2, 1] = np.inf
        found.embeddings[3, 0] = np.nan
        return found

    monkeypatch.setattr(stream, "apply_members", spoilt)
    found = flat.predict(GOOD[:5])
    assert found["error"].notna().tolist() == [False, False, True, True, False]
    assert found.loc[2, "error"].startswith("predict: the network gives no finite number")
    assert found.loc[[2, 3], NUMBERS].isna().all(axis=None)


@pytest.mark.parametrize("model", ["flat", "flat_views", "spatial"])
def test_alone_as_in_any_company_and_order(request, model):
    model = request.getfixturevalue(model)
    smiles = [*GOOD[::4], "CC(C)(C)c1ccc(cc1)C(=O)N[C@@H](C)C(=O)O", "[Na+].[Cl-]", "C"]
    together = model.predict(smiles, details=True)
    assert together["error"].isna().all()
    numbers = [name for name in together.columns if together[name].dtype == float]
    back = model.predict(smiles[::-1], details=True)[::-1].reset_index(drop=True)
    np.testing.assert_allclose(back[numbers], together[numbers], atol=1e-5)
    alone = pd.concat([model.predict([text], details=True) for text in smiles], ignore_index=True)
    np.testing.assert_allclose(alone[numbers], together[numbers], atol=1e-5)
    vectors = np.vstack([model.embed([text]) for text in smiles])
    np.testing.assert_allclose(vectors, model.embed(smiles), atol=1e-5)


def test_another_way_to_write_a_molecule_is_the_same_molecule(flat_views):
    found = flat_views.predict(["OCC", "C(O)C", "[CH3][CH2][OH]", "CCO "])
    for name in NUMBERS:
        assert found[name].nunique() == 1


def test_rows_in_chunks_are_rows_at_once(flat):
    """More rows than a chunk, something bad on both sides of its edge."""
    smiles = (mixed() * 25)[: stream.CHUNK_ROWS + 60]
    smiles[stream.CHUNK_ROWS - 1 : stream.CHUNK_ROWS + 1] = ["C1CC", ""]
    found = flat.predict(smiles)
    assert found["smiles"].tolist() == smiles
    expected = flat.predict(mixed()).drop_duplicates("smiles").set_index("smiles")
    for name in NUMBERS:
        np.testing.assert_allclose(found[name], expected[name].reindex(smiles), atol=1e-5)
    assert found["error"].fillna("").tolist() == [expected["error"][text] or "" for text in smiles]


def test_large_molecules_are_computed_few_at_a_time(flat_views, monkeypatch):
    """Attention needs memory that grows with the square of the size."""
    expected = flat_views.predict(GOOD)
    batches = []

    def remember(self, indices):
        batches.append(self.sizes[indices])
        return collect(self, indices)

    collect = Dataset.batch
    monkeypatch.setattr(Dataset, "batch", remember)
    monkeypatch.setattr(apply, "_MOST_PAIRS", 300)
    found = flat_views.predict(GOOD)
    assert sum(map(len, batches)) == len(GOOD)
    assert max(map(len, batches)) > 1
    assert all(len(sizes) * sizes.max() ** 2 <= 300 for sizes in batches if len(sizes) > 1)
    numbers = [name for name in expected.columns if expected[name].dtype == float]
    np.testing.assert_allclose(found[numbers], expected[numbers], atol=1e-5)


def test_the_runner_reads_no_further_than_a_chunk_ahead(flat, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK_ROWS", 5)
    seen = []

    class Watched(type(table_from_smiles([]))):
        def __iter__(self):
            for record in super().__iter__():
                seen.append(record.row)
                yield record

    rows = flat.runner.rows(Watched(GOOD))
    for number in range(12):
        next(rows)
        assert max(seen) == 5 * (number // 5) + 4


def test_nothing_at_all(flat):
    found = flat.predict([])
    assert found.columns.tolist() == ["smiles", *NUMBERS, "missing", "error"]
    assert len(found) == 0
    assert flat.embed([]).shape == (0, 32)


def test_a_chunk_without_any_usable_row(flat):
    found = flat.predict(["", "C1CC"])
    assert found[NUMBERS].dtypes.tolist() == [float, float]
    assert found[NUMBERS].isna().all(axis=None)
    assert np.isnan(flat.embed(["", "C1CC"])).all()


def test_details_are_weights_that_sum_to_one(flat_views):
    found = flat_views.predict(mixed(), details=True)
    names = ["weight_sequence", "weight_graph", "weight_descriptors"]
    assert found.columns.tolist() == [
        "smiles",
        "active_prob",
        "active_std",
        "logp_pred",
        "logp_std",
        *names,
        "missing",
        "error",
    ]
    good = found[found["error"].isna()]
    np.testing.assert_allclose(good[names].sum(axis=1), 1, atol=1e-6)
    assert (good[names] > 0).all(axis=None)
    assert good[names].nunique().min() > 1
    assert found.loc[found["error"].notna(), names].isna().all(axis=None)


def test_an_ensemble_gives_mean_and_spread_of_its_networks(flat_views):
    found = flat_views.predict(GOOD)
    rows = list(flat_views.runner.rows(table_from_smiles(GOOD)))
    each = np.array([row.predictions for row in rows])
    assert each.shape == (len(GOOD), 3, 2)
    for task, (name, spread) in enumerate(
        [("active_prob", "active_std"), ("logp_pred", "logp_std")]
    ):
        np.testing.assert_allclose(found[name], each[:, :, task].mean(1))
        np.testing.assert_allclose(found[spread], each[:, :, task].std(1))
        assert (found[spread] > 0).all()
    assert found["active_prob"].between(0, 1).all()


def test_a_view_that_could_not_be_made_is_named(spatial):
    found = spatial.predict(["CCO", "C" * 50, "C1CC"], details=True)
    assert found["missing"].tolist()[::2] == [None, None]
    assert found["missing"][1].startswith("geometry: ")
    assert "50" in found["missing"][1]
    assert found["weight_geometry"].tolist()[1] == 0
    assert found["weight_sequence"].tolist()[1] == 1
    assert np.isfinite(found.loc[:1, NUMBERS]).all(axis=None)


def test_what_became_of_rows_is_counted(spatial):
    tally = Tally()
    for row in spatial.runner.rows(table_from_smiles(["CCO", "C" * 50, "C" * 60, "", "", "C1CC"])):
        tally.add(row)
    summary = tally.summary()
    assert (summary.rows, summary.predicted) == (6, 3)
    assert list(summary.rejected.values()) == [2, 1]
    assert next(iter(summary.rejected)) == "parse: empty SMILES"
    assert summary.without == {"geometry": 2}
    assert summary.seconds > 0


def test_one_reason_is_counted_once_whatever_its_details(flat):
    smiles = ["C" * length + "C(C)(C)(C)C" for length in range(1, 10)]
    blanks = [f"C it's row {number}" for number in range(9)] + ['C "a"', "C 'b' \"c\""]
    tally = Tally()
    for row in flat.runner.rows(table_from_smiles([*smiles, *blanks])):
        tally.add(row)
        assert "…" not in row.error
    assert tally.rejected == {
        "parse: valence of atom … (C) is …, more than allowed": 9,
        "parse: text after a blank in the SMILES (…)": 11,
    }


def test_counts_of_reasons_do_not_grow_with_the_table(flat):
    (row,) = flat.runner.rows(table_from_smiles([""]))
    tally = Tally()
    for number in range(10 * MAX_REASONS):
        name = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        tally.add(replace(row, error=f"read: {name}"))
    tally.add(replace(row, error="read: a"))
    assert len(tally.rejected) == MAX_REASONS + 1
    assert tally.summary().predicted == 0
    assert tally.rejected["read: a"] == 2
    assert tally.rejected["other reasons"] == 9 * MAX_REASONS


@pytest.mark.parametrize(
    "name", ["gpu", "cuda:x", "tpu", "", "cuda:", "cuda:2", "cuda:01", "cpu:", "cpu:0"]
)
def test_a_device_that_is_not_there(name, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: name.startswith("cuda"))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UserError, match=f"no device '{name}' here; use auto or one of .*cpu"):
        stream.pick_device(name)


def test_devices(monkeypatch):
    assert stream.pick_device("cpu").type == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert stream.pick_device("auto").type == "cpu"
    with pytest.raises(UserError, match="there is no device 'cuda' here; use auto or one of cpu"):
        stream.pick_device("cuda")
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    assert stream.pick_device("auto").type == "mps"
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert stream.pick_device("auto").type == "cuda"
    assert stream.pick_device("cuda:1").index == 1
