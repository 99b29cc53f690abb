from dataclasses import dataclass

import pytest

from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.methods.config import replace_fields, to_plain
from molweave.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    names: tuple[str, ...] = ("a",)
    count: int = 3
    rate: float = 0.5
    flag: bool = False
    word: str = "x"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("names", "b, c ,", ("b", "c")),
        ("names", ["b", "c"], ("b", "c")),
        ("names", ("b",), ("b",)),
        ("count", "7", 7),
        ("count", 7.0, 7),
        ("count", "-2", -2),
        ("rate", "1e-3", 1e-3),
        ("rate", 2, 2.0),
        ("flag", "true", True),
        ("flag", "False", False),
        ("flag", True, True),
        ("word", "y", "y"),
        ("word", "7", "7"),
    ],
)
def test_values_and_text_are_read_as_the_type_of_the_field(name, value, expected) -> None:
    found = replace_fields(Config(), {name: value}, where="here")
    assert getattr(found, name) == expected
    assert type(getattr(found, name)) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("names", 3, "tuple"),
        ("names", [1, 2], "tuple"),
        ("count", "three", "int"),
        ("count", 2.5, "int"),
        ("count", True, "int"),
        ("count", None, "int"),
        ("rate", "fast", "float"),
        ("rate", "nan", "float"),
        ("rate", float("inf"), "float"),
        ("rate", False, "float"),
        ("flag", "yes", "bool"),
        ("flag", 1, "bool"),
        ("word", 4, "str"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(name, value, kind) -> None:
    with pytest.raises(UserError) as caught:
        replace_fields(Config(), {name: value}, where="here")
    assert f"here.{name} must be of type {kind}" in str(caught.value)
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match=r"unknown option 'cuont' of here; did you mean 'count'\?"):
        replace_fields(Config(), {"cuont": 1}, where="here")
    with pytest.raises(UserError, match="known: names, count, rate, flag, word"):
        replace_fields(Config(), {"zzz": 1}, where="here")


def test_nothing_to_replace_and_the_original_stays() -> None:
    config = Config()
    assert replace_fields(config, {}, where="here") == config
    replace_fields(config, {"count": 9}, where="here")
    assert config.count == 3


@pytest.mark.parametrize(
    "config",
    [TrainConfig(), *(preset for entry in METHODS.values() for preset in entry.presets.values())],
)
def test_plain_values_and_back(config) -> None:
    plain = to_plain(config)
    assert not any(isinstance(value, tuple) for value in plain.values())
    assert replace_fields(type(config)(), plain, where="here") == config
    as_text = {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in plain.items()
    }
    assert replace_fields(type(config)(), as_text, where="here") == config
