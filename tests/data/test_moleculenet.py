import shutil

import pytest

from molweave.data.moleculenet import BENCHMARK_SETS, BUNDLED, find_dataset, open_dataset
from molweave.data.targets import find_kinds, parse_targets
from molweave.errors import UserError
from molweave.metrics import METRICS


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_sets_are_what_the_table_says(name):
    known = BENCHMARK_SETS[name]
    table = open_dataset(name)
    records = list(table)
    assert table.columns == ("smiles", *known.targets)
    assert len(records) == known.rows
    targets = parse_targets(table.columns, records, known.targets)
    assert set(find_kinds(targets, known.targets)) == {known.kind}


def test_values_from_the_literature():
    # Delaney's table: amigdalin -0.77, fenfuram -3.30, citral -2.06 log10 mol/L
    rows = [record.values for record in open_dataset("esol")][:3]
    assert [float(value) for _, value in rows] == [-0.77, -3.3, -2.06]
    assert rows[1][0] == "Cc1occc1C(=O)Nc2ccccc2"


def test_the_table_is_consistent():
    assert list(BENCHMARK_SETS) == [
        "bbbp",
        "bace",
        "clintox",
        "sider",
        "tox21",
        "esol",
        "freesolv",
        "lipo",
    ]
    for name, known in BENCHMARK_SETS.items():
        assert known.name == name
        assert METRICS[known.metric].kind == known.kind
        assert known.split in ("scaffold", "random")
        assert len(known.sha256) == 64
    assert len(BENCHMARK_SETS["sider"].targets) == 27
    assert len(BENCHMARK_SETS["tox21"].targets) == 12


def test_a_folder_of_the_user(tmp_path):
    shutil.copy(find_dataset("esol"), tmp_path / "esol.csv.gz")
    assert find_dataset("ESOL", tmp_path) == tmp_path / "esol.csv.gz"


def test_another_content_is_not_the_published_set(tmp_path):
    shutil.copy(find_dataset("esol"), tmp_path / "bbbp.csv.gz")
    with pytest.raises(UserError, match="is not the published bbbp"):
        find_dataset("bbbp", tmp_path)


def test_unknown_missing_and_not_bundled(tmp_path):
    with pytest.raises(UserError, match=r"unknown data set 'qm9': use one of bbbp"):
        find_dataset("qm9")
    with pytest.raises(UserError, match=r"lipo does not come with molweave .* lipo.csv.gz"):
        find_dataset("lipo")
    with pytest.raises(UserError, match="cannot read the data set lipo"):
        find_dataset("lipo", tmp_path)
