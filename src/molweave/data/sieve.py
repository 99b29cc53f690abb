"""Which rows of a corpus are kept: standardised, each molecule once, none that is excluded."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from rdkit import Chem

from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record
from molweave.data.excluded import Excluded, main_fragment

_HASH_BYTES = 8


def choose_part(molecule: Molecule, valid_share: float) -> str:
    """``valid`` or ``train``: whether a hash is below ``valid_share`` of all its values.

    The hash is the SHA-256 of the canonical SMILES of the main fragment, without stereo and
    isotopes: with one version of RDKit, a molecule, its stereoisomers and its salts are on the same
    side in every corpus.
    """
    flat = Chem.MolToSmiles(_without_isotopes(main_fragment(molecule)), isomericSmiles=False)
    digest = hashlib.sha256(flat.encode()).digest()
    fraction = int.from_bytes(digest[:_HASH_BYTES]) / 256**_HASH_BYTES
    return "valid" if fraction < valid_share else "train"


def _without_isotopes(mol: Chem.Mol) -> Chem.Mol:
    """The molecule without hydrogens that are atoms because of an isotope or of stereo."""
    if all(atom.GetAtomicNum() != 1 for atom in mol.GetAtoms()):
        return mol
    plain = Chem.Mol(mol)
    Chem.RemoveStereochemistry(plain)
    for atom in plain.GetAtoms():
        atom.SetIsotope(0)
    return Chem.RemoveHs(plain)


@dataclass
class Sieve:
    """Lets every molecule through once, unless it is excluded.

    It remembers 8 bytes of a hash of every canonical SMILES, some 70 bytes of memory a molecule.
    Among 100 million molecules two have equal hashes with a probability of 3 in 10,000; then one of
    the two is lost.

    Attributes:
        standardizer: makes the canonical form.
        excluded: what must not pass.
        valid_share: share of the molecules that is held out for validation.
    """

    standardizer: Standardizer
    excluded: Excluded
    valid_share: float
    _seen: set[int] = field(default_factory=set)

    def __call__(self, record: Record) -> tuple[Molecule, str] | Rejected:
        """The molecule and its part, ``train`` or ``valid``; else why it is left out."""
        molecule = self.standardizer(record)
        if isinstance(molecule, Rejected):
            return molecule
        mark = _hash(molecule.canonical)
        if mark in self._seen:
            return Rejected(record.row, "duplicate", "the same molecule as an earlier row")
        source = self.excluded.find(molecule)
        if source is not None:
            return Rejected(record.row, "exclude", f"the molecule is in {source}")
        self._seen.add(mark)
        return molecule, choose_part(molecule, self.valid_share)

    def remember(self, canonical: Iterable[str]) -> None:
        """Take these molecules as let through already."""
        self._seen.update(map(_hash, canonical))


def _hash(canonical: str) -> int:
    digest = hashlib.blake2b(canonical.encode(), digest_size=_HASH_BYTES).digest()
    return int.from_bytes(digest)
