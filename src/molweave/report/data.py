"""What a report is made of."""

from dataclasses import dataclass

import numpy as np

from molweave.data.scores import Scores
from molweave.data.targets import Task
from molweave.metrics import METRICS


@dataclass(frozen=True, kw_only=True)
class ReportPart:
    """One part of the split.

    Attributes:
        name: ``train``, ``valid`` or ``test``.
        truth: float (N, T), NaN where missing; N may be 0.
        prediction: float (N, T); probabilities for classification.
        std: float (N, T), spread over the ensemble; None for a single network.
        smiles: N canonical SMILES.
        rows: int (N,), 0-based rows of the input.
    """

    name: str
    truth: np.ndarray
    prediction: np.ndarray
    std: np.ndarray | None
    smiles: tuple[str, ...]
    rows: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that the report and the model card say.

    Attributes:
        title: one line.
        tasks: the T columns.
        parts: of the split.
        histories: one list per member: one mapping per epoch with ``epoch`` (0-based), every loss
            term (the weighted sum is ``loss``), ``valid_<metric>``, ``learning_rate``, ``seconds``.
        chosen: per member, the 0-based epoch that its weights are of.
        metric: what chose the epoch: a metric or ``loss``.
        metrics: what `score_parts` returned.
        modality_weights: float (N, V), rows of the test part: the share of each modality; 0 where
            a molecule lacks it. None where none is learnt.
        modalities: the V names.
        split_summary: lines on the split.
        rejected: reason to number of rows.
        settings: shown as they are, nested mappings as groups. These are also named in the text
            where they are there: ``method``, ``preset``, ``split``, ``command`` (the command line
            that fits the same model) and ``citation``.
        audit: lines on the quality of the data.
    """

    title: str
    tasks: tuple[Task, ...]
    parts: tuple[ReportPart, ...]
    histories: tuple[list[dict[str, float]], ...]
    chosen: tuple[int, ...]
    metric: str
    metrics: Scores
    modality_weights: np.ndarray | None
    modalities: tuple[str, ...]
    split_summary: tuple[str, ...]
    rejected: dict[str, int]
    settings: dict[str, object]
    audit: tuple[str, ...]

    @property
    def shown(self) -> ReportPart | None:
        """The part that figures and headline are about: test, else valid; None if both are empty.

        A part counts as empty when it has no label.
        """
        parts = {part.name: part for part in self.parts}
        for name in ("test", "valid"):
            if name in parts and not np.isnan(parts[name].truth).all():
                return parts[name]
        return None

    @property
    def headline_metrics(self) -> tuple[str, ...]:
        """The metric that chose the epoch, then the others that say most, for the kinds there."""
        kinds = {task.kind for task in self.tasks}
        names = [self.metric] if self.metric in METRICS else []
        if "classification" in kinds:
            names += ["roc_auc", "pr_auc", "balanced_accuracy", "mcc"]
        if "regression" in kinds:
            names += ["rmse", "mae", "r2", "spearman"]
        return tuple(dict.fromkeys(names))
