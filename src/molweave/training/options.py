"""What a user chooses for a fit."""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from molweave.errors import UserError
from molweave.methods import METHODS, MethodEntry
from molweave.methods.base import Borrowed
from molweave.methods.config import refuse_idle, replace_fields
from molweave.methods.pretrained import (
    EncoderSpec,
    PretrainedEncoder,
    find_encoder,
    read_encoder,
)
from molweave.methods.spec import read_spec
from molweave.training.config import FINETUNE, PROBE, TRAIN_PRESETS, TrainConfig
from molweave.training.option_checks import (
    check_kinds_of_values,
    check_names,
    check_preset,
    check_seed,
    choose_views,
    make_whole,
    refuse_conformers,
    refuse_frozen,
    refuse_head_first,
    refuse_twice,
    refuse_unlearnt,
)
from molweave.training.recorded import setting_words

_FEW_TASKS = 2
_FEW_NUMBERS = 1000
_SHIPPED = "moleblend-small"
_EPOCHS = ((5000, 5), (1000, 10))
"""From so many labelled molecules on, the passes that fine-tuning was measured with."""


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Every choice of a fit; a model is a function of these and of the data.

    Attributes:
        method: name in `molweave.methods.METHODS`, or ``auto``, see `resolve`.
        preset: a preset of the method. ``auto`` is ``small``, or what a pre-trained encoder
            decides, or with method ``auto`` see `resolve`.
        modalities: views to use; None for the preset's.
        method_options: fields of the method's configuration to change.
        training: fields of `TrainConfig` to change.
        kinds: ``classification`` or ``regression`` for all tasks, or by task name; None infers.
        split: ``scaffold``, ``scaffold-balanced``, ``random`` (each with shares, as in
            ``random:90/10/0``), ``k-fold:I/K``, ``column:NAME`` or ``file:PATH``.
        ensemble: number of networks, each with a seed of its own.
        seed: of the split, the initial weights, the batches, dropout and sampling.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        standardize: name of the standardisation.
        conformers: ``input``, ``generate`` or ``none``, see `Featurizer`.
        workers: worker processes; 0 for one per core.
        pretrained: folder of a pre-trained encoder to start from, or the name of one that ships
            with the package; it decides method, preset and sizes. A method that is named besides
            may take it for one of its views (`Method.borrows`). None starts afresh.
        freeze: leave that encoder as it is and train the head alone.
    """

    method: str = "auto"
    preset: str = "auto"
    modalities: tuple[str, ...] | None = None
    method_options: Mapping[str, object] = field(default_factory=dict)
    training: Mapping[str, object] = field(default_factory=dict)
    kinds: str | Mapping[str, str] | None = None
    split: str = "scaffold"
    ensemble: int = 1
    seed: int = 0
    device: str = "auto"
    standardize: str = "default"
    conformers: str = "input"
    workers: int = 0
    pretrained: str | None = None
    freeze: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built, before any data is read."""
        names = ("method", "preset", "split", "device", "standardize", "conformers")
        check_kinds_of_values({name: getattr(self, name) for name in names})
        make_whole(self, ("ensemble", "seed", "workers"))
        if self.ensemble < 1:
            raise UserError(f"ensemble must be at least 1; found {self.ensemble}")
        check_seed(self.seed)
        self._check_encoder()
        check_preset(self.entry, self.method_name, self.preset_name)
        check_names(self.split, self.standardize, self.conformers, self.kinds)
        refuse_twice(self.method_options, choose_views(self.entry.config, self.modalities))
        training = self.train_config
        if self.freeze:
            refuse_frozen(training)
        frozen = dict.fromkeys(self.entry.unfrozen if self.freeze else (), "freeze")
        refuse_idle(self.changes, self.method_config, self._configure({}), frozen)
        refuse_idle(self.training, training, self._train({}))
        refuse_conformers(self.conformers, self.method_config.modalities)
        if self.deciding is None:
            refuse_unlearnt(self.method_config, self.entry)
            refuse_head_first(training)

    def _check_encoder(self) -> None:
        spec = self.encoder_spec
        if spec is None:
            if self.freeze:
                raise UserError(
                    "freeze needs a pre-trained encoder; name it with --from (pretrained= in "
                    "Python)"
                )
            return
        if self.borrowed:
            self._check_borrowed(self.borrowed)
            return
        for name, found in (("method", spec.method), ("preset", spec.preset)):
            asked = getattr(self, name)
            if asked not in ("auto", found):
                raise UserError(
                    f"the encoder {self.pretrained} is of {name} {found}, found {name} {asked!r}; "
                    f"leave --{name} out, the encoder decides it"
                )

    def _check_borrowed(self, borrowed: Borrowed) -> None:
        if self.freeze:
            raise UserError(
                f"freeze trains the head alone, and {self.method} has fresh parts besides the "
                "encoder; leave --freeze or --method out"
            )
        if borrowed.view not in self.method_config.modalities:
            raise UserError(
                f"{self.method} takes the encoder {self.pretrained} for the view {borrowed.view}, "
                f"found {', '.join(self.method_config.modalities)}; add it, or take --preset "
                f"{borrowed.preset}"
            )
        for name, size in self._borrowed_sizes.items():
            found = getattr(self.method_config, name)
            if found != size:
                raise UserError(
                    f"{name} is {size} in the encoder {self.pretrained}, which decides it; found "
                    f"{found}; leave it out"
                )

    @property
    def borrowed(self) -> Borrowed | None:
        """The part of the method that starts from the encoder, where that is of another method."""
        spec = self.encoder_spec
        if spec is None or self.method not in METHODS:
            return None
        return METHODS[self.method].method.borrows.get(spec.method)

    @property
    def deciding(self) -> EncoderSpec | None:
        """The specification of the encoder where that decides method, preset and sizes."""
        return None if self.borrowed else self.encoder_spec

    @property
    def _borrowed_sizes(self) -> dict[str, object]:
        """Fields of the method's configuration that follow from a borrowed encoder."""
        spec, borrowed = self.encoder_spec, self.borrowed
        if spec is None or borrowed is None:
            return {}
        return {ours: spec.method_config[theirs] for theirs, ours in borrowed.sizes.items()}

    @cached_property
    def encoder_spec(self) -> EncoderSpec | None:
        """The specification of the pre-trained encoder, if there is one."""
        if self.pretrained is None:
            return None
        return read_spec(find_encoder(self.pretrained), EncoderSpec)

    def read_encoder(self) -> PretrainedEncoder | None:
        """The pre-trained encoder, if there is one; its weights fit the configuration.

        Raises:
            UserError: see `molweave.methods.pretrained.read_encoder`, or they do not fit.
        """
        if self.pretrained is None:
            return None
        encoder = read_encoder(find_encoder(self.pretrained))
        if self.deciding is not None:
            encoder.build(self.changes, fresh=self.fresh)
        return encoder

    @property
    def fresh(self) -> tuple[str, ...]:
        """Beginnings of the names of tensors that need not be in the encoder."""
        learnt_first = self.freeze or self.train_config.head_epochs
        return () if learnt_first else self.entry.method.untaught

    @property
    def method_name(self) -> str:
        """The method, with ``auto`` resolved to that of the encoder, or else to DMMRL."""
        if self.deciding is not None:
            return self.deciding.method
        return "dmmrl" if self.method == "auto" else self.method

    def resolve(self, kinds: Sequence[str], *, labelled: int, placed: bool) -> "FitOptions":
        """The same options without ``auto`` in method and preset.

        Where both are ``auto``, scores on the benchmarks' validation parts decided. Where all
        tasks are classes, and with fewer than 1,000 labelled molecules to train on, they become
        ``moleblend-small``, fine-tuned (for 10 epochs from 1,000 on, 5 from 5,000 on), unless 3D
        structures were given or are to be generated, or views or settings of the method chosen.
        Else it is DMMRL with `fresh_preset`.

        Args:
            kinds: of the tasks.
            labelled: molecules with a label in the training part.
            placed: whether the table brings 3D structures.
        """
        chosen = self
        if self.method == self.preset == "auto" and self.pretrained is None:
            suits = labelled < _FEW_NUMBERS or set(kinds) == {"classification"}
            if suits and not (placed or self.conformers == "generate" or self.changes):
                training = {**_fewer_epochs(labelled), **self.training}
                chosen = replace(self, pretrained=_SHIPPED, training=training)
            else:
                chosen = replace(self, preset=fresh_preset(kinds))
        return replace(chosen, method=chosen.method_name, preset=chosen.preset_name)

    @property
    def preset_name(self) -> str:
        """The preset, with ``auto`` resolved as far as that goes without the tasks."""
        if self.deciding is not None:
            return self.deciding.preset
        if self.preset != "auto":
            return self.preset
        if self.borrowed:
            return self.borrowed.preset
        return "hybrid" if self.method == "auto" else "small"

    @property
    def entry(self) -> MethodEntry:
        """The method's class, configuration and presets."""
        if self.method_name not in METHODS:
            raise UserError(f"unknown method {self.method!r}; known: auto, {', '.join(METHODS)}")
        return METHODS[self.method_name]

    @property
    def changes(self) -> dict[str, object]:
        """Fields of the method's configuration that the user changes."""
        return {**self.method_options, **choose_views(self.entry.config, self.modalities)}

    @property
    def method_config(self) -> Any:
        """The preset, or what the encoder was pre-trained with, with the user's changes."""
        return self._configure(self.changes)

    def _configure(self, changes: Mapping[str, object]) -> Any:
        if self.deciding is not None:
            return self.deciding.configure(changes)
        preset = self.entry.presets[self.preset_name]
        return replace_fields(preset, {**self._borrowed_sizes, **changes}, where=self.method_name)

    @property
    def train_config(self) -> TrainConfig:
        """The preset's training with the user's changes."""
        return self._train(self.training)

    def _train(self, changes: Mapping[str, object]) -> TrainConfig:
        name = self.preset_name
        if self.deciding is not None:
            name = PROBE if self.freeze else FINETUNE
        base = TRAIN_PRESETS[(self.method_name, name)]
        return replace_fields(base, changes, where="training")

    @property
    def num_workers(self) -> int:
        """Worker processes, with 0 resolved."""
        return self.workers or os.cpu_count() or 1

    def describe(self) -> str:
        """``dmmrl, preset robust``, and the encoder that it starts from."""
        text = f"{self.method_name}, preset {self.preset_name}"
        if self.pretrained is None:
            return text
        return f"{text}, from {Path(self.pretrained).name}{' (frozen)' if self.freeze else ''}"

    def command(self, data: str, targets: Sequence[str], smiles_column: str | None = None) -> str:
        """The command line that makes the same fit, naming only what differs from the defaults."""
        words = ["molweave", "fit", data]
        for target in targets:
            words += ["--target", target]
        if smiles_column is not None:
            words += ["--smiles-column", smiles_column]
        default = FitOptions()
        if self.pretrained is not None:
            words += ["--from", Path(self.pretrained).name, *(["--freeze"] if self.freeze else [])]
        names = ("split", "ensemble", "seed", "device", "standardize", "conformers")
        for name in names if self.deciding is not None else ("method", "preset", *names):
            value = getattr(self, name)
            if value != getattr(default, name):
                words += _split_flags(value) if name == "split" else [f"--{name}", str(value)]
        words += setting_words(self.modalities, self.method_options, self.training)
        kinds = {self.kinds: ""} if isinstance(self.kinds, str) else self.kinds or {}
        for name, kind in kinds.items():
            words += ["--kind", f"{name}={kind}" if kind else name]
        return shlex.join([*words, "--out", "model"])


def fresh_preset(kinds: Sequence[str]) -> str:
    """The preset of DMMRL that did best on the benchmarks' validation parts.

    ``robust`` for one or two classification tasks, else ``hybrid``: with 27 tasks the bottleneck
    of ``robust`` loses them (``flat`` did better there, but not on the 12 of Tox21).
    """
    few_classes = set(kinds) == {"classification"} and len(kinds) <= _FEW_TASKS
    return "robust" if few_classes else "hybrid"


def _fewer_epochs(labelled: int) -> dict[str, object]:
    """The change to the training of a shipped encoder that a long table asks for."""
    for least, epochs in _EPOCHS:
        if labelled >= least:
            return {"epochs": epochs}
    return {}


def _split_flags(split: str) -> list[str]:
    kind, _, rest = split.partition(":")
    return [f"--split-{kind}", rest] if kind in ("column", "file") else ["--split", split]
