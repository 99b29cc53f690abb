"""From a corpus on disk to a pre-trained encoder."""

import hashlib
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from molweave.chem.conformers import ConformerSettings
from molweave.data.dataset import make_modalities
from molweave.data.manifest import PARTS
from molweave.data.shards import ShardedCorpus
from molweave.errors import UserError
from molweave.events import Events, Silent
from molweave.methods.base import Method
from molweave.methods.config import to_plain
from molweave.methods.pretrained import (
    EncoderSpec,
    PretrainedEncoder,
    find_encoder,
    read_encoder,
)
from molweave.modalities import spatial
from molweave.training.finetune import choose_precision
from molweave.training.pretrain import Pretrainer, Pretraining
from molweave.training.pretrain_options import PretrainOptions
from molweave.training.processes import join_processes
from molweave.training.seed import own_generators, seed_everything
from molweave.version import versions

_CLOCKS = ("max_minutes", "save_minutes")
"""Fields of the recipe that change nothing of what is learnt up to a step."""


@dataclass(frozen=True)
class PretrainResult:
    """A pre-trained network and everything that a report says of it.

    Attributes:
        spec: of the encoder.
        method: the network with the weights to keep.
        training: what happened.
        first: whether this process is the one that writes.
    """

    spec: EncoderSpec
    method: Method
    training: Pretraining
    first: bool


@own_generators()
def pretrain_corpus(
    folder: str | Path,
    options: PretrainOptions,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    events: Events | None = None,
) -> PretrainResult:
    """Pre-train a method on the shards in ``folder``.

    Under ``torchrun`` every process calls this, and only the first one tells of its progress.

    Args:
        folder: made by `molweave.data.prepare.prepare`.
        options: all choices.
        checkpoint: folder for the resumable state; None for none.
        resume: go on from ``checkpoint``, where it has a state of this very run.
        events: told of the progress.

    Raises:
        UserError: a corpus or options that cannot be used, or a checkpoint of another run.
    """
    corpus = ShardedCorpus(folder)
    config, recipe = options.method_config, options.train_config
    fabric = join_processes(options.device, recipe.precision)
    if not corpus.placed:
        _refuse_flat(config, folder)
    held_out = min(recipe.valid_molecules, corpus.count("valid"))
    if recipe.valid_molecules and held_out < fabric.world_size:
        raise UserError(
            f"{folder} holds out {corpus.count('valid')} molecules to validate on, fewer than "
            "there are processes; prepare it with a larger share (--valid 0.2), or train with "
            "valid_molecules=0"
        )
    first = fabric.global_rank == 0
    events = (events or Events()) if first else Silent()
    seed_everything(options.seed)
    method: Method = options.entry.method(config)
    source = _start_from(options, method, events)
    origin = "" if source is None else source.sha256
    identity = {**_identity(options, corpus), "from": origin, "processes": fabric.world_size}
    trainer = Pretrainer(
        method,
        corpus,
        recipe,
        fabric,
        seed=options.seed,
        workers=options.workers,
        checkpoint=checkpoint,
        identity=identity,
        resume=resume,
    )
    for line in _describe(corpus, method, trainer):
        events.message(line)
    events.stage("pre-training", trainer.steps)
    training = trainer.run(events.record)
    if trainer.feed.left_out:
        events.message(
            f"{trainer.feed.left_out:,} of {trainer.feed.drawn:,} molecules drawn have more than "
            f"{recipe.max_atoms} heavy atoms and were left out (max_atoms)"
        )
    spec = _make_spec(options, corpus, source, training, fabric)
    return PretrainResult(spec, method, training, first)


def _refuse_flat(config: Any, folder: str | Path) -> None:
    """Refuse to pre-train on a corpus without coordinates what learns from nothing else."""
    if len(spatial(config.modalities)) == len(config.modalities):
        raise UserError(
            f"{folder} has no coordinates, and {', '.join(config.modalities)} is made from nothing "
            "else; prepare it with --conformers generate, or take another view"
        )


def _identity(options: PretrainOptions, corpus: ShardedCorpus) -> dict[str, Any]:
    """What must not change between a run and its resumption."""
    config, recipe = options.method_config, to_plain(options.train_config)
    origin = corpus.manifest.origin
    return {
        "corpus": _digest(corpus),
        "corpus.files": [item.name for item in origin.corpus],
        "corpus.excluded": [item.name for item in origin.exclude],
        **{f"corpus.{part}": corpus.count(part) for part in PARTS},
        **{f"corpus.{name}": value for name, value in origin.settings.items()},
        "method": options.method,
        **{f"method.{name}": value for name, value in to_plain(config).items()},
        **{f"training.{name}": recipe[name] for name in recipe if name not in _CLOCKS},
        **{f"modality.{view.name}": view.version for view in make_modalities(config.modalities)},
        "seed": options.seed,
    }


def _start_from(
    options: PretrainOptions, method: Method, events: Events
) -> PretrainedEncoder | None:
    """Give ``method`` the weights of the encoder asked for, if any, and the encoder.

    Heads of objectives that the encoder was not pre-trained with start afresh.
    """
    if options.pretrained is None:
        return None
    encoder = read_encoder(find_encoder(options.pretrained))
    if encoder.spec.method != options.method:
        raise UserError(
            f"{options.pretrained} is an encoder of {encoder.spec.method}, not of {options.method}"
        )
    heads = method.objective_heads()
    fresh = encoder.load_into(method, to_plain(options.method_config), fresh=heads)
    if fresh:
        new = [head.rstrip(".") for head in heads if any(name.startswith(head) for name in fresh)]
        events.message(
            f"{options.pretrained} was pre-trained without {', '.join(new)}: new weights"
        )
    return encoder


def _origin(options: PretrainOptions, source: PretrainedEncoder | None) -> dict[str, str] | None:
    """Which encoder the weights started from."""
    if source is None or options.pretrained is None:
        return None
    return {"name": Path(options.pretrained).name, "sha256": source.sha256}


def _digest(corpus: ShardedCorpus) -> str:
    digest = hashlib.sha256()
    for shard in corpus.manifest.shards:
        digest.update(f"{shard.part} {shard.sha256}\n".encode())
    return digest.hexdigest()[:16]


def _describe(corpus: ShardedCorpus, method: Method, trainer: Pretrainer) -> list[str]:
    parameters = sum(p.numel() for p in method.parameters())
    lines = [
        f"{corpus.folder}: {corpus.count('train'):,} molecules to train on, "
        f"{corpus.count('valid'):,} held out",
        f"{method.name}: {parameters:,} parameters, {trainer.steps:,} steps of "
        f"{trainer.config.batch_size} molecules",
    ]
    unseen = [] if corpus.placed else spatial(method.modalities)
    if unseen:
        lines.append(
            f"the corpus has no coordinates: {', '.join(unseen)} is missing for every molecule, "
            "and the network learns from 2D alone"
        )
    return lines


def _make_spec(
    options: PretrainOptions,
    corpus: ShardedCorpus,
    source: PretrainedEncoder | None,
    training: Pretraining,
    fabric: Fabric,
) -> EncoderSpec:
    settings = corpus.manifest.origin.settings
    device = fabric.device.type
    config = options.method_config
    last = training.history[-1] if training.history else {}
    valid = [record for record in training.history if "valid_loss" in record]
    record: dict[str, Any] = {
        "corpus": {
            "files": [item.name for item in corpus.manifest.origin.corpus],
            "excluded": [item.name for item in corpus.manifest.origin.exclude],
            "train": corpus.count("train"),
            "valid": corpus.count("valid"),
            "coordinates": dict(corpus.manifest.coordinates),
            "sha256": _digest(corpus),
        },
        "placed": corpus.placed or (source is not None and source.spec.placed),
        "from": _origin(options, source),
        "training": to_plain(options.train_config),
        "steps": int(last.get("step", 0)),
        "epochs": last.get("epoch", 0.0),
        "seconds": last.get("seconds", 0.0),
        "stopped": training.stopped,
        "valid": {k: v for k, v in (valid[-1] if valid else {}).items() if k[:6] == "valid_"},
        "seed": options.seed,
        "hardware": {
            "device": device,
            "precision": choose_precision(options.train_config.precision, on_gpu=device == "cuda"),
            "machine": platform.machine(),
            "processes": fabric.world_size,
            "threads": torch.get_num_threads(),
        },
        "command": options.command(corpus.folder.name),
        "versions": versions(),
        "date": time.strftime("%Y-%m-%d"),
    }
    return EncoderSpec(
        method=options.method,
        preset=options.preset,
        method_config=to_plain(config),
        standardizer=str(settings["standardizer"]),
        conformers=ConformerSettings(),
        coordinates="input",
        modality_versions={
            modality.name: modality.version for modality in make_modalities(config.modalities)
        },
        record=record,
    )
