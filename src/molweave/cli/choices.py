"""Which data, which targets, which split: from options to the words of the facade."""

from molweave.cli.values import parse_pairs, split_list
from molweave.errors import UserError


def choose_kinds(items: list[str] | None) -> str | dict[str, str] | None:
    """One kind for all targets, or one by target."""
    if not items:
        return None
    if len(items) == 1 and "=" not in items[0]:
        return items[0]
    return parse_pairs(items, "--kind")


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
    """The target columns; an item with commas is one column if there is one of that name."""
    if not any("," in item for item in items):
        return items
    columns: tuple[str, ...] = ()
    if data != "-":
        from molweave.chem.read import open_table

        columns = open_table(data, smiles_column=smiles_column).columns
    targets: list[str] = []
    for item in items:
        targets += [item] if item in columns else split_list([item]) or ()
    return targets
