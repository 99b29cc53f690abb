"""Counts of what happened to the rows of an input."""

import time
from collections import Counter
from dataclasses import dataclass, field

from molweave.chem.diagnose import count_reason
from molweave.inference.stream import Row


@dataclass(frozen=True, kw_only=True)
class PredictSummary:
    """What became of the rows.

    Attributes:
        rows: rows read, and written.
        predicted: rows with a prediction.
        rejected: reason, without atom numbers and quoted text, to number of rows without one.
        without: modality name to number of predicted rows that lack it.
        unfit: predicted rows whose coordinates do not fit their structure and were not used.
        seconds: wall time.
    """

    rows: int
    predicted: int
    rejected: dict[str, int]
    without: dict[str, int]
    unfit: int
    seconds: float


@dataclass
class Tally:
    """Counts rows as they pass."""

    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    unfit: int = 0

    def add(self, row: Row) -> None:
        """Count one row."""
        self.rows += 1
        if row.error:
            count_reason(self.rejected, row.error)
        else:
            self.without.update(row.missing.keys())
            self.unfit += row.unfit

    def summary(self) -> PredictSummary:
        """The counts so far."""
        return PredictSummary(
            rows=self.rows,
            predicted=self.rows - sum(self.rejected.values()),
            rejected=dict(self.rejected.most_common()),
            without=dict(self.without.most_common()),
            unfit=self.unfit,
            seconds=time.monotonic() - self.started,
        )
