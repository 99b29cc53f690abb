"""The benchmark on QM9, on two hundred made-up molecules: the same numbers as by hand."""

import shlex
import sys
from pathlib import Path

import numpy as np
import pandas
import pytest
from encoders import write_tiny
from rdkit import Chem
from tiny import SIZES

from molweave.chem.standardize import Standardizer
from molweave.errors import UserError
from molweave.methods.pretrained import read_encoder
from molweave.predictor import Predictor

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import qm9
import qm9_data
import rows
import tables

HARTREE = 27.211386245988 * 1000
WRONG = (5, 77)
ENERGY = {1: -0.5, 6: -38.0, 7: -54.0, 8: -75.0}
TINY = [f"{name}={value}" for name, value in SIZES["moleblend"].items()]
SMALL = ["--train-size", "100", "--held-out", "40", "--threads", "1", "--device", "cpu"]


def invented() -> list[str]:
    ends = ("O", "N", "C#N", "C=O", "OC", "NC", "C(=O)N", "C1CC1", "c1ccco1", "C(C)(C)O")
    starts = ("C", "O=C", "N#C", "C=C", "CC(C)")
    return [f"{start}{'C' * n}{end}" for n in range(4) for start in starts for end in ends]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The two files, as the benchmark expects them."""
    folder = tmp_path_factory.mktemp("qm9")
    generator = np.random.default_rng(0)
    sizes, elements, table = [], [], []
    for smiles in invented():
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
        total = sum(map(ENERGY.__getitem__, numbers))
        sizes.append(len(numbers))
        elements += numbers
        row = dict(zip(qm9_data.UNITS, generator.normal(size=12), strict=True))
        row |= {"u0": total, "h298": total + 0.01 * generator.normal()}
        table.append({"smiles": smiles, **row})
    pandas.DataFrame(table).to_csv(folder / "qm9.csv.gz", index=False)
    status = np.zeros(len(sizes), dtype=np.uint8)
    status[list(WRONG)], status[9] = 1, 2
    np.savez(
        folder / "qm9_geometry.npz",
        n_atoms=np.array(sizes, dtype=np.int16),
        z=np.array(elements, dtype=np.uint8),
        pos=generator.normal(size=(len(elements), 3)).astype(np.float32) * 2,
        status=status,
    )
    return folder


@pytest.fixture(scope="module")
def data(folder) -> qm9_data.QM9:
    return qm9_data.read_qm9(folder / "qm9.csv.gz", folder / "qm9_geometry.npz")


def test_targets_have_the_units_of_the_literature(folder, data):
    frame = pandas.read_csv(folder / "qm9.csv.gz")
    np.testing.assert_allclose(data.targets["gap"], frame.gap * HARTREE)
    np.testing.assert_array_equal(data.targets["cv"], frame.cv)
    in_mev = {name for name, (unit, _) in qm9_data.UNITS.items() if unit == "meV"}
    assert in_mev == {"homo", "lumo", "gap", "zpve", "u0", "u298", "h298", "g298"}


def test_a_split_leaves_wrong_geometries_out_and_keeps_its_test_part(data):
    small = qm9_data.split_rows(data, train=60, held_out=40, seed=0)
    large = qm9_data.split_rows(data, train=118, held_out=40, seed=0)
    other = qm9_data.split_rows(data, train=118, held_out=40, seed=1)
    assert [len(part) for part in small.values()] == [60, 40, 40]
    for part in ("valid", "test"):
        assert set(small[part]) == set(large[part])
    assert set(small["train"]) < set(large["train"])
    assert set(other["test"]) != set(large["test"])
    assert sorted(np.concatenate(list(large.values()))) == sorted(set(range(200)) - set(WRONG))
    with pytest.raises(UserError, match="198 rows are usable, too few for 119 to train and twice"):
        qm9_data.split_rows(data, train=119, held_out=40, seed=0)


def test_the_elements_share_is_that_of_the_training_rows(folder, data):
    parts = qm9_data.split_rows(data, train=100, held_out=40, seed=0)
    table = list(qm9_data.QM9Table(data, parts, ["u0", "mu", "h298"]))
    assert len(table) == 180
    np.testing.assert_allclose([record.values[1] for record in table], 0, atol=1e-3)
    texts = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in invented()]
    counts = np.array(
        [
            [sum(atom.GetAtomicNum() == number for atom in mol.GetAtoms()) for number in ENERGY]
            for mol in texts
        ]
    )
    frame = pandas.read_csv(folder / "qm9.csv.gz")
    train = parts["train"]
    solution = np.linalg.pinv(counts[train]) @ frame.h298.to_numpy()[train]
    rest = (frame.h298 - counts @ solution) * HARTREE
    places = {smiles: row for row, smiles in enumerate(invented())}
    for record in table:
        row = places[record.smiles]
        assert record.values[3] == pytest.approx(rest[row], abs=1e-2)
        assert record.values[2] == frame.mu[row]
        assert row in parts[record.values[4]]


def test_heavy_atoms_keep_their_places(folder, data):
    with np.load(folder / "qm9_geometry.npz") as arrays:
        sizes, places = arrays["n_atoms"], arrays["pos"]
    for row, smiles in enumerate(invented()):
        heavy = Chem.MolFromSmiles(smiles).GetNumAtoms()
        first = int(sizes[:row].sum())
        np.testing.assert_array_equal(data.heavy(row), places[first : first + heavy])


def arguments(folder: Path, out: Path, *more: str) -> list[str]:
    words = ["--data", str(folder), "--geometry", str(folder), "--out", str(out), *SMALL]
    words += ["--method", "moleblend", "--preset", "small", "--set", "views=3d", *TINY]
    return [*words, "--train", "epochs=2", *more]


def test_the_errors_are_those_of_its_predictions(folder, data, tmp_path, capsys):
    out = tmp_path / "out.csv"
    words = arguments(
        folder, out, "--targets", "mu,h298", "cv", "--checkpoint", str(tmp_path / "c")
    )
    qm9.main(words)
    stored = rows.read_rows(out, qm9.COLUMNS)
    assert [(row["target"], row["unit"], row["learnt"]) for row in stored] == [
        ("mu", "D", "mu+h298"),
        ("h298", "meV", "mu+h298"),
        ("cv", "cal/(mol K)", "cv"),
    ]
    parts = qm9_data.split_rows(data, train=100, held_out=40, seed=0)
    table = qm9_data.QM9Table(data, parts, ["mu", "h298"])
    frame = pandas.DataFrame([record.values for record in table], columns=table.columns)
    frame["coordinates"] = [record.coordinates.ravel() for record in table]
    options = dict(pair.split("=") for pair in ["views=3d", *TINY])
    model = Predictor(
        method="moleblend",
        preset="small",
        method_options=options,
        training={"epochs": 2, "metric": "loss"},
        device="cpu",
        workers=1,
    ).fit(frame, ["mu", "h298"], split="column:part")
    predicted = model.predict(frame)
    for row in stored[:2]:
        for part in ("valid", "test"):
            mine = (frame.part == part).to_numpy()
            errors = predicted[f"{row['target']}_pred"][mine] - frame[row["target"]][mine]
            assert float(row[part]) == pytest.approx(errors.abs().mean(), rel=1e-3)
    shuffled = frame.assign(coordinates=[places[::-1] for places in frame.coordinates])
    assert abs(model.predict(shuffled).mu_pred - predicted.mu_pred).max() > 1e-5
    qm9.main(words)
    assert "0 of 2 fits to do" in capsys.readouterr().out
    assert len(rows.read_rows(out, qm9.COLUMNS)) == 3
    head, _, line = tables.qm9_table(out).splitlines()
    assert head.endswith("| mu (D) | h298 (meV) | cv (cal/(mol K)) |")
    shown = [float(text) for text in line.strip("| ").split(" | ")[3:]]
    assert shown == [pytest.approx(float(row["test"]), rel=1e-3) for row in stored]


def test_a_fit_from_an_encoder_says_from_which(folder, tmp_path):
    encoder = write_tiny(tmp_path / "tiny")
    places = ["--data", str(folder), "--geometry", str(folder), "--out", str(tmp_path / "out.csv")]
    words = ["--from", str(encoder), "--set", "views=both", "--train", "epochs=1"]
    qm9.main([*places, *SMALL, *words, "--targets", "g298"])
    (row,) = rows.read_rows(tmp_path / "out.csv", qm9.COLUMNS)
    assert (row["method"], row["preset"]) == ("moleblend", "small, views=both, epochs=1")
    named = f"tiny@{read_encoder(encoder).sha256[:8]}"
    assert (row["pretrained"], row["target"], row["epochs"]) == (named, "g298", "1")
    assert float(row["test"]) > 0
    assert "--from tiny --set views=both --train epochs=1" in row["command"]
    assert "--method" not in row["command"]


def test_the_command_of_a_row_repeats_its_fit(folder, tmp_path):
    parser = qm9.make_parser()
    for more in (["--label", "two words"], ["--seed", "3", "--freeze"]):
        words = arguments(folder, tmp_path / "out.csv", "--targets", "mu,cv", *more)
        asked = parser.parse_args(words)
        command = qm9.command_of(asked, ("mu", "cv"))
        assert str(tmp_path) not in command
        again = parser.parse_args(shlex.split(command)[2:])
        assert qm9.command_of(again, ("mu", "cv")) == command
        for name in ("seed", "train_size", "held_out", "set", "train", "targets", "freeze"):
            assert getattr(again, name) == getattr(asked, name)


def test_mistakes_are_one_line(folder, tmp_path):
    for more, message in (
        (["--targets", "mu,homa"], "unknown target 'homa'"),
        (["--train-size", "1000"], "too few for 1000 to train"),
        (["--data", str(tmp_path)], "there is no such file"),
    ):
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            qm9.main(arguments(folder, tmp_path / "out.csv", *more))


def test_every_molecule_is_read(data):
    parts = {"train": np.flatnonzero(data.usable)}
    standardizer = Standardizer()
    for record in qm9_data.QM9Table(data, parts, ["mu"]):
        molecule = standardizer(record)
        assert molecule.coordinates is not None
        assert not molecule.unfit
