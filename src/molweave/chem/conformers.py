"""Three-dimensional coordinates of one molecule: settings, result, and the embedding itself."""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import rdkit
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from molweave.errors import UserError

ALGORITHM = "1"
"""Version of everything below that decides coordinates; part of every cache key."""

FORCE_FIELDS = ("mmff94", "uff", "none")
COORDINATE_SOURCES = ("input", "generate", "none")
"""Where coordinates come from: the input row if it has some, else made; always made; nowhere."""

CRASHED = "worker crashed"

_ATTEMPTS = {"etkdg": 100, "random": 10, "plain": 20}
_FRAGMENT_GAP = 4.0
_REASON_LENGTH = 120
_TETRAHEDRAL = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
_DOUBLE = (Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOZ)


@dataclass(frozen=True, kw_only=True)
class ConformerSettings:
    """How coordinates are made; two equal settings give equal coordinates.

    Attributes:
        seed: seed of the distance geometry, the same for every molecule.
        force_field: ``mmff94`` (UFF for molecules that MMFF94 cannot type), ``uff`` or ``none``.
        max_iterations: most steps of the force field minimisation.
        timeout: processor seconds after which a worker process gives a molecule up, so that a
            busy machine changes no result (on Windows, wall-clock seconds). It bounds
            `generate_conformers` only: `embed_conformer` runs in the caller and cannot be stopped.
        max_atoms: molecules with more atoms (hydrogens not counted) fail without being tried.

    Raises:
        UserError: when a value makes no sense.
    """

    seed: int = 42
    force_field: str = "mmff94"
    max_iterations: int = 200
    timeout: float = 10.0
    max_atoms: int = 200

    def __post_init__(self) -> None:
        """Refuse values that make no sense."""
        if self.force_field not in FORCE_FIELDS:
            raise UserError(
                f"force_field is {self.force_field!r}: use one of {', '.join(FORCE_FIELDS)}"
            )
        if not 0 <= self.seed < 2**31:
            raise UserError(f"seed is {self.seed}: use a number from 0 to {2**31 - 1}")
        for name in ("max_iterations", "max_atoms"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}: use 1 or more")
        if not (self.timeout > 0 and math.isfinite(self.timeout)):
            raise UserError(f"timeout is {self.timeout}: use a number of seconds above 0")

    @property
    def key(self) -> str:
        """Names the settings, the algorithm and RDKit's version: all that decides coordinates."""
        return (
            f"{ALGORITHM}:rdkit={rdkit.__version__}:seed={self.seed}:force_field={self.force_field}"
            f":max_iterations={self.max_iterations}:timeout={float(self.timeout):g}"
            f":max_atoms={self.max_atoms}"
        )


@dataclass(frozen=True)
class Conformer:
    """The coordinates of one molecule, or the reason why there are none.

    Attributes:
        coordinates: float32 (atoms, 3) in angstrom, in the atom order of
            ``Chem.MolFromSmiles(canonical)``; None when it failed.
        origin: what worked: how the molecule was embedded, ``etkdg`` (ETKDGv3), ``random``
            (ETKDGv3 from random coordinates) or ``plain`` (distance geometry without torsion
            knowledge), then the force field that refined it, if any: ``etkdg+mmff94``,
            ``random+uff``, ``etkdg``. ``single atom`` is the origin (0, 0, 0), ``input`` the
            structure of the input file, ``failed`` none.
        failure: why there are no coordinates; None when there are.
    """

    coordinates: np.ndarray | None
    origin: str
    failure: str | None = None

    @classmethod
    def failed(cls, reason: str) -> "Conformer":
        """No coordinates, because of ``reason``."""
        return cls(coordinates=None, origin="failed", failure=reason)

    @property
    def transient(self) -> bool:
        """Whether another try may well succeed: the worker process died, killed by anything."""
        return self.failure == CRASHED


def embed_conformer(canonical: str, settings: ConformerSettings) -> Conformer:
    """One conformer of a molecule, in this process.

    ETKDGv3 with explicit hydrogens (Wang et al., J. Chem. Inf. Model. 2020, 60, 2044), then
    MMFF94 (Halgren, J. Comput. Chem. 1996, 17, 490) or UFF. When the embedding fails it is tried
    from random coordinates, then without torsion knowledge; when a force field fails or turns a
    stereo centre over, the embedded geometry is kept. Fragments of a mixture lie side by side
    along x, `4` angstrom apart.

    Args:
        canonical: canonical SMILES; the result depends on it and ``settings`` alone.
        settings: see `ConformerSettings`; its ``timeout`` has no effect here.

    Returns:
        The conformer; a molecule that has none gives a failed one, never an exception.
    """
    try:
        with rdBase.BlockLogs():
            return _embed(canonical, settings)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        return Conformer.failed(f"RDKit: {reason[:_REASON_LENGTH] or type(error).__name__}")


def generate_conformers(
    canonical: Sequence[str], settings: ConformerSettings, *, workers: int = 1
) -> Generator[tuple[str, Conformer], None, None]:
    """One conformer for every SMILES, made in worker processes, in the order they are done.

    The coordinates do not depend on ``workers``. Closing the iterator, or an exception in the loop
    over it, kills the workers.

    Args:
        canonical: canonical SMILES.
        settings: see `ConformerSettings`.
        workers: how many processes; one also is a process, so that the time limit holds.

    Yields:
        The SMILES and its conformer.

    Raises:
        UserError: when ``workers`` is below 1.
        MolweaveError: when a worker process cannot be started.
    """
    # The pool imports what the worker imports, which is this module.
    from molweave.chem.conformer_pool import ConformerPool

    with ConformerPool(workers) as pool:
        yield from pool.run(canonical, settings)


def _embed(canonical: str, settings: ConformerSettings) -> Conformer:
    mol = Chem.MolFromSmiles(canonical)
    if mol is None:
        return Conformer.failed("the SMILES cannot be read")
    size = mol.GetNumAtoms()
    if size == 0:
        return Conformer.failed("the molecule has no atoms")
    if size > settings.max_atoms:
        return Conformer.failed(f"{size} atoms, more than max_atoms = {settings.max_atoms}")
    if size == 1:
        return Conformer(coordinates=np.zeros((1, 3), dtype=np.float32), origin="single atom")
    full = Chem.AddHs(mol)
    for origin in _ATTEMPTS:
        if rdDistGeom.EmbedMolecule(full, _parameters(origin, settings.seed)) < 0:
            continue
        if not _sound(mol, full.GetConformer().GetPositions()):
            continue
        refined, force_field = _refine(mol, full, settings)
        coordinates = _spread_fragments(mol, refined.GetConformer().GetPositions()[:size])
        return Conformer(
            coordinates=np.ascontiguousarray(coordinates, dtype=np.float32),
            origin=f"{origin}+{force_field}" if force_field else origin,
        )
    return Conformer.failed(
        "no embedding found that satisfies its bonds, rings and stereochemistry"
    )


def _parameters(origin: str, seed: int) -> rdDistGeom.EmbedParameters:
    # RDKit's stubs give every attribute the wrong type.
    parameters: Any = rdDistGeom.ETKDGv3()
    parameters.randomSeed = seed
    parameters.maxIterations = _ATTEMPTS[origin]
    parameters.numThreads = 1
    parameters.useRandomCoords = origin != "etkdg"
    if origin == "plain":
        parameters.useExpTorsionAnglePrefs = False
        parameters.useBasicKnowledge = False
    return cast(rdDistGeom.EmbedParameters, parameters)


def _refine(
    mol: Chem.Mol, full: Chem.Mol, settings: ConformerSettings
) -> tuple[Chem.Mol, str | None]:
    """The molecule after the first force field that works, and its name; else as it was."""
    ladder: dict[str, Callable[[Chem.Mol, int], bool]] = {"mmff94": _mmff94, "uff": _uff}
    if settings.force_field == "none":
        return full, None
    if settings.force_field == "uff":
        del ladder["mmff94"]
    for name, minimise in ladder.items():
        trial = Chem.Mol(full)
        try:
            done = minimise(trial, settings.max_iterations)
        except (RuntimeError, ValueError):
            continue
        if done and _sound(mol, trial.GetConformer().GetPositions()):
            return trial, name
    return full, None


def _mmff94(full: Chem.Mol, steps: int) -> bool:
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(full)
    if properties is None:
        return False
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(full, properties)
    if field is None:
        return False
    field.Initialize()
    field.Minimize(maxIts=steps)
    return True


def _uff(full: Chem.Mol, steps: int) -> bool:
    if not rdForceFieldHelpers.UFFHasAllMoleculeParams(full):
        return False
    field = rdForceFieldHelpers.UFFGetMoleculeForceField(full)
    field.Initialize()
    field.Minimize(maxIts=steps)
    return True


def _sound(mol: Chem.Mol, positions: np.ndarray) -> bool:
    """Whether coordinates are finite, keep every bond at a possible length and the stereochemistry.

    Args:
        mol: the molecule without added hydrogens.
        positions: float64 (at least atoms, 3), those of ``mol`` first.
    """
    positions = positions[: mol.GetNumAtoms()]
    if not np.isfinite(positions).all():
        return False
    ends = np.array(
        [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()], dtype=np.int64
    ).reshape(-1, 2)
    lengths = np.linalg.norm(positions[ends[:, 0]] - positions[ends[:, 1]], axis=1)
    if ((lengths < 0.5) | (lengths > 4.0)).any():
        return False
    return _keeps_stereochemistry(mol, positions)


def _keeps_stereochemistry(mol: Chem.Mol, positions: np.ndarray) -> bool:
    centres = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetChiralTag() in _TETRAHEDRAL]
    doubles = [bond.GetIdx() for bond in mol.GetBonds() if bond.GetStereo() in _DOUBLE]
    if not centres and not doubles:
        return True
    seen = Chem.Mol(mol)
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.SetPositions(np.ascontiguousarray(positions))
    seen.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(seen)
    return all(
        seen.GetAtomWithIdx(i).GetChiralTag() == mol.GetAtomWithIdx(i).GetChiralTag()
        for i in centres
    ) and all(
        seen.GetBondWithIdx(i).GetStereo() == mol.GetBondWithIdx(i).GetStereo() for i in doubles
    )


def _spread_fragments(mol: Chem.Mol, positions: np.ndarray) -> np.ndarray:
    """Move the fragments of a mixture, which are embedded one on the other, side by side."""
    fragments = Chem.GetMolFrags(mol)
    if len(fragments) == 1:
        return positions
    spread = np.empty_like(positions)
    edge = 0.0
    for fragment in map(list, fragments):
        part = positions[fragment] - positions[fragment].mean(axis=0)
        part[:, 0] += edge - part[:, 0].min()
        edge = part[:, 0].max() + _FRAGMENT_GAP
        spread[fragment] = part
    return spread
