"""Standardisation: from a record to a molecule in canonical form, by named, versioned steps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from molweave.chem.diagnose import MAX_ATOMS, describe_problems, describe_size, describe_smiles
from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.table import Record
from molweave.errors import UserError
from molweave.wording import did_you_mean

_ROUNDS = 6
_SHOWN = 30
_MAX_LENGTH = 10 * MAX_ATOMS
_BORON, _OCTET = 5, 8
_WIDEST = 1e4  # angstrom, along an axis; more than MAX_ATOMS in a row

Step = Callable[[Chem.Mol], Chem.Mol]


class _Refused(Exception):
    """A structure that cannot be used: ``stage`` and ``reason`` of the `Rejected` to come."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage
        self.reason = reason


def largest_fragment(mol: Chem.Mol) -> Chem.Mol:
    """Keep the fragment with the most atoms, an organic one before an inorganic one."""
    return _largest_fragment_chooser().choose(mol)


def normalize(mol: Chem.Mol) -> Chem.Mol:
    """Write functional groups (nitro, sulfoxide, azide, ...) the one way that RDKit prefers."""
    return _normalizer().normalize(mol)


def uncharge(mol: Chem.Mol) -> Chem.Mol:
    """Neutralise by moving hydrogens; a charge that no hydrogen can undo stays.

    So does that of an atom with more than an octet, hexafluorophosphate or triiodide say, where
    RDKit would add a hydrogen to the full atom. Meanwhile it stands there as boron without a
    hydrogen, whose charge RDKit leaves alone and balances with charges of the other sign.
    """
    full = {
        atom.GetIdx(): (atom.GetAtomicNum(), atom.GetNumExplicitHs())
        for atom in mol.GetAtoms()
        if _exceeds_octet(atom)
    }
    if not full:
        return _uncharger().uncharge(mol)
    masked = Chem.RWMol(mol)
    for index in full:
        atom = masked.GetAtomWithIdx(index)
        atom.SetAtomicNum(_BORON)
        atom.SetNumExplicitHs(0)
        atom.SetNoImplicit(True)
    result = _uncharger().uncharge(masked)
    for index, (number, hydrogens) in full.items():
        atom = result.GetAtomWithIdx(index)
        atom.SetAtomicNum(number)
        atom.SetNumExplicitHs(hydrogens)
    return result


def _exceeds_octet(atom: Chem.Atom) -> bool:
    """Whether an anion has more than eight electrons: two per neighbour, and those in no bond."""
    charge = atom.GetFormalCharge()
    if charge >= 0:
        return False
    outer = Chem.GetPeriodicTable().GetNOuterElecs(atom.GetAtomicNum())
    free = max(outer - charge - atom.GetTotalValence(), 0)
    return 2 * atom.GetTotalDegree() + free > _OCTET


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A standardiser: what it does after the structure is parsed, and its version.

    ``version`` goes up whenever any canonical SMILES that the recipe makes may change.
    """

    version: int
    steps: tuple[Step, ...] = ()


STANDARDIZERS: dict[str, Recipe] = {
    "default": Recipe(version=1),
    "full": Recipe(version=2, steps=(normalize, largest_fragment, uncharge)),
}


class Standardizer:
    """Turns a record into a `Molecule`, or says why that cannot be done.

    ``default`` sanitises, removes explicit hydrogens, clears atom map numbers and keeps everything
    else: salts and mixtures, charges, isotopes, stereo as given. ``full`` then normalises
    functional groups, keeps the largest (organic) fragment and neutralises it.

    Hydrogens that carry information (isotopes, hydrides, the one that defines the geometry of an
    imine) remain atoms of the molecule.

    Args:
        name: one of `STANDARDIZERS`.

    Raises:
        UserError: there is no such standardiser.
    """

    def __init__(self, name: str = "default") -> None:
        if name not in STANDARDIZERS:
            meant = did_you_mean(name, STANDARDIZERS)
            known = ", ".join(STANDARDIZERS)
            raise UserError(f"unknown standardizer {name!r}; use one of {known}{meant}")
        recipe = STANDARDIZERS[name]
        self.name = name
        self.version = f"{name}-{recipe.version}"
        self._steps = recipe.steps

    @classmethod
    def of_version(cls, version: str) -> Self:
        """The standardiser of this name in a stored version, whichever version it has today."""
        return cls(version.rsplit("-", 1)[0])

    def __call__(self, record: Record) -> Molecule | Rejected:
        """The molecule of a record; `Rejected` says at which stage it failed and why."""
        if record.problem is not None:
            return Rejected(record.row, "read", record.problem)
        try:
            with rdBase.BlockLogs():
                mol = _parse(record)
                given = _place(mol, record.coordinates)
                canonical, mol = canonicalize(mol)
                if self._steps:
                    for step in self._steps:
                        mol = _apply(step, mol)
                    canonical, mol = canonicalize(mol)
                _check_complete(canonical, mol)
        except _Refused as refusal:
            return Rejected(record.row, refusal.stage, refusal.reason)
        text = canonical if record.smiles is None else record.smiles
        coordinates = _pop_coordinates(mol)
        unfit = given and coordinates is None
        return Molecule(record.row, text, canonical, mol, coordinates, unfit)


def canonicalize(mol: Chem.Mol) -> tuple[str, Chem.Mol]:
    """The canonical SMILES of a molecule and the molecule read back from it.

    Repeated until writing and reading change nothing more. For a few molecules (large rings that
    RDKit finds aromatic from one Kekule form and not from the other) the text alternates for ever:
    then the alphabetically first of the alternating texts is taken. A 3D conformer goes along, its
    atoms reordered.
    """
    seen: dict[str, Chem.Mol] = {}
    text = Chem.MolToSmiles(mol)
    while text not in seen and len(seen) < _ROUNDS:
        mol = _read_back(text, mol)
        seen[text] = mol
        text = Chem.MolToSmiles(mol)
    texts = list(seen)
    cycle = texts[texts.index(text) :] if text in seen else texts
    chosen = min(cycle)
    return chosen, seen[chosen]


def _read_back(text: str, mol: Chem.Mol) -> Chem.Mol:
    again = Chem.MolFromSmiles(text)
    if again is None:
        raise _Refused("standardize", f"RDKit cannot read back its own SMILES {text!r}")
    if mol.GetNumConformers() and again.GetNumAtoms() == mol.GetNumAtoms():
        order = mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]
        positions = mol.GetConformer().GetPositions()[list(order)]
        conformer = Chem.Conformer(len(positions))
        conformer.SetPositions(positions)
        again.AddConformer(conformer)
    return again


def _parse(record: Record) -> Chem.Mol:
    if record.mol is not None:
        mol = _clean_mol(record.mol)
    else:
        mol = _parse_smiles((record.smiles or "").strip())
    if mol.GetNumAtoms() == 0:
        raise _Refused("parse", "a structure without atoms")
    too_large = describe_size(mol)
    if too_large:
        raise _Refused("parse", too_large)
    if mol.GetNumConformers() and not mol.GetConformer().Is3D():
        mol.RemoveAllConformers()
    if record.mol is not None or ":" in (record.smiles or ""):
        for atom in mol.GetAtoms():
            atom.SetAtomMapNum(0)
    return mol


def _parse_smiles(smiles: str) -> Chem.Mol:
    if not smiles:
        raise _Refused("parse", "empty SMILES")
    if len(smiles) > _MAX_LENGTH:
        raise _Refused("parse", f"a SMILES of {len(smiles)} characters, too long for a molecule")
    if not (smiles.isascii() and smiles.isprintable()):
        character = next(c for c in smiles if not (c.isascii() and c.isprintable()))
        raise _Refused("parse", f"character {character!r} does not belong in a SMILES")
    _, blank, rest = smiles.partition(" ")
    if blank and not rest.lstrip().startswith("|"):
        raise _Refused("parse", f"text after a blank in the SMILES ({rest[:_SHOWN]!r})")
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise _Refused("parse", describe_smiles(smiles))
    return mol


def _clean_mol(mol: Chem.Mol) -> Chem.Mol:
    try:
        return Chem.RemoveHs(mol)
    except Chem.MolSanitizeException as error:
        raise _Refused("parse", describe_problems(mol)) from error


def _place(mol: Chem.Mol, coordinates: np.ndarray | None) -> bool:
    """Give the molecule these coordinates, or its own, where they can be those of its atoms.

    Tells whether there are any, good or bad.
    """
    if coordinates is None:
        if not mol.GetNumConformers():
            return False
        coordinates = mol.GetConformer().GetPositions()
    mol.RemoveAllConformers()
    if len(coordinates) == mol.GetNumAtoms() and _apart(coordinates):
        conformer = Chem.Conformer(len(coordinates))
        conformer.SetPositions(coordinates)
        mol.AddConformer(conformer)
    return True


def _apart(coordinates: np.ndarray) -> bool:
    """Whether points can be the atoms of a molecule: not all in one place, nor out of all reach."""
    if len(coordinates) < 2:
        return True
    return bool(0 < np.ptp(coordinates, axis=0).max() <= _WIDEST)


def _apply(step: Step, mol: Chem.Mol) -> Chem.Mol:
    try:
        result = step(mol)
        Chem.SanitizeMol(result)
    except (ValueError, RuntimeError) as error:
        raise _Refused("standardize", f"{step.__name__} failed: {error}") from error
    return result


def _check_complete(canonical: str, mol: Chem.Mol) -> None:
    if "*" in canonical:
        raise _Refused("standardize", "wildcard atom * (not a complete molecule)")
    if "~" in canonical:
        raise _Refused("standardize", "unspecified bond ~ (not a complete molecule)")
    if mol.GetNumHeavyAtoms() == 0:
        raise _Refused("standardize", "no heavy atoms (hydrogen only)")


def _pop_coordinates(mol: Chem.Mol) -> np.ndarray | None:
    if not mol.GetNumConformers():
        return None
    coordinates = np.asarray(mol.GetConformer().GetPositions(), dtype=np.float32)
    mol.RemoveAllConformers()
    return coordinates


@cache
def _normalizer() -> rdMolStandardize.Normalizer:
    return rdMolStandardize.Normalizer()


@cache
def _largest_fragment_chooser() -> rdMolStandardize.LargestFragmentChooser:
    return rdMolStandardize.LargestFragmentChooser(preferOrganic=True)


@cache
def _uncharger() -> rdMolStandardize.Uncharger:
    return rdMolStandardize.Uncharger()
