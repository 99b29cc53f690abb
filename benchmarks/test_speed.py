"""Speed of the parts on bundled ESOL molecules; ``make bench`` prints the table.

One thread of the processor, and the conformers are made before the clock starts. The checks of
shapes and types that the tests switch on are off while the clock runs.
"""

from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from rdkit import Chem

from molweave.chem.conformers import Conformer, ConformerSettings
from molweave.chem.molecule import Molecule
from molweave.chem.standardize import Standardizer
from molweave.data.batch import Batch, collate
from molweave.data.cache import ConformerCache, load_conformers
from molweave.data.moleculenet import open_dataset
from molweave.data.targets import Task
from molweave.methods import METHODS
from molweave.methods.mmsa_encoders import ENCODERS
from molweave.methods.property_model import PropertyModel
from molweave.modalities import MODALITIES
from molweave.training.config import TRAIN_PRESETS
from molweave.training.optim import make_optimizer

COUNT = 64
ENCODER_VIEWS = {"resnet": "image", "gin": "graph", "comenet": "geometry"}
SETTINGS = ConformerSettings(force_field="none")


@pytest.fixture(autouse=True)
def _as_in_use() -> Iterator[None]:
    checked, threads = jaxtyping.config.jaxtyping_disable, torch.get_num_threads()
    jaxtyping.config.update("jaxtyping_disable", True)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    jaxtyping.config.update("jaxtyping_disable", checked)


@pytest.fixture(scope="module")
def canonical() -> list[str]:
    """Different molecules from all over the data set, biggest last."""
    results = map(Standardizer(), open_dataset("esol"))
    found = {item.canonical: item for item in results if isinstance(item, Molecule)}
    names = sorted(found, key=lambda name: found[name].mol.GetNumAtoms())
    return names[:: len(names) // COUNT][-COUNT:]


@pytest.fixture(scope="module")
def cache(
    canonical: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConformerCache]:
    """A cache that holds the conformer of every molecule."""
    path: Path = tmp_path_factory.mktemp("cache") / "conformers.sqlite"
    with ConformerCache(path) as opened:
        load_conformers(canonical, SETTINGS, cache=opened, workers=1, progress=None)
        yield opened


@pytest.fixture(scope="module")
def conformers(canonical: list[str], cache: ConformerCache) -> list[Conformer]:
    """The conformers in the order of the molecules."""
    found = load_conformers(canonical, SETTINGS, cache=cache, workers=1, progress=None)
    return [found[name] for name in canonical]


@pytest.fixture(scope="module")
def batch(canonical: list[str], conformers: list[Conformer]) -> Batch:
    """All molecules with all views and made-up targets."""
    pairs = list(zip(_fresh(canonical), conformers, strict=True))
    views = [kind() for kind in MODALITIES.values()]
    samples = [{view.name: view.featurize(*pair) for view in views} for pair in pairs]
    targets = np.random.default_rng(0).normal(size=(len(pairs), 1))
    return collate(samples, views, rows=range(len(pairs)), targets=targets)


@pytest.mark.parametrize("name", MODALITIES)
def test_featurize(
    benchmark: BenchmarkFixture, canonical: list[str], conformers: list[Conformer], name: str
) -> None:
    """Samples of molecules that nothing was computed for yet."""
    view = MODALITIES[name]()

    def setup() -> tuple[tuple[list[Molecule]], dict[str, object]]:
        return (_fresh(canonical),), {}

    def featurize(molecules: list[Molecule]) -> list[object]:
        return [view.featurize(*pair) for pair in zip(molecules, conformers, strict=True)]

    samples = benchmark.pedantic(featurize, setup=setup, rounds=10, warmup_rounds=1)
    assert len(samples) == COUNT


@pytest.mark.parametrize("name", MODALITIES)
def test_collate(
    benchmark: BenchmarkFixture, canonical: list[str], conformers: list[Conformer], name: str
) -> None:
    """Samples to tensors."""
    view = MODALITIES[name]()
    pairs = zip(_fresh(canonical), conformers, strict=True)
    samples = [{name: view.featurize(*pair)} for pair in pairs]
    made = benchmark(collate, samples, [view], rows=range(COUNT))
    assert made.size == COUNT


def test_warm_cache(
    benchmark: BenchmarkFixture, canonical: list[str], cache: ConformerCache
) -> None:
    """Conformers from the cache."""
    found = benchmark(load_conformers, canonical, SETTINGS, cache=cache, workers=1, progress=None)
    assert found.keys() == set(canonical)


def test_training_step(benchmark: BenchmarkFixture, batch: Batch) -> None:
    """Loss, gradients and update of DMMRL, preset small."""
    model = _model().train()
    optimizer = make_optimizer(model, TRAIN_PRESETS["dmmrl", "small"])

    def step() -> float:
        terms = model(batch, 0.5)
        loss = torch.stack([term.weight * term.value for term in terms.values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    assert np.isfinite(benchmark(step))


@pytest.mark.parametrize(("name", "view"), [*ENCODER_VIEWS.items()])
def test_encoder(benchmark: BenchmarkFixture, batch: Batch, name: str, view: str) -> None:
    """Forward and backward through an encoder of MMSA, preset small."""
    torch.manual_seed(0)
    encoder = ENCODERS[name](METHODS["mmsa"].presets["small"]).train()

    def step() -> float:
        loss = encoder(batch.parts[view]).square().mean()
        loss.backward()
        return float(loss.detach())

    assert np.isfinite(benchmark(step))


def test_inference_step(benchmark: BenchmarkFixture, batch: Batch) -> None:
    """Predictions of DMMRL, preset small."""
    model = _model().eval()
    assert benchmark(model.predict, batch).values.shape == (COUNT, 1)


def _fresh(canonical: list[str]) -> list[Molecule]:
    return [
        Molecule(row=row, smiles=name, canonical=name, mol=Chem.MolFromSmiles(name))
        for row, name in enumerate(canonical)
    ]


def _model() -> PropertyModel:
    torch.manual_seed(0)
    entry = METHODS["dmmrl"]
    config = entry.presets["small"]
    return PropertyModel(entry.method(config), [Task("y", "regression")], dropout=config.dropout)
