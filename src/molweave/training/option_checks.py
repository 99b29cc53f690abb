"""Options of a fit that are of the wrong kind, or that would do nothing."""

import dataclasses
import functools
import inspect
import numbers
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

from molweave.chem.standardize import Standardizer
from molweave.data.dataset import Featurizer
from molweave.data.targets import check_kind
from molweave.errors import UserError
from molweave.methods import METHODS, MethodEntry
from molweave.modalities import spatial
from molweave.training.config import TrainConfig
from molweave.training.splitting import check_choice
from molweave.wording import nearest

Options = ParamSpec("Options")


def check_kinds_of_values(values: Mapping[str, Any]) -> None:
    """Refuse numbers and names that are something else.

    Args:
        values: option to value; a whole number where its name says so, else a name.

    Raises:
        UserError: a fraction, a text or a truth value for a number, something else for a name.
    """
    for name, value in values.items():
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if name in ("ensemble", "seed", "workers"):
            if not whole:
                raise UserError(f"{name} must be a whole number; found {value!r}")
        elif not isinstance(value, str):
            raise UserError(f"{name} must be a name in quotes; found {value!r}")


def make_whole(options: object, names: Sequence[str]) -> None:
    """Make these fields of frozen options plain whole numbers, those of NumPy, too.

    Raises:
        UserError: one of them is something else.
    """
    check_kinds_of_values({name: getattr(options, name) for name in names})
    for name in names:
        object.__setattr__(options, name, int(getattr(options, name)))


def check_preset(entry: MethodEntry, method: str, preset: str) -> None:
    """Refuse a preset that the method does not have.

    Raises:
        UserError: it has not.
    """
    if preset not in entry.presets:
        raise UserError(f"{method} has the presets {', '.join(entry.presets)}; found {preset!r}")


def check_seed(seed: int) -> None:
    """Refuse a seed that not every generator takes.

    Raises:
        UserError: it is negative or has more than 32 bits.
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"seed must be between 0 and {2**32 - 1}; found {seed}")


def check_names(
    split: str, standardize: str, conformers: str, kinds: str | Mapping[str, str] | None
) -> None:
    """Refuse words that reading the data would stumble over.

    Raises:
        UserError: an unknown split, standardisation, source of conformers or kind of task.
    """
    check_choice(split)
    Standardizer(standardize)
    Featurizer(modalities=(), coordinates=conformers)
    if kinds is not None and not isinstance(kinds, str | Mapping):
        raise UserError(f"kinds is one kind for all targets, or a kind by target; found {kinds!r}")
    for kind in [kinds] if isinstance(kinds, str) else (kinds or {}).values():
        check_kind(kind)


def choose_views(config: type[Any], views: Sequence[str] | None) -> dict[str, object]:
    """The change of a method's configuration that lets only some views take part.

    Args:
        config: the method's configuration class.
        views: names of modalities; None for no change.

    Raises:
        UserError: the method's views are not a list to choose from.
    """
    if views is None:
        return {}
    kinds = typing.get_type_hints(config)
    for field in ("modalities", "views"):
        if typing.get_origin(kinds.get(field)) is tuple:
            return {field: views}
    raise UserError(
        f"this method does not choose among modalities; found {', '.join(views)}; say what it "
        "reads by its setting views (--set views=2d)"
    )


def refuse_twice(changes: Mapping[str, object], views: Mapping[str, object]) -> None:
    """Refuse views that are chosen both as such and as a setting of the method.

    Args:
        changes: fields of the method's configuration that the user set.
        views: see `choose_views`.

    Raises:
        UserError: they are.
    """
    twice = sorted(changes.keys() & views.keys())
    if twice:
        raise UserError(
            f"{twice[0]} is given twice: by the option modalities and by a setting of the method; "
            "give one of them"
        )


def refuse_conformers(source: str, views: Sequence[str]) -> None:
    """Refuse a source of 3D structures that does not go with the views.

    Args:
        source: where they come from, see `Featurizer`.
        views: names of modalities that take part.

    Raises:
        UserError: there is none and every view needs one, or they would be generated for nothing.
    """
    placed = spatial(views)
    if source == "none" and len(placed) == len(views):
        raise UserError(
            f"conformers is 'none', which leaves no view: {', '.join(views)} needs 3D "
            "structures; take another view, or another source of conformers"
        )
    if source == "generate" and not placed:
        raise UserError(
            f"conformers 'generate' does nothing: none of {', '.join(views)} needs 3D structures; "
            "leave it out"
        )


def refuse_frozen(config: TrainConfig) -> None:
    """Refuse settings of the training of an encoder where it stays as it is.

    Raises:
        UserError: ``layer_decay`` is another factor than 1, or ``head_epochs`` not 0.
    """
    for name, idle in (("layer_decay", 1), ("head_epochs", 0)):
        if getattr(config, name) != idle:
            raise UserError(
                f"{name} does nothing with freeze, the head alone is trained; leave one of them out"
            )


def refuse_head_first(config: TrainConfig) -> None:
    """Refuse to train the head of a fresh network alone.

    Raises:
        UserError: ``head_epochs`` is not 0.
    """
    if config.head_epochs:
        raise UserError(
            "head_epochs needs a pre-trained encoder, a fresh one tells the head nothing; name it "
            "with --from, or leave it out"
        )


def refuse_unlearnt(config: Any, entry: MethodEntry) -> None:
    """Refuse to switch on, in a fit from scratch, what only pre-training teaches.

    Raises:
        UserError: one of the settings does.
    """
    found = [name for name in entry.learnt if getattr(config, name)]
    if found:
        raise UserError(
            f"{found[0]} needs a pre-trained encoder, without one there is nothing to read; name "
            "it with --from, or leave it out"
        )


def refuse_balance(balance: bool, kinds: Sequence[str]) -> None:
    """Refuse to balance classes where there are none.

    Raises:
        UserError: ``balance`` is set, and every task is a regression.
    """
    if balance and "classification" not in kinds:
        raise UserError(
            "balance weighs classes, and every target is a regression: it would do nothing; leave "
            "it out"
        )


def explain_unknown(init: Callable[Options, None]) -> Callable[Options, None]:
    """Let the TypeError for an option that ``init`` does not have say where the option belongs."""
    known = list(inspect.signature(init).parameters)

    @functools.wraps(init)
    def checked(*arguments: Options.args, **options: Options.kwargs) -> None:
        for name, value in options.items():
            if name not in known:
                raise TypeError(f"unknown option {name!r}; {_where(name, value, known)}")
        init(*arguments, **options)

    return checked


def _where(name: str, value: object, known: Sequence[str]) -> str:
    fields = {field.name for field in dataclasses.fields(TrainConfig)}
    if name in fields:
        return f"write training={{{name!r}: {value!r}}}"
    methods = (dataclasses.fields(entry.config) for entry in METHODS.values())
    if any(name == field.name for found in methods for field in found):
        return f"write method_options={{{name!r}: {value!r}}}"
    if name in ("targets", "split", "smiles_column", "out", "resume", "overwrite", "events"):
        return "it belongs to the method fit"
    close = nearest(name, [*known, *fields])
    return f"did you mean {close!r}?" if close else f"known: {', '.join(known[1:])}"
