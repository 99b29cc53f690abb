"""What is seen of long work, on standard error: bars on a terminal, else a few plain lines."""

import sys
import time
from typing import Self

from molweave.cli.values import format_duration
from molweave.events import Epoch, Silent


class Display(Silent):
    """Shows nothing; a context manager."""

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to end."""


class Lines(Display):
    """A line for every message, for the end of a long stage, and for about ten epochs."""

    LONG, EVERY = 2.0, 60.0

    def __init__(self) -> None:
        self._name = "working"
        self._started = self._printed = time.monotonic()

    def message(self, text: str) -> None:
        """Print the text."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def stage(self, name: str, total: int | None = None) -> None:
        """Remember what is measured from now on."""
        self._name = name
        self._started = self._printed = time.monotonic()

    def advance(self, done: int, total: int) -> None:
        """Print how far a long stage is, now and then, and how long it took when it has ended."""
        now = time.monotonic()
        ended = total > 0 and done >= total
        if now - self._printed < (self.LONG if ended else self.EVERY):
            return
        self._printed = now
        seconds = now - self._started
        count = f"{done:,} of {total:,}" if total else f"{done:,}"
        pace = _pace(done, total, seconds)
        self.message(f"{self._name}: {count} in {format_duration(seconds)} ({pace})")

    def epoch(self, member: int, info: Epoch) -> None:
        """Print the first epoch, the last and every tenth of the way."""
        every = max(1, round(info.total / 10))
        if info.number in (1, info.total) or info.number % every == 0:
            self.message(f"{self._name}: epoch {info.number}/{info.total}, {describe_epoch(info)}")

    def record(self, record: dict[str, float], steps: int) -> None:
        """Print a line of the log now and then, and every validation."""
        now = time.monotonic()
        last = record["step"] >= steps or "valid_loss" in record
        if not last and now - self._printed < self.EVERY:
            return
        self._printed = now
        text = f"{self._name}: step {record['step']:,.0f}/{steps:,}, {describe(record)}"
        left = _seconds_left(record, steps)
        self.message(f"{text}, {format_duration(left)} left" if left else text)


class Bars(Display):
    """A bar with rate and time left for the stage that is running."""

    EVERY = 0.1

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}", markup=False),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("working", total=None, count="", note="")
        self._started, self._drawn = time.monotonic(), 0.0

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Take the bar away."""
        self._progress.stop()

    def message(self, text: str) -> None:
        """Print the text above the bar."""
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def stage(self, name: str, total: int | None = None) -> None:
        """Replace the bar by that of a new stage."""
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total, count="", note="")
        self._started = time.monotonic()

    def advance(self, done: int, total: int) -> None:
        """Move the bar; the time left follows from the mean rate of the stage."""
        now = time.monotonic()
        if now - self._drawn < self.EVERY and (done < total or not total):
            return
        self._drawn = now
        count = f"{done:,}/{total:,}" if total else f"{done:,}"
        self._update(done, total or None, count, _pace(done, total, now - self._started))

    def epoch(self, member: int, info: Epoch) -> None:
        """Move the bar by an epoch and show its scores."""
        seconds = (time.monotonic() - self._started) / info.number
        left = seconds * (info.total - info.number)
        note = f"{describe_epoch(info)}, {format_duration(left)} left"
        self._update(info.number, info.total, f"epoch {info.number}/{info.total}", note)

    def record(self, record: dict[str, float], steps: int) -> None:
        """Move the bar to a line of the log and show what it says."""
        done = int(record["step"])
        note = f"{describe(record)}, {format_duration(_seconds_left(record, steps))} left"
        self._update(done, steps, f"step {done:,}/{steps:,}", note)

    def _update(self, done: int, total: int | None, count: str, note: str) -> None:
        self._progress.update(self._task, completed=done, total=total, count=count, note=note)


def describe_epoch(info: Epoch) -> str:
    """The loss and the validation score of an epoch, and the best epoch so far."""
    shown = {"loss": info.record.get("loss")}
    shown |= {name: value for name, value in info.record.items() if name.startswith("valid_")}
    texts = [f"{name} {value:.4g}" for name, value in shown.items() if value is not None]
    return f"{', '.join(texts)} (best epoch {info.best_epoch + 1})"


def describe(record: dict[str, float]) -> str:
    """The losses and the pace of a line of a pre-training's log."""
    texts = [
        f"{name.replace('_', ' ')} {record[name]:.4g}"
        for name in ("loss", "valid_loss")
        if name in record
    ]
    return f"{', '.join(texts)}, {record['molecules_per_second']:,.0f} molecules/s"


def _pace(done: int, total: int, seconds: float) -> str:
    """The rate so far, and the time left where the total is known."""
    rate = done / seconds if seconds > 0 else 0.0
    pace = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
    if rate and total > done:
        pace += f", {format_duration((total - done) / rate)} left"
    return pace


def _seconds_left(record: dict[str, float], steps: int) -> float:
    """Until the last step, at the mean pace so far."""
    return (steps - record["step"]) * record["seconds"] / record["step"]


def open_display(quiet: bool) -> Display:
    """The display for where standard error goes: a terminal, a file, or nobody's eyes."""
    if quiet:
        return Display()
    return Bars() if sys.stderr.isatty() else Lines()
