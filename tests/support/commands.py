"""What a command leaves behind."""

from typing import NamedTuple


class Result(NamedTuple):
    """Exit code, standard output, standard error."""

    code: int
    out: str
    err: str
