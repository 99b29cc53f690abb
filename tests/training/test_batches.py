"""What the loop puts into one step: molecules of which sizes, and large batches in pieces."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fits import SPLIT, frame, options
from tiny import SIZES

from molweave.chem.read import table_from_frame
from molweave.data.sampler import fitting_pieces
from molweave.training import finetune
from molweave.training.finetune import Trainer
from molweave.training.options import FitOptions
from molweave.training.pipeline import fit_table

NAMES = ("alcohol", "carbons")


def captured_trainer(monkeypatch, table=None, **changes) -> Trainer:
    """A trainer that has not begun, on 24 molecules."""
    found = []

    def capture(self, on_epoch=None):
        found.append(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "run", capture)
        settings = FitOptions(**options(**{"split": SPLIT, **changes}))
        with pytest.raises(KeyboardInterrupt):
            fit_table(table_from_frame(frame() if table is None else table), NAMES, settings)
    return found[0]


def sparse() -> pd.DataFrame:
    """Few labels, of one task mostly, and none of small molecules but one."""
    table = frame().astype({"alcohol": float}).assign(part=["train"] * 24 + ["valid"] * 16)
    table.loc[[*range(1, 12), 15, 18], "alcohol"] = np.nan
    table.loc[[*range(3), *range(4, 22)], "carbons"] = np.nan
    return table


@pytest.mark.parametrize(
    ("limit", "table"),
    [
        *((limit, None) for limit in (1, 700, 3000)),
        *((limit, sparse()) for limit in (1, 300, 700)),
    ],
)
def test_a_batch_in_pieces_has_the_gradients_of_the_whole(monkeypatch, limit, table):
    trainer = captured_trainer(
        monkeypatch,
        table,
        **({} if table is None else {"split": "column:part"}),
        method="moleblend",
        modalities=None,
        method_options={**SIZES["moleblend"], "dropout": 0, "encoder_dropout": 0, "drop_path": 0},
        training={"clip": 0.0, "batch_size": 24},
    )
    steps = []
    trainer.optimizer = SimpleNamespace(
        zero_grad=trainer.model.zero_grad, step=lambda: steps.append(1)
    )
    (positions,) = trainer._batches(0)
    trainer.wrapped.train()

    def step(most: int) -> tuple[dict[str, float], list[torch.Tensor]]:
        monkeypatch.setattr(finetune, "MOST_PAIRS", most)
        values = trainer._step(positions, 0.5)
        return values, [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]

    pieces = fitting_pieces(positions, trainer.sizes, limit)
    assert len(pieces) > 1
    whole, in_pieces = step(10**9), step(limit)
    assert len(steps) == 2
    assert in_pieces[0] == pytest.approx(whole[0], rel=1e-5)
    for one, other in zip(whole[1], in_pieces[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("method", "sizes"), [("mmsa", {"graph_width": 8}), ("moleblend", SIZES["moleblend"])]
)
def test_a_batch_is_a_random_sample_in_ascending_size(monkeypatch, method, sizes):
    """Batch normalisation in training has to see what it will be evaluated on."""
    trainer = captured_trainer(
        monkeypatch,
        method=method,
        modalities=None,
        method_options=sizes,
        training={"batch_size": 6},
    )
    batches = trainer._batches(0)
    assert sorted(np.concatenate(batches)) == sorted(trainer.split.train)
    found = [trainer.sizes[batch] for batch in batches]
    assert all((np.diff(some) >= 0).all() for some in found)
    everything = np.ptp(trainer.sizes[trainer.split.train])
    assert len(batches) > 2
    assert np.mean([np.ptp(some) for some in found]) > 0.7 * everything
