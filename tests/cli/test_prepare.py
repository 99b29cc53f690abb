import json

import corpora
import pytest

from molweave.cli.prepare import describe_corpus
from molweave.data import prepare as prepare_module
from molweave.data.manifest import Manifest, Shard
from molweave.data.prepare import PrepareResult

SMILES = ("CCO", "OCC", "C1CC", "CCN", "CCCN", "CCF")


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.smi"
    path.write_text("\n".join(SMILES) + "\n", encoding="utf-8")
    (tmp_path / "test.csv").write_text("y,smiles\n1,NCCC\n", encoding="utf-8")
    return path


def test_prepare_counts_what_it_does(cli, corpus):
    options = ("--conformers", "none", "--shard-size", 2, "--valid", 0, "--workers", 1)
    result = cli("prepare", corpus, "-o", "shards", "--exclude", "test.csv", *options)
    assert result.code == 0
    assert result.out == ""
    first, rate, *counts = result.err.splitlines()
    assert first == "6 rows: 3 molecules to train on, 0 held out, 3 rejected, 2 shards"
    assert rate.startswith("  6 rows in ")
    assert sorted(counts) == [
        "  1 rejected: duplicate: the same molecule as an earlier row",
        "  1 rejected: exclude: the molecule is in test.csv",
        "  1 rejected: parse: unclosed ring",
        "  3 coordinates: none",
    ]
    assert corpora.smiles_of(corpus.parent / "shards") == ["CCF", "CCN", "CCO"]
    assert corpora.manifest_of(corpus.parent / "shards")["settings"]["shard_size"] == 2


def test_what_is_not_read_in_a_folder_is_named(cli, corpus):
    corpus.with_name("part.smi.bz2").touch()
    result = cli("prepare", corpus.parent, "-o", "shards", "--conformers", "none")
    assert "  not read: 'part.smi.bz2'" in result.err.splitlines()
    again = cli("prepare", corpus.parent, "-o", "shards", "--conformers", "none", "--json")
    assert json.loads(again.out)["unread"] == ["part.smi.bz2"]


def test_rows_that_exclude_nothing_are_counted(cli, corpus):
    """And the column of the corpus serves a file that has none of a usual name."""
    write = corpus.with_name
    write("corpus.csv").write_text("S,id\nCCO,1\nCCN,2\nCCC,3\n")
    write("other.csv").write_text("id,S\n1,OCC\n2,C1CC\n3,\n")
    given = ("prepare", "corpus.csv", "--smiles-column", "S", "--conformers", "none")
    result = cli(*given, "-o", "shards", "--exclude", "other.csv", "--exclude", "test.csv")
    assert result.code == 0, result.err
    assert "  nothing excluded by 2 rows of other.csv (no molecule)" in result.err.splitlines()
    assert "of test.csv" not in result.err
    assert corpora.smiles_of(corpus.parent / "shards") == ["CCC", "CCN"]
    write("other.csv").write_text("id,S\nX,C1CC\n")
    result = cli(*given, "-o", "none", "--exclude", "other.csv")
    assert result.code == 2
    assert (
        "other.csv excludes nothing: none of its 1 row is a molecule; the first is 'C1CC': parse: "
        "unclosed ring"
    ) in " ".join(result.err.split())
    assert not corpus.with_name("none").exists()


def test_the_same_command_goes_on_and_another_is_refused(cli, corpus, monkeypatch):
    command = ("prepare", corpus, "-o", "shards", "--conformers", "none", "--shard-size", 2)

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "add_coordinates", interrupt)
        stopped = cli(*command)
        anew = cli(*command, "--overwrite")
    assert stopped.code == anew.code == 130
    assert anew.err.endswith("the same command without --overwrite goes on from here\n")
    assert stopped.err.endswith("interrupted; the same command goes on from here\n")
    result = cli(*command, "--json", "--quiet")
    assert result.err == ""
    found = json.loads(result.out)
    assert found.pop("out") == "shards"
    assert found.pop("seconds") > 0
    assert found.pop("unread") == []
    assert found == corpora.manifest_of(corpus.parent / "shards")
    again = cli(*command)
    assert "  6 rows had been done before" in again.err.splitlines()
    other = cli(*command[:-1], 3)
    assert other.code == 2
    assert "shard_size was 2, is 3" in other.err
    assert cli(*command[:-1], 3, "--overwrite", "-q").code == 0
    assert corpora.manifest_of(corpus.parent / "shards")["settings"]["shard_size"] == 3


def test_the_defaults_are_those_of_the_package(cli, corpus, monkeypatch):
    given = []

    def remember(*arguments, **options):
        given.append((arguments, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare_module, "prepare", remember)
    cli("prepare", corpus, "-o", "shards")
    ((arguments, options),) = given
    assert arguments == (str(corpus), "shards")
    assert options.pop("progress")
    assert options == {
        "exclude": (),
        "smiles_column": None,
        "settings": prepare_module.PrepareSettings(),
        "overwrite": False,
    }


def test_mistakes_are_one_line(cli, corpus):
    result = cli("prepare", corpus, "-o", "shards", "--conformers", "some")
    assert result.code == 2
    assert result.err == "error: conformers is one of input, generate, none; found 'some'\n"
    assert cli("prepare", "none.smi", "-o", "shards").code == 2


def test_the_summary_of_a_large_corpus():
    shard = Shard(file="train-00000.parquet", part="train", rows=900, with_coordinates=0, sha256="")
    manifest = Manifest(
        origin=corpora.ORIGIN,
        rows=1036,
        rejected={f"reason {number}": number for number in range(8, 0, -1)},
        coordinates={"input": 800, "failed: timed out": 100},
        unusable=7,
        shards=(shard,),
    )
    assert describe_corpus(PrepareResult(manifest, 36, 20.0)) == [
        "1,036 rows: 900 molecules to train on, 0 held out, 36 rejected, 1 shard",
        "  36 rows had been done before",
        "  1,000 rows in 20 s (50 rows/s)",
        *(f"  {number} rejected: reason {number}" for number in (8, 7, 6, 5, 4)),
        "  6 rejected for other reasons: see rejects.csv",
        "  800 coordinates: input",
        "  100 coordinates: failed: timed out",
        "  7 given coordinates do not fit their structure",
    ]
