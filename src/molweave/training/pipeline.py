"""From a table of molecules to a fitted model: read, split, featurise, train, score."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record, Table
from molweave.data.audit import audit
from molweave.data.dataset import Dataset, Featurizer, make_modalities
from molweave.data.scores import Scores, score_parts
from molweave.data.splits import Split
from molweave.data.targets import (
    Task,
    check_targets,
    find_kinds,
    fit_tasks,
    parse_targets,
    positive_weights,
)
from molweave.errors import UserError
from molweave.events import Events
from molweave.methods.apply import Outputs, apply_members
from molweave.methods.checkpoint import FittedModel, ModelSpec, build_member
from molweave.methods.config import to_plain
from molweave.methods.pretrained import PretrainedEncoder
from molweave.methods.property_model import PropertyModel
from molweave.modalities.base import Missing
from molweave.training.finetune import Fit, Trainer, choose_metric, make_fabric
from molweave.training.option_checks import refuse_balance
from molweave.training.options import FitOptions
from molweave.training.probe import embed_dataset, probe
from molweave.training.seed import seed_everything
from molweave.training.splitting import choose_split
from molweave.training.state import has_state
from molweave.version import versions
from molweave.wording import counted


@dataclass(frozen=True, kw_only=True)
class TrainingTable:
    """The usable rows of a table, with their targets.

    Attributes:
        name: of the input.
        rows: number of rows of the input.
        records: the usable records.
        molecules: their structures.
        targets: float64 (molecules, tasks).
        rejected: the other rows.
        sha256: digest over the canonical SMILES and targets: the identity of the data.
    """

    name: str
    rows: int
    records: tuple[Record, ...]
    molecules: tuple[Molecule, ...]
    targets: np.ndarray
    rejected: tuple[Rejected, ...]
    sha256: str


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """A fitted model and everything that a report says of it.

    Attributes:
        model: the fitted model.
        data: what it was fitted on.
        split: positions in ``data.molecules``.
        fits: one per ensemble member.
        outputs: what the model says of every molecule of the data.
        scores: metrics per part and task.
        audit: lines on the quality of the data.
    """

    model: FittedModel
    data: TrainingTable
    split: Split
    fits: tuple[Fit, ...]
    outputs: Outputs
    scores: Scores
    audit: tuple[str, ...]


def read_training_table(
    table: Table, names: Sequence[str], standardizer: Standardizer
) -> TrainingTable:
    """Read a labelled table; rows that cannot be used are kept aside with their reason.

    Raises:
        UserError: see `parse_targets`; also when the table has no rows.
    """
    records = tuple(table)
    if not records:
        raise UserError(f"{table.name} has a header but no rows; nothing can be learnt from it")
    everything = parse_targets(table.columns, records, names)
    results = [standardizer(record) for record in records]
    kept = [index for index, result in enumerate(results) if isinstance(result, Molecule)]
    molecules = tuple(result for result in results if isinstance(result, Molecule))
    targets = everything[kept]
    digest = hashlib.sha256()
    for molecule, values in zip(molecules, targets, strict=True):
        digest.update(f"{molecule.canonical}\t{values.tolist()}\n".encode())
    return TrainingTable(
        name=table.name,
        rows=len(records),
        records=tuple(records[index] for index in kept),
        molecules=molecules,
        targets=targets,
        rejected=tuple(result for result in results if isinstance(result, Rejected)),
        sha256=digest.hexdigest(),
    )


def fit_table(
    table: Table,
    names: Sequence[str],
    options: FitOptions,
    *,
    split: Split | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    events: Events | None = None,
) -> FitResult:
    """Fit a model on a table.

    The epoch is chosen on the validation part; the test part is read once, at the end.

    Args:
        table: molecules and targets.
        names: the target columns.
        options: all choices.
        split: positions in the usable molecules, instead of ``options.split``.
        checkpoint: folder for the resumable state of the training; None for none.
        resume: go on from ``checkpoint`` where it has a state of this very run.
        events: told of the progress.
    """
    events = events or Events()
    if checkpoint is not None:
        _tell_of_checkpoint(checkpoint, resume, events)
    encoder = options.read_encoder()
    events.stage("reading")
    data = read_training_table(table, names, Standardizer(options.standardize))
    check_targets(data.targets, names)
    if split is None:
        split = choose_split(
            options.split,
            data.molecules,
            columns=table.columns,
            records=data.records,
            seed=options.seed,
        )
    kinds = find_kinds(data.targets, names, options.kinds)
    options = options.resolve(kinds)
    refuse_balance(options.train_config.balance, kinds)
    unlabelled = np.isnan(data.targets).all(axis=1)
    split = _leave_out(split, unlabelled, "without any label", events)
    _check_split(data, split, names, kinds, options)
    findings = _audit(data, split, names, kinds, events)
    dataset = _make_dataset(data, options, events)
    split = _leave_out(split, _viewless(dataset, events), "without any view", events)
    tasks = _check_split(data, split, names, kinds, options)
    spec = _make_spec(options, tasks, data, split, dataset, encoder)
    learnt = dataset
    if options.freeze and encoder is not None:
        events.stage("embedding", len(dataset))
        device = make_fabric(options.device, options.train_config.precision).device
        frozen = encoder.build(options.changes)
        learnt = embed_dataset(frozen, dataset, device=device, progress=events.advance)
    fits, members = [], []
    for number in range(options.ensemble):
        fit, member = _fit_member(
            spec, learnt, split, options, number, encoder, checkpoint, resume, events
        )
        fits.append(fit)
        members.append(member)
    model = FittedModel(spec, tuple(members))
    events.stage("scoring", len(dataset))
    device = next(members[0].parameters()).device
    outputs = apply_members(members, dataset, device=device, progress=events.advance)
    scores = score_parts(split.parts, data.targets, outputs.predictions.mean(0), tasks)
    return FitResult(
        model=model,
        data=data,
        split=split,
        fits=tuple(fits),
        outputs=outputs,
        scores=scores,
        audit=findings,
    )


def _tell_of_checkpoint(checkpoint: Path, resume: bool, events: Events) -> None:
    """Say what becomes of the state of an interrupted run, before it is forgotten."""
    found = has_state(checkpoint)
    if found and not resume:
        events.message(
            f"an interrupted run is in {checkpoint}: stop now and add --resume (resume=True) to go "
            "on with it; starting afresh"
        )
    if resume and not found:
        events.message(f"nothing to resume in {checkpoint}: starting afresh")


def _check_split(
    data: TrainingTable,
    split: Split,
    names: Sequence[str],
    kinds: Sequence[str],
    options: FitOptions,
) -> tuple[Task, ...]:
    """The tasks, scaled by the training part; refuses parts that cannot be trained or chosen on."""
    tasks = fit_tasks(data.targets, split.train, names, kinds)
    choose_metric(options.train_config, tasks, data.targets[split.valid])
    return tasks


def _audit(
    data: TrainingTable, split: Split, names: Sequence[str], kinds: Sequence[str], events: Events
) -> tuple[str, ...]:
    """Tell what the data are like, and give the lines of the audit."""
    findings = audit(
        data.molecules,
        data.targets,
        names,
        rejected=data.rejected,
        kinds=dict(zip(names, kinds, strict=True)),
        split=split,
    ).summary
    events.message(
        f"{data.name}: {counted(data.rows, 'row')}, "
        f"{counted(len(data.molecules), 'usable molecule')}"
    )
    events.message(f"split {split.kind}: {'; '.join(split.notes)}")
    for line in findings:
        events.message(line)
    return findings


def _make_dataset(data: TrainingTable, options: FitOptions, events: Events) -> Dataset:
    modalities = make_modalities(options.method_config.modalities)
    featurizer = Featurizer(
        modalities=modalities, coordinates=options.conformers, workers=options.num_workers
    )
    events.stage("conformers", len(data.molecules))
    samples = featurizer(data.molecules, events.advance)
    return Dataset(
        molecules=data.molecules, samples=samples, modalities=modalities, targets=data.targets
    )


def _viewless(dataset: Dataset, events: Events) -> np.ndarray:
    """Which molecules have no view at all, bool (molecules,); tells which views are missing."""
    reasons = Counter(
        f"{name}: {view.reason}"
        for sample in dataset.samples
        for name, view in sample.items()
        if isinstance(view, Missing)
    )
    for reason, count in reasons.most_common():
        events.message(f"{counted(count, 'molecule')} without {reason}")
    return np.array(
        [all(isinstance(view, Missing) for view in sample.values()) for sample in dataset.samples]
    )


def _leave_out(split: Split, unusable: np.ndarray, why: str, events: Events) -> Split:
    """The split without the molecules of a mask; a part that must not be empty is checked."""
    if not unusable.any():
        return split
    note = f"{counted(int(unusable.sum()), 'molecule')} left out, {why}"
    parts = {name: part[~unusable[part]] for name, part in split.parts.items()}
    for name in ("train", "valid"):
        if not len(parts[name]):
            raise UserError(f"no molecule of the {name} part can be used: {note}")
    events.message(note)
    return replace(split, **parts, notes=(*split.notes, note))


def _make_spec(
    options: FitOptions,
    tasks: tuple[Task, ...],
    data: TrainingTable,
    split: Split,
    dataset: Dataset,
    encoder: PretrainedEncoder | None,
) -> ModelSpec:
    return ModelSpec(
        method=options.method,
        preset=options.preset,
        method_config=to_plain(options.method_config),
        tasks=tasks,
        standardizer=Standardizer(options.standardize).version,
        conformers=Featurizer(modalities=()).settings,
        coordinates=options.conformers,
        modality_versions={modality.name: modality.version for modality in dataset.modalities},
        members=options.ensemble,
        record={
            "data": {
                "name": Path(data.name).name,
                "rows": data.rows,
                "molecules": len(data.molecules),
                "sha256": data.sha256,
                "rejected": dict(Counter(str(item) for item in data.rejected)),
            },
            "split": {
                "kind": split.kind,
                "seed": split.seed,
                "sha256": split.sha256,
                "sizes": {name: len(part) for name, part in split.parts.items()},
                "notes": list(split.notes),
            },
            "pretrained": _origin(options, encoder),
            "training": to_plain(options.train_config),
            "seed": options.seed,
            "command": options.command(Path(data.name).name, [task.name for task in tasks]),
            "threads": torch.get_num_threads(),
            "versions": versions(),
            "date": time.strftime("%Y-%m-%d"),
        },
    )


def _origin(options: FitOptions, encoder: PretrainedEncoder | None) -> dict[str, object] | None:
    """Which encoder the weights started from."""
    if encoder is None or options.pretrained is None:
        return None
    name = Path(options.pretrained).name
    return {"name": name, "sha256": encoder.sha256, "frozen": options.freeze}


def _fit_member(
    spec: ModelSpec,
    dataset: Dataset,
    split: Split,
    options: FitOptions,
    number: int,
    encoder: PretrainedEncoder | None,
    checkpoint: Path | None,
    resume: bool,
    events: Events,
) -> tuple[Fit, PropertyModel]:
    config = options.train_config
    config = replace(config, max_minutes=config.max_minutes / options.ensemble)
    seed = options.seed + 1000 * number
    seed_everything(seed)
    weights = None
    if config.balance:
        weights = positive_weights(dataset.labels, split.train, spec.tasks).tolist()
    member = build_member(spec, positive_weight=weights)
    if encoder is not None:
        encoder.load_into(member.method, spec.method_config)
    events.stage(f"training {number + 1}/{options.ensemble}", config.epochs)
    trainer = Trainer(
        probe(member, spec.tasks) if options.freeze else member,
        dataset,
        split,
        config,
        tasks=spec.tasks,
        seed=seed,
        device=options.device,
        checkpoint=checkpoint / f"member-{number}" if checkpoint else None,
        fingerprint=_fingerprint(spec, seed),
        resume=resume,
    )
    fit = trainer.run(lambda epoch: events.epoch(number, epoch))
    return fit, member.to(trainer.fabric.device).eval()


def _fingerprint(spec: ModelSpec, seed: int) -> str:
    """Names a run: what it learns, from which data, how and with which seed."""
    plain = replace(spec, record={}).to_json()
    record = {name: spec.record[name] for name in ("training", "seed")}
    record |= {"data": spec.record["data"]["sha256"], "split": spec.record["split"]["sha256"]}
    origin = spec.record["pretrained"] or {}
    record |= {"pretrained": origin.get("sha256"), "frozen": origin.get("frozen")}
    record["training"] = {**record["training"], "max_minutes": 0}
    text = json.dumps([plain, record, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
