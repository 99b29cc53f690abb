"""What long work tells whoever shows it."""

from molweave.training.finetune import Epoch


class Events:
    """Does nothing; a display overrides what it shows."""

    def message(self, text: str) -> None:
        """One line of text."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage of the work begins, of ``total`` items where that is known."""

    def advance(self, done: int, total: int) -> None:
        """``done`` of ``total`` items of the stage are done."""

    def epoch(self, member: int, info: Epoch) -> None:
        """An epoch of ensemble member ``member`` (from 0) ended."""
