"""``--config``: options from a TOML file, which the command line overrides."""

import tomllib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from molweave.errors import UserError
from molweave.wording import did_you_mean

if TYPE_CHECKING:
    Context = typer.Context
else:  # what typer passes, in truth
    Context = typer.Context.__base__

_TABLES = ("set", "train")
_ALTERNATIVES = (
    ("split", "split_column", "split_file"),
    ("data", "smiles"),
    ("smiles", "smiles_column"),
)
"""Parameters that stand for one another: one that is typed makes the file's others no matter."""

_OWN = ("_config", "help")


@dataclass(frozen=True)
class ConfigFile:
    """The file of the command that runs, as far as its values are no defaults of options.

    Attributes:
        tables: ``set`` and ``train`` as items of the option of that name.
        typed: whether the parameter of a name is on the command line.
    """

    tables: dict[str, list[str]] = field(default_factory=dict)
    typed: Callable[[str], bool] = lambda _: True


config_file: ContextVar[ConfigFile] = ContextVar("config_file")
"""Set by `load_config`, with or without a file."""


def load_config(context: Context, path: Path | None) -> Path | None:
    """Make the values of a TOML file the defaults of the command.

    The keys are the long option names without their dashes, and the names of the arguments in
    lower case. A repeatable option takes a list; ``set`` and ``train`` take a table.

    Tables are no defaults, because typed settings are merged with them: see `config_file`.

    Raises:
        UserError: the file cannot be read, is not TOML, has a key that the command does not know,
            or a value of the wrong shape.
    """
    config_file.set(ConfigFile())
    if path is None or context.resilient_parsing:
        return path
    known = {_key(item): item for item in context.command.params if item.name not in _OWN}
    values: dict[str, Any] = {}
    tables: dict[str, list[str]] = {}
    for key, value in _read(path).items():
        if key not in known:
            hint = did_you_mean(key, known) or f"; known: {', '.join(sorted(known))}"
            raise UserError(f"{path}: unknown key {key!r}{hint}")
        multiple = bool(getattr(known[key], "multiple", False))
        shaped = _shape(value, key, multiple, path)
        if key in _TABLES:
            tables[key] = shaped
        else:
            values[str(known[key].name)] = shaped
    context.default_map = _Defaults(context, values)
    config_file.set(ConfigFile(tables, partial(_is_typed, context)))
    return path


def _is_typed(context: Context, name: str) -> bool:
    """Whether a parameter is on the command line; False until it has been read."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


class _Defaults(dict[str, Any]):
    """The values of the file, without those of which an alternative was typed."""

    def __init__(self, context: Context, values: dict[str, Any]) -> None:
        super().__init__(values)
        self._context = context

    def get(self, name: str, default: Any = None) -> Any:
        groups = [group for group in _ALTERNATIVES if name in group]
        if any(_is_typed(self._context, other) for group in groups for other in group):
            return default
        return super().get(name, default)


def _key(parameter: Any) -> str:
    """What the file calls a parameter: ``smiles-column``."""
    return str(max(parameter.opts, key=len)).lstrip("-").lower()


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: is not TOML: {error}") from error


def _shape(value: Any, key: str, multiple: bool, path: Path) -> Any:
    """The value as if it had been typed."""
    if isinstance(value, dict):
        if key not in _TABLES:
            raise UserError(f"{path}: {key} is not a table; write {key} = ...")
        return [f"{name}={_text(item)}" for name, item in value.items()]
    if multiple:
        items: Sequence[Any] = value if isinstance(value, list) else [value]
        return [_text(item) for item in items]
    if isinstance(value, list):
        raise UserError(f"{path}: {key} takes one value; found a list of {len(value)}")
    return _text(value) if isinstance(value, bool) else value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return str(value)
