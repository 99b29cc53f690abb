"""Standard output and standard error, such that nothing printed ends a command by a traceback."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from molweave.errors import UserError


def open_streams() -> None:
    """Make the standard streams of this process fit to print on.

    A stream that was closed before the start swallows what is printed. A character that the
    encoding of standard output does not have is printed as its escape, and where standard output
    cannot be written, that is a `UserError`.
    """
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if sys.stdout is None:
        sys.stdout = _nowhere()
    elif isinstance(sys.stdout, io.TextIOWrapper):
        given = sys.stdout
        encoding, at_once = given.encoding, given.line_buffering
        sys.stdout = _Output(
            given.detach(), encoding=encoding, errors="backslashreplace", line_buffering=at_once
        )


def silence_output() -> None:
    """Drop what standard output still holds, so that nothing fails again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _nowhere() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8")


class _Output(io.TextIOWrapper):
    """Standard output; a reader that went away is a `BrokenPipeError` as ever."""

    def write(self, text: str, /) -> int:
        with _explained():
            return super().write(text)

    def flush(self) -> None:
        with _explained():
            super().flush()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        silence_output()
        reason = error.strerror or str(error)
        raise UserError(
            f"standard output cannot be written: {reason}; what is there is incomplete"
        ) from error
