"""Strict configuration: keyword-only frozen dataclasses, built from plain mappings."""

import dataclasses
import math
import numbers
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from molweave.errors import UserError
from molweave.wording import did_you_mean

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class Rule:
    """What the value of a field has to be.

    Attributes:
        text: the same in words, ``{}`` for the name of the field.
        fits: whether a value may stand.
    """

    text: str
    fits: Callable[[float], bool]


NOT_NEGATIVE = Rule("{} must not be negative", lambda value: value >= 0)
ABOVE_0 = Rule("{} must be above 0", lambda value: value > 0)
BELOW_1 = Rule("{} must be at least 0 and below 1", lambda value: 0 <= value < 1)
PROBABILITY = Rule("{} is a probability", lambda value: 0 <= value <= 1)
DROPOUT = Rule("{} is a probability below 1", lambda value: 0 <= value < 1)


def at_least(lowest: int, method: str) -> Rule:
    """The rule of a method for its sizes and weights."""
    return Rule(f"{method} needs {{}} of at least {lowest}", lambda value: value >= lowest)


def replace_fields(config: ConfigT, values: Mapping[str, object], *, where: str) -> ConfigT:
    """A copy of ``config`` with some fields replaced, names and types checked.

    Args:
        config: a frozen dataclass instance.
        values: field name to new value; lists stand for tuples, whole numbers for floats, and
            text is read as the field's type (``"0.5"`` for a float).
        where: what is being configured, for the message.

    Raises:
        UserError: for an unknown name or a value of the wrong type.
    """
    kinds = typing.get_type_hints(type(config))
    names = [field.name for field in dataclasses.fields(config)]  # type: ignore[arg-type]
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            hint = did_you_mean(name, names) or f"; known: {', '.join(names)}"
            raise UserError(f"unknown option {name!r} of {where}{hint}")
        checked[name] = _coerce(value, kinds[name], f"{where}.{name}")
    return dataclasses.replace(config, **checked)  # type: ignore[type-var]


def check_one_of(name: str, value: str, options: Collection[str]) -> None:
    """Raise a `UserError` unless the value of a field is one of the options."""
    if value not in options:
        raise UserError(f"{name} must be one of {', '.join(options)}; found {value!r}")


def check_fields(config: object, names: Iterable[str], rule: Rule) -> None:
    """Raise a `UserError` that names the first of some fields whose value breaks the rule."""
    for name in names:
        value = getattr(config, name)
        if not rule.fits(value):
            raise UserError(f"{rule.text.format(name)}; found {value}")


def of_other_views(fields: Mapping[str, Iterable[str]], views: Collection[str]) -> list[str]:
    """The fields, given by the view that they are about, of the views that are not there."""
    return [name for view, names in fields.items() if view not in views for name in names]


def _coerce(value: object, kind: Any, where: str) -> Any:
    read = _READERS.get(typing.get_origin(kind) or kind)
    found = None if read is None else read(value)
    if found is None:
        name = getattr(kind, "__name__", str(kind))
        raise UserError(f"{where} must be of type {name}, found {value!r}")
    return found


def _names(value: object) -> tuple[str, ...] | None:
    items = value.split(",") if isinstance(value, str) else value
    if isinstance(items, list | tuple) and all(isinstance(item, str) for item in items):
        return tuple(item.strip() for item in items if item.strip())
    return None


def _flag(value: object) -> bool | None:
    return {"true": True, "false": False}.get(str(value).lower())


def _whole(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_READERS: dict[Any, Callable[[object], Any]] = {
    tuple: _names,
    bool: _flag,
    int: _whole,
    float: _number,
    str: _text,
}


def to_plain(config: Any) -> dict[str, Any]:
    """The fields of a config as JSON-ready values."""
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }


def refuse_idle(
    changes: Mapping[str, object],
    config: Any,
    unchanged: Any,
    idle: Mapping[str, str] = types.MappingProxyType({}),
) -> None:
    """Refuse settings that change nothing, of what the configured network does not have, say.

    Args:
        changes: fields of the configuration that the user set.
        config: the configuration of a method or a training.
        unchanged: what it would be without the user.
        idle: fields that change nothing besides those that the configuration knows, and why.

    Raises:
        UserError: one of the fields is another one now, and does nothing.
    """
    why = {**config.idle, **idle}
    for name in changes:
        if name in why and getattr(config, name) != getattr(unchanged, name):
            raise UserError(f"{name} does nothing with {why[name]}; leave it out")
