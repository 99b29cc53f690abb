"""Cross-modal retrieval of an MMSA encoder on held-out molecules, and whether it has collapsed.

    python benchmarks/retrieval.py ENCODER SHARDS --out benchmarks/results/retrieval.csv

Of N held-out molecules, drawn evenly from those of a corpus: how often the nearest code of another
view belongs to the same molecule (cosine, among all N), and the effective rank of the unified code.
"""

import argparse
import csv
import datetime
import itertools
from pathlib import Path
from typing import Any

import torch

from molweave.data.feed import Feed
from molweave.data.shards import ShardedCorpus
from molweave.methods.pretrained import read_encoder
from molweave.nn.collapse import effective_rank
from molweave.nn.objectives.contrastive import retrieved
from molweave.version import versions


def measure(encoder: Path, shards: Path, count: int) -> list[dict[str, Any]]:
    """One row per ordered pair of views, and one for the rank of the unified code."""
    found = read_encoder(encoder)
    method = found.build({"protocol": "pretrain"})
    feed = Feed(ShardedCorpus(shards), method.modalities, batch_size=2, bucket=False)
    codes: dict[str, list[torch.Tensor]] = {name: [] for name in method.modalities}
    present: dict[str, list[torch.Tensor]] = {name: [] for name in method.modalities}
    unified = []
    with torch.inference_mode():
        for batch in feed.valid(count, 64):
            encoding = method.encode(batch)
            unified.append(encoding.embedding)
            for name in codes:
                codes[name].append(encoding.codes["shared"][name])
                present[name].append(batch.present[name])
    together = {name: torch.cat(parts) for name, parts in codes.items()}
    there = {name: torch.cat(parts) for name, parts in present.items()}
    rows: list[dict[str, Any]] = []
    for first, second in itertools.permutations(codes, 2):
        both = there[first] & there[second]
        hits = retrieved(together[first][both], together[second][both])
        value = f"{float(hits.float().mean()):.4f}"
        rows.append({"what": f"{first} to {second}", "molecules": len(hits), "value": value})
    code = torch.cat(unified)
    rank = f"{float(effective_rank(code)):.1f}"
    rows.append({"what": "effective rank of c", "molecules": len(code), "value": rank})
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("encoder", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = measure(arguments.encoder, arguments.shards, arguments.count)
    for row in rows:
        print(f"{row['what']:24} {row['value']}")
    if not arguments.out:
        return
    fixed = {
        "encoder": arguments.encoder.name,
        "version": versions()["molweave"],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"python benchmarks/retrieval.py {arguments.encoder.name} SHARDS "
        f"--count {arguments.count}",
    }
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], *fixed], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **fixed} for row in rows)


if __name__ == "__main__":
    main()
