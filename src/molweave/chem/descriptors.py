"""A molecule as one vector: scaled physical descriptors, then a folded count fingerprint.

Only descriptors that RDKit computes in C++ in about a tenth of a millisecond or less are here, so
that one core describes more than a thousand molecules a second. 2D autocorrelations are not: they
make predictions of solubility worse, and take seconds for a peptide of a thousand atoms. Rotatable
bonds and acceptors are counted by MQN19 and MQN21.
"""

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors, rdPartialCharges

FINGERPRINT_BITS = 1024
"""Length of the folded fingerprint."""
CLIP = 6.0
"""Scaled descriptors are cut off at this many standard deviations."""
PATH = Path(__file__).parent / "data" / "descriptor_statistics.json"
"""The shipped scaling constants; ``benchmarks/make_statistics.py`` writes them."""

_PROPERTIES = (
    *("exactmw", "lipinskiHBA", "lipinskiHBD", "NumHBD", "NumHeavyAtoms", "NumAtoms"),
    *("NumHeteroatoms", "NumAmideBonds", "FractionCSP3"),
    *("NumRings", "NumAromaticRings", "NumAliphaticRings", "NumSaturatedRings"),
    *("NumHeterocycles", "NumAromaticHeterocycles", "NumSaturatedHeterocycles"),
    *("NumAliphaticHeterocycles", "NumSpiroAtoms", "NumBridgeheadAtoms", "NumAtomStereoCenters"),
    *("NumUnspecifiedAtomStereoCenters", "labuteASA", "tpsa", "CrippenClogP", "CrippenMR"),
    *("chi0v", "chi1v", "chi0n", "chi1n", "hallKierAlpha", "kappa1"),
)
_compute_properties = rdMolDescriptors.Properties(_PROPERTIES).ComputeProperties
_fingerprint = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=FINGERPRINT_BITS)

NAMES: tuple[str, ...] = (
    *_PROPERTIES,
    *(f"MQN{index}" for index in range(1, 43)),
    *(f"SlogP_VSA{index}" for index in range(1, 13)),
    *(f"SMR_VSA{index}" for index in range(1, 11)),
    *(f"PEOE_VSA{index}" for index in range(1, 15)),
    *("MaxPartialCharge", "MinPartialCharge", "FormalCharge", "NumFragments"),
)
"""The physical descriptors, in the order of `raw_descriptors`; names are RDKit's."""
WIDTH = len(NAMES) + FINGERPRINT_BITS
"""Length of the vector of `describe`."""


def describe(mol: Chem.Mol) -> np.ndarray:
    """The vector of a molecule, float32 (`WIDTH`,), every value finite.

    Descriptors x are scaled to (t(x) - mean) / std with constants that are the same for every
    data set, where t(x) = sign(x) log(1 + abs(x)) for those with a heavy tail and x for the
    others, cut off at +-`CLIP`; a descriptor that is not defined for the molecule is 0, the mean.
    Counts n of the fingerprint are log(1 + n).
    """
    logged, mean, std = _scaling()
    raw = raw_descriptors(mol)
    scaled = (np.where(logged, signed_log(raw), raw) - mean) / std
    scaled[~np.isfinite(scaled)] = 0.0
    counts = np.log1p(_fingerprint.GetCountFingerprintAsNumPy(mol).astype(np.float32))
    return np.concatenate([np.clip(scaled, -CLIP, CLIP).astype(np.float32), counts])


def raw_descriptors(mol: Chem.Mol) -> np.ndarray:
    """The unscaled physical descriptors, float64 (len(`NAMES`),); NaN where one is undefined."""
    rdPartialCharges.ComputeGasteigerCharges(mol)
    atoms = map(mol.GetAtomWithIdx, range(mol.GetNumAtoms()))
    charges = [atom.GetDoubleProp("_GasteigerCharge") for atom in atoms]
    return np.array(
        [
            *_compute_properties(mol),
            *rdMolDescriptors.MQNs_(mol),
            *rdMolDescriptors.SlogP_VSA_(mol),
            *rdMolDescriptors.SMR_VSA_(mol),
            *rdMolDescriptors.PEOE_VSA_(mol),
            *(max(charges), min(charges), Chem.GetFormalCharge(mol), len(Chem.GetMolFrags(mol))),
        ],
        dtype=np.float64,
    )


def signed_log(values: np.ndarray) -> np.ndarray:
    """sign(x) log(1 + abs(x)), which keeps 0 and the order and shortens both tails."""
    shortened: np.ndarray = np.sign(values) * np.log1p(np.abs(values))
    return shortened


@cache
def digest() -> str:
    """Eight hexadecimal digits that change with the names, the constants or the fingerprint."""
    content = PATH.read_bytes() + str((NAMES, FINGERPRINT_BITS, CLIP)).encode()
    return hashlib.sha256(content).hexdigest()[:8]


@cache
def _scaling() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = json.loads(PATH.read_text(encoding="utf-8"))["descriptors"]
    columns = np.array([table[name] for name in NAMES], dtype=np.float64)
    return columns[:, 0] == 1.0, columns[:, 1], columns[:, 2]
