"""``molweave doctor``: is this machine in order?"""

from dataclasses import asdict

import typer

from molweave.cli import options
from molweave.cli.output import print_fields, print_json


def doctor(json: options.Json = False) -> None:
    """Show versions, devices, threads and the conformer cache, and how to mend what is wrong.

    Lines that begin with "problem:" say what is wrong; the exit code is 0 with and without them.
    """
    from molweave.cli.machine import diagnose

    found = diagnose()
    if json:
        print_json(asdict(found))
        return
    for section, facts in found.facts.items():
        typer.secho(section, bold=True)
        print_fields({f"  {name}": value for name, value in facts.items()})
    for problem in found.problems:
        typer.echo(f"problem: {problem}")
    if not found.problems:
        typer.echo("no problems found")
