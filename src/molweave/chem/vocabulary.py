"""The SMILES tokenizer and its one fixed vocabulary, shipped with the package."""

import hashlib
import json
import re
from functools import cache
from pathlib import Path

PAD = 0
"""Token id that fills the end of shorter sequences of a batch."""
UNKNOWN = 1
"""Token id of everything that the vocabulary cannot express."""
PATH = Path(__file__).parent / "data" / "smiles_vocabulary.json"
"""The shipped token list; ``benchmarks/make_vocabulary.py`` writes it."""

_TOKEN = re.compile(r"\[[^\]]*\]|Br|Cl|%\(\d+\)|%\d\d|->|<-|.", re.DOTALL)
_BRACKET = re.compile(
    r"\[(\d*)([A-Z][a-z]?|[a-z][a-z]?|\*)(@@?(?:[A-Z]{2}\d+)?)?([^:\]]*)(:\d+)?\]"
)


def tokenize(smiles: str) -> list[str]:
    """Split SMILES into tokens; joined together they are ``smiles`` again.

    A whole bracket atom, a two-letter element, a two-digit ring closure and a dative bond are one
    token each; every other character is its own token. Nothing is checked for validity.
    """
    return _TOKEN.findall(smiles)


def bare_atom(token: str) -> str:
    """The element of a bracket atom in brackets: ``[Fe]`` of ``[57Fe+2]``, ``[c]`` of ``[cH-]``."""
    match = _BRACKET.fullmatch(token)
    return f"[{match[2]}]" if match else token


def encode(smiles: str) -> list[int]:
    """Token ids of ``smiles``.

    A bracket atom outside the vocabulary is read, in this order, without isotope and atom map,
    then also without chirality, then as its bare element, and becomes `UNKNOWN` when that is
    outside too.
    """
    known = _ids()
    return [known[token] if token in known else _fallback(token) for token in tokenize(smiles)]


@cache
def tokens() -> tuple[str, ...]:
    """The vocabulary without the two special ids: the token of id ``i`` is ``tokens()[i - 2]``."""
    return tuple(json.loads(PATH.read_text(encoding="utf-8"))["tokens"])


@cache
def digest() -> str:
    """Eight hexadecimal digits that change with the vocabulary."""
    return hashlib.sha256("\n".join(tokens()).encode()).hexdigest()[:8]


@cache
def _ids() -> dict[str, int]:
    return {token: index for index, token in enumerate(tokens(), start=UNKNOWN + 1)}


def _fallback(token: str) -> int:
    known = _ids()
    match = _BRACKET.fullmatch(token)
    if not match:
        return UNKNOWN
    _, element, chirality, rest, _ = (group or "" for group in match.groups())
    for candidate in (f"[{element}{chirality}{rest}]", f"[{element}{rest}]", f"[{element}]"):
        if candidate in known:
            return known[candidate]
    return UNKNOWN
