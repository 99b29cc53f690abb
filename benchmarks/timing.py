"""How long the stages of a fit take, and on what."""

import time

import numpy as np

from molweave.events import Events


class Clock(Events):
    """Notes when each stage of a fit began."""

    def __init__(self) -> None:
        """Nothing has begun."""
        self.started: dict[str, np.ndarray] = {}

    def stage(self, name: str, total: int | None = None) -> None:
        """Note the time under the first word of the stage's name."""
        self.started[name.split()[0]] = now()

    @property
    def fit(self) -> np.ndarray:
        """Wall and processor time from molecules to a chosen model."""
        return self.started["scoring"] - self.started["conformers"]


def now() -> np.ndarray:
    """Wall time and processor time."""
    return np.array([time.perf_counter(), time.process_time()])


def choose(times: np.ndarray, device: str, threads: int) -> float:
    """Processor time with one thread of the CPU, where other work does not count; else wall."""
    return float(times[int(device == "cpu" and threads == 1)])


def describe_device(name: str, threads: int) -> str:
    """Device and threads, as the results say it."""
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}"
