"""From a table of molecules to a fitted model: read, split, featurise, train, score."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molweave.chem.standardize import Standardizer
from molweave.chem.table import Table
from molweave.data.audit import audit
from molweave.data.dataset import Dataset, Featurizer, make_modalities
from molweave.data.scores import Scores, score_parts
from molweave.data.splits import Split
from molweave.data.targets import (
    Task,
    check_targets,
    describe_tasks,
    find_kinds,
    fit_tasks,
    target_indices,
)
from molweave.errors import UserError
from molweave.events import Events
from molweave.methods.apply import Outputs, apply_members
from molweave.methods.checkpoint import FittedModel
from molweave.modalities.base import Missing
from molweave.training.ensemble import EnsembleFit
from molweave.training.finetune import Fit, choose_metric, refuse_precision
from molweave.training.option_checks import refuse_balance
from molweave.training.options import FitOptions, fresh_preset
from molweave.training.record import make_spec
from molweave.training.seed import own_generators
from molweave.training.splitting import choose_split
from molweave.training.state import has_state, remove_states
from molweave.training.table import TrainingTable, check_usable, read_training_table
from molweave.wording import counted, describe_unfit


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


@own_generators()
def fit_table(
    table: Table,
    names: Sequence[str],
    options: FitOptions,
    *,
    split: Split | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
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
        overwrite: whether an interrupted run in ``checkpoint`` may be forgotten.
        events: told of the progress.

    Raises:
        UserError: data or options that cannot be used, an interrupted run in ``checkpoint``
            without ``resume`` or ``overwrite``, or one that is no fit.
    """
    events = events or Events()
    refuse_precision(options.device, options.train_config.precision)
    if checkpoint is not None:
        _check_checkpoint(checkpoint, resume=resume, overwrite=overwrite, events=events)
    encoder = options.read_encoder()
    events.stage("reading")
    target_indices(table.columns, names)
    data = read_training_table(table, names, Standardizer(options.standardize))
    ready = _prepare(table, data, names, options, split, events)
    options = ready.options
    encoder = encoder or options.read_encoder()
    spec = make_spec(options, ready.tasks, data, ready.split, ready.dataset, encoder)
    if checkpoint is not None and not resume:
        remove_states(checkpoint, "fit")
    run = EnsembleFit(
        spec=spec,
        options=options,
        dataset=ready.dataset,
        split=ready.split,
        encoder=encoder,
        checkpoint=checkpoint,
        resume=resume,
        events=events,
    )
    fits, members = zip(*(run.fit(number) for number in range(options.ensemble)), strict=True)
    return _score(FittedModel(spec, tuple(members)), fits, data, ready, events)


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What the training starts from; ``options`` are without ``auto``."""

    options: FitOptions
    split: Split
    tasks: tuple[Task, ...]
    dataset: Dataset
    audit: tuple[str, ...]


def _prepare(
    table: Table,
    data: TrainingTable,
    names: Sequence[str],
    options: FitOptions,
    split: Split | None,
    events: Events,
) -> _Prepared:
    """Split, audit and featurise, and refuse what nothing can be learnt from."""
    check_usable(table, data)
    check_targets(data.targets, names)
    if split is None:
        split = choose_split(
            options.split,
            data.molecules,
            columns=table.columns,
            records=data.records,
            seed=options.seed,
            rows=data.rows,
            labelled=data.labelled,
        )
    rows = [molecule.row for molecule in data.molecules]
    kinds = find_kinds(data.targets, names, options.kinds, rows=rows)
    options = _resolve(options, data, split, kinds, events)
    refuse_balance(options.train_config.balance, kinds)
    split = _leave_out(split, ~data.labelled, "without any label", events)
    _check_split(data, split, names, kinds, options)
    findings = _audit(data, split, names, options.kinds, events)
    events.message(f"{describe_tasks(names, kinds)}; {options.describe()}")
    dataset = _make_dataset(data, options, events)
    split = _leave_out(split, _viewless(dataset, events), "without any view", events)
    tasks = _check_split(data, split, names, kinds, options)
    return _Prepared(options=options, split=split, tasks=tasks, dataset=dataset, audit=findings)


def _score(
    model: FittedModel, fits: Sequence[Fit], data: TrainingTable, ready: _Prepared, events: Events
) -> FitResult:
    """Predict all molecules and score every part."""
    events.stage("scoring", len(ready.dataset))
    members = model.members
    device = next(members[0].parameters()).device
    outputs = apply_members(members, ready.dataset, device=device, progress=events.advance)
    predictions = outputs.predictions.mean(0)
    return FitResult(
        model=model,
        data=data,
        split=ready.split,
        fits=tuple(fits),
        outputs=outputs,
        scores=score_parts(ready.split.parts, data.targets, predictions, ready.tasks),
        audit=ready.audit,
    )


def _resolve(
    options: FitOptions, data: TrainingTable, split: Split, kinds: Sequence[str], events: Events
) -> FitOptions:
    """The options without ``auto``; tells what there is to know of a pre-trained encoder."""
    labelled = int(data.labelled[split.train].sum())
    placed = data.coordinates_sha256 is not None
    resolved = options.resolve(kinds, labelled=labelled, placed=placed)
    if resolved.pretrained != options.pretrained:
        epochs = counted(resolved.train_config.epochs, "epoch")
        events.message(
            f"{counted(labelled, 'labelled molecule')} to train on: on such tables the pre-trained "
            f"{resolved.pretrained} did well on the benchmarks, so it is fine-tuned, for {epochs}; "
            f"--method dmmrl --preset {fresh_preset(kinds)} starts afresh"
        )
    spec, version = resolved.encoder_spec, Standardizer(options.standardize).version
    if spec is not None and spec.standardizer != version:
        events.message(
            f"the encoder was pre-trained on molecules standardised by {spec.standardizer},"
            f" these are by {version}; --standardize chooses"
        )
    return resolved


def _check_checkpoint(checkpoint: Path, *, resume: bool, overwrite: bool, events: Events) -> None:
    """Refuse to forget an interrupted run without being told to; say where there is none."""
    found = has_state(checkpoint, "fit")
    if found and not resume and not overwrite:
        raise UserError(
            f"{checkpoint} holds an interrupted fit; go on with it by --resume (resume=True), or "
            "start afresh with --overwrite (overwrite=True)"
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
    data: TrainingTable,
    split: Split,
    names: Sequence[str],
    kinds: str | Mapping[str, str] | None,
    events: Events,
) -> tuple[str, ...]:
    """Tell what the data are like, and give the lines of the audit."""
    findings = audit(
        data.molecules,
        data.targets,
        names,
        rejected=data.rejected,
        kinds=kinds,
        split=split,
    ).summary
    events.message(
        f"{data.name}: {counted(data.rows, 'row')}, "
        f"{counted(len(data.molecules), 'usable molecule')}"
    )
    events.message(split.summary)
    for line in findings:
        events.message(line)
    return findings


def _make_dataset(data: TrainingTable, options: FitOptions, events: Events) -> Dataset:
    modalities = make_modalities(options.method_config.modalities)
    featurizer = Featurizer(
        modalities=modalities, coordinates=options.conformers, workers=options.num_workers
    )
    unfit = sum(molecule.unfit for molecule in data.molecules)
    if unfit and featurizer.takes_input:
        events.message(describe_unfit(unfit))
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
    left = split.without(unusable, note)
    for name in ("train", "valid"):
        if not len(left.parts[name]):
            raise UserError(
                f"no molecule of the {name} part can be used: {note}; take another split or seed, "
                "or leave those rows out of the table"
            )
    events.message(note)
    return left
