"""Whatever is wrong with the input: one line that says what to do, code 2, nothing half-written.

A row that is wrong comes out in its place with its reason, and changes nothing for the others.
"""

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import Result
from fits import FLAGS, same_weights, untrained
from refusals import LABELS, TABLE, content, refused

from molweave import Predictor
from molweave.chem.diagnose import generalize
from molweave.methods.dmmrl_config import DMMRL_MODALITIES

UNREADABLE: Mapping[str, tuple[str, bytes, str]] = {
    "empty": ("a.csv", b"", "a.csv: the input is empty"),
    "blank": ("a.csv", b"\n \r\n\n", "a.csv: the file is empty (blank lines only)"),
    "no smiles column": (
        "a.csv",
        b"id,active,logp\nCCO,1,2\n",
        "a.csv: no SMILES column; found 'id', 'active', 'logp'; name it with --smiles-column "
        "(smiles_column= in Python)",
    ),
    "a column twice": (
        "a.csv",
        b"smiles,active,active\nC,1,0\n",
        "a.csv: duplicate column names 'active'; every column needs its own name",
    ),
    "not UTF-8": (
        "a.csv",
        LABELS.encode() + "CC=O,1,2 \u00b5".encode("latin-1"),
        "a.csv: line 4 is not UTF-8 (byte 0xb5 at position 10); save the file as UTF-8",
    ),
    "UTF-16": (
        "a.csv",
        LABELS.encode("utf-16"),
        "a.csv: the text is UTF-16; save it as UTF-8",
    ),
    "a gz that is not one": (
        "a.csv.gz",
        LABELS.encode(),
        "a.csv.gz: not a gzip file although it is called .gz; rename it",
    ),
    "a gz cut short": (
        "a.csv.gz",
        gzip.compress(LABELS.encode() * 50)[:40],
        "a.csv.gz: the gzip data is cut short or damaged (Compressed file ended before the "
        "end-of-stream marker was reached); fetch the file again",
    ),
    "an open quote": (
        "a.csv",
        LABELS.encode() + b'"CCO,1,2\n',
        'a.csv: line 4: a quote (") opens in this row and is never closed',
    ),
    "not a table": (
        "a.xlsx",
        b"PK\x03\x04",
        "a.xlsx: unknown file type '.xlsx'; use one of .csv, .tsv, .txt, .smi, .smiles, .sdf, .sd, "
        ".mol, .parquet, .pq (each also with .gz)",
    ),
}


@pytest.mark.parametrize("verb", ["fit", "predict", "embed", "evaluate", "check"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_files_that_cannot_be_read(cli, model, tmp_path, verb, kind):
    name, data, message = UNREADABLE[kind]
    (tmp_path / name).write_bytes(data)
    refused(cli, tmp_path, message, *command(verb, model, name))


@pytest.mark.parametrize("verb", ["fit", "predict", "embed", "evaluate", "check"])
def test_missing_files_and_folders(cli, model, tmp_path, verb):
    refused(cli, tmp_path, "none.csv: no such file", *command(verb, model, "none.csv"))
    (tmp_path / "folder").mkdir()
    refused(cli, tmp_path, "folder: is a folder; give a file", *command(verb, model, "folder"))


def command(verb: str, model: Path, data: str) -> list[object]:
    if verb == "fit":
        return ["fit", data, "-t", "active", "-o", "new", "-q", *FLAGS]
    if verb == "check":
        return ["check", data]
    out = {"predict": ["-o", "out.csv"], "embed": ["-o", "out.parquet"]}.get(verb, [])
    return [verb, model, data, *out, "-q"]


def fit(cli, folder: Path, table: pd.DataFrame, *arguments: object) -> Result:
    table.to_csv(folder / "a.csv", index=False)
    return cli("fit", "a.csv", "-o", "new", *FLAGS, "--epochs", 1, *arguments)


def fit_refused(cli, folder: Path, table: pd.DataFrame, message: str, *arguments: object) -> None:
    table.to_csv(folder / "a.csv", index=False)
    words = arguments or ("-t", "alcohol")
    refused(cli, folder, message, "fit", "a.csv", "-o", "new", "-q", *FLAGS, *words)


def test_a_header_and_no_rows(cli, model, tmp_path):
    nothing = TABLE.iloc[:0]
    message = "a.csv has a header but no rows; nothing can be learnt from it"
    fit_refused(cli, tmp_path, nothing, message)
    text = "smiles,active,logp\n"
    (tmp_path / "b.csv").write_text(text, encoding="utf-8")
    message = "b.csv has a header but no rows; there is nothing to compare"
    refused(cli, tmp_path, message, "evaluate", model, "b.csv", "-q")
    assert cli("predict", model, "a.csv", "-q", "-o", "out.csv").code == 0
    header = "name,smiles,alcohol,carbons,active_prob,logp_pred,missing,error\n"
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == header


def test_an_unknown_target(cli, model, tmp_path):
    found = "found 'name', 'smiles', 'alcohol', 'carbons'"
    message = f"no target column 'alcohl'; {found}; did you mean 'alcohol'?"
    fit_refused(cli, tmp_path, TABLE, message, "-t", "alcohl")
    fit_refused(cli, tmp_path, TABLE, f"no target column 'pIC50'; {found}", "-t", "pIC50")
    message = "targets: duplicate column names 'alcohol'; every column needs its own name"
    fit_refused(cli, tmp_path, TABLE, message, "-t", "alcohol,alcohol")
    refused(cli, tmp_path, f"no target column 'active'; {found}", "evaluate", model, "a.csv", "-q")


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("yes", "a target must be a number; write classes as 0 and 1, leave unknown fields empty"),
        (
            "<5",
            "a value below or above a limit is not a number; leave the field empty, or write a "
            "number if you decide that the limit stands for the value",
        ),
        ("0,7", "write decimals with a point, not a comma"),
        ("1,000", "write decimals with a point, and thousands without a comma between them"),
        ("inf", "a target must be a number; write classes as 0 and 1, leave unknown fields empty"),
    ],
)
def test_text_among_the_labels(cli, tmp_path, value, advice):
    table = TABLE.astype({"carbons": object})
    table.loc[7, "carbons"] = value
    where = f"target 'carbons' is '{value}' in row 7 (rows count from 0, without the header)"
    fit_refused(cli, tmp_path, table, f"{where}: {advice}", "-t", "carbons")


def test_no_molecule_at_all(cli, tmp_path):
    message = (
        "a.csv: no row of 20 has a usable molecule in the column 'smiles'; row 0: parse: unclosed "
        "ring"
    )
    fit_refused(cli, tmp_path, TABLE.iloc[:20].assign(smiles="C1CC"), message)


def test_labels_that_teach_nothing(cli, tmp_path):
    message = "no usable row has a value in the target 'alcohol': fill in the column or name "
    fit_refused(cli, tmp_path, TABLE.assign(alcohol=np.nan), f"{message}another one")
    both = ("-t", "carbons", "-t", "alcohol")
    fit_refused(cli, tmp_path, TABLE.assign(alcohol=np.nan), f"{message}another one", *both)
    for value in (0, 1):
        message = (
            f"the training part has one class or value only: 'alcohol = {value}'; leave the target "
            "out, add data or choose another split"
        )
        fit_refused(cli, tmp_path, TABLE.assign(alcohol=value), message)
    message = (
        "target 'carbons' is a classification task but has the value 2 in row 1 (rows count from "
        "0, without the header): write its classes as 0 and 1, or make it a regression task"
    )
    words = ("-t", "carbons", "--kind", "classification")
    unusable = TABLE.iloc[:1].assign(smiles="C1CC")
    fit_refused(cli, tmp_path, pd.concat([unusable, TABLE.iloc[1:]]), message, *words)


def test_a_label_of_a_row_without_a_molecule_does_not_matter(cli, tmp_path):
    text = TABLE.astype({"alcohol": str})
    text.loc[0, ["smiles", "alcohol"]] = ["C1CC", "see notebook"]
    text.to_csv(tmp_path / "a.csv", index=False)
    done = cli("check", tmp_path / "a.csv", "-t", "alcohol")
    assert (done.code, done.err) == (0, "")
    assert "1 row cannot be used: parse: unclosed ring (row 0)" in done.out


def test_too_few_rows(cli, tmp_path):
    message = "only 9 rows with both a usable molecule and a target value: at least 10 are needed"
    fit_refused(cli, tmp_path, TABLE.iloc[9:18], message)
    some = TABLE.iloc[9:20].assign(smiles=TABLE["smiles"].replace(TABLE["smiles"][12], "C1CC"))
    some.loc[15, "alcohol"] = np.nan
    fit_refused(cli, tmp_path, some, message)


def test_ten_rows_are_enough(cli, tmp_path):
    ten = TABLE.iloc[8:18].assign(part=["train"] * 8 + ["valid", "test"])
    ten["alcohol"] = [0, 1] * 5
    words = [word for word in FLAGS if word != "--split" and not word.startswith("random")]
    ten.to_csv(tmp_path / "a.csv", index=False)
    result = cli(
        *("fit", "a.csv", "-t", "alcohol", "-o", "new", "--epochs", 1, *words),
        *("--split-column", "part"),
    )
    assert result.code == 0, result.err


REASONS = {
    "": "parse: empty SMILES",
    "  ": "parse: empty SMILES",
    "C1CC": "parse: unclosed ring",
    "*CCO": "standardize: wildcard atom * (not a complete molecule)",
    "CC(C)(C)(C)C": "parse: valence of atom 2 (C) is 5, more than allowed",
    "c1cccc1": "parse: aromatic ring atoms 1, 2, 3, 4, 5 cannot be given alternating bonds "
    "(is a hydrogen missing, as in [nH]?)",
    "InChI=1S/CH4/h1H4": "parse: an InChI, not a SMILES",
    "CCO>>CC=O": "parse: a reaction, not a molecule",
    "[H][H]": "standardize: no heavy atoms (hydrogen only)",
    "C" * 2001: "parse: 2001 atoms, more than the 2000 allowed",
    "C\u2013O": "parse: character '\u2013' does not belong in a SMILES",
}


def test_bad_molecules_come_out_in_their_place_with_the_reason(cli, model, tmp_path):
    rows: list[tuple[str, str]] = []
    for number, (bad, good) in enumerate(zip(REASONS, TABLE["smiles"], strict=False)):
        rows += [(f"good {number}", good), (f"bad {number}", bad)]
    rows.append(("again", ""))
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as text:
        csv.writer(text).writerows([("id", "smiles"), *rows])
    result = cli("predict", model, "a.csv", "-o", "out.csv")
    assert (result.code, result.out) == (0, "")
    found = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert list(zip(found["id"], found["smiles"], strict=True)) == rows
    good = found["id"].str.startswith("good")
    assert found["error"].tolist() == [
        REASONS[s] if b else "" for b, s in zip(~good, found.smiles, strict=True)
    ]
    numbers = found.loc[good, ["active_prob", "logp_pred"]].astype(float)
    expected = Predictor.load(model).predict(found.loc[good, "smiles"].tolist())
    np.testing.assert_allclose(numbers, expected[["active_prob", "logp_pred"]], rtol=1e-5)
    assert (found.loc[~good, ["active_prob", "logp_pred"]] == "").all(axis=None)
    lines = result.err.splitlines()
    assert f"{len(rows)} rows: {good.sum()} predicted, {(~good).sum()} rejected" in lines[-7]
    assert lines[-6] == "  3 rejected: parse: empty SMILES"
    assert lines[-1] == f"  {len(REASONS) - 6} rejected for other reasons: see the column error"


def test_bad_molecules_do_not_change_a_fit(cli, tmp_path):
    bad = pd.DataFrame({"name": "bad", "smiles": list(REASONS), "alcohol": 1, "carbons": 1e9})
    table = pd.concat([TABLE, bad], ignore_index=True)
    result = fit(cli, tmp_path, table, "-t", "alcohol", "-t", "carbons")
    assert result.code == 0
    assert "51 rows, 40 usable" in result.err
    TABLE.to_csv(tmp_path / "b.csv", index=False)
    clean = ("fit", "b.csv", "-o", "clean", *FLAGS, "--epochs", 1, "-q", "-t", "alcohol,carbons")
    assert cli(*clean).code == 0
    with_bad, without = Predictor.load(tmp_path / "new"), Predictor.load(tmp_path / "clean")
    assert same_weights(with_bad, without)
    rejected = with_bad.info()["record"]["data"]["rejected"]
    assert rejected == {
        **dict.fromkeys(map(generalize, REASONS.values()), 1),
        "parse: empty SMILES": 2,
    }


def test_odd_molecules_are_predicted_from_every_view(odd_smiles, tmp_path):
    """Salts, ions, single atoms, a peptide of 1,000 atoms, metals, stereo of every kind."""
    model = untrained(tmp_path / "m", modalities=DMMRL_MODALITIES, coordinates="generate")
    found = model.predict(list(odd_smiles.values()), details=True).set_axis(list(odd_smiles))
    refused = found[found["error"].notna()]
    assert refused["error"].to_dict() == {
        "hydrogen": "standardize: no heavy atoms (hydrogen only)",
        "wildcard": "standardize: wildcard atom * (not a complete molecule)",
    }
    kept = found[found["error"].isna()]
    assert np.isfinite(kept[["active_prob", "logp_pred"]].to_numpy(float)).all()
    assert kept["missing"].dropna().to_dict() == {
        "1000 atoms": "geometry: no conformer: 1001 atoms, more than max_atoms = 40"
    }
    weights = kept.filter(like="weight_")
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights["weight_geometry"]["1000 atoms"] == 0
    assert (weights["weight_geometry"].drop("1000 atoms") > 0).all()


def test_odd_molecules_can_be_learnt_from(cli, odd_smiles, tmp_path):
    odd = pd.DataFrame({"smiles": list(odd_smiles.values()), "carbons": range(len(odd_smiles))})
    table = pd.concat([TABLE, odd], ignore_index=True)
    assert fit(cli, tmp_path, table, "-t", "carbons").code == 0
    record = Predictor.load(tmp_path / "new").info()["record"]["data"]
    assert (record["rows"], record["molecules"]) == (57, 55)
    history = pd.read_csv(tmp_path / "new" / "history.csv")
    assert np.isfinite(history.to_numpy(float)).all()


def test_impossible_stereo_is_the_molecule_without_it(model):
    found = Predictor.load(model).predict(["C[C@H](C)C", "CC(C)C", "C/C=C(C)/C", "CC=C(C)C"])
    assert found["logp_pred"].nunique() == 2
    assert found["logp_pred"][0] == found["logp_pred"][1]


def test_contradicting_copies_are_told_and_kept_together(cli, tmp_path):
    copies = TABLE.iloc[[0, 1, 20]].assign(alcohol=1 - TABLE["alcohol"])
    result = fit(cli, tmp_path, pd.concat([TABLE, copies]), "-t", "alcohol")
    assert result.code == 0
    (line,) = (line for line in result.err.splitlines() if "contradictory labels" in line)
    assert "for 3 of the 3 molecules with several rows (rows 0, 1, 20, 40, 41 and 1 more)" in line
    rows = json.loads((tmp_path / "new" / "split.json").read_text(encoding="utf-8"))["rows"]
    for pair in ({0, 40}, {1, 41}, {20, 42}):
        assert sum(bool(pair & set(part)) for part in rows.values()) == 1


def test_windows_line_ends_and_a_byte_order_mark(cli, model, tmp_path):
    text = TABLE.to_csv(index=False, lineterminator="\r\n")
    (tmp_path / "windows.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    TABLE.to_csv(tmp_path / "unix.csv", index=False, lineterminator="\n")
    for name in ("windows", "unix"):
        assert cli("predict", model, f"{name}.csv", "-o", f"{name}.out.csv", "-q").code == 0
        words = ("-t", "alcohol,carbons", "-o", name, "-q", *FLAGS, "--epochs", 1)
        assert cli("fit", f"{name}.csv", *words).code == 0
    files = content(tmp_path)
    assert files["windows.out.csv"] == files["unix.out.csv"]
    assert b"\r" not in files["windows.out.csv"]
    assert same_weights(Predictor.load(tmp_path / "windows"), Predictor.load(tmp_path / "unix"))
