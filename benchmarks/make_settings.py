"""Make ``docs/settings.md``: what ``--train`` and ``--set`` take, from the configuration classes.

    python benchmarks/make_settings.py            # writes it
    python benchmarks/make_settings.py --check    # exit status 1 where it is out of date

The names and meanings are those of the ``Attributes`` section of a class's docstring, the values
those of its presets.
"""

import argparse
import dataclasses
import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molweave.methods import METHODS, MethodEntry
from molweave.methods.config import to_plain
from molweave.training.config import FINETUNE, PROBE, TRAIN_PRESETS, TrainConfig
from molweave.training.pretrain_config import PRETRAIN_PRESETS, PretrainConfig

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"
INTRODUCTION = """\
# Settings

What `--train NAME=VALUE` and `--set NAME=VALUE` take, of `molweave fit` and `molweave pretrain`
(`--set` also of `molweave embed` with an encoder). Both are repeatable. In a file for `--config`
they are the tables `[train]` and `[set]`, over which the command line wins one setting at a time;
in Python `training={...}` and `method_options={...}`.

A list is written with commas (`--set views=graph,geometry`), a switch as `true` or `false`.
Frequent ones have an option of their own, too: `--epochs 5` is `--train epochs=5`. An unknown name
is refused, and so is a setting that would do nothing where it is given.

This page is made by `benchmarks/make_settings.py` from the docstrings and presets of the code."""
TRAINING = """\
The default holds where the second table names no other value. In that table, finetune and probe
stand for every preset of a fit from a pre-trained encoder (`--from`), where all weights learn or,
with `--freeze`, the head alone."""

_ENTRY = re.compile(r" {4}(\w+): (.*)")
_REFERENCE = re.compile(r"(?<!`)`(\w+)`(?!`)")


def meanings(config: type[Any]) -> dict[str, str]:
    """Field to its text in the docstring, as Markdown on one line.

    Raises:
        SystemExit: a field is not described, or something is described that is not a field.
    """
    text = (inspect.getdoc(config) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := _ENTRY.fullmatch(line):
            found[match[1]] = match[2]
        elif found and line.startswith(" " * 8):
            found[next(reversed(found))] += f" {line.strip()}"
    names = [field.name for field in dataclasses.fields(config)]
    if list(found) != names:
        wrong = ", ".join(sorted(set(found) ^ set(names))) or "their order"
        raise SystemExit(f"{config.__name__}: docstring and fields differ in {wrong}")
    return {name: _markdown(text, sys.modules[config.__module__]) for name, text in found.items()}


def _markdown(text: str, module: Any) -> str:
    """A docstring's text; the name of a list of the module becomes what is in the list."""

    def spell_out(match: re.Match[str]) -> str:
        values = getattr(module, match[1], None)
        if not isinstance(values, tuple):
            return match[0]
        return ", ".join(f"`{value}`" for value in values)

    return _REFERENCE.sub(spell_out, text).replace("``", "`").replace("|", "\\|")


def make_page() -> str:
    """The whole page."""
    blocks = [
        INTRODUCTION,
        "## Training of a fit: `--train`",
        TRAINING,
        _defaults(TrainConfig),
        _changes(TRAIN_PRESETS, TrainConfig()),
        "## Pre-training: `--train`",
        _defaults(PretrainConfig),
        _changes(PRETRAIN_PRESETS, PretrainConfig()),
    ]
    for name, entry in METHODS.items():
        blocks += [f"## Method {name}: `--set`", *_method(entry)]
    return "\n\n".join(blocks) + "\n"


def _method(entry: MethodEntry) -> list[str]:
    """A table with a column for every preset, and what pre-training and fine-tuning set."""
    presets = {name: to_plain(config) for name, config in entry.presets.items()}
    rows = [
        [f"`{name}`", *(_cell(preset[name]) for preset in presets.values()), meaning]
        for name, meaning in meanings(entry.config).items()
    ]
    blocks = [_table(["setting", *(f"`{name}`" for name in presets), "meaning"], rows)]
    tuned = entry.finetuning(next(iter(presets.values())))
    for verb, values in (("pretrain", entry.pretraining), ("fit --from", tuned)):
        if values:
            blocks.append(f"Whatever the preset, `{verb}` starts from {_pairs(values)}.")
    if entry.labelled:
        names = ", ".join(f"`{name}`" for name in entry.labelled)
        blocks.append(f"`pretrain` takes no other {names}, which labels alone would teach.")
    return blocks


def _defaults(config: type[Any]) -> str:
    plain = to_plain(config())
    rows = [[f"`{name}`", _cell(plain[name]), text] for name, text in meanings(config).items()]
    return _table(["setting", "default", "meaning"], rows)


def _changes(presets: Mapping[tuple[str, str], Any], default: Any) -> str:
    plain = to_plain(default)
    rows = []
    for (method, preset), config in presets.items():
        changed = {name: x for name, x in to_plain(config).items() if x != plain[name]}
        shown = preset if preset in (FINETUNE, PROBE) else f"`{preset}`"
        rows.append([method, shown, _pairs(changed) or "none"])
    return _table(["method", "preset", "other values than the default"], rows)


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"`{name}={_value(value)}`" for name, value in values.items())


def _cell(value: object) -> str:
    return f"`{_value(value)}`"


def _value(value: object) -> str:
    """A value as one types it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(words: Sequence[str] | None = None, *, page: Path = PAGE) -> int:
    """Write or check the page; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(words).check
    text = make_page()
    if page.exists() and page.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print(f"{page.name} is out of date: run python benchmarks/make_settings.py")
        return 1
    page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
