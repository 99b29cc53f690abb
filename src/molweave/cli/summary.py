"""What became of the rows of an input, in a few lines."""

from typing import TYPE_CHECKING

from molweave.cli.values import format_duration

if TYPE_CHECKING:
    from molweave.inference.summary import PredictSummary

_REASONS = 5


def describe_rows(summary: "PredictSummary", done: str) -> list[str]:
    """Lines with the counts: rows, those rejected by reason, those that lacked a view.

    Args:
        summary: the counts.
        done: what happened to the good ones: ``predicted``, ``embedded``.
    """
    rejected = sum(summary.rejected.values())
    rate = summary.rows / summary.seconds if summary.seconds else 0.0
    lines = [
        f"{summary.rows:,} rows: {summary.predicted:,} {done}, {rejected:,} rejected, "
        f"in {format_duration(summary.seconds)} ({rate:,.0f} rows/s)"
    ]
    reasons = sorted(summary.rejected.items(), key=lambda item: -item[1])
    lines += [f"  {count:,} rejected: {reason}" for reason, count in reasons[:_REASONS]]
    others = sum(count for _, count in reasons[_REASONS:])
    if others:
        lines.append(f"  {others:,} rejected for other reasons: see the column error")
    lines += [
        f"  {count:,} {done} without {modality}" for modality, count in summary.without.items()
    ]
    return lines
