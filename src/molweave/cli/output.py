"""Results on standard output: aligned tables and JSON."""

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer


def print_json(value: object) -> None:
    """Print a result as indented JSON; NaN becomes null."""
    typer.echo(json.dumps(plain(value), indent=2))


def plain(value: Any) -> Any:
    """The value in the types of JSON; NaN and infinities become None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str):
        return plain(value.item())
    return value


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in aligned columns, numbers to the right; never cut when it is not a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for position, header in enumerate(headers):
        numbers = [row[position] for row in rows if row[position] not in ("", None)]
        right = bool(numbers) and all(isinstance(item, int | float) for item in numbers)
        table.add_column(Text(header), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(format_cell(item)) for item in row))
    terminal = sys.stdout.isatty()
    console = Console(width=None if terminal else 10_000, soft_wrap=not terminal)
    with console.capture() as capture:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def format_cell(value: object) -> str:
    """A value of a table: numbers short, nothing for None, a dash for what is undefined."""
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isnan(value):
            return "-"
        return f"{value:.3f}" if value == 0 or 0.001 <= abs(value) < 1000 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one a line, the values aligned."""
    width = max(map(len, fields), default=0)
    for name, value in fields.items():
        typer.echo(f"{name:<{width}}  {format_cell(value)}")


def print_scores(scores: Mapping[str, Any]) -> None:
    """Print the metrics of every part of the split; with several tasks their mean, then each."""
    parts = {name: tasks for name, tasks in scores.items() if name != "mean"}
    rows = []
    for part, tasks in parts.items():
        if len(tasks) > 1:
            rows.append((part, "mean", scores["mean"][part]))
    rows += [
        (part, task, values) for part, tasks in parts.items() for task, values in tasks.items()
    ]
    print_metrics(("part", "task"), rows)


def print_metrics(keys: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows whose last item maps metrics to values, a column for every metric, first ``n``."""
    metrics = list(dict.fromkeys(name for row in rows for name in row[-1]))
    metrics.sort(key=lambda name: name != "n")
    cells = []
    for row in rows:
        values = [row[-1].get(name, "") for name in metrics]
        cells.append([*row[:-1], *(math.nan if value is None else value for value in values)])
    print_table([*keys, *metrics], cells)
