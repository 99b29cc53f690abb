"""What is at a path; a place that cannot be looked at is a mistake of the user's, in one line."""

import errno
import os
import stat
from pathlib import Path

from molweave.errors import UserError

_REASONS = {
    errno.ENAMETOOLONG: "the name is too long; give a shorter one",
    errno.EACCES: "no permission to look into a folder on the way; choose another place",
    errno.ELOOP: "a link that leads back to itself; give the file itself",
}


def exists(path: Path) -> bool:
    """Whether there is something at ``path``.

    Raises:
        UserError: that cannot be known: no permission, too long a name.
    """
    return _look(path) is not None


def is_folder(path: Path) -> bool:
    """Whether there is a folder at ``path``; raises as `exists`."""
    found = _look(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_file(path: Path) -> bool:
    """Whether there is a regular file at ``path``; raises as `exists`."""
    found = _look(path)
    return found is not None and stat.S_ISREG(found.st_mode)


def are_same(first: Path, second: Path) -> bool:
    """Whether both are one and the same thing, which is there; raises as `exists`."""
    one, other = _look(first), _look(second)
    return one is not None and other is not None and os.path.samestat(one, other)


def list_folder(folder: Path) -> list[Path]:
    """What is in a folder, by name.

    Raises:
        UserError: it cannot be listed.
    """
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed: {error.strerror or error}") from error


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"cannot be reached: {error.strerror or error}")
        raise UserError(f"{path}: {reason}") from error
    except ValueError as error:
        raise UserError(f"{str(path)!r} cannot be the name of a file: {error}") from error
