"""Readers of text: every row gives one record, in order; the csv module is the oracle."""

import csv
import gzip
import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from molecule_files import problems, put, smiles

from molweave.chem.columns import find_smiles_column
from molweave.chem.read import open_table
from molweave.errors import UserError


@pytest.mark.parametrize("name", ["a.csv", "a.CSV", "a.csv.gz", "a.tsv", "a.txt", "a.tsv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_delimited_text(tmp_path, name, end, mark):
    lines = ["id,SMILES,y", "1,CCO,0.50", "2,,", '3,"C,C",x']
    text = mark + end.join(lines) + end
    if "csv" not in name.lower():
        text = text.replace('"C,C"', "C;C").replace(",", "\t").replace("C;C", "C,C")
    table = open_table(put(tmp_path, name, text))
    assert table.columns == ("id", "SMILES", "y")
    assert table.smiles_column == "SMILES"
    records = list(table)
    assert [record.row for record in records] == [0, 1, 2]
    assert [record.values for record in records] == [
        ("1", "CCO", "0.50"),
        ("2", "", ""),
        ("3", "C,C", "x"),
    ]
    assert smiles(records) == ["CCO", "", "C,C"]
    assert list(table) == records, "a table can be iterated again"


def test_ragged_and_empty_rows_keep_their_places(tmp_path):
    text = "smiles,y\nCCO,1\nC\n\nCC,2,3\n   \nCCC,4\n\n \n\n"
    records = list(open_table(put(tmp_path, "a.csv", text)))
    assert [record.row for record in records] == list(range(6))
    assert problems(records) == [
        None,
        "1 fields where the header has 2",
        "empty line",
        "3 fields where the header has 2",
        "empty line",
        None,
    ]
    assert [record.values for record in records] == [
        ("CCO", "1"),
        ("C", ""),
        ("", ""),
        ("CC", "2"),
        ("", ""),
        ("CCC", "4"),
    ]


def test_quoted_fields_may_hold_line_ends_and_quotes(tmp_path):
    text = 'name,smiles\r\n"two\r\nlines ""quoted""",C\r\nb,CC'
    records = list(open_table(put(tmp_path, "a.csv", text)))
    assert records[0].values == ('two\r\nlines "quoted"', "C")
    assert records[1].values == ("b", "CC")
    assert len(records) == 2


def test_quote_that_is_never_closed_is_an_error(tmp_path):
    table = open_table(put(tmp_path, "a.csv", 'smiles,name\nC,a\nCC,"b\nCCC,c\n'))
    rows = iter(table)
    assert next(rows).values == ("C", "a")
    with pytest.raises(UserError, match=r"a\.csv: line 3: a quote .* never closed"):
        next(rows)


def test_huge_field(tmp_path):
    csv.field_size_limit(1000)
    long = "C" * 200_000
    records = list(open_table(put(tmp_path, "a.csv", f"smiles,y\nC,{long}\nCC,1\n")))
    assert records[0].values == ("C", long)
    assert records[1].values == ("CC", "1")


@pytest.mark.parametrize("mark", [";", "\t"])
def test_csv_with_another_delimiter(tmp_path, mark):
    table = open_table(put(tmp_path, "a.csv", f"smiles{mark}y\nCC{mark}0,5\n"))
    assert table.columns == ("smiles", "y")
    assert next(iter(table)).values == ("CC", "0,5")


@pytest.mark.parametrize(
    ("name", "header", "row", "columns"),
    [
        ("a.csv", "smiles;y,z", "CCO;1,5", ("smiles", "y,z")),
        ("a.csv", "IC50, nM\tsmiles", "1,5\tCCO", ("IC50, nM", "smiles")),
        ("a.tsv", "a\tb,smiles", "1\t2,CCO", ("a\tb", "smiles")),
        ("a.csv", 'smiles,"y;z"', "CCO,1", ("smiles", "y;z")),
    ],
)
def test_the_delimiter_is_the_one_that_makes_a_smiles_column(tmp_path, name, header, row, columns):
    table = open_table(put(tmp_path, name, f"{header}\n{row}\n"))
    assert table.columns == columns
    assert smiles(table) == ["CCO"]
    named = open_table(put(tmp_path, name, f"{header}\n{row}\n"), smiles_column="smiles")
    assert named.columns == columns


@pytest.mark.parametrize(
    ("line", "mark"), [("sep=;", ";"), ('"sep=|"\r', "|"), ("SEP=\t", "\t"), ("\nsep=,", ",")]
)
def test_a_line_above_the_header_names_the_delimiter(tmp_path, line, mark):
    text = f"{line}\nid{mark}smiles\n\n7{mark}CCO\n"
    table = open_table(put(tmp_path, "a.csv", text))
    assert table.columns == ("id", "smiles")
    assert [record.values for record in table] == [("", ""), ("7", "CCO")]
    assert [record.row for record in table] == [0, 1]


def test_a_delimiter_without_a_header(tmp_path):
    with pytest.raises(UserError, match="no header below the line 'sep=;'"):
        open_table(put(tmp_path, "a.csv", "sep=;\n"))


def test_header_only_has_no_rows(tmp_path):
    assert list(open_table(put(tmp_path, "a.csv", "smiles,y"))) == []
    assert list(open_table(put(tmp_path, "b.csv", "\nsmiles,y\n\n\n"))) == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "a.csv: the input is empty"),
        ("a.csv.gz", "", "a.csv.gz: the input is empty"),
        ("a.sdf", "", "a.sdf: the input is empty"),
        ("a.sdf", "\n\n", "a.sdf: the file is empty"),
        ("a.smi", "", "a.smi: the input is empty"),
        ("a.parquet", "", "a.parquet: the input is empty"),
        ("a.csv", "\n \n", "a.csv: the file is empty"),
        ("a.csv", "smiles,y,Y,y\nC,1,2,3\n", "duplicate column names 'y'"),
        ("a.csv", "structur,y\nC,1\n", "no SMILES column; found 'structur', 'y'; name it with"),
        ("a.csv", "CC(=O)O,1\nC,2\n", "the first line holds data"),
        ("a.xlsx", "smiles\nC\n", "unknown file type '.xlsx'"),
        ("a", "smiles\nC\n", "unknown file type"),
        ("a.parquet", "smiles\nC\n", "not a readable Parquet file"),
        ("a.parquet.gz", "smiles\nC\n", "not a readable Parquet file"),
        ("a.csv", "smiles\nC\n".encode("utf-16-le"), "holds NUL bytes, as UTF-16 and binary"),
    ],
)
def test_unusable_files(tmp_path, name, content, message):
    path = put(tmp_path, name, content)
    with pytest.raises(UserError) as error:
        open_table(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_utf16_is_named(tmp_path):
    path = put(tmp_path, "a.csv", "smiles\nC\n".encode("utf-16"))
    with pytest.raises(UserError, match="the text is UTF-16; save it as UTF-8"):
        open_table(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(UserError, match="is a folder"):
        open_table(tmp_path)
    with pytest.raises(UserError, match="unknown input format 'xml'; use one of csv"):
        open_table(tmp_path / "a.csv", format="xml")


def test_not_utf8_names_the_line(tmp_path):
    rows = ["smiles,name", *["C,x"] * 40_000, "C,caf\xe9", "C,x"]
    path = put(tmp_path, "a.csv", "\n".join(rows).encode("latin-1"))
    with pytest.raises(UserError, match=r"line 40002 is not UTF-8 \(byte 0xe9 at position 6\)"):
        list(open_table(path))


def test_gzip_is_told_by_content(tmp_path):
    plain = tmp_path / "a.csv.gz"
    plain.write_text("smiles\nC\n")
    with pytest.raises(UserError, match="not a gzip file"):
        open_table(plain)
    zipped = tmp_path / "b.csv"
    zipped.write_bytes(gzip.compress(b"smiles\nC\n"))
    assert smiles(list(open_table(zipped))) == ["C"]


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_damaged_gzip(tmp_path, damage):
    rng = np.random.default_rng(0)
    text = "smiles,y\n" + "".join(f"C,{number}\n" for number in rng.random(20_000))
    data = bytearray(gzip.compress(text.encode()))
    if damage == "cut":
        data = data[: len(data) // 2]
    else:
        data[-6] ^= 0xFF
    path = tmp_path / "a.csv.gz"
    path.write_bytes(data)
    with pytest.raises(UserError, match="gzip data is cut short or damaged"):
        list(open_table(path))


def test_smiles_column_rules(tmp_path):
    path = put(tmp_path, "a.csv", "Drug,mol,Smi,my_smiles\nC,CC,CCC,CCCC\n")
    assert open_table(path).smiles_column == "Smi"
    assert open_table(path, smiles_column="DRUG").smiles_column == "Drug"
    assert smiles(list(open_table(path, smiles_column="my_smiles"))) == ["CCCC"]
    with pytest.raises(UserError, match=r"no column 'my_smile'; found 'Drug', .*mean 'my_smiles'"):
        open_table(path, smiles_column="my_smile")
    assert find_smiles_column(["SMILES", "smiles"], "smiles", "x") == "smiles"
    assert find_smiles_column([" Smiles "], None, "x") == " Smiles "
    with pytest.raises(UserError, match="and 30 more"):
        find_smiles_column([f"c{number}" for number in range(50)], None, "x")


def test_smi(tmp_path):
    text = "smiles name\nCCO ethanol (dry)\n\nC\tmethane\nCC\nC1CC |$a$| b c\n\n"
    table = open_table(put(tmp_path, "a.smi.gz", text))
    assert table.columns == ("smiles", "name")
    records = list(table)
    assert [record.row for record in records] == list(range(5))
    assert [record.values for record in records] == [
        ("CCO", "ethanol (dry)"),
        ("", ""),
        ("C", "methane"),
        ("CC", ""),
        ("C1CC |$a$|", "b c"),
    ]
    assert problems(records) == [None, "empty line", None, None, None]


def test_a_blank_in_the_name_of_the_smiles_column_is_an_underscore(tmp_path):
    path = put(tmp_path, "a.csv", "Drug,Canonical SMILES\naspirin,CCO\n")
    assert open_table(path).smiles_column == "Canonical SMILES"
    assert open_table(path, smiles_column="canonical_smiles").smiles_column == "Canonical SMILES"


def test_columns_without_a_name_are_told_apart_by_their_place(tmp_path):
    table = open_table(put(tmp_path, "a.csv", "smiles,y,, \nCCO,1,,\nC,2,a,b\n"))
    assert table.columns == ("smiles", "y", "Unnamed: 2", "Unnamed: 3")
    assert [record.values for record in table] == [("CCO", "1", "", ""), ("C", "2", "a", "b")]
    assert open_table(put(tmp_path, "b.csv", ",smiles\n0,CCO\n")).columns == ("", "smiles")
    with pytest.raises(UserError, match="duplicate column names 'Unnamed: 1'"):
        open_table(put(tmp_path, "c.csv", "smiles,,Unnamed: 1,\nCCO,1,2,3\n"))


def test_the_header_of_a_smiles_file_names_its_columns(tmp_path):
    text = "SMILES ID pIC50 remark\nCCO e1 5.5 dry as  dust\nC1CC |$a$| e2 6\n\nC\n"
    table = open_table(put(tmp_path, "a.smi", text))
    assert (table.columns, table.smiles_column) == (("SMILES", "ID", "pIC50", "remark"), "SMILES")
    assert [record.values for record in table] == [
        ("CCO", "e1", "5.5", "dry as  dust"),
        ("C1CC |$a$|", "e2", "6", ""),
        ("",) * 4,
        ("C", "", "", ""),
    ]
    table = open_table(put(tmp_path, "b.smi", "smi\n\nCCO a b\n"))
    assert table.columns == ("smi", "name")
    assert [record.values for record in table] == [("", ""), ("CCO", "a b")]
    with pytest.raises(UserError, match="duplicate column names 'y'"):
        open_table(put(tmp_path, "c.smi", "smiles y y\nCCO 1 2\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_tabs_in_the_header_of_a_smiles_file_separate_its_columns(tmp_path, end):
    lines = ["smiles\tcompound id\ty", "CCO\t\t5.5", "\tnone\t1", "C1CC |$a$|\ta b\t1\t2", "C", ""]
    table = open_table(put(tmp_path, "a.smi", end.join(lines)))
    assert table.columns == ("smiles", "compound id", "y")
    assert [record.values for record in table] == [
        ("CCO", "", "5.5"),
        ("", "none", "1"),
        ("C1CC |$a$|", "a b", "1\t2"),
        ("C", "", ""),
    ]
    assert smiles(table) == ["CCO", "", "C1CC |$a$|", "C"]


def test_a_smiles_file_may_mix_tabs_and_blanks(tmp_path):
    text = "smiles\tname\nCCO ethanol\nCCN\tan amine\nCCC x\ty\nC1CC |$a$| b\nC\n"
    assert [record.values for record in open_table(put(tmp_path, "a.smi", text))] == [
        ("CCO", "ethanol"),
        ("CCN", "an amine"),
        ("CCC", "x\ty"),
        ("C1CC |$a$|", "b"),
        ("C", ""),
    ]
    table = open_table(put(tmp_path, "b.smi", "smiles ID\tname\nCCO x\ty\n"))
    assert table.columns == ("smiles", "ID", "name")
    assert next(iter(table)).values == ("CCO", "x", "y")


def test_a_header_of_a_smiles_file_may_have_commas(tmp_path):
    table = open_table(put(tmp_path, "a.smi", "SMILES name, from the ELN\nCCO ethanol\n"))
    assert table.columns == ("SMILES", "name,", "from", "the", "ELN")
    assert smiles(table) == ["CCO"]


def test_a_header_that_is_longer_than_fields_may_be_at_first(tmp_path):
    names = ";".join(f"descriptor {number}" for number in range(20_000))
    put(tmp_path, "a.csv", f"smiles;a,b;{names}\n")
    code = (
        "import sys; from molweave.chem.read import open_table; "
        "print(len(open_table(sys.argv[1]).columns))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.csv")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "20002\n"


def test_the_first_line_of_a_smiles_file_that_is_not_blank_may_be_a_header(tmp_path):
    table = open_table(put(tmp_path, "a.smi", "\n\nsmi canonical_smiles\nCCO OCC\n\nC\n"))
    assert (table.columns, table.smiles_column) == (("smi", "canonical_smiles"), "smi")
    assert [record.values for record in table] == [("CCO", "OCC"), ("", ""), ("C", "")]


@pytest.mark.parametrize("mark", [",", ";"])
def test_a_delimited_table_called_smi(tmp_path, mark):
    path = put(tmp_path, "a.smi", f"smiles{mark}name\nCCO{mark}e\n")
    with pytest.raises(UserError, match=r"is the header of a table with .*rename the file to .csv"):
        open_table(path)


def test_the_smiles_of_a_smiles_file_are_its_first_words(tmp_path):
    path = put(tmp_path, "a.smi", "CCO ethanol\n")
    assert smiles(open_table(path, smiles_column="SMILES")) == ["CCO"]
    with pytest.raises(UserError, match="first word of a line is the SMILES, not the name; leave"):
        open_table(path, smiles_column="name")


FIELD = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
) | st.sampled_from(['"', ",", "\n", "\r\n", "\r", " ", "", "CCO", "\t", "a,b"])


@given(
    rows=st.lists(st.tuples(FIELD, FIELD, FIELD), max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    zipped=st.booleans(),
)
def test_rows_in_are_rows_out(tmp_path_factory, rows, end, zipped):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["id", "smiles", "y"])
    writer.writerows(rows)
    folder = tmp_path_factory.mktemp("random")
    path = put(folder, "a.csv.gz" if zipped else "a.csv", text.getvalue())
    records = list(open_table(path))
    assert [record.row for record in records] == list(range(len(rows)))
    assert [record.values for record in records] == rows
    assert smiles(records) == [row[1] for row in rows]
    assert problems(records) == [None] * len(rows)


@given(
    lines=st.lists(
        st.text(st.sampled_from("CON1=,; \t()"), max_size=10).filter(lambda line: '"' not in line),
        max_size=15,
    )
)
def test_every_line_is_a_row(tmp_path_factory, lines):
    while lines and not lines[-1].strip(" \t"):
        lines.pop()
    folder = tmp_path_factory.mktemp("lines")
    path = put(folder, "a.csv", "\n".join(["smiles,y", *lines]))
    records = list(open_table(path))
    assert [record.row for record in records] == list(range(len(lines)))
    for record, line in zip(records, lines, strict=True):
        fields = line.split(",")
        assert record.values == tuple([*fields, ""][:2]) or not line.strip(" \t")
        assert (record.problem is None) == (len(fields) == 2)


def test_reading_needs_no_pandas():
    code = "import sys, molweave.chem.read; print('pandas' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "False False"
