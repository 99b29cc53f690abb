# ruff: noqa: E402 - the scripts are no package; their folder has to be on the path first
"""docs/settings.md says what the code takes."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import make_settings

from molweave.methods import METHODS
from molweave.methods.mmsa_config import MMSAConfig
from molweave.training.config import TrainConfig
from molweave.training.pretrain_config import PretrainConfig

CONFIGS = [TrainConfig, PretrainConfig, *(entry.config for entry in METHODS.values())]


def test_the_committed_page_is_what_the_script_writes(capsys):
    assert make_settings.main(["--check"]) == 0, capsys.readouterr().out


def test_every_setting_has_a_row():
    sections = make_settings.PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    for section, config in zip(sections, CONFIGS, strict=True):
        rows = re.findall(r"^\| `(\w+)` \|.* (\S[^|]*) \|$", section, re.MULTILINE)
        assert [name for name, _ in rows] == [field.name for field in dataclasses.fields(config)]
        assert all(meaning for _, meaning in rows)


def test_values_are_written_as_one_types_them():
    page = make_settings.make_page()
    assert "| `modalities` | `sequence,graph,geometry` |" in page
    assert "| `balance` | `false` | weigh the positives" in page
    assert "| moleblend | `base` | `epochs=20`, `batch_size=512`, `learning_rate=0.0003` |" in page
    assert "`pretrain` starts from `views=blend`." in page


def test_a_meaning_is_one_line_without_names_of_the_code():
    found = make_settings.meanings(MMSAConfig)
    assert found["graph_encoder"] == "one of `gin`, `cmpnn`."
    assert found["hypergraph"].startswith("`hypergraph`, `knn` (a plain graph")


def test_a_field_without_a_meaning_is_refused():
    @dataclasses.dataclass
    class Config:
        """Has a field that nobody describes.

        Attributes:
            told: what it is.
        """

        told: int = 1
        untold: int = 2

    with pytest.raises(SystemExit, match="Config: docstring and fields differ in untold"):
        make_settings.meanings(Config)


def test_an_old_page_is_found_and_replaced(tmp_path, capsys):
    page = tmp_path / "settings.md"
    page.write_text("old", encoding="utf-8")
    assert make_settings.main(["--check"], page=page) == 1
    assert "settings.md is out of date" in capsys.readouterr().out
    assert make_settings.main([], page=page) == 0
    assert page.read_text(encoding="utf-8") == make_settings.make_page()
