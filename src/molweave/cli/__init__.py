"""The command line: a shell over the facade, without logic or defaults of its own."""

import sys


def main() -> None:
    """Run the command line with the arguments of the process, and exit with its code."""
    from molweave.cli.app import run
    from molweave.cli.interrupt import relay_interrupts, relay_termination
    from molweave.cli.streams import open_streams

    open_streams()
    relay_interrupts()
    relay_termination()
    sys.exit(run(sys.argv[1:]))
