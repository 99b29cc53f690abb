"""What a user chooses for a pre-training."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from molweave.errors import UserError
from molweave.methods import METHODS, MethodEntry
from molweave.methods.config import refuse_idle, replace_fields
from molweave.training.option_checks import (
    check_preset,
    check_seed,
    choose_views,
    make_whole,
    refuse_twice,
)
from molweave.training.pretrain_config import PRETRAIN_PRESETS, PretrainConfig
from molweave.training.recorded import setting_words


@dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """Every choice of a pre-training; an encoder is a function of these and of the corpus.

    Attributes:
        method: name in `molweave.methods.METHODS`.
        preset: a preset of the method.
        modalities: views to use; None for the preset's.
        method_options: fields of the method's configuration to change.
        training: fields of `PretrainConfig` to change.
        seed: of the initial weights, the order of the molecules and all that is random.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        workers: processes that featurise ahead; 0 to do it between the steps.
        pretrained: folder or name of an encoder of this method and these sizes to go on from, with
            a recipe of its own; None for fresh weights.
    """

    method: str
    preset: str = "small"
    modalities: tuple[str, ...] | None = None
    method_options: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    seed: int = 0
    device: str = "auto"
    workers: int = 0
    pretrained: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be built, before the corpus is read."""
        if self.method not in METHODS:
            raise UserError(f"unknown method {self.method!r}; known: {', '.join(METHODS)}")
        check_preset(self.entry, self.method, self.preset)
        make_whole(self, ("seed", "workers"))
        check_seed(self.seed)
        refuse_twice(self.method_options, choose_views(self.entry.config, self.modalities))
        if not 0 <= self.workers <= 4 * (os.cpu_count() or 1):
            raise UserError(f"workers must be between 0 and four per core; found {self.workers}")
        _ = self.train_config
        unlabelled = dict.fromkeys(self.entry.labelled, "pre-training, which has no labels")
        refuse_idle(self.changes, self.method_config, self._configure({}), unlabelled)

    @property
    def entry(self) -> MethodEntry:
        """The method's class, configuration and presets."""
        return METHODS[self.method]

    @property
    def method_config(self) -> Any:
        """The preset, with what pre-training sets and the user's changes."""
        return self._configure(self.changes)

    @property
    def changes(self) -> dict[str, object]:
        """Fields of the method's configuration that the user changes."""
        return {**self.method_options, **choose_views(self.entry.config, self.modalities)}

    def _configure(self, changes: Mapping[str, object]) -> Any:
        preset = self.entry.presets[self.preset]
        return replace_fields(preset, {**self.entry.pretraining, **changes}, where=self.method)

    @property
    def train_config(self) -> PretrainConfig:
        """The preset's recipe with the user's changes."""
        base = PRETRAIN_PRESETS[(self.method, self.preset)]
        return replace_fields(base, self.training, where="training")

    def command(self, corpus: str) -> str:
        """The command line that makes the same encoder, naming only what differs from defaults."""
        words = ["molweave", "pretrain", corpus, "--method", self.method]
        if self.pretrained is not None:
            words += ["--from", Path(self.pretrained).name]
        default = PretrainOptions(method=self.method)
        for name in ("preset", "seed", "device"):
            if getattr(self, name) != getattr(default, name):
                words += [f"--{name}", str(getattr(self, name))]
        words += setting_words(self.modalities, self.method_options, self.training)
        return shlex.join([*words, "--out", "encoder"])
