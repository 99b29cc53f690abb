"""Which data, which targets, which split: from options to the words of the facade."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molweave.cli.config_file import config_file
from molweave.cli.values import choose, merge_options, parse_duration, parse_pairs, split_list
from molweave.errors import UserError
from molweave.paths import exists, is_file

LOSS_TERMS = {
    "dmmrl": ("kl", "mmd", "align", "orth", "rec"),
    "mmsa": ("contrast", "reconstruction", "cross", "memory", "recall"),
    "moleblend": ("spd", "edge", "distance", "denoise", "atoms", "descriptors", "fingerprint"),
}
"""The terms of every method that a weight of 0 leaves out."""

WITHOUT = "Loss term to leave out (repeatable). " + "; ".join(
    f"{name}: {', '.join(terms)}" for name, terms in LOSS_TERMS.items()
)
"""The help of ``--without``."""


def leave_out(items: list[str] | None, method: str | None = None) -> dict[str, object]:
    """The weight 0 for every term to leave out.

    Args:
        items: names of terms, also several with commas.
        method: whose terms they are; those of any method where it is not known.

    Raises:
        UserError: there is no term of this name.
    """
    known = LOSS_TERMS.get(method or "") or [x for terms in LOSS_TERMS.values() for x in terms]
    return {choose(item, known, "--without"): 0 for item in split_list(items) or ()}


def choose_training(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    """The options of these names, ``--max-time`` and the settings of ``--train`` in one."""
    named: dict[str, dict[str, object]] = {name: {name: given[name]} for name in names}
    if given["max_time"]:
        minutes = parse_duration(given["max_time"], "--max-time") / 60
        named["max_time"] = {"max_minutes": minutes}
    return merge_settings(named, given["train"], "train")


def choose_method_options(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, object]:
    """The options of these names, ``--without`` and the settings of ``--set`` in one."""
    named: dict[str, dict[str, object]] = {name: {name: given[name]} for name in names}
    named["without"] = leave_out(given["without"], given["method"])
    return merge_settings(named, given["set_"], "set")


def merge_settings(
    named: Mapping[str, Mapping[str, object]], items: list[str] | None, table: str
) -> dict[str, object]:
    """The settings of the command line over those of the file that ``--config`` names.

    Args:
        named: fields and values that an option of its own stands for, by the option's parameter.
        items: of the option ``--train`` or ``--set``.
        table: its name without dashes.

    Raises:
        UserError: the file, or the command line, gives a field twice.
    """
    config = config_file.get()
    layers = []
    for typed, pairs in ((False, config.tables.get(table)), (True, items)):
        own = [fields for name, fields in named.items() if config.typed(name) == typed]
        options = {field: value for fields in own for field, value in fields.items()}
        layers.append(merge_options(options, parse_pairs(pairs, f"--{table}"), f"--{table}"))
    return layers[0] | layers[1]


def choose_kinds(items: list[str] | None) -> str | dict[str, str] | None:
    """One kind for all targets, or one by target."""
    if not items:
        return None
    if len(items) == 1 and "=" not in items[0]:
        return items[0]
    return parse_pairs(items, "--kind", at_last=True)


def choose_split(name: str | None, column: str | None, file: str | None) -> str | None:
    """The split in the words of the facade."""
    given = {"--split": name, "--split-column": column, "--split-file": file}
    used = [option for option, value in given.items() if value is not None]
    if len(used) > 1:
        raise UserError(f"{' and '.join(used)} exclude each other; give one of them")
    if column is not None:
        return f"column:{column}"
    return f"file:{file}" if file is not None else name


def find_targets(items: list[str], data: str, smiles_column: str | None) -> list[str]:
    """The target columns; an item with commas is one column if there is one of that name.

    What can be read but once, as a pipe, is not looked into: there every comma separates.

    Raises:
        UserError: there are items, but no name in them.
    """
    if not any("," in item for item in items):
        return items
    columns: tuple[str, ...] = ()
    if data != "-" and (is_file(Path(data)) or not exists(Path(data))):
        from molweave.chem.read import open_table

        columns = open_table(data, smiles_column=smiles_column).columns
    targets: list[str] = []
    for item in items:
        targets += [item] if item in columns else split_list([item]) or ()
    if not targets:
        raise UserError(f"--target names no column; found {', '.join(map(repr, items))}")
    return targets
