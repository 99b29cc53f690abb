"""The version of molweave and of the libraries that decide its numbers."""

import platform
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("molweave", "torch", "rdkit", "numpy", "lightning-fabric")


def versions() -> dict[str, str]:
    """Library name to version, with the Python version."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
