"""What each part of DMMRL is worth: the full model and the model without one part at a time.

    python benchmarks/ablations.py --data DATA --splits SPLITS

Each modality off, each loss term off, the other fusions, the other measure of orthogonality. The
runs are those of ``moleculenet.py`` and go to ``results/ablations.csv``, where the column preset
says which part is missing: ``small:without-kl``.
"""

import argparse
import itertools
from dataclasses import dataclass, field
from pathlib import Path

from moleculenet import (
    HERE,
    add_places,
    add_seeds,
    check_known,
    default_seeds,
    names,
    run_jobs,
    start,
)
from single import Job

from molweave.errors import UserError
from molweave.methods import METHODS
from molweave.nn.fusion.gated import FUSIONS
from molweave.nn.objectives.orthogonality import ORTHOGONALITY

LOSS_TERMS = ("kl", "mmd", "align", "orth", "rec")
DATASETS = ("bbbp", "bace", "esol")


@dataclass(frozen=True)
class Ablation:
    """A change of the full model.

    Attributes:
        name: what follows the colon of the label.
        modalities: views that are left; empty for the preset's.
        changes: of the method's configuration.
    """

    name: str
    modalities: tuple[str, ...] = ()
    changes: dict[str, str] = field(default_factory=dict)


def list_ablations(preset: str) -> dict[str, Ablation]:
    """Every ablation of a preset by name, the full model first."""
    config = METHODS["dmmrl"].presets[preset]
    found = [Ablation("full")]
    for name in config.modalities if len(config.modalities) > 1 else ():
        left = tuple(other for other in config.modalities if other != name)
        found.append(Ablation(f"without-{name}", modalities=left))
    for term in LOSS_TERMS:
        if getattr(config, term) > 0:
            found.append(Ablation(f"without-{term}", changes={term: "0"}))
    for field_, known in (("fusion", FUSIONS), ("orthogonality", ORTHOGONALITY)):
        for value in known:
            if value != getattr(config, field_):
                found.append(Ablation(f"{field_}-{value}", changes={field_: value}))
    return {ablation.name: ablation for ablation in found}


def make_jobs(arguments: argparse.Namespace) -> list[Job]:
    """The runs that a command line asks for, data set by data set."""
    known = list_ablations(arguments.preset)
    for name in arguments.only:
        if name not in known:
            raise UserError(f"unknown ablation {name!r}: use some of {', '.join(known)}")
    for dataset in arguments.datasets:
        check_known(dataset, "scaffold")
    chosen = [known[name] for name in arguments.only or known]
    return [
        Job(
            model="dmmrl",
            dataset=dataset,
            split="scaffold",
            seed=seed,
            preset=arguments.preset,
            label=f"{arguments.preset}:{ablation.name}",
            modalities=ablation.modalities,
            method_options=ablation.changes,
            device=arguments.device,
            threads=arguments.threads,
        )
        for dataset, ablation, seed in itertools.product(
            arguments.datasets, chosen, arguments.seeds or default_seeds("scaffold")
        )
    ]


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_places(parser)
    parser.add_argument("--datasets", type=names, default=DATASETS, metavar="NAMES")
    add_seeds(parser)
    parser.add_argument("--preset", default="small", choices=list(METHODS["dmmrl"].presets))
    parser.add_argument("--only", type=names, default=(), metavar="NAMES", help="of the ablations")
    parser.add_argument("--list", action="store_true", help="print the ablations and stop")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "ablations.csv")
    return parser


def main() -> None:
    """Do what the command line asks."""
    arguments = make_parser().parse_args()
    if arguments.list:
        print("\n".join(list_ablations(arguments.preset)))
        return
    try:
        failed = run_jobs(
            make_jobs(arguments),
            arguments.out,
            lambda job: start(job, arguments.data, arguments.splits),
        )
    except UserError as error:
        raise SystemExit(f"error: {error}") from error
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
