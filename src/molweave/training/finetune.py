"""Train one property model: the visible loop."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from molweave.data.batch import Batch
from molweave.data.dataset import Dataset
from molweave.data.sampler import fitting_pieces, random_batches
from molweave.data.splits import Split
from molweave.data.targets import Task
from molweave.errors import UserError
from molweave.events import Epoch
from molweave.methods.apply import apply_members
from molweave.methods.base import Term, add_up
from molweave.methods.property_model import PropertyModel
from molweave.metrics import METRICS, default_metric, evaluate, resolve_metric
from molweave.shapes import Tensor
from molweave.training.config import TrainConfig
from molweave.training.optim import WeightAverage, learning_rate, make_optimizer, set_rate
from molweave.training.seed import seed_everything
from molweave.training.state import (
    TrainState,
    load_state,
    optimizer_tensors,
    restore_model,
    restore_optimizer,
    save_state,
)

MOST_PAIRS = 32 * 512**2
"""Molecules times squared heavy atoms that go through the network at once."""

OnEpoch = Callable[[Epoch], None]


@dataclass(frozen=True)
class Fit:
    """A trained member.

    Attributes:
        history: one mapping per epoch: every loss term (training part), ``valid_<metric>``,
            ``learning_rate``, ``seconds``.
        metric: the score that chose the epoch.
        best_epoch: 0-based epoch whose weights the model holds.
        seconds: wall time of the training.
        stopped: why it ended: ``epochs``, ``patience`` or ``time``.
    """

    history: list[dict[str, float]]
    metric: str
    best_epoch: int
    seconds: float
    stopped: str


def make_fabric(device: str, precision: str) -> Fabric:
    """One device of the asked kind; ``auto`` takes a GPU where there is one."""
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    accelerator, _, index = device.partition(":")
    devices = [int(index)] if index else 1
    chosen = choose_precision(precision, on_gpu=can_use_gpu(accelerator))
    return Fabric(accelerator=accelerator, devices=devices, precision=chosen)  # type: ignore[arg-type]


def can_use_gpu(accelerator: str) -> bool:
    """Whether ``auto`` or the name of a kind of device means a GPU here."""
    return accelerator in ("auto", "cuda") and torch.cuda.is_available()


def refuse_precision(device: str, precision: str) -> None:
    """Refuse float16 where it would be replaced by another precision.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto`` or one of fabric's names.

    Raises:
        UserError: it is ``16-mixed``, and the device is the CPU.
    """
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if precision == "16-mixed" and (device == "cpu" or (device == "auto" and not gpu)):
        raise UserError(
            "precision 16-mixed needs a GPU, and the training would run on the CPU; write "
            "bf16-mixed, 32-true or auto"
        )


def choose_precision(name: str, *, on_gpu: bool) -> str:
    """A name of fabric's for ``auto``: bf16 on a GPU that has it, else single precision."""
    if name != "auto":
        return name
    has_it = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if has_it else "32-true"


def choose_metric(config: TrainConfig, tasks: tuple[Task, ...], truth: np.ndarray) -> str:
    """The score that model choice uses.

    Args:
        config: names it, or leaves it open (``auto``): then ROC-AUC, for one regression RMSE, and
            ``loss``, which knows no units, where there are several, where tasks are mixed, or
            where the validation part has one class only.
        tasks: the columns of the targets.
        truth: float (molecules, tasks), the validation part, NaN where missing.

    Raises:
        UserError: the named metric is not for these tasks, or has no value on these labels.
    """
    kinds = {task.kind for task in tasks}
    if config.metric == "loss":
        return "loss"
    if config.metric != "auto":
        name = resolve_metric(config.metric)
        if kinds != {METRICS[name].kind}:
            raise UserError(
                f"the metric {name} is for {METRICS[name].kind}, the targets are "
                f"{' and '.join(sorted(kinds))}; use auto or loss"
            )
        if not _has_value(name, truth):
            raise UserError(
                f"the metric {name} has no value on the validation part, no epoch could be chosen "
                "by it; use auto or loss, or another split"
            )
        return name
    if len(kinds) > 1 or (len(tasks) > 1 and "regression" in kinds):
        return "loss"
    name = default_metric(kinds.pop())
    return name if _has_value(name, truth) else "loss"


def _has_value(metric: str, truth: np.ndarray) -> bool:
    """Whether a metric is defined for one of the tasks."""
    return any(METRICS[metric].defined(column[~np.isnan(column)]) for column in truth.T)


class TrainingStep(nn.Module):
    """The loss of a model as fabric wants it.

    Fabric converts tensors on their way in and out of a module and refuses frozen dataclasses, so
    the batch comes behind a function and the terms leave as tensors.
    """

    def __init__(self, model: PropertyModel) -> None:
        """Wrap ``model``; its parameters are the step's."""
        super().__init__()
        self.model = model

    def forward(
        self, batch: Callable[[], Batch], progress: float, labels: float = 1.0
    ) -> dict[str, Tensor]:
        """Every term unweighted, and ``loss``, their weighted sum.

        ``labels`` multiplies the loss of the task: 1 for a whole batch.
        """
        terms = self.model(batch(), progress)
        task = terms["task"]
        return add_up({**terms, "task": Term(task.weight, labels * task.value)})


class Trainer:
    """One training run; every method is one step of the loop in `run`."""

    def __init__(
        self,
        model: PropertyModel,
        dataset: Dataset,
        split: Split,
        config: TrainConfig,
        *,
        tasks: tuple[Task, ...],
        seed: int,
        device: str = "auto",
        checkpoint: Path | None = None,
        identity: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> None:
        """Prepare to train ``model`` on the training part of ``split``.

        Args:
            model: with fresh or pre-trained weights.
            dataset: all molecules with targets.
            split: positions in ``dataset``.
            config: the optimisation.
            tasks: the columns of the targets.
            seed: of batches, dropout and sampling.
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            checkpoint: folder of the resumable state; None for none.
            identity: names the run, see `TrainState`.
            resume: go on from the state in ``checkpoint``, where there is one.
        """
        self.dataset, self.split, self.config, self.seed = dataset, split, config, seed
        self.checkpoint, self.resume = checkpoint, resume
        self.metric = choose_metric(config, tasks, dataset.labels[split.valid])
        self.fabric = make_fabric(device, config.precision)
        self.model = model.to(self.fabric.device)
        optimizer = make_optimizer(
            self.model, config, self.model.depths(), self.model.learning_rate_factors()
        )
        self.wrapped, self.optimizer = self.fabric.setup(TrainingStep(self.model), optimizer)
        self.average = WeightAverage(self.model, config.average)
        self.state = TrainState(identity=dict(identity or {}))
        self.sizes = dataset.sizes
        self._measured = (~np.isnan(dataset.labels)).sum(axis=1)
        self.steps_per_epoch = len(self._batches(0))

    def _batches(self, epoch: int) -> list[np.ndarray]:
        sizes = self.sizes[self.split.train]
        batches = random_batches(sizes, self.config.batch_size, seed=self.seed, epoch=epoch)
        return [self.split.train[batch] for batch in batches]

    def run(self, on_epoch: OnEpoch | None = None) -> Fit:
        """Train to the end and leave the chosen epoch's weights in the model."""
        self._resume()
        started = time.monotonic() - self._seconds
        while (stopped := self._reason_to_stop(started)) is None:
            began = time.monotonic()
            record = self._train_epoch()
            self._validate(record)
            record["seconds"] = time.monotonic() - began
            self.state.history.append(record)
            self.state.epoch += 1
            self._save()
            if on_epoch is not None:
                on_epoch(Epoch(self.state.epoch, self.config.epochs, record, self.state.best_epoch))
        self.model.load_state_dict(self.state.tensors["best"])
        best = self.state.best_epoch
        return Fit(self.state.history, self.metric, best, self._seconds, stopped)

    @property
    def _seconds(self) -> float:
        """What the epochs took, those before a resumption included."""
        return sum(record["seconds"] for record in self.state.history)

    def _reason_to_stop(self, started: float) -> str | None:
        """Asked before every epoch, so that a resumed run stops where the other one did."""
        state, config = self.state, self.config
        if state.epoch >= config.epochs:
            return "epochs"
        if config.patience and state.epoch - 1 - state.gain_epoch >= config.patience:
            return "patience"
        elapsed = time.monotonic() - started
        if state.epoch and config.max_minutes and elapsed >= 60 * config.max_minutes:
            return "time"
        return None

    def _merit(self, value: float) -> float:
        """The score with a sign that makes larger better."""
        better = self.metric != "loss" and METRICS[self.metric].greater_is_better
        return value if better else -value

    def _train_epoch(self) -> dict[str, float]:
        epoch = self.state.epoch
        seed_everything(self.seed, epoch)
        self.wrapped.train()
        sums: dict[str, float] = {}
        batches = self._batches(epoch)
        for index, positions in enumerate(batches):
            step = epoch * self.steps_per_epoch + index
            rate = learning_rate(self.config, step, self.steps_per_epoch)
            set_rate(self.optimizer, rate)
            progress = step / (self.config.epochs * self.steps_per_epoch)
            for name, value in self._step(positions, progress).items():
                sums[name] = sums.get(name, 0.0) + value / len(batches)
        return {"epoch": float(epoch), **sums, "learning_rate": rate}

    def _step(self, positions: np.ndarray, progress: float) -> dict[str, float]:
        """One step of the optimiser.

        A batch of very large molecules goes through the network in pieces, whose gradients add up
        with the share of each in the batch: in its labels for the loss of the task, which is a mean
        over labels, and in its molecules for all else.
        """
        self.optimizer.zero_grad()
        values: dict[str, float] = {}
        for piece in fitting_pieces(positions, self.sizes, MOST_PAIRS):
            share = len(piece) / len(positions)
            labels = self._share_of_labels(piece, positions) / share
            terms = self._backward(self.dataset.batch(piece), progress, share, labels)
            for name, value in terms.items():
                values[name] = values.get(name, 0.0) + share * float(value.detach())
        if self.config.clip:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        if self.config.average:
            self.average.update(self.model)
        return values

    def _share_of_labels(self, piece: np.ndarray, positions: np.ndarray) -> float:
        """The part of the labels of a batch that a piece of it holds; 1 where there is none."""
        mine, all_ = (self._measured[rows].sum() for rows in (piece, positions))
        return float(mine / all_) if all_ else 1.0

    def _backward(
        self, batch: Batch, progress: float, share: float, labels: float
    ) -> dict[str, Tensor]:
        """Add the gradients of a batch, times ``share``; its loss terms."""
        batch = batch.to(self.fabric.device)
        terms: dict[str, Tensor] = self.wrapped(lambda: batch, progress, labels)
        if not torch.isfinite(terms["loss"]):
            raise self._diverged("the loss")
        self.fabric.backward(share * terms["loss"])
        return terms

    def _validate(self, record: dict[str, float]) -> None:
        """Score the validation part with the averaged weights and keep the best of them."""
        with self.average.applied(self.model):
            self._choose(self._score(record))

    def _choose(self, score: float) -> None:
        """Keep the weights in the model where no epoch before scored better."""
        if self.state.best_score is None or score > self.state.best_score:
            self.state.gain_epoch = self.state.epoch
        if self.state.best_score is None or score >= self.state.best_score:
            self.state.best_score = score
            self.state.best_epoch = self.state.epoch
            self.state.tensors["best"] = {
                name: value.detach().cpu().clone()
                for name, value in self.model.state_dict().items()
            }

    def _score(self, record: dict[str, float]) -> float:
        """The validation score, larger is better, noted in ``record``."""
        valid = self.split.valid
        part = self.dataset.subset(valid)
        outputs = apply_members([self.model], part, device=self.fabric.device)
        if not np.isfinite(outputs.predictions[0, outputs.usable]).all():
            raise self._diverged("a prediction")
        if self.metric == "loss":
            value = _mixed_loss(self.model, outputs.predictions[0], part.labels)
        else:
            value = evaluate(self.metric, part.labels, outputs.predictions[0]).value
        record[f"valid_{self.metric}"] = value
        return -np.inf if np.isnan(value) else self._merit(value)

    def _diverged(self, what: str) -> UserError:
        return UserError(
            f"training diverged in epoch {self.state.epoch + 1}: {what} is not finite; lower "
            "learning_rate, or look for extreme values in the targets"
        )

    def _save(self) -> None:
        if self.checkpoint is None:
            return
        self.state.tensors["model"] = dict(self.model.state_dict())
        self.state.tensors["optimizer"] = optimizer_tensors(self.optimizer)
        if self.config.average:
            self.state.tensors["average"] = self.average.weights
        self.state.precision = self.fabric.strategy.precision.state_dict()
        save_state(self.state, self.checkpoint)

    def _resume(self) -> None:
        if self.checkpoint is None or not self.resume:
            return
        found = load_state(self.checkpoint, self.state.identity)
        if found is None:
            return
        self.state = found
        restore_model(self.model, found.tensors["model"], self.checkpoint)
        restore_optimizer(self.optimizer, found.tensors["optimizer"])
        self.fabric.strategy.precision.load_state_dict(found.precision)
        if self.config.average:
            self.average.restore(found.tensors["average"], found.epoch * self.steps_per_epoch)


def _mixed_loss(model: PropertyModel, predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean over tasks of the log loss or the mean squared standardised error."""
    losses = []
    for column in range(targets.shape[1]):
        there = ~np.isnan(targets[:, column])
        truth, guess = targets[there, column], predictions[there, column]
        if not len(truth):
            continue
        if bool(model.classification[column]):
            guess = np.clip(guess, 1e-7, 1 - 1e-7)
            losses.append(-np.mean(truth * np.log(guess) + (1 - truth) * np.log(1 - guess)))
        else:
            losses.append(np.mean(((truth - guess) / float(model.scale[column])) ** 2))
    return float(np.mean(losses)) if losses else float("nan")
