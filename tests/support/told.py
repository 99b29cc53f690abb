"""Events that remember what they were told."""

from molweave.events import Events


class Told(Events):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)
