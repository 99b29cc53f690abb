"""Files of every kind in and out; what appears is complete, or nothing does."""

import gzip
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import jaxtyping
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from fits import frame
from rdkit import Chem

from molweave import UserError, __version__
from molweave.chem import write_parquet
from molweave.cli.summary import describe_rows

NUMBERS = ["active_prob", "logp_pred"]
ROWS = frame().iloc[::4].assign(note='a "quoted", note').reset_index(drop=True)
ROWS.loc[3, "smiles"] = "C1CC"
SECONDS = 120  # after so long something hangs


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_smi(path: Path) -> None:
    lines = [f"{row.smiles} {row.name}\n" for row in ROWS.itertuples(index=False)]
    path.write_text("".join(lines), encoding="utf-8")


def write_sdf(path: Path) -> None:
    blocks = []
    for row in ROWS.itertuples(index=False):
        mol = Chem.MolFromSmiles(row.smiles)
        block = "broken\n" if mol is None else Chem.MolToMolBlock(mol)
        blocks.append(f"{block}>  <name>\n{row.name}\n\n$$$$\n")
    path.write_text("".join(blocks), encoding="utf-8")


def pack(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


WRITERS = {
    "in.csv": lambda path: ROWS.to_csv(path, index=False),
    "in.tsv": lambda path: ROWS.to_csv(path, index=False, sep="\t"),
    "in.parquet": lambda path: ROWS.to_parquet(path),
    "in.smi": write_smi,
    "in.sdf": write_sdf,
}


@pytest.fixture
def expected(flat):
    return flat.predict(ROWS)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_input(flat, expected, tmp_path, name, zipped):
    path = tmp_path / name
    WRITERS[name](path)
    if zipped:
        path = pack(path)
    found = flat.predict(path)
    assert found["name"].tolist() == ROWS["name"].tolist()
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], atol=1e-6)
    assert found["error"].notna().tolist() == expected["error"].notna().tolist()
    out = tmp_path / "out.csv"
    summary = flat.predict_file(path, out)
    assert (summary.rows, summary.predicted) == (10, 9)
    again = pd.read_csv(out)
    assert list(again.columns) == list(found.columns)
    np.testing.assert_allclose(again[NUMBERS], found[NUMBERS], rtol=1e-5)


def read(path: Path) -> pd.DataFrame:
    if path.name.endswith("parquet"):
        return pd.read_parquet(path)
    return pd.read_csv(path, sep="\t" if "tsv" in path.name else ",")


@pytest.mark.parametrize("name", ["out.csv", "out.tsv", "out.csv.gz", "out.tsv.gz", "out.parquet"])
def test_every_kind_of_output(flat, expected, tmp_path, name):
    out = tmp_path / name
    flat.predict_file(ROWS, out)
    found = read(out)
    assert list(found.columns) == [*ROWS.columns, *NUMBERS, "missing", "error"]
    np.testing.assert_allclose(found[NUMBERS], expected[NUMBERS], rtol=1e-5)
    for column in ROWS.columns:
        assert found[column].tolist() == ROWS[column].tolist()
    assert found["error"].fillna("").tolist() == expected["error"].fillna("").tolist()
    assert names(tmp_path) == [name]


def test_text_of_the_input_comes_out_as_it_was(flat, tmp_path):
    text = 'id,smiles,value\n007,CCO,1.50\n"a\nb",CCN,1e-3\n,CCC,"say ""hi"""\n'
    path = tmp_path / "in.csv"
    path.write_text(text, encoding="utf-8")
    flat.predict_file(path, tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", dtype=str, keep_default_na=False)
    given = pd.read_csv(path, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(found[list(given.columns)], given)
    assert path.read_text(encoding="utf-8") == text


def with_coordinates(smiles: str, scale: float) -> Chem.Mol:
    mol = Chem.MolFromSmiles(smiles)
    conformer = Chem.Conformer(mol.GetNumAtoms())
    places = np.random.default_rng(0).normal(size=(mol.GetNumAtoms(), 3)) * scale
    conformer.SetPositions(places)
    conformer.Set3D(True)
    mol.AddConformer(conformer)
    return mol


def test_an_sdf_keeps_its_own_coordinates(spatial, tmp_path):
    mols = [with_coordinates("CCCCO", scale) for scale in (1.0, 3.0)]
    path = tmp_path / "in.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for mol in mols:
            writer.write(mol)
    found = spatial.predict(path)["logp_pred"]
    assert abs(found[0] - found[1]) > 1e-4
    assert abs(found[0] - spatial.predict(["CCCCO"])["logp_pred"][0]) > 1e-4
    np.testing.assert_allclose(found, spatial.predict(mols)["logp_pred"], atol=1e-3)
    turned = Chem.Mol(mols[0])
    positions = turned.GetConformer().GetPositions()
    turned.GetConformer().SetPositions(positions[:, [1, 2, 0]] + 5.0)
    assert spatial.predict([turned])["logp_pred"][0] == pytest.approx(found[0], abs=1e-3)


def test_parquet_with_coordinates_is_as_good_as_an_sdf(spatial, flat, tmp_path):
    mols = [with_coordinates("CCCCO", 1.0), with_coordinates("OC(C)CN", 2.0)]
    places = [mol.GetConformer().GetPositions().ravel() for mol in mols]
    smiles = ["CCCCO", "OC(C)CN", "CCCCO", "CCCCO", "C1CC"]
    table = pd.DataFrame({"smiles": smiles, "coordinates": [*places, None, places[1][3:], [1.0]]})
    table.to_parquet(tmp_path / "in.parquet")
    (made,) = spatial.predict(["CCCCO"])["logp_pred"]
    expected = [*spatial.predict(mols)["logp_pred"], made, made]
    for data in (table, tmp_path / "in.parquet"):
        found = spatial.predict(data)["logp_pred"][:4]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert abs(made - expected[0]) > 1e-3
    summary = spatial.predict_file(tmp_path / "in.parquet", tmp_path / "out.parquet")
    assert (summary.unfit, summary.predicted) == (1, 4)
    assert "  1 molecule with coordinates that do not fit the structure: generated instead" in (
        describe_rows(summary, "predicted")
    )
    vectors = spatial.embed(tmp_path / "in.parquet")
    np.testing.assert_allclose(vectors[:2], spatial.embed(mols), atol=1e-4)
    labelled = table.assign(active=[0, 1, 0, 1, 1], logp=0.0)
    evaluation = spatial.evaluate(labelled)
    assert evaluation.rows.unfit == 1
    assert evaluation.scores["logp"]["mae"] == pytest.approx(np.abs(expected).mean(), abs=1e-4)
    unread = flat.predict_file(tmp_path / "in.parquet", tmp_path / "flat.parquet")
    assert unread.unfit == 0


@pytest.mark.parametrize("column", ["active_prob", "logp_pred", "missing", "error"])
def test_a_column_of_the_input_is_never_replaced(flat, tmp_path, column):
    table = ROWS.assign(**{column: 1})
    message = f"the input already has a column '{column}'; rename it"
    with pytest.raises(UserError, match=message):
        flat.predict(table)
    with pytest.raises(UserError, match=message):
        flat.predict_file(table, tmp_path / "out.csv")
    assert names(tmp_path) == []


@pytest.mark.parametrize("column", ["embedding", "missing", "error"])
def test_no_column_is_replaced_by_a_vector(flat, tmp_path, column):
    with pytest.raises(UserError, match=f"the input already has a column '{column}'; rename it"):
        flat.embed_file(ROWS.assign(**{column: 1}), tmp_path / "out.parquet")
    assert names(tmp_path) == []


def test_a_prefix_tells_the_columns_of_two_models_apart(flat, flat_views, tmp_path, monkeypatch):
    first = flat.predict(ROWS)
    both = flat_views.predict(first, details=True, prefix="b_")
    alone = flat_views.predict(ROWS, details=True)
    added = [name for name in alone if name not in ROWS]
    assert list(both) == [*first, *(f"b_{name}" for name in added)]
    pd.testing.assert_frame_equal(both[list(first)], first)
    renamed = alone[added].add_prefix("b_")
    pd.testing.assert_frame_equal(both[list(renamed)], renamed)
    flat_views.predict_file(first, tmp_path / "both.parquet", details=True, prefix="b_")
    written = pd.read_parquet(tmp_path / "both.parquet")
    numbers = list(renamed.select_dtypes(float))
    pd.testing.assert_frame_equal(written[numbers], renamed[numbers])
    assert list(written) == list(both)
    with pytest.raises(UserError, match="already has a column 'b_active_prob'"):
        flat.predict(both, prefix="b_")
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match="prefix must be text, found 5"):
        flat.predict(ROWS, prefix=5)


def test_a_prefix_tells_vectors_apart(flat, tmp_path):
    flat.embed_file(ROWS, tmp_path / "a.parquet")
    flat.embed_file(tmp_path / "a.parquet", tmp_path / "b.parquet", prefix="again_")
    table = pyarrow.parquet.read_table(tmp_path / "b.parquet")
    added = ["embedding", "missing", "error"]
    assert table.column_names == [*ROWS, *added, *(f"again_{name}" for name in added)]
    assert table.column("embedding").to_pylist() == table.column("again_embedding").to_pylist()


def test_columns_of_details_collide_only_where_they_are_asked_for(flat, tmp_path):
    table = ROWS.assign(weight_graph=1)
    assert len(flat.predict(table)) == 10
    with pytest.raises(UserError, match="'weight_graph'"):
        flat.predict(table, details=True)


def test_a_target_beside_its_prediction(flat):
    """A labelled table keeps its labels."""
    table = ROWS.assign(active=1, logp=2.5)
    found = flat.predict(table)
    assert found["active"].tolist() == [1] * 10
    assert found["logp"].tolist() == [2.5] * 10


def test_outputs_that_cannot_be(flat, tmp_path):
    path = tmp_path / "in.csv"
    ROWS.to_csv(path, index=False)
    before = path.read_bytes()
    (tmp_path / "folder.csv").mkdir()
    for out, message in [
        (path, "the output is the input file"),
        (tmp_path / "." / "in.csv", "the output is the input file"),
        (tmp_path / "out.xlsx", "cannot write this file type; use one of .csv"),
        (tmp_path / "none" / "out.csv", "there is no folder .*none; create it first"),
        (tmp_path / "folder.csv", "is a folder"),
    ]:
        with pytest.raises(UserError, match=message):
            flat.predict_file(path, out, overwrite=True)
    out = tmp_path / "out.csv"
    out.write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match="already exists"):
        flat.predict_file(path, out)
    assert out.read_text(encoding="utf-8") == "mine"
    flat.predict_file(path, out, overwrite=True)
    assert len(pd.read_csv(out)) == 10
    assert path.read_bytes() == before
    assert names(tmp_path) == ["folder.csv", "in.csv", "out.csv"]


def test_an_error_on_the_way_leaves_nothing(flat, tmp_path, monkeypatch):
    path = tmp_path / "in.csv"
    path.write_bytes(b"smiles\n" + b"CCO\n" * 3000 + b"\xff\n")
    with pytest.raises(UserError, match="line 3002 is not UTF-8"):
        flat.predict_file(path, tmp_path / "out.csv")
    with pytest.raises(UserError, match="line 3002 is not UTF-8"):
        flat.embed_file(path, tmp_path / "out.parquet")
    assert names(tmp_path) == ["in.csv"]


def test_embeddings_in_a_file(flat, tmp_path):
    out = tmp_path / "vectors.parquet"
    summary = flat.embed_file(ROWS, out)
    assert (summary.rows, summary.predicted, sum(summary.rejected.values())) == (10, 9, 1)
    table = pyarrow.parquet.read_table(out)
    assert table.column_names == [*ROWS, "embedding", "missing", "error"]
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: float>[32]"
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata["molweave"] == __version__
    assert (metadata["method"], metadata["preset"]) == ("dmmrl", "paper")
    assert metadata["trained_on"] == "5" * 64  # of the table that the model was fitted on
    for name in ROWS:
        assert table.column(name).to_pylist() == ROWS[name].tolist()
    found = table.column("embedding").to_pylist()
    errors = table.column("error").to_pylist()
    assert [vector is None for vector in found] == [n == 3 for n in range(10)]
    assert [error is not None for error in errors] == [n == 3 for n in range(10)]
    vectors = flat.embed(ROWS)
    assert vectors.dtype == np.float32
    assert np.isnan(vectors).all(1).tolist() == [n == 3 for n in range(10)]
    good = [n for n in range(10) if n != 3]
    assert np.array_equal(np.array([found[n] for n in good], dtype=np.float32), vectors[good])


@pytest.mark.parametrize("smiles", [[], ["C1CC", "x"]])
def test_parquet_has_the_same_types_without_a_usable_row(flat, tmp_path, smiles):
    data = pd.DataFrame({"smiles": smiles}, dtype=object)
    flat.predict_file(data, tmp_path / "p.parquet", details=True)
    found = pyarrow.parquet.read_schema(tmp_path / "p.parquet")
    assert [str(found.field(name).type) for name in [*NUMBERS, "weight_graph"]] == ["double"] * 3
    assert [str(found.field(name).type) for name in ("missing", "error")] == ["string"] * 2
    flat.embed_file(data, tmp_path / "v.parquet")
    width = flat.embed(["C"]).shape[1]
    types = ["string", f"fixed_size_list<element: float>[{width}]", "string", "string"]
    assert list(map(str, pyarrow.parquet.read_schema(tmp_path / "v.parquet").types)) == types


@pytest.mark.parametrize("name", ["v.csv", "v.npy", "v", "v.parquet.gz"])
def test_embeddings_in_another_format(flat, tmp_path, name):
    out = tmp_path / name
    message = f"embeddings are written as Parquet; name the output {out} with .parquet"
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        flat.embed_file(ROWS, out)
    assert names(tmp_path) == []


def test_embeddings_say_what_they_were_made_without(spatial, tmp_path):
    smiles = ["CCO", "C" * 50, "C1CC"]
    spatial.embed_file(smiles, tmp_path / "v.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "v.parquet").column("missing").to_pylist()
    assert found == spatial.predict(smiles)["missing"].tolist()
    assert found[1].startswith("geometry: ")


@pytest.mark.parametrize(
    ("verb", "suffix", "stop", "code", "word"),
    [
        ("predict", "csv", signal.SIGINT, 130, "interrupted"),
        ("embed", "parquet", signal.SIGTERM, 143, "terminated"),
    ],
)
def test_a_signal_leaves_no_half_file(folder, tmp_path, verb, suffix, stop, code, word):
    path = tmp_path / "long.csv"
    path.write_text("smiles\n" + "CCO\nCCN\nc1ccccc1O\n" * 30_000, encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    command = [verb, folder, path, "--out", work / f"out.{suffix}", "--device", "cpu"]
    with subprocess.Popen(
        [sys.executable, "-m", "molweave", *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        for _ in range(SECONDS * 100):
            try:
                process.wait(timeout=0.01)
            except subprocess.TimeoutExpired:
                if not any(item.stat().st_size for item in work.iterdir()):
                    continue
                process.send_signal(stop)
            break
        _, told = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    assert told.splitlines()[-1] == word
    assert "Traceback" not in told
    assert names(work) == []


def test_columns_of_parquet_keep_their_types(flat, tmp_path, monkeypatch):
    """A column whose first group of rows is empty, and times to the nanosecond."""
    monkeypatch.setattr(write_parquet, "_GROUP_ROWS", 4)
    moment = pd.Timestamp("2020-01-01 00:00:00.123456789")
    table = pyarrow.table(
        {
            "smiles": ["CCO"] * 10,
            "late": pyarrow.array([None] * 9 + [7], pyarrow.int64()),
            "moment": pyarrow.array([moment] * 10, pyarrow.timestamp("ns")),
            "large": pyarrow.array([2**63 + 1] * 10, pyarrow.uint64()),
            "size": pyarrow.array(["a"] * 10).dictionary_encode(),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "in.parquet")
    flat.predict_file(tmp_path / "in.parquet", tmp_path / "out.parquet")
    found = pyarrow.parquet.read_table(tmp_path / "out.parquet").select(table.column_names)
    assert found.schema.types == table.schema.types
    assert found.to_pylist() == table.to_pylist()
