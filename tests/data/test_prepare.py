import csv
import gzip
import hashlib
import json
import os
from pathlib import Path

import corpora
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molweave.data import prepare as prepare_module
from molweave.data.prepare import PrepareSettings, prepare
from molweave.errors import UserError

NONE = PrepareSettings(conformers="none", shard_size=4, valid_share=0)
LACTAM = "C[C@H](O)C(=O)N1CC[C@@H]1C#N"


def rejects_of(folder):
    with (folder / "rejects.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def shards(tmp_path):
    return tmp_path / "shards"


@pytest.fixture
def smi(tmp_path):
    """Write SMILES into a file."""

    def write(*smiles, name="corpus.smi"):
        path = tmp_path / name
        path.write_text("\n".join(smiles) + "\n", encoding="utf-8")
        return path

    return write


def embedded(smiles: str, seed: int = 1) -> Chem.Mol:
    """A molecule with coordinates and without hydrogens, its atoms in an order of chance."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(mol, randomSeed=seed)
    mol = Chem.RemoveHs(mol)
    order = np.random.default_rng(seed).permutation(mol.GetNumAtoms())
    return Chem.RenumberAtoms(mol, order.tolist())


def distances(points) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def points_of(row) -> np.ndarray:
    return np.array(row["coordinates"], dtype=np.float64).reshape(-1, 3)


def assert_same_shape(row, mol):
    """The coordinates of the row are those of ``mol``, atom by atom, about their centroid."""
    points = points_of(row)
    assert np.abs(points.mean(axis=0)).max() < 0.01
    expected = distances(mol.GetConformer().GetPositions())
    matches = mol.GetSubstructMatches(Chem.MolFromSmiles(row["smiles"]), uniquify=False)
    errors = [np.abs(expected[np.ix_(match, match)] - distances(points)).max() for match in matches]
    assert min(errors) < 0.02


def test_every_row_is_in_a_shard_or_among_the_rejects(smi, shards):
    corpus = smi("CCO", "C1CC", "OCC", "CCN name", "*C", "CCCl", "CCBr", "C(C", "CCF", "CCI")
    result = prepare(corpus, shards, settings=NONE)
    rows = corpora.rows_of(shards, "train")
    assert [row["smiles"] for row in rows] == ["CCO", "CCN", "CCCl", "CCBr", "CCF", "CCI"]
    assert {row["source"] for row in rows} == {"corpus.smi"}
    assert {row["coordinates"] for row in rows} == {None}
    rejects = rejects_of(shards)
    found = [(row["source"], row["row"], row["stage"]) for row in rejects]
    stages = {"1": "parse", "2": "duplicate", "4": "standardize", "7": "parse"}
    assert found == [("corpus.smi", row, stage) for row, stage in stages.items()]
    manifest = corpora.manifest_of(shards)
    assert manifest["rows"] == 10
    assert manifest["molecules"] == {"train": 6, "valid": 0}
    assert sum(manifest["rejected"].values()) == 4
    assert manifest["rejected"]["duplicate: the same molecule as an earlier row"] == 1
    assert manifest["coordinates"] == {"none": 6}
    assert json.loads(json.dumps(result.manifest.to_json())) == manifest
    assert [shard["rows"] for shard in manifest["shards"]] == [4, 2]
    on_disk = corpora.contents(shards)
    assert {shard["file"]: shard["sha256"] for shard in manifest["shards"]}.items() <= (
        on_disk.items()
    )
    assert on_disk.keys() - {shard["file"] for shard in manifest["shards"]} == {
        "manifest.json",
        "rejects.csv",
    }


def test_equal_mistakes_are_counted_together(smi, shards):
    prepare(smi("C", "CC(C)(C)(C)C", "NCC(C)(C)(C)C", "C(F)(F)(F)(F)F"), shards, settings=NONE)
    counts = corpora.manifest_of(shards)["rejected"]
    assert list(counts.values()) == [3]


def test_the_schema_tells_the_settings(smi, shards):
    prepare(smi("CCO"), shards, settings=NONE)
    schema = pyarrow.parquet.read_schema(shards / "train-00000.parquet")
    assert schema.names == ["smiles", "coordinates", "source"]
    assert schema.field("coordinates").type == pyarrow.list_(pyarrow.float16())
    settings = json.loads(schema.metadata[b"settings"])
    assert settings == corpora.manifest_of(shards)["settings"]
    assert settings["shard_size"] == 4
    assert settings["standardizer"] == "default-1"


def test_excluded_molecules_are_recognised_in_every_form(smi, shards, tmp_path):
    first = tmp_path / "first.csv"
    first.write_text("id,smiles\n1,C[C@H](N)C(=O)O\n2,no molecule\n", encoding="utf-8")
    second = smi("Cl.CCCCN", name="second.smi")
    corpus = smi(
        "C[C@@H](N)C(=O)O",
        "C[C@H]([NH3+])C(=O)[O-]",
        "CC(N)C(=O)[O-].[Na+]",
        "CCCCN",
        "CCCCN.Br",
        "NCC(C)C",
        "CC(N)C(N)=O",
    )
    prepare(corpus, shards, exclude=[first, second], settings=NONE)
    assert corpora.smiles_of(shards) == ["CC(C)CN", "CC(N)C(N)=O"]
    counts = corpora.manifest_of(shards)["rejected"]
    assert counts == {
        "exclude: the molecule is in first.csv": 3,
        "exclude: the molecule is in second.smi": 2,
    }


def test_coordinates_of_an_sdf_go_with_their_atoms(shards, tmp_path):
    mols = [embedded(LACTAM), embedded("O=C(CCl)c1cc(F)ccn1")]
    corpus = tmp_path / "corpus.sdf"
    with Chem.SDWriter(str(corpus)) as writer:
        for mol in mols:
            writer.write(mol)
    prepare(corpus, shards, settings=PrepareSettings(valid_share=0))
    rows = corpora.rows_of(shards, "train")
    for row, mol in zip(rows, mols, strict=True):
        assert row["smiles"] == Chem.MolToSmiles(mol)
        assert_same_shape(row, mol)
    manifest = corpora.manifest_of(shards)
    assert manifest["coordinates"] == {"input": 2}
    assert manifest["shards"][0]["with_coordinates"] == 2


@pytest.mark.parametrize("kind", [pyarrow.float16(), pyarrow.float32()])
def test_coordinates_of_a_parquet_file_go_with_their_atoms(shards, tmp_path, kind):
    mols = [embedded(LACTAM, seed) for seed in (2, 3)]
    mols.append(embedded("[H]/N=C(/C)CCO", 4))
    smiles, points = [], []
    for mol in mols:
        smiles.append(Chem.MolToSmiles(mol, canonical=False))
        order = list(mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
        positions = mol.GetConformer().GetPositions()[order]
        points.append((positions - positions.mean(axis=0)).reshape(-1))
    assert smiles[0] != smiles[1]
    points = [point.astype(kind.to_pandas_dtype()) for point in points]
    table = {"smiles": smiles, "coordinates": pyarrow.array(points, pyarrow.list_(kind))}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "corpus.parquet")
    prepare(tmp_path / "corpus.parquet", shards, settings=PrepareSettings(valid_share=0))
    lactam, imine = corpora.rows_of(shards, "train")
    assert_same_shape(lactam, mols[0])
    assert_same_shape(imine, mols[2])
    assert corpora.manifest_of(shards)["coordinates"] == {"input": 2}


def test_what_the_input_lacks_or_has_wrong_is_generated(shards, tmp_path):
    water, nan = [0.0, 0.0, 0.0], [float("nan")] * 9
    alike, far = [1.0] * 9, [0.0, 0, 0, 1e6, 0, 0, 2, 1, 0]
    table = {"smiles": ["O", "CCO", "CCN", "CCC", "CCS", "CCF", "C1C"]}
    table["coordinates"] = [water, nan, [1.0] * 6, None, alike, far, [1.0] * 6]
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "corpus.parquet")
    settings = PrepareSettings(valid_share=0)
    prepare(tmp_path / "corpus.parquet", shards, settings=settings, workers=1)
    manifest = corpora.manifest_of(shards)
    assert manifest["coordinates"] == {"etkdg+mmff94": 5, "input": 1}
    assert manifest["unusable"] == 4
    rows = corpora.rows_of(shards, "train")
    assert rows[0]["coordinates"] == water
    for row in rows[1:]:
        bonds = distances(points_of(row))[[0, 1], [1, 2]]
        assert ((bonds > 1.3) & (bonds < 1.9)).all()


def test_generate_passes_over_what_is_given_and_a_failure_is_null(shards, tmp_path):
    table = {"smiles": ["CC", "C" * 201], "coordinates": [[0.0, 0, 0, 9, 0, 0], [0.0] * 603]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "corpus.parquet")
    settings = PrepareSettings(conformers="generate", valid_share=0)
    prepare(tmp_path / "corpus.parquet", shards, settings=settings, workers=1)
    short, long = corpora.rows_of(shards, "train")
    assert distances(points_of(short))[0, 1] == pytest.approx(1.51, abs=0.03)
    assert long["coordinates"] is None
    assert corpora.manifest_of(shards)["coordinates"] == {
        "etkdg+mmff94": 1,
        "failed: … atoms, more than max_atoms = …": 1,
    }


def test_a_folder_is_read_by_name_and_each_row_says_from_where(smi, shards, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    smi("CCO", "CCN", name="corpus/b.smi")
    (folder / "a.csv").write_text('id,smiles\n"x\ny",CCC\n2,CCO\n', encoding="utf-8")
    (folder / "LICENCE").write_text("free", encoding="utf-8")
    (folder / ".hidden.smi").write_text("CCCC\n", encoding="utf-8")
    (folder / "gone.smi").symlink_to(tmp_path / "nowhere.smi")
    assert prepare(folder, shards, settings=NONE).unread == ("LICENCE", "gone.smi")
    assert prepare(folder, shards, settings=NONE).unread == ("LICENCE", "gone.smi")
    for _ in range(2):
        inside = prepare(folder, folder / "shards", settings=NONE)
        assert inside.unread == ("LICENCE", "gone.smi")
    assert prepare(folder / "a.csv", tmp_path / "one", settings=NONE).unread == ()
    rows = [(row["smiles"], row["source"]) for row in corpora.rows_of(shards, "train")]
    assert rows == [("CCC", "a.csv"), ("CCO", "a.csv"), ("CCN", "b.smi")]
    assert [(row["source"], row["row"]) for row in rejects_of(shards)] == [("b.smi", "0")]
    assert [file["name"] for file in corpora.manifest_of(shards)["corpus"]] == ["a.csv", "b.smi"]


def test_a_molecule_is_held_out_wherever_it_occurs(smi, tmp_path):
    names = [corpora.chain(number) + end for number in range(60) for end in ("O", "N", "F")]
    settings = PrepareSettings(conformers="none", shard_size=50, valid_share=0.25)
    for name, smiles in (("one", names), ("two", names[::-2])):
        prepare(smi(*smiles, name=f"{name}.smi"), tmp_path / name, settings=settings)
    sides = [
        {part: {row["smiles"] for row in corpora.rows_of(tmp_path / name, part)} for part in parts}
        for name, parts in (("one", ("train", "valid")), ("two", ("train", "valid")))
    ]
    assert sides[1]["valid"] == sides[0]["valid"] & (sides[1]["valid"] | sides[1]["train"])
    for side in sides:
        for smiles in side["valid"] | side["train"]:
            number = int(hashlib.sha256(smiles.encode()).hexdigest()[:16], 16)
            assert (smiles in side["valid"]) == (number / 2**64 < 0.25)
    assert 25 < len(sides[0]["valid"]) < 65


def test_progress_reaches_the_end(smi, shards):
    seen = []
    corpus = smi(*map(corpora.chain, range(10)))
    prepare(corpus, shards, settings=NONE, progress=lambda *pair: seen.append(pair))
    assert seen == [(4, 10), (8, 10), (10, 10), (10, 10)]


def test_a_complete_corpus_is_left_alone(smi, shards, monkeypatch):
    corpus = smi("CCO", "CCN")
    first = prepare(corpus, shards, settings=NONE)
    before = corpora.contents(shards)
    monkeypatch.setattr(prepare_module, "read_draft", None)
    again = prepare(corpus, shards, settings=NONE)
    assert again.manifest == first.manifest
    assert (first.resumed, again.resumed) == (0, 2)
    assert corpora.contents(shards) == before


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PAR1")])
def test_a_complete_corpus_that_lost_a_shard_is_not_left_alone(smi, shards, damage):
    corpus = smi(*map(corpora.chain, range(10)))
    prepare(corpus, shards, settings=NONE)
    before = corpora.contents(shards)
    damage(min(shards.glob("train-*.parquet")))
    with pytest.raises(UserError, match=r"train-00000\.parquet.*--overwrite"):
        prepare(corpus, shards, settings=NONE)
    prepare(corpus, shards, settings=NONE, overwrite=True)
    assert corpora.contents(shards) == before


def test_a_corpus_stays_where_the_new_one_cannot_be_read(smi, shards, tmp_path):
    prepare(smi("CCO", "CCN"), shards, settings=NONE)
    before = corpora.contents(shards)
    (tmp_path / "t.csv").write_text("smiles,x\nCCO,1\n", encoding="utf-8")
    (tmp_path / "cut.smi.gz").write_bytes(gzip.compress(b"CCO\n" * 999)[:30])
    for name, column in (("t.csv", "absent"), ("cut.smi.gz", None)):
        with pytest.raises(UserError):
            prepare(tmp_path / name, shards, smiles_column=column, settings=NONE, overwrite=True)
    assert corpora.contents(shards) == before


def test_a_changed_corpus_or_setting_is_refused_by_name(smi, shards, tmp_path):
    corpus, test = smi("CCO", "CCN"), smi("CCC", name="test.smi")
    prepare(corpus, shards, exclude=[test], settings=NONE)
    before = corpora.contents(shards)
    smaller = PrepareSettings(conformers="none", shard_size=3, valid_share=0)
    with pytest.raises(UserError, match=r"shard_size was 4, is 3; choose.*--overwrite"):
        prepare(corpus, shards, exclude=[test], settings=smaller)
    with pytest.raises(UserError, match=r"excluded file test\.smi is no longer given"):
        prepare(corpus, shards, settings=NONE)
    with pytest.raises(UserError, match=r"corpus file other\.smi is new"):
        prepare(smi("CCO", "CCN", name="other.smi"), shards, exclude=[test], settings=NONE)
    smi("CCO", "CCF")
    with pytest.raises(UserError, match=r"corpus file corpus\.smi has changed"):
        prepare(corpus, shards, exclude=[test], settings=NONE)
    assert corpora.contents(shards) == before
    prepare(corpus, shards, settings=NONE, overwrite=True)
    assert corpora.smiles_of(shards) == ["CCF", "CCO"]


def test_overwriting_leaves_nothing_of_the_old_corpus(smi, shards, tmp_path):
    prepare(smi(*map(corpora.chain, range(20))), shards, settings=NONE)
    corpus = smi("CCO", name="new.smi")
    prepare(corpus, shards, settings=NONE, overwrite=True)
    prepare(corpus, tmp_path / "fresh", settings=NONE)
    assert corpora.contents(shards) == corpora.contents(tmp_path / "fresh")


def test_a_folder_with_other_files_is_never_touched(smi, shards):
    shards.mkdir()
    (shards / "thesis.txt").write_text("mine", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(UserError, match="holds other files"):
            prepare(smi("CCO"), shards, settings=NONE, overwrite=overwrite)
    assert [path.name for path in shards.iterdir()] == ["thesis.txt"]
    with pytest.raises(UserError, match="is a file"):
        prepare(smi("CCO"), shards / "thesis.txt", settings=NONE)
    (shards / "manifest.json").write_text('{"name": "my page"}', encoding="utf-8")
    with pytest.raises(UserError, match=r"manifest\.json: damaged .*another folder"):
        prepare(smi("CCO"), shards, settings=NONE, overwrite=True)
    assert len(list(shards.iterdir())) == 2


def test_inputs_that_are_none(smi, shards, tmp_path):
    with pytest.raises(UserError, match="a pipe could not be read again"):
        prepare("-", shards)
    os.mkfifo(tmp_path / "pipe.smi")
    with pytest.raises(UserError, match="a pipe could not be read again"):
        prepare(tmp_path / "pipe.smi", shards)
    with pytest.raises(UserError, match=r"none\.smi: cannot be read: No such file"):
        prepare(tmp_path / "none.smi", shards)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no table of molecules in this folder"):
        prepare(tmp_path / "empty", shards)
    with pytest.raises(UserError, match=r"gone\.csv: cannot be read"):
        prepare(smi("CCO"), shards, exclude=[tmp_path / "gone.csv"])
    (tmp_path / "blank.csv").write_text("")
    with pytest.raises(UserError, match="the input is empty"):
        prepare(tmp_path / "blank.csv", shards)
    (tmp_path / "head.csv").write_text("smiles\n")
    with pytest.raises(UserError, match="no molecule to write; it has no rows"):
        prepare(tmp_path / "head.csv", shards)
    assert not shards.exists()
    with pytest.raises(UserError, match=r"no molecule is left; see .*rejects\.csv"):
        prepare(smi("C1CC", "C(C"), shards, settings=NONE)
    assert len(rejects_of(shards)) == 2


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"conformers": "guess"}, "conformers is one of input, generate, none; found 'guess'"),
        ({"shard_size": 0}, "shard_size is 0: use 1 or more"),
        ({"valid_share": 1.0}, r"validation share is 1\.0"),
    ],
)
def test_settings_that_make_no_sense(setting, message):
    with pytest.raises(UserError, match=message):
        PrepareSettings(**setting)
