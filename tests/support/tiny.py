"""Small molecules, conformers, batches and networks for the tests of networks and methods."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from molweave.chem.conformers import Conformer, ConformerSettings, embed_conformer
from molweave.chem.molecule import Molecule
from molweave.chem.read import table_from_smiles
from molweave.chem.standardize import Standardizer
from molweave.data.batch import Batch, Samples, collate
from molweave.data.targets import Task
from molweave.methods import METHODS
from molweave.methods.property_model import PropertyModel
from molweave.modalities import MODALITIES
from molweave.modalities.graph import GraphPart

SIZES: dict[str, dict[str, Any]] = {
    "dmmrl": {
        "width": 16,
        "recurrent_layers": 2,
        "attention_layers": 2,
        "heads": 2,
        "feed_forward": 16,
        "rounds": 2,
        "geometry_layers": 2,
        "hidden": 16,
        "shared": 8,
        "private": 8,
    },
    "mmsa": {
        "image_channels": 4,
        "image_reduce": 4,
        "graph_width": 16,
        "graph_layers": 2,
        "geometry_width": 16,
        "geometry_layers": 1,
        "hidden": 24,
        "code": 16,
        "structure": 8,
        "neighbours": 3,
        "references": 12,
        "anchors": 4,
    },
    "moleblend": {"width": 16, "layers": 2, "heads": 2, "feed_forward": 16},
}
"""What makes a preset of a method small enough for a test."""
_PAIR_SIZES = {"pair_width": 16, "pair_layers": 2, "pair_heads": 2, "pair_feed_forward": 16}
"""The same for the view of DMMRL that its presets are without, but for ``relational``."""

DRUGLIKE = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "C[C@H](N)C(=O)O",
    "FC(F)(F)c1ccc(Cl)cc1Br",
    "C1CCCCC1",
    "OCC#N",
)
TASKS = (Task("active", "classification"), Task("logp", "regression", mean=2.0, scale=1.5))


@cache
def molecule(smiles: str) -> Molecule:
    """The standardised molecule, at row 0."""
    (record,) = table_from_smiles([smiles])
    found = Standardizer()(record)
    assert isinstance(found, Molecule), f"{smiles}: {found}"
    return found


@cache
def conformer(canonical: str) -> Conformer:
    """A generated conformer; drawn at random where there is none in a moment."""
    size = molecule(canonical).mol.GetNumAtoms()
    found = embed_conformer(canonical, ConformerSettings(force_field="none", max_atoms=40))
    if found.coordinates is not None:
        return found
    coordinates = np.random.default_rng(size).normal(size=(size, 3)) * 3
    return Conformer(coordinates.astype(np.float32), "input")


@cache
def sample(smiles: str, geometry: bool = True) -> Samples:
    """Every modality of a molecule, without a conformer where ``geometry`` is False."""
    mine = molecule(smiles)
    placed = conformer(mine.canonical) if geometry else Conformer.failed("left out by the test")
    return {name: kind().featurize(mine, placed) for name, kind in MODALITIES.items()}


def make_batch(
    smiles: Sequence[str],
    *,
    flat: Sequence[int] = (),
    targets: np.ndarray | None = None,
) -> Batch:
    """Molecules with all modalities; those at the positions ``flat`` have no geometry."""
    samples = [sample(text, index not in flat) for index, text in enumerate(smiles)]
    return batch_of(samples, targets=targets)


def batch_of(samples: Sequence[Samples], *, targets: np.ndarray | None = None) -> Batch:
    """Samples of all modalities as a batch."""
    modalities = [kind() for kind in MODALITIES.values()]
    return collate(samples, modalities, rows=range(len(samples)), targets=targets)


def wide_graph(smiles: Sequence[str]) -> GraphPart:
    """The graphs of molecules in double precision."""
    part = batch_of([sample(text) for text in smiles]).parts["graph"]
    assert isinstance(part, GraphPart)
    return replace(part, atoms=part.atoms.double(), bonds=part.bonds.double())


def labels(count: int, *, seed: int = 0) -> np.ndarray:
    """Targets for `TASKS`: a class and a value, both drawn at random, none missing."""
    generator = np.random.default_rng(seed)
    return np.column_stack([np.arange(count) % 2, generator.normal(2.0, 1.5, size=count)])


def tiny_config(method: str = "dmmrl", preset: str = "paper", **changes: Any) -> Any:
    """A preset of a method, made small."""
    sizes = SIZES[method] | (_PAIR_SIZES if method == "dmmrl" else {})
    return replace(METHODS[method].presets[preset], **{**sizes, **changes})


def tiny_model(config: Any = None, *, method: str = "dmmrl", seed: int = 0) -> PropertyModel:
    """A network for `TASKS` with fresh weights drawn from ``seed``, in evaluation mode."""
    config = tiny_config(method) if config is None else config
    torch.manual_seed(seed)
    return PropertyModel(METHODS[method].method(config), TASKS, dropout=config.dropout).eval()


def seeded(seed: int = 0) -> torch.Generator:
    """A generator in a known state."""
    return torch.Generator().manual_seed(seed)


def total(terms: Mapping[str, Any]) -> torch.Tensor:
    """The training loss."""
    return torch.stack([term.weight * term.value for term in terms.values()]).sum()


def train(model: PropertyModel, batch: Batch, *, steps: int, rate: float = 3e-3) -> None:
    """Plain Adam on one batch, the rate falling to 0; leaves the model in evaluation mode."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    model.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        loss = total(model(batch, step / steps))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


def thirty_two() -> tuple[list[str], np.ndarray]:
    """32 molecules with random labels for `TASKS`: only a network that tells them apart fits."""
    cores = ("CC{}", "c1ccccc1{}", "C1CCCCC1{}", "OCC{}")
    groups = ("N", "O", "F", "Cl", "C#N", "C(=O)O", "Br", "S")
    return [core.format(group) for core in cores for group in groups], labels(32)
