# ruff: noqa: E402 - the scripts are no package; their folder has to be on the path first
"""The benchmark scripts: the same numbers as by hand, no run twice, tables as in the files."""

import gzip
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from encoders import write_tiny
from fits import TINY

from molweave.data.moleculenet import BENCHMARK_SETS, BenchmarkSet, find_dataset
from molweave.errors import UserError
from molweave.methods.pretrained import read_encoder
from molweave.predictor import Predictor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import baselines
import make_small_splits
import moleculenet
import rows
import single
import tables

SMALL = {name: str(value) for name, value in TINY.items()}
PARTS = ["train"] * 8 + ["valid", "test"]


def known(kind: str, targets: tuple[str, ...]) -> BenchmarkSet:
    metric = {"classification": "roc_auc", "regression": "rmse"}[kind]
    return BenchmarkSet("tiny", "a test", kind, targets, metric, "random", 90, "")


def measure(folder: Path, kind: str, targets: tuple[str, ...], **options: object):
    job = single.Job(dataset="tiny", split="random0", seed=0, **options)
    return single.measure(job, known(kind, targets), folder / "tiny.csv", folder / "split.csv")


def count_fingerprints(smiles) -> np.ndarray:
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator

    morgan = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    mols = map(Chem.MolFromSmiles, smiles)
    return np.array([list(morgan.GetCountFingerprint(mol)) for mol in mols], dtype=float)


def test_forest_is_the_one_of_scikit_learn(folder, frame, monkeypatch):
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.metrics import root_mean_squared_error

    monkeypatch.setattr(baselines, "TREES", 30)
    outcome = measure(folder, "regression", ("y",), model="forest")
    inputs = count_fingerprints(frame.smiles)
    forest = RandomForestRegressor(30, max_features=1 / 3, random_state=0)
    train = frame.part == "train"
    forest.fit(inputs[train], frame.y[train])
    for part, found in (("valid", outcome.valid), ("test", outcome.test)):
        there = frame.part == part
        wanted = root_mean_squared_error(frame.y[there], forest.predict(inputs[there]))
        assert found == pytest.approx(wanted, abs=1e-9)
    assert outcome.metric == "rmse"
    assert 50 < outcome.peak_rss_mb < 20_000


def test_forest_leaves_missing_labels_out(folder, frame, monkeypatch):
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    monkeypatch.setattr(baselines, "TREES", 30)
    outcome = measure(folder, "classification", ("a", "b"), model="forest")
    inputs = count_fingerprints(frame.smiles)
    scores = []
    for task in ("a", "b"):
        measured = frame[task].notna()
        train, test = measured & (frame.part == "train"), measured & (frame.part == "test")
        forest = RandomForestClassifier(30, max_features="sqrt", random_state=0)
        guess = forest.fit(inputs[train], frame[task][train]).predict_proba(inputs[test])[:, 1]
        scores.append(roc_auc_score(frame[task][test], guess))
    assert frame.b.isna().sum() == 13
    assert outcome.test == pytest.approx(np.mean(scores), abs=1e-9)


def test_boosting_keeps_descriptors(folder, monkeypatch, tmp_path):
    pytest.importorskip("lightgbm")

    def never(mol):
        raise AssertionError("computed again")

    monkeypatch.setattr(baselines, "TREES", 20)
    monkeypatch.setattr(baselines.tempfile, "gettempdir", lambda: str(tmp_path))
    first = measure(folder, "classification", ("a", "b"), model="boosting")
    again = [(name, never) for name, _ in baselines.Descriptors.descList]
    monkeypatch.setattr(baselines.Descriptors, "descList", again)
    second = measure(folder, "classification", ("a", "b"), model="boosting")
    assert (second.valid, second.test) == (first.valid, first.test)
    assert 0.5 < first.test <= 1


def test_network_scores_are_those_of_its_predictions(folder, frame):
    common: Mapping[str, object] = {
        "preset": "small",
        "modalities": ("sequence", "graph"),
        "method_options": SMALL,
        "training": {"epochs": "1"},
    }
    outcome = measure(folder, "regression", ("y",), model="dmmrl", device="cpu", **common)
    model = Predictor(device="cpu", workers=1, **common)
    model.fit(frame.copy(), "y", split="column:part")
    for part, found in (("valid", outcome.valid), ("test", outcome.test)):
        mine = frame[frame.part == part]
        errors = model.predict(list(mine.smiles)).y_pred.to_numpy() - mine.y.to_numpy()
        assert found == pytest.approx(np.sqrt(np.mean(errors**2)), abs=1e-4)
    assert outcome.device == "cpu, 1 thread"
    assert outcome.fit_seconds > 0 < outcome.predict_seconds


def arguments(text: str):
    return moleculenet.make_parser().parse_args(shlex.split(text))


PLACES = "--data DATA --splits SPLITS --threads 1"


@pytest.mark.parametrize(
    ("seeds", "runs"),
    [
        ("", [("scaffold", 0), ("scaffold", 1), ("scaffold", 2), ("random2", 2)]),
        ("--seeds 0,5", [("scaffold", 0), ("scaffold", 5), ("random2", 0), ("random2", 5)]),
    ],
)
def test_random_splits_have_the_seed_of_their_name_unless_others_are_asked_for(seeds, runs):
    text = f"{PLACES} --datasets bbbp --split scaffold,random2 --model forest {seeds}"
    assert [(job.split, job.seed) for job in moleculenet.make_jobs(arguments(text))] == runs


@pytest.mark.parametrize(
    "text",
    [
        "--datasets bbbp,esol --split scaffold,random1 --seeds 0,2 --model boosting",
        "--datasets esol --model dmmrl --preset paper --modalities graph,sequence "
        "--set kl=0 fusion=mean --train epochs=3",
        "--datasets esol --model dmmrl --set kl=0.2 --label 'more KL'",
        "--datasets esol --split random1 --seeds 0,1 --model forest",
    ],
)
def test_the_command_of_a_row_repeats_its_run(text):
    for job in moleculenet.make_jobs(arguments(f"{PLACES} {text}")):
        words = shlex.split(moleculenet.command_of(job))
        assert words[:2] == ["python", "benchmarks/moleculenet.py"]
        again = moleculenet.make_parser().parse_args([*words[2:], "--threads", "1"])
        assert moleculenet.make_jobs(again) == [job]
        assert single.Job.from_json(job.to_json()) == job


def test_wrong_words_are_refused():
    for text, message in (
        ("--datasets bbb --model forest", "unknown data set 'bbb'"),
        ("--datasets bbbp --split random7 --model forest", "unknown split 'random7'"),
        ("--datasets bbbp --model forest --set kl=0", "forest takes neither"),
    ):
        with pytest.raises(UserError, match=message):
            moleculenet.make_jobs(arguments(f"{PLACES} {text}"))


def outcome(test: float) -> single.Outcome:
    return single.Outcome(
        metric="roc_auc",
        valid=0.5,
        test=test,
        fit_seconds=1,
        predict_seconds=1,
        peak_rss_mb=1,
        device="cpu, 1 thread",
    )


def test_splits_of_few_labels_draw_different_molecules(tmp_path):
    for folder in ("once", "again"):
        make_small_splits.write_splits(tmp_path / folder, "esol", None, 40)
    once, again = (tmp_path / folder / "esol.csv.gz" for folder in ("once", "again"))
    assert gzip.decompress(once.read_bytes()) == gzip.decompress(again.read_bytes())
    known = BENCHMARK_SETS["esol"]
    place = find_dataset("esol", None)
    drawn = []
    for column in ("random0", "random1", "random2"):
        _, table, split = single.read_set(known, place, once, column)
        assert {name: len(part) for name, part in split.parts.items()} == {
            "train": 32,
            "valid": 8,
            "test": 300,
        }
        used = np.concatenate(list(split.parts.values()))
        assert len({table.molecules[row].canonical for row in used}) == 340
        drawn.append(tuple(split.train))
    assert len(set(drawn)) == 3


def test_a_run_is_done_once(tmp_path):
    jobs = moleculenet.make_jobs(arguments(f"{PLACES} --datasets bbbp --model forest"))
    out, done = tmp_path / "new" / "out.csv", []

    def perform(job):
        if job.split == "random0" and len(done) < 6:
            raise subprocess.CalledProcessError(1, "python")
        done.append(job)
        return outcome(0.7)

    assert moleculenet.run_jobs(jobs, out, perform) == 1
    assert [job.split for job in done] == ["scaffold"] * 3 + ["random1", "random2"]
    done += [jobs[0]]
    assert moleculenet.run_jobs(jobs, out, perform) == 0
    assert [job.split for job in done[6:]] == ["random0"]
    assert moleculenet.run_jobs(jobs, out, perform) == 0
    assert len(done) == 7
    stored = rows.read_rows(out)
    assert len({rows.key_of(row) for row in stored}) == len(stored) == 6
    assert out.read_text().splitlines()[0] == ",".join(rows.COLUMNS)


def test_one_label_is_one_command(tmp_path):
    text = f"{PLACES} --datasets bbbp --split random0 --model dmmrl --label mine"
    moleculenet.run_jobs(
        moleculenet.make_jobs(arguments(text)), tmp_path / "a.csv", lambda _: outcome(0.7)
    )
    changed = moleculenet.make_jobs(arguments(f"{text} --set kl=0"))
    with pytest.raises(UserError, match="give another --label"):
        moleculenet.run_jobs(changed, tmp_path / "a.csv", lambda _: outcome(0.7))


def test_an_encoder_that_changed_under_its_name_makes_another_run(tmp_path):
    place = write_tiny(tmp_path / "tiny")
    text = f"{PLACES} --datasets bbbp --split random0 --model moleblend --from {place}"
    jobs, out = moleculenet.make_jobs(arguments(text)), tmp_path / "a.csv"
    moleculenet.run_jobs(jobs, out, lambda _: outcome(0.7))
    shutil.rmtree(place)
    write_tiny(place, half=True)
    moleculenet.run_jobs(jobs, out, lambda _: outcome(0.8))
    first, second = rows.read_rows(out)
    digits = read_encoder(place).sha256[:8]
    assert first["command"] == second["command"]
    assert second["pretrained"] == f"tiny@{digits}" != first["pretrained"]


def test_another_file_is_not_appended_to(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(SystemExit, match="its columns are other ones"):
        rows.read_rows(tmp_path / "a.csv")


def test_the_script_runs_from_the_command_line(tmp_path):
    (tmp_path / "splits").mkdir()
    lines = ["row,random0", *(f"{row},{PARTS[row % 10]}" for row in range(0, 200))]
    (tmp_path / "splits" / "esol.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    script = [sys.executable, str(ROOT / "benchmarks" / "moleculenet.py"), "--threads", "1"]
    script += ["--splits", str(tmp_path / "splits"), "--datasets", "esol", "--split", "random0"]
    script += ["--model", "forest", "--out", str(tmp_path / "out.csv")]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    (row,) = rows.read_rows(tmp_path / "out.csv")
    assert 0.5 < float(row["test"]) < 3
    assert str(tmp_path) not in row["command"]
    assert row["test"] in done.stdout
    again = subprocess.run(script, capture_output=True, text=True, check=True)
    assert again.stdout == "0 of 1 runs to do\n"


def result(method: str, preset: str, dataset: str, split: str, test: float, seed: int = 0):
    job = single.Job(model=method, label=preset, dataset=dataset, split=split, seed=seed)
    return moleculenet.make_row(job, outcome(test), encoder="none", version="0")


@pytest.fixture
def results(tmp_path):
    for seed, test in enumerate((0.90, 0.92, 0.94)):
        for file, row in (
            ("forest", result("forest", "f", "bbbp", f"random{seed}", test, seed)),
            ("forest", result("forest", "f", "esol", f"random{seed}", 1 + test, seed)),
            ("dmmrl", result("dmmrl", "small", "bbbp", f"random{seed}", test + 0.01, seed)),
        ):
            rows.append_row(tmp_path / f"moleculenet_{file}.csv", row)
    one = result("dmmrl", "small", "esol", "random0", 1.5)
    rows.append_row(tmp_path / "moleculenet_dmmrl.csv", one)
    for seed, test in enumerate((0.6, 0.7)):
        for label, change in (("small:without-kl", -0.02), ("small:full", 0)):
            row = result("dmmrl", label, "bbbp", "scaffold", test + change, seed)
            rows.append_row(tmp_path / "ablations.csv", row)
    return tmp_path


def body(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith("| ")][3:]


def test_scores_table_marks_the_best_of_those_with_enough_runs(results):
    lines = body(tables.make_tables(results)["random"])
    gaps = " | –" * 4
    tail = " | – | – |"
    assert lines == [
        f"| DMMRL, small | **0.930** ± 0.020{gaps} | 1.500 (n=1){tail}",
        f"| random forest, f | 0.920 ± 0.020{gaps} | 1.920 ± 0.020{tail}",
    ]
    assert "n = 3 runs" in tables.make_tables(results)["random"]
    assert tables.make_tables(results)["scaffold"] == "No results yet.\n"


def test_ablation_table(results):
    assert body(tables.make_tables(results)["ablation"]) == [
        "| small:full | 0.650 ± 0.071 |",
        "| small:without-kl | 0.630 ± 0.071 (−0.020) |",
    ]


def test_tables_are_written_and_checked(results, tmp_path):
    page = tmp_path / "page.md"
    frame = "before\n<!-- results:{0} -->\n{1}<!-- /results:{0} -->\nafter\n"
    page.write_text(frame.format("ablation", "old\n"))
    run = {"results": results, "pages": [page]}
    assert tables.main(["--check"], **run) == 1
    assert "old" in page.read_text()
    assert tables.main([], **run) == 0
    wanted = tables.make_tables(results)["ablation"]
    assert page.read_text() == frame.format("ablation", f"\n{wanted}\n")
    assert tables.main(["--check"], **run) == 0
    page.write_text(frame.format("wishes", ""))
    with pytest.raises(SystemExit, match="no table 'wishes'"):
        tables.main([], **run)


def test_committed_pages_show_the_committed_results():
    assert tables.main(["--check"]) == 0


def test_committed_results_are_whole():
    for path in [*tables.RESULTS.glob("moleculenet_*.csv"), tables.RESULTS / "ablations.csv"]:
        stored = rows.read_rows(path)
        assert len({rows.key_of(row) for row in stored}) == len(stored)
        for row in stored:
            assert np.isfinite([float(row["valid"]), float(row["test"])]).all()
            assert "--data DATA --splits SPLITS" in row["command"]
            assert not any(word.startswith("/") for word in shlex.split(row["command"]))


def test_gains_are_over_the_run_that_differs_in_nothing_else():
    def run(preset: str, pretrained: str, dataset: str, test: float) -> dict[str, str]:
        row = {"method": "moleblend", "preset": preset, "pretrained": pretrained}
        place = {"dataset": dataset, "split": "scaffold", "seed": "0", "metric": "any"}
        return {**row, **place, "valid": "0", "test": str(test)}

    rows = [
        run("a", "none", "bbbp", 0.70),
        run("b", "none", "bbbp", 0.60),
        run("a", "none", "esol", 1.00),
        run("a", "encoder", "bbbp", 0.73),
        run("b", "encoder", "esol", 0.92),
    ]
    first, second = [line for line in tables.gain_table(rows).splitlines() if "encoder" in line][2:]
    assert "| +3.0 points | – |" in first
    assert "| – | +8.0 % |" in second
