"""What long work tells whoever shows it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Called with the number of items done and the number of all."""

_LOG = logging.getLogger("molweave")


@dataclass(frozen=True)
class Epoch:
    """What a progress display is told after every epoch.

    Attributes:
        number: epochs done.
        total: epochs asked for.
        record: what the history says of the epoch: losses, scores, seconds.
        best_epoch: 0-based epoch with the best validation score so far.
    """

    number: int
    total: int
    record: dict[str, float]
    best_epoch: int


class Events:
    """Logs the lines of text as ``molweave``, level INFO; a display overrides what it shows."""

    def message(self, text: str) -> None:
        """One line of text."""
        _LOG.info(text)

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage of the work begins, of ``total`` items where that is known."""

    def advance(self, done: int, total: int) -> None:
        """``done`` of ``total`` items of the stage are done; ``total`` is 0 where unknown."""

    def epoch(self, member: int, info: Epoch) -> None:
        """An epoch of ensemble member ``member`` (from 0) ended."""

    def record(self, record: dict[str, float], steps: int) -> None:
        """A pre-training of ``steps`` steps wrote a line of its log."""


class Silent(Events):
    """Tells nobody anything."""

    def message(self, text: str) -> None:
        """Say nothing."""
