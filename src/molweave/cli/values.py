"""Reading what is typed: durations, pairs, lists."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from molweave.errors import UserError
from molweave.wording import did_you_mean

_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[hms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([hms])")


def parse_duration(text: str, option: str) -> float:
    """Seconds of a duration such as ``90s``, ``30m``, ``2h`` or ``1h30m``.

    Raises:
        UserError: it is something else, is zero, or names a unit twice.
    """
    plain = text.strip().lower()
    parts = _PART.findall(plain) if _DURATION.fullmatch(plain) else []
    units = [unit for _, unit in parts]
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not seconds or len(set(units)) < len(units):
        raise UserError(f"{option} takes a time such as 90s, 30m or 2h; found {text!r}")
    return seconds


def format_duration(seconds: float) -> str:
    """A time for people: ``0.8 s``, ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def parse_pairs(
    items: Sequence[str] | None, option: str, *, at_last: bool = False
) -> dict[str, str]:
    """``["a=1", "b=x"]`` as a mapping.

    Args:
        items: name, ``=`` and value each.
        option: what they belong to, for the message.
        at_last: the last ``=`` of an item is the sign, because a name may hold one; else the first.

    Raises:
        UserError: an item has no ``=`` or no name, or a name occurs twice.
    """
    pairs: dict[str, str] = {}
    for item in items or ():
        parts = item.rpartition("=") if at_last else item.partition("=")
        name, sign, value = map(str.strip, parts)
        if not sign or not name:
            raise UserError(f"{option} takes name=value; found {item!r}")
        if name in pairs:
            raise UserError(f"{option} {name} is given twice: {pairs[name]!r} and {value!r}")
        pairs[name] = value
    return pairs


def split_list(items: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names of a repeatable option that also takes commas; None when it was not given."""
    if not items:
        return None
    names = [name.strip() for item in items for name in item.split(",")]
    return tuple(name for name in names if name)


def choose(value: str, options: Sequence[str], option: str) -> str:
    """``value``, which has to be one of ``options``.

    Raises:
        UserError: it is not; the message names the nearest one.
    """
    if value in options:
        return value
    meant = did_you_mean(value, options)
    raise UserError(f"{option} is one of {', '.join(options)}; found {value!r}{meant}")


def merge_options(
    named: Mapping[str, object], pairs: Mapping[str, object], option: str
) -> dict[str, object]:
    """Options with a name of their own together with those of a ``name=value`` option.

    Args:
        named: field to value; None where the option was not given.
        pairs: field to value.
        option: of ``pairs``, for the message.

    Raises:
        UserError: a field is in both.
    """
    given = {name: value for name, value in named.items() if value is not None}
    twice = sorted(given.keys() & pairs.keys())
    if twice:
        raise UserError(f"{twice[0]} is given twice: by an option of its own and by {option}")
    return {**given, **pairs}


def given_only(**values: object) -> dict[str, Any]:
    """The values that are not None: the others are left to the defaults of the facade."""
    return {name: value for name, value in values.items() if value is not None}
