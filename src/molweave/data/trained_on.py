"""Which molecules a model was trained on, kept as short digests: enough to recognise them again."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TRAINED_ON = "trained_on"
"""The field of split.json."""

_BYTES = 8


@dataclass(frozen=True)
class TrainedOn:
    """The molecules of a training part.

    Attributes:
        digests: the first 8 bytes of the SHA-256 of every canonical SMILES. That two of a million
            molecules share one by chance has a probability of 3e-8.
    """

    digests: frozenset[bytes]

    @classmethod
    def of(cls, canonical: Iterable[str]) -> "TrainedOn":
        """The digests of these canonical SMILES."""
        return cls(frozenset(map(_digest, canonical)))

    def __contains__(self, canonical: str) -> bool:
        """Whether the molecule with this canonical SMILES was in the training part."""
        return _digest(canonical) in self.digests

    @classmethod
    def read(cls, folder: Path) -> "TrainedOn | None":
        """What the split.json of a model folder says; None where it does not say."""
        try:
            stored = json.loads((folder / "split.json").read_text(encoding="utf-8"))
            return cls.from_text(stored[TRAINED_ON])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def to_text(self) -> str:
        """Base64 of the digests one after the other, ascending: about 11 characters a molecule."""
        return base64.b64encode(b"".join(sorted(self.digests))).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> "TrainedOn":
        """What `to_text` wrote.

        Raises:
            ValueError: it is not base64, or not a whole number of digests.
        """
        joined = base64.b64decode(text, validate=True)
        if len(joined) % _BYTES:
            raise ValueError(f"{len(joined)} bytes are not digests of {_BYTES} bytes")
        starts = range(0, len(joined), _BYTES)
        return cls(frozenset(joined[start : start + _BYTES] for start in starts))


def _digest(canonical: str) -> bytes:
    return hashlib.sha256(canonical.encode()).digest()[:_BYTES]
