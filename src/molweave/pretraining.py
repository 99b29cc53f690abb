"""Pre-train an encoder on a corpus and write it as a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from molweave.errors import UserError
from molweave.events import Events
from molweave.methods.folder import check_folder, replace_folder
from molweave.methods.pretrained import EncoderSpec, write_encoder
from molweave.paths import are_same, exists

if TYPE_CHECKING:
    from molweave.training.pretrain_corpus import PretrainResult
    from molweave.training.pretrain_options import PretrainOptions


def pretrain(
    corpus: str | Path,
    out: str | Path,
    *,
    method: str,
    preset: str = "small",
    modalities: Sequence[str] | None = None,
    method_options: Mapping[str, object] | None = None,
    training: Mapping[str, object] | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    pretrained: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    events: Events | None = None,
) -> EncoderSpec:
    """Pre-train a method without labels; see `PretrainOptions` for the choices.

    Under ``torchrun`` every process calls this, and the first one writes. A run that ended by
    ``max_minutes`` leaves its checkpoint beside ``out``; with ``resume`` it goes on.

    Args:
        corpus: folder of shards made by ``molweave prepare``.
        out: encoder folder to write: the encoder in half precision, log, report and model card.
        method: name in `molweave.methods.METHODS`.
        preset: a preset of the method.
        modalities: views to use; None for the preset's.
        method_options: fields of the method's configuration to change.
        training: fields of `PretrainConfig` to change.
        seed: of everything random.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        workers: processes that featurise ahead; 0 to do it between the steps.
        pretrained: encoder to go on from with another recipe or corpus; None for fresh weights.
        resume: go on with an interrupted run of the same command.
        overwrite: whether ``out`` may exist, and whether an interrupted run may be forgotten.
        events: told of the progress.

    Returns:
        What config.json says of the encoder.

    Raises:
        UserError: a corpus or options that cannot be used; says what to do.
    """
    from molweave.training.pretrain_options import PretrainOptions

    options = PretrainOptions(
        method=method,
        preset=preset,
        modalities=None if modalities is None else tuple(modalities),
        method_options=dict(method_options or {}),
        training=dict(training or {}),
        seed=seed,
        device=device,
        workers=workers,
        pretrained=pretrained,
    )
    return _run(corpus, options, Path(out), resume=resume, overwrite=overwrite, events=events)


def _run(
    corpus: str | Path,
    options: "PretrainOptions",
    folder: Path,
    *,
    resume: bool,
    overwrite: bool,
    events: Events | None,
) -> EncoderSpec:
    from molweave.inference.stream import pick_device
    from molweave.methods.pretrained import find_encoder
    from molweave.training.pretrain_corpus import pretrain_corpus
    from molweave.training.state import checkpoint_of, remove_states

    pick_device(options.device)
    if options.pretrained is not None and are_same(find_encoder(options.pretrained), folder):
        raise UserError(
            f"{folder} is the encoder to start from; choose another place for the new one"
        )
    checkpoint = checkpoint_of(folder)
    _check_checkpoint(folder, checkpoint, resume=resume, overwrite=overwrite)
    check_folder(folder, overwrite=overwrite or resume)
    state = checkpoint / "encoder"
    result = pretrain_corpus(corpus, options, checkpoint=state, resume=resume, events=events)
    if result.first:
        _write(result, folder, overwrite=overwrite or resume)
        if result.training.stopped != "time":
            remove_states(checkpoint, "pre-training")
    return result.spec


def _write(result: "PretrainResult", folder: Path, *, overwrite: bool) -> None:
    from molweave.report.pretraining import write_pretraining

    with replace_folder(folder, overwrite=overwrite) as fresh:
        write_pretraining(result.spec, result.training.history, fresh)
        write_encoder(result.spec, result.method.state_dict(), fresh, half=True)


def _check_checkpoint(folder: Path, checkpoint: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to forget hours of training, or to repeat them, without being told to."""
    from molweave.training.state import has_state

    found = has_state(checkpoint, "pre-training")
    if found and not resume and not overwrite:
        raise UserError(
            f"{checkpoint} holds an interrupted pre-training; go on with it by --resume, or start "
            "afresh with --overwrite"
        )
    if resume and not found and not overwrite and exists(folder):
        raise UserError(
            f"{folder} is there and {checkpoint} holds no interrupted run: nothing to resume; "
            "train anew with --overwrite"
        )
