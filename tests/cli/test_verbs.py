"""Every command on a real model; numbers are compared with the facade and with the files."""

import csv
import json

import pyarrow.parquet
import pytest

from molweave import Predictor
from molweave.cli import options, output
from molweave.cli.choices import LOSS_TERMS
from molweave.cli.summary import describe_rows
from molweave.inference.summary import PredictSummary
from molweave.methods import METHODS

NEW = "id,smiles\n1,CCCO\n2,C1CC\n3,\n4,CCCN\n"


@pytest.fixture
def new(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(NEW, encoding="utf-8")
    return path


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_fit_prints_the_scores_and_writes_the_folder(cli, table, tmp_path):
    out = tmp_path / "m"
    arguments = ("-t", "alcohol", "-o", out, "--modalities", "graph", "--epochs", 1)
    arguments += ("--max-time", "10m", "--no-balance", "--split", "random", "--seed", 3)
    arguments += ("--workers", 1, "--device", "cpu", "--without", "kl,mmd", "--set", "dropout=0.5")
    result = cli("fit", table, *arguments)
    assert result.code == 0
    header, *lines, model_line, report_line = result.out.splitlines()
    assert header.split()[:4] == ["part", "task", "n", "roc_auc"]
    scores = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    for part, line in zip(("train", "valid", "test"), lines, strict=True):
        expected = scores[part]["alcohol"]
        assert line.split()[:3] == [part, "alcohol", str(expected["n"])]
        assert line.split()[3] == output.format_cell(expected["roc_auc"])
    assert model_line.split() == ["model", str(out)]
    assert report_line.split() == ["report", str(out / "report.html")]
    assert (out / "report.html").is_file()
    assert "44 rows, 44 usable" in result.err
    assert "alcohol: classification; dmmrl, preset robust\n" in result.err
    assert "epoch 1/1" in result.err
    info = Predictor.load(out).info()
    config, training = info["method_config"], info["record"]["training"]
    assert (config["kl"], config["mmd"], config["dropout"]) == (0, 0, 0.5)
    assert (training["epochs"], training["max_minutes"], training["balance"]) == (1, 10, False)
    assert (info["record"]["split"]["kind"], info["record"]["seed"]) == ("random", 3)


def test_the_number_of_labels_is_the_first_of_the_scores(cli, model):
    headers = [line.split() for line in cli("info", model).out.splitlines() if "roc_auc" in line]
    assert headers[0][:4] == ["part", "task", "n", "roc_auc"]


def test_fit_with_json(cli, model, table, monkeypatch, tmp_path):
    monkeypatch.setattr(Predictor, "fit", lambda self, *data, **options: Predictor.load(model))
    result = cli("fit", table, "-t", "alcohol", "-o", model, "--json")
    found = json.loads(result.out)
    assert found["model"] == str(model)
    assert found["report"] == str(model / "report.html")
    assert found["scores"] == json.loads((model / "metrics.json").read_text(encoding="utf-8"))
    assert found["record"]["split"]["kind"] == "random"


def test_fit_refuses_to_overwrite(cli, table, model):
    result = cli("fit", table, "-t", "alcohol", "-o", model)
    assert result.code == 2
    assert str(model) in result.err


def test_fit_leaves_every_default_to_the_facade(cli, table, monkeypatch):
    given = []

    def remember(self, **values):
        given.append(values)
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "__init__", remember)
    result = cli("fit", table, "-t", "alcohol", "-o", "m")
    assert given == [{"method_options": {}, "training": {}}]
    assert result.err == "interrupted; the same command with --resume goes on from here\n"
    assert result.code == 130


def test_the_loss_terms_are_those_of_the_methods():
    assert LOSS_TERMS.keys() == METHODS.keys()
    for name, terms in LOSS_TERMS.items():
        presets = METHODS[name].presets.values()
        assert all(any(getattr(preset, term) > 0 for preset in presets) for term in terms)


def test_predict_to_standard_output_keeps_rows_and_counts_rejects(cli, model, new):
    result = cli("predict", model, new)
    assert result.code == 0
    rows = rows_of(result.out)
    assert list(rows[0]) == ["id", "smiles", "alcohol_prob", "carbons_pred", "missing", "error"]
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert [bool(row["error"]) for row in rows] == [False, True, True, False]
    expected = Predictor.load(model).predict(["CCCO"])
    assert float(rows[0]["alcohol_prob"]) == pytest.approx(expected["alcohol_prob"][0], rel=1e-4)
    assert "4 rows: 2 predicted, 2 rejected" in result.err
    assert "1 rejected: parse: empty SMILES" in result.err


def test_predict_to_a_file_with_json(cli, model, new, tmp_path):
    out = tmp_path / "p.tsv"
    result = cli("predict", model, new, "-o", out, "--json", "--quiet", "--details")
    assert result.err == ""
    summary = json.loads(result.out)
    assert (summary["rows"], summary["predicted"], sum(summary["rejected"].values())) == (4, 2, 2)
    assert "weight_graph" in out.read_text(encoding="utf-8").splitlines()[0].split("\t")
    again = cli("predict", model, new, "-o", out)
    assert again.code == 2
    assert "--overwrite" in again.err
    assert cli("predict", model, new, "-o", out, "--overwrite").code == 0


def test_predict_molecules_of_the_command_line(cli, model):
    result = cli("predict", model, "--smiles", "CCCO", "--smiles", "CCCN", "-q")
    assert [row["smiles"] for row in rows_of(result.out)] == ["CCCO", "CCCN"]


def test_a_molecule_as_data(cli, model):
    result = cli("predict", model, "C(C)O", "-q")
    assert (result.code, result.out) == (2, "")
    assert result.err.rstrip().endswith("on the command line: --smiles 'C(C)O'")


def test_embed(cli, model, new, tmp_path):
    out = tmp_path / "v.parquet"
    result = cli("embed", model, new, "-o", out, "--json")
    assert json.loads(result.out)["predicted"] == 2
    assert "4 rows: 2 embedded, 2 rejected" in result.err
    vectors = pyarrow.parquet.read_table(out).column("embedding").to_pylist()
    expected = Predictor.load(model).embed(["CCCO"])[0]
    assert vectors[0] == pytest.approx(expected.tolist(), abs=1e-5)
    assert vectors[1] is None


def test_evaluate(cli, model, table):
    result = cli("evaluate", model, table)
    header, mean, *tasks = result.out.splitlines()
    assert header.split()[0] == "task"
    assert "rmse" in header.split()
    assert mean.startswith("mean")
    assert [line.split()[0] for line in tasks] == ["alcohol", "carbons"]
    found = json.loads(cli("evaluate", model, table, "--json").out)
    expected = Predictor.load(model).evaluate(table)
    assert found["scores"] == expected.scores
    assert found["rows"]["predicted"] == 44


def test_evaluate_says_how_many_rows_were_trained_on(cli, model, table, tmp_path):
    split = json.loads((model / "split.json").read_text(encoding="utf-8"))
    header, *lines = table.read_text(encoding="utf-8").splitlines()
    parts = {"seen": split["rows"]["train"], "new": split["rows"]["test"], "one": [0]}
    parts["one"] = [split["rows"]["train"][0], *split["rows"]["test"]]
    for name, rows in parts.items():
        text = "\n".join([header, *(lines[row] for row in rows), "bad,C1CC,0,1"])
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    count = len(split["rows"]["train"])
    for name, found, line in (
        ("seen", count, f"warning: {count} of {count + 1} rows were in the training part"),
        ("new", 0, "none of these molecules was in the training part"),
        ("one", 1, f"warning: 1 of {len(parts['one']) + 1} rows was in the training part"),
    ):
        result = cli("evaluate", model, f"{name}.csv", "--json")
        assert json.loads(result.out)["trained_on"] == found
        assert line in result.err


def test_evaluate_of_a_model_that_does_not_know_its_training_molecules(cli, model, table, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    result = cli("evaluate", tmp_path, table, "--json")
    assert json.loads(result.out)["trained_on"] is None
    assert "does not say which molecules it was trained on" in result.err


def test_evaluate_scores_the_targets_that_are_there(cli, model, table, tmp_path):
    text = table.read_text(encoding="utf-8").replace("alcohol", "other", 1)
    (tmp_path / "one.csv").write_text(text, encoding="utf-8")
    result = cli("evaluate", model, "one.csv")
    assert [line.split()[0] for line in result.out.splitlines()] == ["task", "carbons"]
    assert "not scored, for lack of a column: 'alcohol'" in result.err


def test_evaluate_needs_the_labels(cli, model, new):
    result = cli("evaluate", model, new)
    assert result.code == 2
    assert "'alcohol'" in result.err


def test_info(cli, model):
    text = cli("info", model).out
    assert "alcohol (classification), carbons (regression)" in text
    assert "views       graph\n" in text
    assert "width=16" in text
    assert "valid  mean" in text
    found = json.loads(cli("info", model, "--json").out)
    assert found["scores"] == json.loads((model / "metrics.json").read_text(encoding="utf-8"))
    assert found["record"]["split"]["sha256"][:16] in text


def test_info_of_a_model_without_scores(cli, model, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((model / name).read_bytes())
    result = cli("info", tmp_path)
    assert result.code == 0
    assert "part" not in result.out
    (tmp_path / "metrics.json").write_text("{", encoding="utf-8")
    assert "metrics.json: cannot be read" in cli("info", tmp_path).err


def test_check(cli, table):
    lines = table.read_text(encoding="utf-8").splitlines()
    twisted = table.parent / "twisted.csv"
    twisted.write_text("\n".join([*lines, "again,OC,0,1", "bad,C1CC,0,1"]), encoding="utf-8")
    result = cli("check", twisted, "-t", "alcohol", "--split", "random", "--seed", 1)
    assert result.code == 0
    assert result.err == ""
    counts, split, *_ = result.out.splitlines()
    assert counts == (
        "46 rows, 45 usable, 44 different molecules; rows count from 0, without the header"
    )
    assert split.startswith("split random: sizes: train 3")
    assert "(rows 0 and 44)" in result.out
    found = json.loads(cli("check", twisted, "-t", "alcohol", "--json").out)
    kinds = {finding["kind"]: finding["rows"] for finding in found["findings"]}
    assert kinds["duplicates"] == [0, 44]
    assert kinds["rejected"] == [45]
    assert found["split"] is None


def test_check_of_a_target_without_a_label_says_so_once(cli, tmp_path):
    path = tmp_path / "empty.csv"
    path.write_text(
        "smiles,y\n" + "".join(f"{'C' * n}O,\n" for n in range(1, 31)), encoding="utf-8"
    )
    found = cli("check", path, "-t", "y", "--split", "random").out
    assert "only 0 rows with both a molecule and a label" in found
    assert "split random: sizes: train 24, valid 3, test 3" in found
    assert "part empty" not in found


def test_check_says_what_becomes_of_copies_across_a_given_split(cli, table):
    first, *rows = table.read_text(encoding="utf-8").splitlines()
    path = table.parent / "parted.csv"
    parts = ["train"] * 30 + ["valid"] * 7 + ["test"] * 7
    parted = [f"{row},{part}" for row, part in zip(rows, parts, strict=True)]
    path.write_text("\n".join([f"{first},part", *parted, "again,OCC,1,2,test"]), encoding="utf-8")
    arguments = ("check", path, "-t", "alcohol", "--split-column", "part")
    result = cli(*arguments)
    line = (
        "split column: sizes: train 29, valid 7, test 8; "
        "1 row left out: an equal molecule is in valid or test (row 1)"
    )
    assert result.out.splitlines()[1] == line
    assert (
        "1 molecule in more than one row (2 rows, same canonical SMILES) (rows 1 and 44); a "
        in (result.out)
    )
    assert "one of your own loses the rows of train or valid" in result.out
    split = json.loads(cli(*arguments, "--json").out)["split"]
    assert f"split {split['kind']}: {'; '.join(split['notes'])}" == line


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("scaffold", "leaves the train part empty (train 0, valid 0, test 30; 1 scaffold; "),
        ("k-fold:1/40", "40 folds need at least 41 groups of molecules, found 30; "),
    ],
)
def test_check_goes_on_where_the_split_is_impossible(cli, tmp_path, split, said):
    path = tmp_path / "one.csv"
    rows = [f"{'C' * (number + 1)},1" for number in range(30)]
    path.write_text("\n".join(["smiles,y", *rows]), encoding="utf-8")
    result = cli("check", path, "-t", "y", "--split", split)
    assert (result.code, result.err) == (0, "")
    errors = [line for line in result.out.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "1 target with one class or value only: y (always 1)" in errors[0]
    assert said in errors[1]
    found = json.loads(cli("check", path, "-t", "y", "--split", split, "--json").out)
    assert "impossible-split" in [finding["kind"] for finding in found["findings"]]
    assert found["split"] is None


def test_check_still_refuses_a_split_that_is_written_wrongly(cli, table):
    for wrong in ("--split-column=absent", "--split=k-fold:1/1", "--split-file=absent.json"):
        assert cli("check", table, "-t", "alcohol", wrong).code == 2


def test_the_help_of_check_says_how_rows_are_numbered(cli):
    said = " ".join(cli("check", "--help").out.split())
    assert "Rows count from 0, without the header." in said


def test_check_without_targets_looks_at_structures(cli, table):
    assert cli("check", table).out == "44 rows, 44 usable, 44 different molecules\n"


def test_reasons_beyond_five_are_counted_together():
    rejected = {f"reason {number}": number for number in range(1, 9)}
    summary = PredictSummary(
        rows=1036, predicted=1000, rejected=rejected, without={"geometry": 3}, unfit=2, seconds=2.0
    )
    assert describe_rows(summary, "predicted") == [
        "1,036 rows: 1,000 predicted, 36 rejected, in 2.0 s (518 rows/s)",
        *(f"  {number} rejected: reason {number}" for number in (8, 7, 6, 5, 4)),
        "  6 rejected for other reasons: see the column error",
        "  3 predicted without geometry",
        "  2 molecules with coordinates that do not fit the structure: generated instead",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), "-"),
        (0.87654, "0.877"),
        (0.0, "0.000"),
        (0.00012, "0.00012"),
        (12345.6, "1.235e+04"),
        (12345, "12,345"),
        (True, "True"),
    ],
)
def test_cells(value, text):
    assert output.format_cell(value) == text


def test_json_has_no_nan(capsys):
    output.print_json({"a": float("nan"), "b": (1, float("inf")), "c": {2: 0.5}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1, None], "c": {"2": 0.5}}


def test_shared_options_are_defined_once():
    flags = [
        flag
        for name in ("Device", "Workers", "Overwrite", "Quiet", "Json", "SmilesColumn", "Seed")
        for flag in getattr(options, name).__metadata__[0].param_decls
    ]
    assert len(flags) == len(set(flags))
