"""What every test gets: one thread, no network, its own cache, seeds, odd molecules, commands."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # so small that a second thread only waits; workers inherit it
os.environ["MPLBACKEND"] = "Agg"

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import hypothesis
import numpy as np
import pytest
from commands import Result

hypothesis.settings.register_profile(
    "molweave", deadline=None, derandomize=True, database=None, max_examples=25
)
hypothesis.settings.load_profile("molweave")

ODD = MappingProxyType(
    {
        "ion": "[NH4+]",
        "salt": "CC(C)NCC(O)COc1cccc2ccccc12.Cl",
        "single atom": "C",
        "noble gas": "[Xe]",
        "hydrogen": "[H][H]",
        "isotope": "[2H]C([2H])([2H])O",
        "radical": "C[CH2]",
        "zwitterion": "C[C@H]([NH3+])C(=O)[O-]",
        "wildcard": "*c1ccccc1",
        "stereo": "C[C@@H](O)[C@H](N)/C=C/Cl",
        "unspecified stereo": "CC(O)C(N)C=CCl",
        "impossible stereo": "C[C@H](C)C",
        "macrocycle": "O=C1CCCCCCCCCCCCCCO1",
        "cage": "C1C2CC3CC1CC(C2)C3",
        "organometallic": "CCCC[Sn](CCCC)(CCCC)Cl",
        "complex": "Cl[Pt](Cl)(<-[NH3])<-[NH3]",
        "1000 atoms": "N[C@@H](C)C(=O)" * 200 + "O",
    }
)


@pytest.fixture
def cli(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Result]:
    """Run a command in this process and an empty folder."""
    from molweave.cli.app import run

    monkeypatch.chdir(tmp_path)
    capfd.readouterr()

    def call(*arguments: object) -> Result:
        code = run([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="session")
def odd_smiles() -> Mapping[str, str]:
    """SMILES that RDKit reads but that code likes to stumble over, by what is odd about them."""
    return ODD


@pytest.fixture(scope="session")
def unparsable_smiles() -> tuple[str, ...]:
    """SMILES that no molecule can be made of: ring, branch, valence, aromaticity, words, empty."""
    return ("C1CC", "C(C", "CC(C)(C)(C)C", "c1cccc1", "not a molecule", "")


@pytest.fixture(scope="session", autouse=True)
def _offline() -> Iterator[None]:
    """Refuse the network to the processes that tests start; pytest-socket does it in this one."""
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(__file__).parent / "support" / "offline"
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests, and every process they start, away from the user's conformer cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLWEAVE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def seed() -> int:
    """Seed every generator before each test, so that no test depends on those before it."""
    import torch

    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - code under test may use it, RDKit and scikit-learn do
    torch.manual_seed(0)
    return 0


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Compute on one thread, whatever the tests before left behind."""
    import torch

    torch.set_num_threads(1)
