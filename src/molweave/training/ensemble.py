"""Train the networks of an ensemble, each with a seed of its own."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from molweave.data.dataset import Dataset
from molweave.data.splits import Split
from molweave.data.targets import positive_weights
from molweave.events import Events
from molweave.methods.checkpoint import ModelSpec, build_member
from molweave.methods.pretrained import PretrainedEncoder
from molweave.methods.property_model import PropertyModel
from molweave.training.config import TrainConfig
from molweave.training.finetune import Fit, Trainer, make_fabric
from molweave.training.options import FitOptions
from molweave.training.probe import embed_dataset, head_config, probe
from molweave.training.record import identity
from molweave.training.seed import seed_everything
from molweave.training.state import holds_state
from molweave.wording import counted

_LEAST_MINUTES = 1e-9
"""Left for a network whose head took all the time: it trains for one epoch."""
_EARLY = {
    "time": "the time limit was reached",
    "patience": "the validation score had not improved for {patience}",
}
"""Why a training ended before its last epoch."""


@dataclass(frozen=True, kw_only=True)
class EnsembleFit:
    """What the training of every network of an ensemble starts from.

    Attributes:
        spec: what is learnt.
        options: all choices, without ``auto``.
        dataset: all molecules with targets.
        split: positions in it.
        encoder: initial weights; None for fresh ones.
        checkpoint: parent folder of the resumable states; None for none.
        resume: go on from them.
        events: told of the progress.
    """

    spec: ModelSpec
    options: FitOptions
    dataset: Dataset
    split: Split
    encoder: PretrainedEncoder | None
    checkpoint: Path | None
    resume: bool
    events: Events

    @cached_property
    def config(self) -> TrainConfig:
        """The optimisation of one network."""
        config = self.options.train_config
        return replace(config, max_minutes=config.max_minutes / self.options.ensemble)

    @cached_property
    def vectors(self) -> Dataset:
        """The data set as the pre-trained encoder sees it; computed once, where it is needed."""
        if self.encoder is None:
            raise RuntimeError("a head alone is trained on a pre-trained encoder only")
        self.events.stage("embedding", len(self.dataset))
        device = make_fabric(self.options.device, self.config.precision).device
        frozen = self.encoder.build(self.options.changes)
        return embed_dataset(frozen, self.dataset, device=device, progress=self.events.advance)

    def fit(self, number: int) -> tuple[Fit, PropertyModel]:
        """Train the network ``number`` (from 0); it comes back in evaluation mode."""
        member = self._build(number)
        model, learnt, config = member, self.dataset, self.config
        if self.options.freeze:
            model, learnt = probe(member, self.spec.tasks), self.vectors
        elif config.head_epochs and not self._begun(number):
            config = self._fit_head(member, number)
        trainer = self._trainer(number, model, learnt, config)
        fit = self._run(trainer, "training", number)
        return fit, member.to(trainer.fabric.device).eval()

    def _build(self, number: int) -> PropertyModel:
        seed_everything(self._seed(number))
        weights = None
        if self.config.balance:
            train = self.split.train
            weights = positive_weights(self.dataset.labels, train, self.spec.tasks).tolist()
        member = build_member(self.spec, positive_weight=weights)
        if self.encoder is not None and self.options.borrowed:
            self.encoder.lend_to(member.method)
        elif self.encoder is not None:
            config, fresh = self.spec.method_config, self.options.fresh
            self.encoder.load_into(member.method, config, fresh=fresh)
        return member

    def _fit_head(self, member: PropertyModel, number: int) -> TrainConfig:
        """Train the head alone first, tell how far that comes, and give what is left to do."""
        alone = head_config(self.spec.method, self.config)
        head = probe(member, self.spec.tasks)
        fit = self._run(self._trainer(number, head, self.vectors, alone, "head"), "head", number)
        score = fit.history[fit.best_epoch][f"valid_{fit.metric}"]
        name = f"head {self._count(number)}"
        self.events.message(f"{name} alone: {fit.metric} {score:.3f} on the validation part")
        if not self.config.max_minutes:
            return self.config
        left = self.config.max_minutes - fit.seconds / 60
        return replace(self.config, max_minutes=max(left, _LEAST_MINUTES))

    def _trainer(
        self,
        number: int,
        model: PropertyModel,
        dataset: Dataset,
        config: TrainConfig,
        part: str = "",
    ) -> Trainer:
        """The loop over a whole network, or over the ``part`` of it that is trained before."""
        seed = self._seed(number)
        named = identity(self.spec, seed)
        return Trainer(
            model,
            dataset,
            self.split,
            config,
            tasks=self.spec.tasks,
            seed=seed,
            device=self.options.device,
            checkpoint=self._place(number, part),
            identity={**named, "part": part} if part else named,
            resume=self.resume,
        )

    def _run(self, trainer: Trainer, name: str, number: int) -> Fit:
        title = f"{name} {self._count(number)}"
        self.events.stage(title, trainer.config.epochs)
        fit = trainer.run(lambda epoch: self.events.epoch(number, epoch))
        if fit.stopped != "epochs":
            done, asked = len(fit.history), trainer.config.epochs
            why = _EARLY[fit.stopped].format(patience=counted(trainer.config.patience, "epoch"))
            self.events.message(f"{title} ended after {done} of {asked} epochs: {why}")
        return fit

    def _begun(self, number: int) -> bool:
        """Whether a state of the whole network is there to go on from."""
        place = self._place(number)
        return self.resume and place is not None and holds_state(place)

    def _place(self, number: int, part: str = "") -> Path | None:
        """Folder of the resumable state."""
        name = f"member-{number}-{part}" if part else f"member-{number}"
        return self.checkpoint / name if self.checkpoint else None

    def _seed(self, number: int) -> int:
        return self.options.seed + 1000 * number

    def _count(self, number: int) -> str:
        return f"{number + 1}/{self.options.ensemble}"
