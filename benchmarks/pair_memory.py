"""Peak memory of the pair heads and biases in training, against outer products of all pairs.

    python benchmarks/pair_memory.py --out benchmarks/results/pair_memory.csv

Each side is one forward and one backward pass over the same random atom states in a process of its
own; the peak is what its resident memory grew by. ``outer product`` is what the released code of
MoleBLEND does: it materialises r_i l_j^T, a vector of 32 x 32 numbers for every pair of atoms, for
each of its three heads.
"""

import argparse
import csv
import datetime
import resource
import subprocess
import sys
from pathlib import Path

from molweave.methods.moleblend_recovery import SPD_TARGETS
from molweave.modalities.relations import BONDS, HOPS

HEADS = {"spd": SPD_TARGETS, "edge": len(BONDS) * HOPS, "distance": 16}
WIDTH = 32
SIDES = ("contraction", "outer product")


def peak(side: str, batch: int, atoms: int, inputs: int) -> float:
    """Growth of the resident memory in MiB by one training step of the heads."""
    import torch
    from torch import nn

    from molweave.nn.heads import PairHead

    torch.set_num_threads(1)

    class OuterProduct(nn.Module):
        """The same function by way of every pair's outer product."""

        def __init__(self, head: PairHead) -> None:
            super().__init__()
            self.head = head

        def forward(self, states: torch.Tensor) -> torch.Tensor:
            row, column = self.head.row(states), self.head.column(states)
            outer = row[:, :, None, :, None] * column[:, None, :, None, :]
            weight = self.head.weight.transpose(0, 1).flatten(1)
            found = outer.flatten(3) @ weight.permute(1, 0) + self.head.bias
            return found.permute(0, 3, 1, 2)

    states = torch.randn(batch, atoms, inputs, requires_grad=True)
    torch.randn(64, 64).matmul(torch.randn(64, 64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    total = torch.zeros(())
    for outputs in HEADS.values():
        head = PairHead(inputs=inputs, outputs=outputs, width=WIDTH)
        network = OuterProduct(head) if side == "outer product" else head
        total = total + network(states).square().mean()
    total.backward()
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def main() -> None:
    """Measure both sides and write a row each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--atoms", type=int, default=64)
    parser.add_argument("--inputs", type=int, default=256, help="width of the atom states")
    parser.add_argument("--side", choices=SIDES, help="measure one side in this process")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    sizes = (arguments.batch, arguments.atoms, arguments.inputs)
    if arguments.side:
        print(peak(arguments.side, *sizes))
        return
    rows = []
    for side in SIDES:
        words = [sys.executable, __file__, "--side", side]
        words += ["--batch", str(sizes[0]), "--atoms", str(sizes[1]), "--inputs", str(sizes[2])]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        rows.append({"side": side, "peak_mib": f"{float(done.stdout):.0f}"})
        print(rows[-1], flush=True)
    if arguments.out:
        _write(arguments.out, rows, sizes)


def _write(path: Path, rows: list[dict[str, str]], sizes: tuple[int, int, int]) -> None:
    from molweave.version import versions

    found = versions()
    batch, atoms, inputs = sizes
    fixed = {
        "batch": batch,
        "atoms": atoms,
        "inputs": inputs,
        "version": found["molweave"],
        "torch": found["torch"],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"python benchmarks/pair_memory.py --batch {batch} --atoms {atoms} "
        f"--inputs {inputs}",
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=["side", "peak_mib", *fixed], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **fixed} for row in rows)


if __name__ == "__main__":
    main()
