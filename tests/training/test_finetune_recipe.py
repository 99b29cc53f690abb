"""The recipe of a fit does what it says: rate, ramps, batches and random numbers of every step."""

import numpy as np
import pytest
import torch
from tiny import TASKS, labels, molecule, sample, thirty_two

from molweave.data.dataset import Dataset, make_modalities
from molweave.data.sampler import random_batches
from molweave.data.splits import Split
from molweave.methods.base import Encoding, Method
from molweave.methods.property_model import PropertyModel
from molweave.training.config import TrainConfig
from molweave.training.finetune import Trainer
from molweave.training.optim import learning_rate

RECIPE = TrainConfig(epochs=3, batch_size=8, learning_rate=0.01, warmup_epochs=1, metric="loss")
STEPS = 3  # of an epoch: 24 molecules


class Watch(Method):
    """Keeps what it is given in training."""

    name = "watch"

    def __init__(self) -> None:
        super().__init__()
        self.modalities = ("graph",)
        self.embedding_dim = 2
        self.bias = torch.nn.Parameter(torch.zeros(2))
        self.seen: list[tuple[float, list[int], float]] = []

    def encode(self, batch):
        sizes = batch.rows.float()[:, None] / 10
        return Encoding(sizes + self.bias, self.modalities, torch.ones(batch.size, 1))

    def objectives(self, encoding, batch, progress):
        if self.training:
            self.seen.append((progress, batch.rows.tolist(), float(torch.rand(()))))
        return {}


def run(seed: int = 0):
    """What the method saw and the rates of the optimiser, step by step, and the fit."""
    smiles = thirty_two()[0]
    dataset = Dataset(
        molecules=[molecule(text) for text in smiles],
        samples=[{"graph": sample(text)["graph"]} for text in smiles],
        modalities=make_modalities(("graph",)),
        targets=labels(32),
    )
    split = Split(np.arange(24), np.arange(24, 32), np.arange(0), "random")
    torch.manual_seed(0)
    method = Watch()
    model = PropertyModel(method, TASKS, dropout=0.0)
    trainer = Trainer(model, dataset, split, RECIPE, tasks=TASKS, seed=seed, device="cpu")
    rates, step = [], trainer.optimizer.step

    def take_rate(*arguments, **options):
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        return step(*arguments, **options)

    trainer.optimizer.step = take_rate
    return method.seen, rates, trainer.run()


def test_every_step_has_its_rate_its_progress_and_its_molecules():
    seen, rates, _ = run(seed=5)
    assert len(seen) == RECIPE.epochs * STEPS
    assert rates == pytest.approx([learning_rate(RECIPE, step, STEPS) for step in range(9)])
    assert len({round(rate, 9) for rate in rates}) > STEPS
    assert [progress for progress, _, _ in seen] == pytest.approx(np.arange(9) / 9)
    sizes = np.array([molecule(text).mol.GetNumAtoms() for text in thirty_two()[0]])[:24]
    batches = [random_batches(sizes, 8, seed=5, epoch=epoch) for epoch in range(3)]
    assert [rows for _, rows, _ in seen] == [rows.tolist() for one in batches for rows in one]
    assert batches[0][0].tolist() != batches[1][0].tolist()


def test_the_history_has_the_mean_of_the_loss_over_the_steps(monkeypatch):
    losses, step = [], Trainer._step

    def watched(self, *given):
        found = step(self, *given)
        losses.append(found["loss"])
        return found

    monkeypatch.setattr(Trainer, "_step", watched)
    history = run()[2].history
    assert len(set(losses)) == RECIPE.epochs * STEPS
    means = np.reshape(losses, (RECIPE.epochs, STEPS)).mean(1)
    assert [record["loss"] for record in history] == pytest.approx(means)


def test_random_numbers_follow_from_seed_and_epoch():
    draws = [draw for _, _, draw in run(seed=5)[0]]
    assert len(set(draws)) == len(draws)
    assert draws == [draw for _, _, draw in run(seed=5)[0]]
    assert set(draws).isdisjoint(draw for _, _, draw in run(seed=6)[0])
