import json

import pytest

from molweave import Predictor


@pytest.fixture
def config(tmp_path):
    def write(text: str):
        path = tmp_path / "options.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_file_gives_options_arguments_and_lists(cli, config, table):
    path = config(f'data = {str(table)!r}\ntarget = ["alcohol", "carbons"]\njson = true\n')
    result = cli("check", "--config", path)
    assert result.code == 0
    assert json.loads(result.out)["num_rows"] == 44


def test_the_command_line_overrides_the_file(cli, config, table):
    path = config('target = "absent"\nkind = "alcohol=regression"\n')
    assert "'absent'" in cli("check", table, "--config", path).err
    result = cli("check", table, "--config", path, "-t", "alcohol")
    assert (result.code, result.err) == (0, "")
    assert "positives" not in result.out


@pytest.mark.parametrize(
    "file", ['split-column = "name"\n', 'split = "scaffold"\n', 'split-file = "absent.json"\n']
)
def test_a_typed_split_wins_over_any_of_the_file(cli, config, table, file):
    path = config(file)
    for typed in (("--split", "random"), ("--split-column", "absent")):
        plain = cli("check", table, *typed)
        assert cli("check", table, "--config", path, *typed) == plain
        assert cli("check", table, *typed, "--config", path) == plain


def test_typed_molecules_win_over_those_of_the_file(cli, config, model, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("structure\nCCO\n", encoding="utf-8")
    rows = ("predict", model, table, "-q"), ("predict", model, "--smiles", "CC", "-q")
    files = ('smiles = ["C", "CN"]\n', f"data = {str(table)!r}\nsmiles-column = 'structure'\n")
    for file in files:
        for typed in rows:
            plain = cli(*typed)
            assert plain.code == 0
            assert cli(*typed, "--config", config(file)) == plain


def test_two_splits_in_the_file_exclude_each_other(cli, config, table):
    path = config('split = "random"\nsplit-column = "name"\n')
    result = cli("check", table, "--config", path)
    assert (result.code, "exclude each other" in result.err) == (2, True)


def test_tables_are_pairs(cli, config, table):
    path = config('target = "alcohol"\nout = "m"\nset = {widht = 3}\n[train]\nepochs = 2\n')
    result = cli("fit", table, "--config", path)
    assert result.code == 2
    assert "did you mean 'width'?" in result.err
    path = config('target = "alcohol"\nout = "m"\nepochs = 2\n[train]\nepochs = 2\n')
    assert "epochs is given twice" in cli("fit", table, "--config", path).err


@pytest.mark.parametrize(
    ("typed", "training", "changes"),
    [
        (("--epochs", "3"), {"epochs": 3, "clip": "0.5", "balance": False}, {"rec": "0"}),
        (("--train", "clip=2"), {"epochs": "1", "clip": "2", "balance": False}, {"rec": "0"}),
        (
            ("--train", "balance=true", "--set", "rec=1"),
            {"epochs": "1", "clip": "0.5", "balance": "true"},
            {"rec": "1"},
        ),
        (
            ("--set", "width=8", "--without", "rec"),
            {"epochs": "1", "clip": "0.5", "balance": False},
            {"rec": 0, "width": "8"},
        ),
    ],
)
def test_typed_settings_win_one_by_one(cli, config, table, monkeypatch, typed, training, changes):
    given = {}
    monkeypatch.setattr(Predictor, "__init__", lambda self, **values: given.update(values))
    path = config(
        'target = "alcohol"\nout = "m"\nbalance = false\n'
        "[train]\nepochs = 1\nclip = 0.5\n[set]\nrec = 0\n"
    )
    for order in ((*typed, "--config", path), ("--config", path, *typed)):
        given.clear()
        with pytest.raises(AttributeError):
            cli("fit", table, *order)
        assert (given["training"], given["method_options"]) == (training, changes)


def test_values_of_tables_become_text(cli, config, table, monkeypatch):
    given = {}
    monkeypatch.setattr(Predictor, "__init__", lambda self, **values: given.update(values))
    path = config(
        'target = "alcohol"\nout = "m"\nbalance = false\n'
        '[set]\nmodalities = ["graph", "sequence"]\nrec = 0\n[train]\nclip = 0.5\n'
    )
    with pytest.raises(AttributeError):
        cli("fit", table, "--config", path)
    assert given["method_options"] == {"modalities": "graph,sequence", "rec": "0"}
    assert given["training"] == {"balance": False, "clip": "0.5"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('tagret = "y"\n', "unknown key 'tagret'; did you mean 'target'?"),
        ("smiles_column = 'x'\n", "did you mean 'smiles-column'?"),
        ("zzzzzzz = 1\n", "unknown key 'zzzzzzz'; known: data, json, kind,"),
        ("config = 'other.toml'\n", "unknown key 'config'"),
        ("target = \n", "is not TOML"),
        ("split = ['random', 'scaffold']\n", "split takes one value; found a list of 2"),
        ("[target]\na = 1\n", "target is not a table"),
        ("seed = 'many'\n", "--seed takes a whole number; found 'many'"),
        ("seed = true\n", "--seed takes a whole number; found 'true'"),
        ("quiet = 'maybe'\n", "--quiet takes true or false; found 'maybe'"),
        ("quiet = 1.5\n", "--quiet takes true or false; found 1.5"),
    ],
)
def test_a_wrong_file_is_refused(cli, config, table, text, message):
    result = cli("check", table, "--config", config(text))
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1


def test_a_file_that_cannot_be_read_is_refused(cli, table, tmp_path):
    assert "cannot be read" in cli("check", table, "--config", "absent.toml").err
    (tmp_path / "latin.toml").write_bytes(b'target = "\xe9"\n')
    assert "not UTF-8" in cli("check", table, "--config", "latin.toml").err
