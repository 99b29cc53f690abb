"""Report data of any shape, drawn at random."""

from collections.abc import Callable

import numpy as np
import pytest

from molweave.data.scores import score_parts
from molweave.data.targets import Task
from molweave.report.data import ReportData, ReportPart

SMILES = ("CCO", "c1ccccc1O", "CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O", "[NH4+].[Cl-]", "C" * 200)
Build = Callable[..., ReportData]


def make_history(metric: str, epochs: int, best: int) -> list[dict[str, float]]:
    greater = metric == "roc_auc"
    scores = [abs(epoch - best) * (-0.01 if greater else 0.01) + 0.5 for epoch in range(epochs)]
    return [
        {
            "epoch": epoch,
            "loss": 1 / (epoch + 1),
            "property": 0.5 / (epoch + 1),
            "kl": 0.1 * epoch,
            f"valid_{metric}": score,
            "learning_rate": 1e-3,
            "seconds": 1.0,
        }
        for epoch, score in enumerate(scores)
    ]


def build(
    kinds: tuple[str, ...] = ("classification",),
    *,
    names: tuple[str, ...] | None = None,
    sizes: tuple[int, int, int] = (40, 20, 30),
    members: int = 1,
    missing: float = 0.0,
    change: Callable[[np.ndarray, np.ndarray], None] | None = None,
    **fields: object,
) -> ReportData:
    """``change(truth, prediction)`` may alter all rows in place; the last 30 are the test part."""
    rng = np.random.default_rng(1)
    total = sum(sizes)
    names = names or tuple(f"task {number}" for number in range(len(kinds)))
    truth, prediction = np.empty((total, len(kinds))), np.empty((total, len(kinds)))
    for column, kind in enumerate(kinds):
        if kind == "classification":
            truth[:, column] = rng.random(total) < 0.4
            prediction[:, column] = np.clip(0.5 * truth[:, column] + 0.5 * rng.random(total), 0, 1)
        else:
            truth[:, column] = rng.normal(3, 2, total)
            prediction[:, column] = truth[:, column] + rng.normal(0, 0.7, total)
    truth[rng.random(truth.shape) < missing] = np.nan
    if change is not None:
        change(truth, prediction)
    tasks = tuple(Task(name, kind) for name, kind in zip(names, kinds, strict=True))
    bounds = np.cumsum((0, *sizes))
    positions = {
        name: np.arange(bounds[part], bounds[part + 1])
        for part, name in enumerate(("train", "valid", "test"))
    }
    std = np.full_like(truth, 0.5) if members > 1 else None
    parts = tuple(
        ReportPart(
            name=name,
            truth=truth[rows],
            prediction=prediction[rows],
            std=None if std is None else std[rows],
            smiles=tuple(SMILES[row % len(SMILES)] for row in rows),
            rows=rows + 1000,
        )
        for name, rows in positions.items()
    )
    metric = {("classification",): "roc_auc", ("regression",): "rmse"}.get(
        tuple(sorted(set(kinds))), "loss"
    )
    values: dict[str, object] = {
        "title": "A fit",
        "tasks": tasks,
        "parts": parts,
        "histories": tuple(make_history(metric, 9, 3 + member) for member in range(members)),
        "chosen": tuple(3 + member for member in range(members)),
        "metric": metric,
        "metrics": score_parts(positions, truth, prediction, tasks),
        "modality_weights": rng.dirichlet((1.0, 2.0), sizes[2]),
        "modalities": ("graph", "geometry"),
        "split_summary": ("17 scaffolds",),
        "rejected": {"parse: no molecule": 3, "read: empty": 7},
        "settings": {
            "method": "dmmrl",
            "preset": "small",
            "split": "scaffold",
            "command": "molweave fit a.csv --target 'task 0'",
            "training": {"epochs": 9, "betas": (0.9, 0.99)},
        },
        "audit": ("2 rows are duplicates",),
    }
    return ReportData(**{**values, **fields})  # type: ignore[arg-type]


@pytest.fixture
def build_data() -> Build:
    return build
