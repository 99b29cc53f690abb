"""``fit --from``, ``embed`` and ``info`` with encoders on the command line."""

import json

import numpy as np
import pyarrow.parquet
import pytest
from encoders import tiny_encoder, write_tiny

from molweave import Encoder, Predictor

FAST = ["--split", "random", "--epochs", "1", "--device", "cpu", "--workers", "1", "--quiet"]


@pytest.fixture
def encoder(tmp_path):
    return write_tiny(tmp_path / "tiny", half=True)


@pytest.mark.parametrize("freeze", [False, True])
def test_fit_from_an_encoder(cli, table, encoder, freeze):
    flags = ["--freeze"] if freeze else []
    done = cli("fit", table, "-t", "alcohol", "--from", "tiny", *flags, *FAST, "-o", "m")
    assert (done.code, done.err) == (0, "")
    record = Predictor.load("m").info()["record"]
    assert record["pretrained"]["name"] == "tiny"
    assert record["pretrained"]["frozen"] is freeze
    assert ("--from tiny --freeze" in record["command"]) is freeze
    text = cli("info", "m").out
    assert f"tiny, {'frozen' if freeze else 'fine-tuned'}; sha256 " in text
    done = cli("predict", "m", table, "-o", "out.csv", "-q")
    assert (done.code, done.err) == (0, "")


def test_fit_from_a_config_file(cli, table, encoder, tmp_path):
    (tmp_path / "c.toml").write_text('from = "tiny"\nfreeze = true\n', encoding="utf-8")
    done = cli("fit", table, "-t", "alcohol", "--config", "c.toml", *FAST, "-o", "m")
    assert (done.code, done.err) == (0, "")
    assert Predictor.load("m").info()["record"]["pretrained"]["frozen"] is True


def test_embed_with_an_encoder(cli, table, encoder):
    done = cli("embed", "tiny", table, "-o", "v.parquet", "--device", "cpu", "--json", "-q")
    assert done.code == 0
    assert json.loads(done.out)["predicted"] == 44
    found = pyarrow.parquet.read_table("v.parquet").column("embedding").to_pylist()
    expected = Encoder.from_pretrained("tiny", device="cpu").embed(str(table))
    np.testing.assert_array_equal(np.array(found, dtype=np.float32), expected)


def test_embed_with_other_settings_of_an_encoder(cli, table, encoder):
    words = ["-o", "v.parquet", "--device", "cpu", "-q"]
    done = cli("embed", "tiny", table, "--set", "views=blend", "--set", "dropout=0.3", *words)
    assert (done.code, done.err) == (0, "")
    metadata = pyarrow.parquet.read_schema("v.parquet").metadata
    settings = json.loads(metadata[b"settings"])
    assert (settings["views"], settings["dropout"]) == ("blend", 0.3)


def test_info_of_an_encoder(cli, encoder):
    text = cli("info", "tiny").out
    for word in ("moleblend, preset small", "vectors of 16", "relations", "name=tiny", "views=2d"):
        assert word in text
    found = json.loads(cli("info", "tiny", "--json").out)
    assert found["model"] == "tiny"
    assert found["kind"] == "encoder"
    assert found["record"] == tiny_encoder().spec.record


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("fit T -t alcohol -o m --from nope", "nope is neither a folder nor an encoder that ships"),
        ("fit T -t alcohol -o m --from M", "is a fitted model, not a pre-trained encoder"),
        ("fit T -t alcohol -o m --from tiny --method mmsa", "leave --method out"),
        ("fit T -t alcohol -o m --from tiny --set width=32", "pre-trained with width=16, not"),
        ("fit T -t alcohol -o m --freeze", "freeze needs a pre-trained encoder"),
        ("predict tiny T -o o.csv", "tiny is a pre-trained encoder, not a fitted model"),
        ("evaluate tiny T", "tiny is a pre-trained encoder, not a fitted model"),
        ("embed nope T -o o.parquet", "nope is neither a folder nor an encoder that ships"),
        ("embed M T -o o.parquet --set views=3d", "is a fitted model; it is used as it was fitted"),
        ("embed tiny T -o o.parquet --set veiws=3d", "did you mean 'views'"),
        ("embed tiny T -o o.parquet --set views=4d", "views must be one of 2d, 3d, both, blend"),
        ("embed tiny T -o o.csv", "embeddings are written as Parquet"),
    ],
)
def test_mistakes_are_told_in_one_line(cli, table, model, encoder, tmp_path, words, message):
    known = {"T": str(table), "M": str(model)}
    done = cli(*(known.get(word, word) for word in words.split()), "-q")
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert message in " ".join(done.err.split())
    assert done.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


def test_settings_that_are_options_are_no_settings_of_an_encoder(cli, table, encoder):
    done = cli("embed", "tiny", table, "-o", "o.parquet", "--set", "device=cpu", "-q")
    assert done.code == 2
    assert "unknown option 'device' of moleblend" in done.err
