"""What of this machine matters to molweave, and what is wrong with it."""

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from molweave.errors import UserError

_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)\s*>=\s*([\d.]+)")
_LITTLE_SPACE = 1 << 30


@dataclass
class Diagnosis:
    """Facts by section, and problems with their remedy.

    Attributes:
        facts: section to name to value, in the order of printing.
        problems: one line each: what is wrong, and how to mend it.
    """

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def diagnose() -> Diagnosis:
    """Look at versions, devices, threads and the conformer cache."""
    found = Diagnosis()
    for look in (_versions, _chemistry, _devices, _threads, _cache):
        look(found)
    return found


def _versions(found: Diagnosis) -> None:
    """Every declared dependency: there, and new enough."""
    facts = found.facts["versions"] = {
        "molweave": version("molweave"),
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
    }
    for line in requires("molweave") or ():
        match = _REQUIREMENT.match(line)
        if match is None or "extra ==" in line:
            continue
        name, least = match.groups()
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            facts[name] = "missing"
            found.problems.append(f"{name} is not installed: pip install '{name}>={least}'")
            continue
        if _numbers(facts[name]) < _numbers(least):
            found.problems.append(
                f"{name} {facts[name]} is older than {least}: pip install -U '{name}>={least}'"
            )


def _numbers(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``2.13.0+cpu`` is (2, 13, 0)."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _chemistry(found: Diagnosis) -> None:
    """RDKit loads and reads a molecule."""
    try:
        from rdkit import Chem

        atoms = Chem.MolFromSmiles("c1ccccc1O").GetNumAtoms()
    except Exception as error:
        found.problems.append(f"rdkit does not work ({_one_line(error)}): reinstall it")
        return
    if atoms != 7:
        found.problems.append("rdkit misreads phenol: reinstall it")


def _devices(found: Diagnosis) -> None:
    """Devices that torch sees, each with a small calculation."""
    try:
        import torch
    except Exception as error:
        found.problems.append(f"torch does not load ({_one_line(error)}): reinstall it")
        return
    facts = found.facts["devices"] = {"cpu": _processor()}
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            device = torch.cuda.get_device_properties(number)
            facts[f"cuda:{number}"] = f"{device.name}, {device.total_memory / 2**30:.0f} GiB"
    elif shutil.which("nvidia-smi"):
        build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for the CPU only"
        found.problems.append(
            f"there is an NVIDIA driver, but torch {torch.__version__} is built {build} and sees "
            "no GPU: install the torch for your driver, see https://pytorch.org/get-started"
        )
    if torch.backends.mps.is_available():
        facts["mps"] = "Apple GPU"
    for name in facts:
        try:
            result = float((torch.ones(8, 8, device=name) @ torch.ones(8, 8, device=name)).sum())
        except Exception as error:
            found.problems.append(f"{name} fails ({_one_line(error)}): use --device cpu")
            continue
        if result != 512:
            found.problems.append(f"{name} computes wrong numbers: use another device")
    found.facts["threads"] = {"torch": torch.get_num_threads()}


def _processor() -> str:
    name = platform.processor() or platform.machine()
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return name
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{name}, {memory / 2**30:.0f} GiB of memory"


def _threads(found: Diagnosis) -> None:
    """Cores of the machine and those that this process may use."""
    facts = found.facts.setdefault("threads", {})
    facts["cores"] = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        facts["cores allowed"] = len(os.sched_getaffinity(0))
    if "OMP_NUM_THREADS" in os.environ:
        facts["OMP_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"]
    allowed = facts.get("cores allowed", facts["cores"])
    if facts.get("torch", 0) > allowed:
        found.problems.append(
            f"torch uses {facts['torch']} threads on {allowed} cores, which is slow: "
            f"set OMP_NUM_THREADS={allowed}"
        )


def _cache(found: Diagnosis) -> None:
    """The conformer cache: where, how large, and whether it can be written."""
    from molweave.data.cache import ConformerCache
    from molweave.data.cache_file import default_cache_path

    facts: dict[str, str] = {}
    found.facts["conformer cache"] = facts
    try:
        facts["path"] = str(default_cache_path())
        with ConformerCache() as cache:
            stats = cache.stats()
    except UserError as error:
        facts["writable"] = "no"
        found.problems.append(str(error))
        return
    writable = os.access(stats.path, os.W_OK) and os.access(stats.path.parent, os.W_OK)
    free = shutil.disk_usage(stats.path.parent).free
    facts["writable"] = "yes" if writable else "no"
    facts["conformers"] = f"{stats.entries - stats.failures:,}"
    facts["failures"] = f"{stats.failures:,}"
    facts["size"] = f"{stats.bytes / 2**20:.1f} MiB"
    facts["free space"] = f"{free / 2**30:.1f} GiB"
    if not writable:
        found.problems.append(
            f"the conformer cache {stats.path} cannot be written: mend its permissions, or set "
            "MOLWEAVE_CACHE to a file or folder that can be"
        )
    if free < _LITTLE_SPACE:
        found.problems.append(
            f"less than 1 GiB is free where the conformer cache is ({stats.path.parent}): "
            "make room, or set MOLWEAVE_CACHE to a place with more"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
