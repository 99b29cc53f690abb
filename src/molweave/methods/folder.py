"""Folders that hold a network: config.json and model.safetensors, written whole or not at all."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from molweave.errors import UserError
from molweave.paths import exists, is_folder, list_folder
from molweave.shapes import Tensor

CONFIG, WEIGHTS = "config.json", "model.safetensors"
NETWORK_FILES = frozenset({CONFIG, WEIGHTS})
"""What `write_network` writes."""
CHECKSUM = "weights_sha256"
"""Field of config.json that tells whether the weights are those that it was written with."""
MODEL_FILES = frozenset(
    {
        "README.md",
        CONFIG,
        "history.csv",
        "metrics.json",
        WEIGHTS,
        "report.html",
        "split.json",
    }
)
"""What a folder of a model or an encoder may hold; anything else is the user's own."""


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place where no model folder can be written; nothing is left there.

    Raises:
        UserError: ``folder`` exists and ``overwrite`` is False, it is something else than a model
            folder, or the place cannot be written to.
    """
    there = exists(folder)
    if there and _is_around(folder):
        raise UserError(f"{folder} is the folder that you are in; choose another name")
    if there and not overwrite:
        raise UserError(f"{folder} exists; choose another name or pass --overwrite")
    if there and not is_folder(folder):
        raise UserError(f"{folder} is a file, not a folder; choose another name")
    found = {path.name for path in list_folder(folder)} if there else set()
    if found and not (CONFIG in found and _is_ours(folder, found)):
        raise UserError(f"{folder} is not a model folder and is not empty; choose another name")
    if others := found - MODEL_FILES:
        raise UserError(
            f"{folder} holds other files than a model's ({min(others)}), which overwriting would "
            "delete; choose another name"
        )
    _make_fresh(folder, next(filter(exists, folder.absolute().parents))).rmdir()


def _is_around(folder: Path) -> bool:
    try:
        return Path.cwd().is_relative_to(folder.resolve())
    except FileNotFoundError:
        return False


def _is_ours(folder: Path, found: Collection[str]) -> bool:
    """Whether config.json is that of a network; a damaged one is, with the weights beside it."""
    try:
        plain = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return WEIGHTS in found
    return isinstance(plain, dict) and CHECKSUM in plain


def _make_fresh(folder: Path, place: Path) -> Path:
    """A new empty folder, in ``place``, that is to become ``folder``."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=place))
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}; choose another place") from error


@contextmanager
def replace_folder(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of ``folder`` at the end.

    A link stays, and what it leads to is replaced.

    Raises:
        UserError: see `check_folder`; or the disk is full, say.
    """
    check_folder(folder, overwrite=overwrite)
    if folder.is_symlink():
        folder = folder.resolve()
    fresh = _make_fresh(folder, folder.parent)
    try:
        yield fresh
        fresh.chmod(0o755)
        if exists(folder):
            old = fresh.with_name(fresh.name + ".old")
            folder.replace(old)
            try:
                fresh.replace(folder)
            except OSError:
                old.replace(folder)
                raise
            shutil.rmtree(old)
        else:
            fresh.replace(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def read_checksum(folder: Path) -> str | None:
    """The checksum of the weights in config.json; None where there is none to read."""
    try:
        return str(json.loads((folder / CONFIG).read_text(encoding="utf-8"))[CHECKSUM])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_network(plain: Mapping[str, Any], tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write config.json, with the checksum of the weights, and model.safetensors.

    Raises:
        OSError: they cannot be written; the disk is full, say.
    """
    kept = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    try:
        save_file(kept, folder / WEIGHTS)
        (folder / WEIGHTS).chmod(0o644)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    checked = {**plain, CHECKSUM: _sha256(folder / WEIGHTS)}
    text = json.dumps(checked, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def read_tensors(folder: Path, told: str) -> dict[str, Tensor]:
    """The tensors in model.safetensors, on the CPU.

    Args:
        folder: of the network.
        told: the checksum in its config.json.

    Raises:
        UserError: the file is not there, truncated, something else, or not what was written
            together with config.json.
    """
    path = folder / WEIGHTS
    try:
        found: dict[str, Tensor] = load_file(path)
        checksum = _sha256(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"cannot read the weights {path} ({one_line(error)}); the folder is damaged, copy it "
            "again"
        ) from error
    if checksum != told:
        raise UserError(
            f"{path} was changed: its checksum is {checksum[:12]}, {CONFIG} says {told[:12]}; "
            "copy the folder again"
        )
    return found


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(error: Exception) -> str:
    """The beginning of the text of an exception, on one line."""
    return " ".join(str(error).split())[:200]
