"""Small words of messages."""

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 row``, ``2,039 rows``; ``plural`` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def describe_unfit(number: int) -> str:
    """What became of molecules whose given coordinates are not those of their structure."""
    return (
        f"{counted(number, 'molecule')} with coordinates that do not fit the structure: "
        "generated instead"
    )


def nearest(name: str, options: Iterable[str]) -> str | None:
    """The option that ``name`` is most likely a misspelling of, or None when none is close."""
    folded: dict[str, str] = {}
    for option in options:
        folded.setdefault(option.strip().casefold(), option)
    found = difflib.get_close_matches(name.strip().casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """The end of a message that refuses ``name``: the nearest option; nothing where none is."""
    close = nearest(name, options)
    return f"; did you mean {close!r}?" if close else ""
