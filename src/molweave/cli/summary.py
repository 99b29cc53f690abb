"""What became of the rows of an input, in a few lines."""

from typing import TYPE_CHECKING

from molweave.cli.values import format_duration
from molweave.wording import counted, describe_unfit

if TYPE_CHECKING:
    from molweave.inference.evaluate import Evaluation
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
        f"{counted(summary.rows, 'row')}: {summary.predicted:,} {done}, {rejected:,} rejected, "
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
    if summary.unfit:
        lines.append(f"  {describe_unfit(summary.unfit)}")
    return lines


def describe_overlap(evaluation: "Evaluation") -> str:
    """How many of the evaluated rows the model was trained on, and what that means."""
    known = evaluation.trained_on
    if known is None:
        return "note: this model folder does not say which molecules it was trained on"
    if not known:
        return "none of these molecules was in the training part of the model"
    return (
        f"warning: {known:,} of {counted(evaluation.rows.rows, 'row')} "
        f"{'was' if known == 1 else 'were'} in the training part of the model (same canonical "
        "SMILES): evaluate on molecules that it has not seen"
    )
