"""Pre-train a method on a corpus: the visible loop."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import distributed, nn

from molweave.data.batch import Batch
from molweave.data.feed import Feed
from molweave.data.shards import ShardedCorpus
from molweave.errors import UserError
from molweave.methods.base import Method, add_up
from molweave.shapes import Tensor
from molweave.training.interrupt import hold_interrupts
from molweave.training.optim import WeightAverage, make_groups, set_rate, warmup_cosine
from molweave.training.pretrain_config import PretrainConfig
from molweave.training.pretrain_state import (
    PretrainState,
    load_pretraining,
    refuse_different_steps,
)
from molweave.training.seed import seed_everything
from molweave.training.state import remove_state
from molweave.training.statistics import estimate_statistics, statistics_of

OnRecord = Callable[[dict[str, float], int], None]
"""Called with every record of the log and the number of all steps."""


@dataclass(frozen=True)
class Pretraining:
    """What a pre-training did.

    Attributes:
        history: one mapping per line of the log: step, epoch, means of every term since the line
            before, learning rate, molecules per second, seconds; ``valid_...`` where a validation
            was.
        stopped: why it ended: ``epochs`` or ``time``.
    """

    history: list[dict[str, float]]
    stopped: str


_MOLECULES = "molecules"
"""Name of the count of molecules among the sums of the terms."""
_STATISTICS = 10
"""Steps whose molecules tell the statistics of batch normalisation."""
_LARGEST_BATCH = 128
"""Molecules that are validated at once, at most."""


class _Step(nn.Module):
    """The loss of a method as fabric wants it; see `molweave.training.finetune.TrainingStep`."""

    def __init__(self, method: Method, unmeasured: frozenset[str]) -> None:
        super().__init__()
        self.method, self.unmeasured = method, unmeasured

    def forward(self, batch: Callable[[], Batch], progress: float) -> dict[str, Tensor]:
        """Every term unweighted, and ``loss``, their weighted sum."""
        given = batch()
        terms = self.method.objectives(self.method.encode(given), given, progress)
        if not terms.keys() - self.unmeasured:
            raise UserError(
                f"{self.method.name} has nothing to learn from without labels in this setting"
                f"{' and without coordinates' if terms else ''}; leave the changed options out, or "
                "keep a loss term above 0"
            )
        return add_up(terms)


class Pretrainer:
    """One pre-training of any method, in any number of processes."""

    def __init__(
        self,
        method: Method,
        corpus: ShardedCorpus,
        config: PretrainConfig,
        fabric: Fabric,
        *,
        seed: int = 0,
        workers: int = 0,
        checkpoint: Path | None = None,
        identity: Mapping[str, Any] | None = None,
        resume: bool = False,
    ) -> None:
        """Prepare to train ``method``.

        Args:
            method: with fresh weights, the same in every process.
            corpus: what to train on.
            config: the optimisation.
            fabric: the processes.
            seed: of the order of the molecules and of all that is random.
            workers: processes that featurise ahead; 0 for none.
            checkpoint: folder of the resumable state; None for none.
            identity: names the run by plain values; a checkpoint of another one is refused.
            resume: go on from ``checkpoint``, where it has a state.
        """
        self.corpus, self.config, self.fabric, self.seed = corpus, config, fabric, seed
        self.checkpoint, self.resume = checkpoint, resume
        self.identity = dict(identity or {})
        self.feed = Feed(
            corpus,
            (*method.modalities, *method.predicts),
            batch_size=config.batch_size,
            accumulate=config.accumulate,
            seed=seed,
            bucket=method.pads,
            max_atoms=config.max_atoms,
            workers=workers,
            rank=fabric.global_rank,
            ranks=fabric.world_size,
        )
        self.steps = config.epochs * self.feed.steps_per_epoch
        self.method = method.to(fabric.device)
        self._exact = torch.float if fabric.device.type == "mps" else torch.double  # MPS lacks it
        if config.compile:
            _compile(self.method)
        groups = make_groups(self.method, config.weight_decay, self.method.learning_rate_factors())
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        self.unmeasured = frozenset(() if corpus.placed else method.spatial_terms)
        step = _Step(self.method, self.unmeasured)
        self.wrapped, self.optimizer = fabric.setup(step, optimizer)
        self.average = WeightAverage(self.method, config.average)
        self.state = PretrainState()
        self._aside = self._rate = 0.0

    def run(self, on_record: OnRecord | None = None) -> Pretraining:
        """Train to the end; the method then holds the weights to keep.

        Ctrl-C takes effect after the step that is running, and leaves a checkpoint.
        """
        self._resume()
        with self.feed.working():
            with hold_interrupts() as interrupted:
                stopped = self._train(interrupted, on_record)
            self._finish()
        return Pretraining(self.state.history, stopped)

    def _train(self, interrupted: Callable[[], bool], on_record: OnRecord | None) -> str:
        """Step until there is a reason to stop."""
        started = saved = time.monotonic()
        before = self.state.seconds
        for batches in self.feed.steps(self.state.step, self.steps):
            interrupted()  # takes Ctrl-C back from RDKit, which made the batches
            self._step(batches)
            self.state.step += 1
            now = time.monotonic()
            self.state.seconds = before + now - started
            limit = 60 * self.config.max_minutes
            ended = bool(limit) and self.state.step < self.steps and now - started >= limit
            stale = now - saved >= 60 * self.config.save_minutes
            ended, stale, stop = self._agree((ended, stale, interrupted()))
            if ended or self._due(self.config.log_steps):
                self._record(on_record)
            if ended:
                return "time"
            if stale or stop:
                self._save()
                saved = now
            if stop:
                raise KeyboardInterrupt
        return "epochs"

    def _due(self, every: int) -> bool:
        return self.state.step % every == 0 or self.state.step == self.steps

    def _agree(self, decisions: tuple[bool, bool, bool]) -> tuple[bool, bool, bool]:
        """The decisions of the first process, whose clock counts for all."""
        return self.fabric.broadcast(decisions)

    def _step(self, batches: list[Batch]) -> None:
        """One step of the optimiser; random numbers depend on seed, step and rank only."""
        step, config = self.state.step, self.config
        seed_everything(self.seed, step * self.fabric.world_size + self.fabric.global_rank)
        self._rate = warmup_cosine(config.learning_rate, step, self.steps, config.warmup)
        set_rate(self.optimizer, self._rate)
        self.wrapped.train()
        for number, given in enumerate(batches, start=1):
            batch = given.to(self.fabric.device)
            with self.fabric.no_backward_sync(self.wrapped, enabled=number < len(batches)):
                terms = self.wrapped(lambda batch=batch: batch, step / self.steps)
                self.fabric.backward(terms["loss"] / len(batches))
            for name, value in terms.items():
                self._add(name, value.detach().float() / len(batches))
            self._add(_MOLECULES, torch.full((), float(batch.size), device=self.fabric.device))
        if config.clip:
            self.fabric.clip_gradients(
                self.wrapped, self.optimizer, max_norm=config.clip, error_if_nonfinite=False
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        if config.average:
            self.average.update(self.method)

    def _add(self, name: str, value: Tensor) -> None:
        sums = self.state.sums
        sums[name] = sums[name] + value if name in sums else value

    def _shared_sums(self) -> dict[str, Tensor]:
        """The sums of the terms, as means over all processes."""
        return {name: self._mean(value) for name, value in self.state.sums.items()}

    def _record(self, on_record: OnRecord | None) -> None:
        """Add a line to the log, with a validation where one is due."""
        state, history = self.state, self.state.history
        last = history[-1] if history else {"step": 0.0, "seconds": 0.0}
        count = state.step - int(last["step"])
        sums = self._shared_sums()
        molecules = float(sums.pop(_MOLECULES)) * self.fabric.world_size
        terms = {
            name: float(value / count)
            for name, value in sums.items()
            if name not in self.unmeasured
        }
        if not all(map(_finite, terms.values())):
            raise _diverged(state.step, "the loss")
        seconds = max(state.seconds - last["seconds"] - self._aside, 1e-9)
        self._aside = 0.0
        record = {
            "step": float(state.step),
            "epoch": state.step / self.feed.steps_per_epoch,
            **terms,
            **self.method.monitors(),
            "learning_rate": self._rate,
            "molecules_per_second": molecules / seconds,
            "seconds": state.seconds,
        }
        state.sums = {}
        if self.config.valid_molecules and self._due(self._valid_every()):
            began = time.monotonic()
            record |= self._validate()
            self._aside = time.monotonic() - began
        history.append(record)
        if on_record is not None:
            on_record(record, self.steps)

    def _valid_every(self) -> int:
        """Steps between validations, a multiple of those between the lines of the log."""
        every = self.config.log_steps
        return max(1, round(self.config.valid_steps / every)) * every

    def _validate(self) -> dict[str, float]:
        """Terms and scores on held-out molecules, of the weights that would be kept.

        A score for which no molecule counts is left out.
        """
        with self.average.applied(self.method), statistics_of(self.method, self._sample):
            self._share_buffers()
            totals = self._assess()
        empty = torch.zeros(2, dtype=self._exact, device=self.fabric.device)
        means = {name: self._mean(totals.get(name, empty)) for name in self._names(totals)}
        scores = {
            f"valid_{name}": float(pair[0] / pair[1])
            for name, pair in means.items()
            if pair[1] and name not in self.unmeasured
        }
        return scores | {
            "valid_molecules": float(means.get("loss", empty)[1]) * self.fabric.world_size
        }

    def _assess(self) -> dict[str, Tensor]:
        """Sum and count of every term and score over this process's held-out molecules."""
        self.method.eval()
        totals: dict[str, Tensor] = {}

        def add(name: str, total: Tensor, count: Tensor) -> None:
            pair = torch.stack([total.to(self._exact), count.to(self._exact)])
            totals[name] = totals[name] + pair if name in totals else pair

        generator = torch.Generator(self.fabric.device).manual_seed(self.seed)
        with torch.inference_mode(), self.fabric.autocast():
            largest = min(_LARGEST_BATCH, self.config.batch_size // self.config.accumulate)
            for given in self.feed.valid(self.config.valid_molecules, largest):
                found = self.method.assess(given.to(self.fabric.device), generator)
                size = torch.tensor(float(given.size), device=self.fabric.device)
                for name, term in found.terms.items():
                    add(name, term.value.float() * size, size)
                    add("loss", term.weight * term.value.float() * size, 0 * size)
                add("loss", 0 * size, size)
                for name, score in found.scores.items():
                    add(name, score.total, score.count)
        return totals

    def _share_buffers(self) -> None:
        """Give every process the statistics of the first one, which are those that are kept."""
        if self.fabric.world_size > 1:
            for value in self.method.buffers():
                distributed.broadcast(value, 0)

    def _names(self, totals: Mapping[str, Tensor]) -> list[str]:
        """What any process has counted, in the same order in all of them."""
        found = self._gather(list(totals))
        return list(dict.fromkeys(name for names in found for name in names))

    def _gather(self, value: Any) -> list[Any]:
        """The value of every process, in all of them."""
        found = [value]
        if self.fabric.world_size > 1:
            found = [None] * self.fabric.world_size
            distributed.all_gather_object(found, value)
        return found

    def _mean(self, value: Tensor) -> Tensor:
        """Over all processes."""
        found = self.fabric.all_reduce(value.clone(), reduce_op="mean")
        assert isinstance(found, Tensor)  # noqa: S101 - fabric gives back what it took
        return found

    def _finish(self) -> None:
        """Keep the state, score what has not been scored, and leave the weights to keep."""
        self._save()
        history = self.state.history
        if self.config.valid_molecules and history and "valid_loss" not in history[-1]:
            history[-1] |= self._validate()
            self._save()
        if self.config.average:
            self.method.load_state_dict(self.average.weights)
        estimate_statistics(self.method, self._sample)
        self._share_buffers()
        self.method.eval()

    def _sample(self) -> Iterator[Batch]:
        """The molecules of the next steps, to take statistics of."""
        step = self.state.step
        for batches in self.feed.steps(step, step + _STATISTICS, tallied=False):
            for batch in batches:
                yield batch.to(self.fabric.device)

    def _save(self) -> None:
        """Write what there is to go on from, unless no number could go on from it.

        Called in all processes together: what they have summed up is shared, the first one writes.
        """
        if self.checkpoint is None:
            return
        self.state.sums = self._shared_sums()
        if not all(bool(torch.isfinite(value).all()) for value in self.method.parameters()):
            raise _diverged(self.state.step, "a weight")
        if self.fabric.global_rank:
            return
        self.state.save(
            self.checkpoint,
            self.method,
            self.optimizer,
            average=self.average.weights if self.config.average else {},
            identity=self.identity,
        )

    def _resume(self) -> None:
        if self.checkpoint is None:
            return
        if not self.resume:
            if self.fabric.global_rank == 0:
                remove_state(self.checkpoint)
            return
        found = load_pretraining(self.checkpoint, self.identity, self.fabric.device)
        steps = self._gather(None if found is None else found.state.step)
        refuse_different_steps(steps, self.checkpoint)
        if found is None:
            return
        self.state = found.state
        found.restore(self.method, self.optimizer)
        if self.config.average:
            self.average.restore(dict(found.tensors["average"]), self.state.step)


def _diverged(step: int, what: str) -> UserError:
    return UserError(
        f"pre-training diverged before step {step}: {what} is not finite; start afresh with a "
        "lower learning_rate"
    )


def _finite(value: float) -> bool:
    return value - value == 0


def _compile(method: Method) -> None:
    parts = method.compiled()
    if not parts:
        raise UserError(f"{method.name} has no layers that gain from compile; leave it out")
    for part in parts:
        part.compile(dynamic=True)
