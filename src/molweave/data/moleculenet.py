"""The MoleculeNet data sets that molweave is measured on; two of them come with the package."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType

from molweave.chem.read import open_table
from molweave.chem.table import Table
from molweave.errors import UserError


@dataclass(frozen=True)
class BenchmarkSet:
    """A published data set.

    Attributes:
        name: short name, also of the file.
        title: what it is, for a reader.
        kind: of all its tasks, ``classification`` or ``regression``.
        targets: the columns to predict.
        metric: what papers report, a key of `molweave.metrics.METRICS`.
        split: what MoleculeNet recommends, ``scaffold`` or ``random``.
        rows: number of rows, those that do not parse included.
        sha256: of the file ``<name>.csv.gz``.
    """

    name: str
    title: str
    kind: str
    targets: tuple[str, ...]
    metric: str
    split: str
    rows: int
    sha256: str

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.name}.csv.gz"


_TOX21_TARGETS = (
    "NR-AR",
    "NR-AR-LBD",
    "NR-AhR",
    "NR-Aromatase",
    "NR-ER",
    "NR-ER-LBD",
    "NR-PPAR-gamma",
    "SR-ARE",
    "SR-ATAD5",
    "SR-HSE",
    "SR-MMP",
    "SR-p53",
)

_SIDER_TARGETS = (
    "Hepatobiliary disorders",
    "Metabolism and nutrition disorders",
    "Product issues",
    "Eye disorders",
    "Investigations",
    "Musculoskeletal and connective tissue disorders",
    "Gastrointestinal disorders",
    "Social circumstances",
    "Immune system disorders",
    "Reproductive system and breast disorders",
    "Neoplasms benign, malignant and unspecified (incl cysts and polyps)",
    "General disorders and administration site conditions",
    "Endocrine disorders",
    "Surgical and medical procedures",
    "Vascular disorders",
    "Blood and lymphatic system disorders",
    "Skin and subcutaneous tissue disorders",
    "Congenital, familial and genetic disorders",
    "Infections and infestations",
    "Respiratory, thoracic and mediastinal disorders",
    "Psychiatric disorders",
    "Renal and urinary disorders",
    "Pregnancy, puerperium and perinatal conditions",
    "Ear and labyrinth disorders",
    "Cardiac disorders",
    "Nervous system disorders",
    "Injury, poisoning and procedural complications",
)

BENCHMARK_SETS: Mapping[str, BenchmarkSet] = MappingProxyType(
    {
        found.name: found
        for found in (
            BenchmarkSet(
                "bbbp",
                "blood-brain barrier penetration",
                "classification",
                ("p_np",),
                "roc_auc",
                "scaffold",
                2039,
                "65930ad240172cc74a46d97ca3a545139efc61922bdc24c4125005feedcd4389",
            ),
            BenchmarkSet(
                "bace",
                "inhibitors of beta-secretase 1",
                "classification",
                ("Class",),
                "roc_auc",
                "scaffold",
                1513,
                "7e84effa37e4cba2bdd010789a802c45947b2104e001e004050943896c0738fb",
            ),
            BenchmarkSet(
                "clintox",
                "approved drugs, and drugs that failed for toxicity",
                "classification",
                ("FDA_APPROVED", "CT_TOX"),
                "roc_auc",
                "random",
                1478,
                "d1a199e599d1dc49009928a33f8be69807d65fbb783d06b840d7558d09681e79",
            ),
            BenchmarkSet(
                "sider",
                "adverse reactions by organ class",
                "classification",
                _SIDER_TARGETS,
                "roc_auc",
                "random",
                1427,
                "ebf65c641eaaaf1702e39faaadde886bfc8c5245fa34c4a55087327dabddead7",
            ),
            BenchmarkSet(
                "tox21",
                "nuclear receptor and stress response assays",
                "classification",
                _TOX21_TARGETS,
                "roc_auc",
                "random",
                7831,
                "a8f5b4744c25cad36a06f28dd40e789541d6bd34bab93d32626393f974110941",
            ),
            BenchmarkSet(
                "esol",
                "solubility in water, log10 mol/L",
                "regression",
                ("logSolubility",),
                "rmse",
                "random",
                1128,
                "661b292644502400f7fac2b5bfd1db9880698d85d9435843c2b6276b8fc0d469",
            ),
            BenchmarkSet(
                "freesolv",
                "hydration free energy, kcal/mol",
                "regression",
                ("freesolv",),
                "rmse",
                "random",
                642,
                "e6aa1ae6e87a6ee2890f30d717081152b755e5e571dad4bb10a221350af17502",
            ),
            BenchmarkSet(
                "lipo",
                "octanol/water distribution, logD at pH 7.4",
                "regression",
                ("lipo",),
                "rmse",
                "random",
                4200,
                "02d0a810d32abc273ebfa3f52c23930204d76ec775eadc9cc608217436576f22",
            ),
        )
    }
)
"""Every known data set by name."""

BUNDLED = ("bbbp", "esol")
"""The data sets inside the package."""


def find_dataset(name: str, folder: str | Path | None = None) -> Path:
    """The file of a data set, its digest verified.

    Args:
        name: a key of `BENCHMARK_SETS`; case does not matter.
        folder: where the user keeps the files ``<name>.csv.gz``; None for those of the package.

    Raises:
        UserError: an unknown name, a set that is not bundled, no such file, or another content.
    """
    known = BENCHMARK_SETS.get(name.lower())
    if known is None:
        raise UserError(f"unknown data set {name!r}: use one of {', '.join(BENCHMARK_SETS)}")
    if folder is None and known.name not in BUNDLED:
        raise UserError(
            f"{known.name} does not come with molweave (only {', '.join(BUNDLED)} do): "
            f"name a folder that holds {known.file}"
        )
    bundled = Path(str(resources.files("molweave.data") / "bundled"))
    path = (bundled if folder is None else Path(folder)) / known.file
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read the data set {known.name} at {path}: {error}") from error
    if digest != known.sha256:
        raise UserError(
            f"{path} is not the published {known.name}: its SHA-256 starts with {digest[:12]}, "
            f"not {known.sha256[:12]}; use the published file, or treat it as data of your own"
        )
    return path


def open_dataset(name: str, folder: str | Path | None = None) -> Table:
    """The table of a data set, see `find_dataset`."""
    return open_table(find_dataset(name, folder))
