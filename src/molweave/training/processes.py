"""The processes that train together, as ``torchrun`` or fabric's launcher started them."""

import os

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from molweave.errors import UserError
from molweave.training.finetune import can_use_gpu, choose_precision, make_fabric


def join_processes(device: str, precision: str) -> Fabric:
    """Fabric over all processes that ``torchrun`` started; over this one where it did not.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``auto`` or one of fabric's names.

    Raises:
        UserError: the environment names processes in a way that makes no sense.
    """
    world, local = (_count(name) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return make_fabric(device, precision)
    if world % local:
        raise UserError(
            f"WORLD_SIZE {world} is no multiple of LOCAL_WORLD_SIZE {local}; start the processes "
            "with torchrun"
        )
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(
            f"{world} processes train on the CPU or on the GPUs of their machines; found device "
            f"{device!r}, use auto, cpu or cuda"
        )
    on_gpu = can_use_gpu(device)
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        devices=local,
        num_nodes=world // local,
        precision=choose_precision(precision, on_gpu=on_gpu),  # type: ignore[arg-type]
        strategy=DDPStrategy(
            process_group_backend="nccl" if on_gpu else "gloo", find_unused_parameters=True
        ),
    )
    fabric.launch()
    return fabric


def is_first() -> bool:
    """Whether this process is the one that tells of the work of all."""
    return os.environ.get("RANK", "0") == "0"


def _count(name: str) -> int:
    value = os.environ.get(name, "1")
    if not value.isdecimal() or int(value) < 1:
        raise UserError(f"{name} must be a number of processes; found {value!r}")
    return int(value)
