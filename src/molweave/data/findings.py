"""What an audit of a data set finds, and how it is told."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from molweave.wording import counted

SEVERITIES = ("error", "warning", "info")
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing worth knowing about a data set.

    Attributes:
        kind: a fixed word for programs, ``duplicates`` say.
        severity: ``error`` (nothing can be learnt), ``warning`` (results may mislead) or ``info``.
        count: how many of what the message speaks of.
        rows: the rows concerned, 0-based rows of the input, ascending.
        message: what was found, one line.
        advice: what to do about it, one line.
    """

    kind: str
    severity: str
    count: int
    rows: tuple[int, ...]
    message: str
    advice: str

    def __str__(self) -> str:
        """``severity: message (rows); advice``."""
        shown = f" ({describe_rows(self.rows)})" if self.rows else ""
        return f"{self.severity}: {self.message}{shown}; {self.advice}"


@dataclass(frozen=True)
class Audit:
    """Everything that was found.

    Attributes:
        num_rows: rows of the input.
        num_molecules: rows with a usable molecule.
        num_distinct: different molecules among them, by canonical SMILES.
        findings: errors first, then warnings, then information.
    """

    num_rows: int
    num_molecules: int
    num_distinct: int
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> tuple[str, ...]:
        """Lines for a terminal: the counts, then one line per finding.

        The first also says how rows are numbered, where the others name some.
        """
        numbered = any(finding.rows for finding in self.findings)
        counts = (
            f"{counted(self.num_rows, 'row')}, {self.num_molecules:,} usable, "
            f"{counted(self.num_distinct, 'different molecule')}"
            f"{'; rows count from 0, without the header' if numbered else ''}"
        )
        return (counts, *(str(finding) for finding in self.findings))

    def to_json(self) -> dict[str, Any]:
        """Plain lists and text, for a JSON file."""
        return asdict(self)


def make_finding(
    kind: str,
    severity: str,
    rows: Iterable[int] | np.ndarray,
    message: str,
    advice: str,
    count: int = -1,
) -> Finding:
    """A finding; ``count`` is the number of rows unless given."""
    ordered = tuple(sorted({int(row) for row in rows}))
    return Finding(kind, severity, len(ordered) if count < 0 else count, ordered, message, advice)


def describe_rows(rows: Sequence[int]) -> str:
    """``row 3``, ``rows 3, 8 and 12`` or ``rows 3, 8, 12, 20, 21 and 7 more``."""
    if len(rows) == 1:
        return f"row {rows[0]}"
    if len(rows) > _SHOWN:
        shown = ", ".join(str(row) for row in rows[:_SHOWN])
        return f"rows {shown} and {len(rows) - _SHOWN} more"
    return f"rows {', '.join(str(row) for row in rows[:-1])} and {rows[-1]}"


def listed(names: Sequence[str]) -> str:
    """The first five names, and how many there are besides."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def percent(part: int, whole: int) -> str:
    """``12.5 %``."""
    return f"{100 * part / max(whole, 1):.1f} %"
