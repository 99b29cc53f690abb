"""Readers of SDF, Parquet, DataFrames and lists; RDKit and pandas are the oracles."""

import numpy as np
import pandas
import pyarrow
import pytest
from molecule_files import problems, put, smiles
from pyarrow import parquet
from rdkit import Chem
from rdkit.Chem import AllChem

from molweave.chem.read import open_table, table_from_frame, table_from_smiles
from molweave.errors import UserError


def block(smiles_text: str, title: str = "", *, embed: bool = False, **values: str) -> str:
    mol = Chem.MolFromSmiles(smiles_text)
    if embed:
        mol = Chem.AddHs(mol)
        assert AllChem.EmbedMolecule(mol, randomSeed=7) == 0
    else:
        AllChem.Compute2DCoords(mol)
    mol.SetProp("_Name", title)
    data = "".join(f">  <{name}>\n{value}\n\n" for name, value in values.items())
    return Chem.MolToMolBlock(mol) + data + "$$$$\n"


BAD_VALENCE = Chem.MolToMolBlock(Chem.MolFromSmiles("CN(C)(C)(C)C", sanitize=False), kekulize=False)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_sdf(tmp_path, end):
    text = (
        block("CCO", "ethanol", IC50="1.50", note="two\nlines")
        + "garbage\n\n\nnonsense\nM  END\n> <IC50>\n7\n\n$$$$\n"
        + block("C", "", embed=True, other="x")
        + BAD_VALENCE
        + "$$$$\n"
        + "$$$$\n"
        + block("c1ccccc1C(=O)[O-]", "benzoate")
        + "\n\n"
    ).replace("\n", end)
    table = open_table(put(tmp_path, "a.sdf.gz", text))
    assert table.columns == ("smiles", "name", "IC50", "note", "other")
    assert table.smiles_column == "smiles"
    records = list(table)
    assert [record.row for record in records] == list(range(6))
    assert smiles(records) == ["CCO", None, "C", None, None, "O=C([O-])c1ccccc1"]
    assert records[0].values == ("CCO", "ethanol", "1.50", "two\nlines", None)
    assert records[1].values == (None, "garbage", "7", None, None)
    assert records[2].values == ("C", "", None, None, "x")
    found = problems(records)
    assert [found[row] for row in (0, 2, 5)] == [None] * 3
    assert found[1] == "unreadable SDF block: line 4 is not a V2000 or V3000 counts line"
    assert found[3] == "valence of atom 2 (N) is 5, more than allowed"
    assert found[4] == "unreadable SDF block: no 'M  END' line"
    assert records[2].mol is not None
    assert records[2].mol.GetConformer().Is3D()
    assert records[0].mol is not None
    assert not records[0].mol.GetConformer().Is3D()


def test_sdf_agrees_with_rdkit(tmp_path):
    texts = ["C[C@H](N)C(=O)O", "F/C=C/Cl", "[Na+].[Cl-]", "[2H]C", "O[C@H]1CC[C@@H](C)CC1"]
    path = tmp_path / "a.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for number, text in enumerate(texts):
            mol = Chem.AddHs(Chem.MolFromSmiles(text))
            AllChem.EmbedMolecule(mol, randomSeed=1)
            mol.SetProp("_Name", f"m{number}")
            mol.SetProp("smiles", text)
            mol.SetProp("multi", "a\nb")
            writer.write(mol)
    expected = [(mol, mol.GetPropsAsDict()) for mol in Chem.SDMolSupplier(str(path))]
    records = list(open_table(path))
    assert len(records) == len(expected)
    for record, text, (mol, values) in zip(records, texts, expected, strict=True):
        assert record.smiles == Chem.MolToSmiles(mol) == Chem.CanonSmiles(text)
        assert record.values == (Chem.CanonSmiles(text), f"m{record.row}", text, values["multi"])
        assert record.mol is not None
        np.testing.assert_allclose(
            record.mol.GetConformer().GetPositions(), mol.GetConformer().GetPositions()
        )
    by_property = list(open_table(path, smiles_column="Smiles"))
    assert smiles(by_property) == texts
    assert all(record.mol is None for record in by_property)


def test_the_structure_of_an_sdf_wins_over_a_property_called_smiles(tmp_path):
    text = block("CCO", "one", smiles="CCN", y="1") + block("CCC", "two") + BAD_VALENCE
    text += "> <smiles>\nCCCl\n\n$$$$\n"
    path = put(tmp_path, "a.sdf", text)
    table = open_table(path)
    assert table.columns == ("smiles", "name", "smiles_property", "y")
    assert [record.values for record in table] == [
        ("CCO", "one", "CCN", "1"),
        ("CCC", "two", None, None),
        (None, "", "CCCl", None),
    ]
    by_property = open_table(path, smiles_column="smiles")
    assert by_property.columns == ("name", "smiles", "y")
    assert smiles(list(by_property)) == ["CCN", None, "CCCl"]
    assert next(iter(by_property)).values == ("one", "CCN", "1")
    put(tmp_path, "b.sdf", block("CCO", smiles="CCN", smiles_property="C"))
    table = open_table(tmp_path / "b.sdf")
    assert table.columns == ("smiles", "name", "smiles_property_", "smiles_property")
    assert next(iter(table)).values == ("CCO", "", "CCN", "C")


def test_the_title_line_of_an_sdf_is_kept_beside_a_property_called_name(tmp_path):
    path = put(tmp_path, "a.sdf", block("CCO", "CID 702", name="ethanol") + block("C", "CID 297"))
    table = open_table(path)
    assert table.columns == ("smiles", "title", "name")
    assert [record.values for record in table] == [
        ("CCO", "CID 702", "ethanol"),
        ("C", "CID 297", None),
    ]
    both = block("CCO", "line", name="ethanol").replace("$$$$", ">  <title>\nproperty\n\n$$$$")
    put(tmp_path, "b.sdf", both)
    table = open_table(tmp_path / "b.sdf")
    assert table.columns == ("smiles", "title_", "name", "title")
    assert next(iter(table)).values == ("CCO", "line", "ethanol", "property")


def test_smiles_of_an_sdf_from_another_place_leave_no_empty_column(tmp_path):
    path = put(tmp_path, "a.sdf", block("CCO", "CCC", parent="CCN", y="1") + BAD_VALENCE)
    table = open_table(path, smiles_column="parent")
    assert (table.columns, table.smiles_column) == (("name", "parent", "y"), "parent")
    assert [(record.smiles, record.values) for record in table] == [
        ("CCN", ("CCC", "CCN", "1")),
        (None, ("", None, None)),
    ]
    by_title = open_table(path, smiles_column="name")
    assert smiles(list(by_title)) == ["CCC", ""]
    own = open_table(path, smiles_column="smiles")
    assert own.columns == ("smiles", "name", "parent", "y")
    assert smiles(list(own)) == ["CCO", None]


def test_sdf_v3000_and_last_block_without_end(tmp_path):
    mol = Chem.MolFromSmiles("CCO")
    text = Chem.MolToV3KMolBlock(mol) + "$$$$\n" + Chem.MolToMolBlock(mol)
    assert smiles(list(open_table(put(tmp_path, "a.sdf", text)))) == ["CCO", "CCO"]
    assert smiles(list(open_table(put(tmp_path, "a.mol", Chem.MolToMolBlock(mol))))) == ["CCO"]


def test_sdf_too_large_to_write_as_smiles(tmp_path):
    size = 2001
    atoms = "".join(f"M  V30 {atom} C {atom} 0 0 0\n" for atom in range(1, size + 1))
    bonds = "".join(f"M  V30 {bond} 1 {bond} {bond + 1}\n" for bond in range(1, size))
    chain = (
        "\n\n\n  0  0  0     0  0            999 V3000\nM  V30 BEGIN CTAB\n"
        f"M  V30 COUNTS {size} {size - 1} 0 0 0\nM  V30 BEGIN ATOM\n{atoms}M  V30 END ATOM\n"
        f"M  V30 BEGIN BOND\n{bonds}M  V30 END BOND\nM  V30 END CTAB\nM  END\n$$$$\n"
    )
    assert Chem.MolFromMolBlock(chain).GetNumAtoms() == size
    records = list(open_table(put(tmp_path, "a.sdf", chain + block("C"))))
    assert problems(records) == ["2001 atoms, more than the 2000 allowed", None]


def test_parquet(tmp_path):
    rows = 10_000
    frame = pandas.DataFrame(
        {
            "id": np.arange(rows),
            "Smiles": [
                None if number % 7 == 0 else "C" * (number % 5 + 1) for number in range(rows)
            ],
            "y": np.where(np.arange(rows) % 3 == 0, np.nan, np.arange(rows) / 8),
        }
    )
    path = tmp_path / "a.parquet"
    frame.to_parquet(path, row_group_size=3000)
    table = open_table(path)
    assert table.columns == ("id", "Smiles", "y")
    records = list(table)
    expected = parquet.read_table(path).to_pylist()
    assert [dict(zip(table.columns, r.values, strict=True)) for r in records] == expected
    assert smiles(records) == [row["Smiles"] for row in expected]
    assert [record.row for record in records] == list(range(rows))


def test_parquet_with_a_smiles_that_is_no_text(tmp_path):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"smiles": [1, None]}), path)
    records = list(open_table(path))
    assert problems(records) == ["the SMILES is not text but int 1", None]
    assert smiles(records) == [None, None]


def test_damaged_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    texts = [f"{'C' * (number % 40)}" for number in range(5000)]
    parquet.write_table(pyarrow.table({"smiles": texts}), path, compression="zstd")
    data = bytearray(path.read_bytes())
    data[10:200] = bytes(190)
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged Parquet file"):
        list(open_table(path))


def test_frame():
    frame = pandas.DataFrame(
        {
            "y": pandas.array([1, None], dtype="Int64"),
            "SMILES": ["CCO", np.nan],
            "when": [pandas.NaT, pandas.Timestamp("2020-01-01")],
            3: np.array([0.5, np.nan], dtype=np.float32),
        },
        index=[7, 7],
    )
    table = table_from_frame(frame)
    assert table.columns == ("y", "SMILES", "when", "3")
    first, second = list(table)
    assert first.values == (1, "CCO", None, 0.5)
    assert type(first.values[0]) is int
    assert type(first.values[3]) is float
    assert second.smiles is None
    assert second.problem is None
    assert second.values[0] is None
    assert {name: str(kind) for name, kind in table.types.items()} == {"y": "int64", "3": "double"}
    with pytest.raises(UserError, match="DataFrame: no SMILES column; found 'y'"):
        table_from_frame(pandas.DataFrame({"y": [1]}))
    with pytest.raises(UserError, match="duplicate column names 'a'"):
        table_from_frame(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


def test_list():
    table = table_from_smiles(["C", "", "bad"])
    assert table.columns == ("smiles",)
    assert smiles(list(table)) == smiles(list(table)) == ["C", "", "bad"]
    mol = Chem.MolFromSmiles("OCC")
    for items in ([mol], (item for item in [mol])):
        table = table_from_smiles(items)
        assert smiles(list(table)) == smiles(list(table)) == ["CCO"]
        assert [record.mol for record in table] == [mol]
    assert smiles(list(table_from_smiles(pandas.Series(["C", "CC"])))) == ["C", "CC"]
    missing = table_from_smiles([None, float("nan"), 3])
    assert smiles(list(missing)) == [None] * 3
    assert problems(list(missing)) == [None, None, "the SMILES is not text but int 3"]
    with pytest.raises(UserError, match="expected a list of SMILES, got the text 'CCO'"):
        table_from_smiles("CCO")


@pytest.mark.parametrize("kind", [pyarrow.float16(), pyarrow.float64()])
@pytest.mark.parametrize("by_atom", [False, True])
def test_coordinates_of_parquet_and_dataframe(tmp_path, kind, by_atom):
    atoms = np.arange(9.0).reshape(3, 3) / 4
    given = [atoms.tolist() if by_atom else atoms.ravel().tolist(), None]
    shape = pyarrow.list_(pyarrow.list_(kind)) if by_atom else pyarrow.list_(kind)
    columns = {"coordinates": pyarrow.array(given, shape), "smiles": ["CCO", "CCO"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    for table in (
        open_table(tmp_path / "a.parquet"),
        table_from_frame(pandas.read_parquet(tmp_path / "a.parquet")),
    ):
        assert table.columns == ("coordinates", "smiles")
        with_some, without = table
        np.testing.assert_array_equal(with_some.coordinates, atoms)
        assert with_some.coordinates.dtype == np.float64
        assert without.coordinates is None


@pytest.mark.parametrize(
    "given",
    [[1.0, 2.0], [[1.0, 2.0]] * 3, [0.0, 1.0, float("inf")], ["a", "b", "c"], [None] * 3, []],
)
def test_a_list_that_is_no_coordinates_is_one_of_no_atoms(given):
    (record,) = table_from_frame(pandas.DataFrame({"smiles": ["C"], "coordinates": [given]}))
    assert record.coordinates.shape == (0, 3)


def test_a_column_called_coordinates_may_be_anything_else():
    frame = pandas.DataFrame({"smiles": ["C", "N"], "coordinates": ["52.5 N 13.4 E", 7]})
    assert [record.coordinates for record in table_from_frame(frame)] == [None, None]
    assert [record.values[1] for record in table_from_frame(frame)] == ["52.5 N 13.4 E", 7]
