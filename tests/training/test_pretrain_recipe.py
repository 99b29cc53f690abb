"""The recipe of a pre-training does what it says, against the same steps by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fits import fake_clock
from tiny import SIZES
from told import Told

from molweave.data.feed import Feed
from molweave.data.shards import ShardedCorpus
from molweave.methods.base import Assessment, Encoding, Method, Term
from molweave.training import pretrain as pretrain_module
from molweave.training.finetune import make_fabric
from molweave.training.pretrain import Pretrainer
from molweave.training.pretrain_config import PretrainConfig
from molweave.training.pretrain_corpus import pretrain_corpus
from molweave.training.pretrain_options import PretrainOptions

RECIPE = PretrainConfig(
    epochs=2, batch_size=5, learning_rate=0.1, warmup=0.3, weight_decay=0.5, clip=0.5, average=0.8,
    log_steps=2, valid_steps=4, valid_molecules=6,
)  # fmt: skip


class Slope(Method):
    """Its loss is the mean over molecules of ((slope + other) * atoms / 10)^2."""

    name = "slope"

    def __init__(self) -> None:
        super().__init__()
        self.modalities = ("relations",)
        self.embedding_dim = 1
        self.slope = torch.nn.Parameter(torch.ones(1, 1))
        self.other = torch.nn.Parameter(torch.ones(1, 1))
        self.norm = torch.nn.BatchNorm1d(1, affine=False)
        self.progress: list[float] = []

    def learning_rate_factors(self):
        return {"slope": 0.25}

    def encode(self, batch):
        sizes = torch.tensor(batch.parts["relations"].sizes, dtype=torch.float32)[:, None]
        slope = self.slope + self.other
        return Encoding(sizes / 10 @ slope, self.modalities, torch.ones(batch.size, 1))

    def objectives(self, encoding, batch, progress):
        if self.training:
            self.progress.append(progress)
        return {"square": Term(1.0, encoding.embedding.square().mean())}

    def assess(self, batch, generator):
        return Assessment(self.objectives(self.encode(batch), batch, 1.0), {})


def feed_of(shards, recipe: PretrainConfig) -> Feed:
    corpus = ShardedCorpus(shards)
    return Feed(
        corpus, ("relations",), batch_size=recipe.batch_size, bucket=False,
        max_atoms=recipe.max_atoms,
    )  # fmt: skip


def sizes_of(shards, recipe: PretrainConfig) -> list[np.ndarray]:
    """The sizes of the molecules of every step."""
    steps = recipe.epochs * 5
    return [
        np.array([size for batch in batches for size in batch.parts["relations"].sizes])
        for batches in feed_of(shards, recipe).steps(0, steps)
    ]


class Watched(Slope):
    """Half its loss counts; it draws a number a step, remembers its losses and normalises."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[float] = []
        self.values: list[float] = []

    def encode(self, batch):
        self.norm(torch.tensor(batch.parts["relations"].sizes, dtype=torch.float32)[:, None])
        return super().encode(batch)

    def objectives(self, encoding, batch, progress):
        value = encoding.embedding.square().mean()
        if self.training:
            self.drawn.append(float(torch.rand(())))
            self.values.append(float(value.detach()))
        return {"square": Term(0.5, value)}


def run(shards, recipe: PretrainConfig, kind: type[Slope] = Slope):
    trainer = Pretrainer(kind(), ShardedCorpus(shards), recipe, make_fabric("cpu", "32-true"))
    return trainer, trainer.run().history


def test_the_log_has_means_over_its_steps_and_every_step_draws_anew(shards):
    trainer, history = run(shards, RECIPE, Watched)
    method = trainer.method
    assert len(method.values) == len(set(method.drawn)) == 10
    for line, pair in zip(history, np.reshape(method.values, (5, 2)), strict=True):
        assert line["square"] == pytest.approx(pair.mean())
        assert line["loss"] == pytest.approx(line["square"] / 2)
    validated = [line for line in history if "valid_loss" in line]
    assert len(validated) == 3
    for line in validated:
        assert line["valid_loss"] == pytest.approx(line["valid_square"] / 2)


def test_the_statistics_that_are_kept_are_those_of_the_last_weights(shards):
    """Over the molecules of the steps that would come next."""
    method = run(shards, RECIPE, Watched)[0].method
    following = feed_of(shards, RECIPE).steps(10, 20)
    means = [np.mean(batch.parts["relations"].sizes) for step in following for batch in step]
    assert float(method.norm.running_mean) == pytest.approx(np.mean(means))


def rate_of(step: int, steps: int) -> float:
    first = round(RECIPE.warmup * steps)
    if step < first:
        return RECIPE.learning_rate * (step + 1) / first
    return RECIPE.learning_rate / 2 * (1 + math.cos(math.pi * (step - first) / (steps - first)))


def test_rate_decay_clipping_and_average(shards):
    """AdamW of torch over the same molecules, step by step."""
    trainer, history = run(shards, RECIPE)
    taken = sizes_of(shards, RECIPE)
    slopes = [torch.nn.Parameter(torch.ones(1, 1)) for _ in range(2)]
    averages = [torch.ones(1, 1) for _ in range(2)]
    groups = [{"params": [slope]} for slope in slopes]
    optimizer = torch.optim.AdamW(groups, weight_decay=RECIPE.weight_decay)
    valid = np.mean([(size / 10) ** 2 for size in range(1, 7)])
    for step, sizes in enumerate(taken):
        for group, factor in zip(optimizer.param_groups, (0.25, 1), strict=True):
            group["lr"] = factor * rate_of(step, len(taken))
        optimizer.zero_grad()
        (sum(slopes) * torch.tensor(sizes / 10, dtype=torch.float32)).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(slopes, RECIPE.clip)
        optimizer.step()
        share = 1 - min(RECIPE.average, (2 + step) / (11 + step))
        for average, slope in zip(averages, slopes, strict=True):
            average.lerp_(slope.detach(), share)
        if step + 1 in (4, 8, 10):
            line = next(line for line in history if line["step"] == step + 1)
            assert line["valid_square"] == pytest.approx(
                float(sum(averages)) ** 2 * valid, rel=1e-4
            )
            assert line["learning_rate"] == pytest.approx(rate_of(step, len(taken)))
    method = trainer.method
    for average, slope, found in zip(averages, slopes, (method.slope, method.other), strict=True):
        assert abs(float(average) - float(slope.detach())) > 0.005
        assert float(found.detach()) == pytest.approx(float(average), rel=1e-4)
    assert method.progress == pytest.approx(np.arange(len(taken)) / len(taken))


@pytest.mark.parametrize(
    "change", [{"clip": 0.0}, {"weight_decay": 0.0}, {"average": 0.0}], ids=str
)
def test_each_of_them_changes_the_result(shards, change):
    assert run(shards, RECIPE)[1][-1] != run(shards, replace(RECIPE, **change))[1][-1]


def test_the_pace_counts_the_molecules_that_were_trained_on(shards, monkeypatch):
    """Those of more than max_atoms heavy atoms are not; nor does the time of a validation count."""
    recipe = replace(RECIPE, max_atoms=15)
    fake_clock(monkeypatch, 2.0, pretrain_module)
    trainer, history = run(shards, recipe)
    seconds = np.diff([0.0, *(line["seconds"] for line in history)])
    aside = 2.0 * np.array([0, *("valid_loss" in line for line in history[:-1])])
    assert aside.any()
    counts = np.array([line["molecules_per_second"] for line in history]) * (seconds - aside)
    taken = [len(sizes) for sizes in sizes_of(shards, recipe)]
    assert counts == pytest.approx([sum(taken[i : i + 2]) for i in range(0, 10, 2)])
    assert max(map(max, sizes_of(shards, recipe))) == 15
    assert (trainer.feed.drawn, trainer.feed.left_out) == (50, 20)  # not those of statistics


def test_a_validation_without_any_molecule_ends_the_training_well(shards, monkeypatch):
    """As when every held-out molecule has more than max_atoms heavy atoms."""
    monkeypatch.setattr(Feed, "valid", lambda *_: iter(()))
    last = run(shards, RECIPE)[1][-1]
    assert (last["step"], last["valid_molecules"]) == (10, 0)
    assert "valid_loss" not in last


def test_molecules_that_are_left_out_are_told(shards):
    told = Told()
    training = {"epochs": 1, "batch_size": 5, "valid_molecules": 6, "max_atoms": 15}
    chosen = PretrainOptions(
        method="moleblend",
        method_options=SIZES["moleblend"],
        training=training,
        device="cpu",
    )
    pretrain_corpus(shards, chosen, events=told)
    assert told.lines[-1] == (
        "10 of 25 molecules drawn have more than 15 heavy atoms and were left out (max_atoms)"
    )
    recipe = replace(RECIPE, max_atoms=15, valid_molecules=5)
    assert run(shards, recipe)[1][-1]["valid_molecules"] == 5
