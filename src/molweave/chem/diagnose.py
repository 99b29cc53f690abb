"""Why RDKit refuses a structure, in a chemist's words. Atoms are counted from 1."""

import re
from collections import Counter

from rdkit import Chem, rdBase

_PREFIX = "SMILES Parse Error: "
_POSITION = re.compile(r"around position (\d+)")
_TAIL = re.compile(r" (for input:|while parsing:?).*", re.DOTALL)
_DETAIL = re.compile(r"""(["'])(\\.|(?!\1)[^\\])*\1|[-+]?\d[\d.]*(, \d+)*(, \.\.\.)?""")
_SHOWN_ATOMS = 6
MAX_ATOMS = 2000
"""Largest molecule that is accepted (a protein of some 250 residues)."""
MAX_REASONS = 200
"""So many reasons are counted apart, whatever a table holds."""


def describe_size(mol: Chem.Mol) -> str | None:
    """Why a molecule is too large to be written as SMILES, or None when it is not.

    RDKit writes SMILES by recursion; a chain of many thousand atoms would overflow the stack and
    end the process.
    """
    atoms = mol.GetNumAtoms()
    return f"{atoms} atoms, more than the {MAX_ATOMS} allowed" if atoms > MAX_ATOMS else None


def generalize(reason: str) -> str:
    """The reason without atom numbers and quoted text, so that equal mistakes can be counted."""
    return _DETAIL.sub("…", reason)


def count_reason(counts: Counter[str], reason: str) -> None:
    """Add 1 to the generalised reason, or to ``other reasons`` beyond `MAX_REASONS` of them."""
    name = generalize(reason)
    counts[name if name in counts or len(counts) < MAX_REASONS else "other reasons"] += 1


def describe_smiles(smiles: str) -> str:
    """What is wrong with a SMILES that RDKit cannot read.

    Args:
        smiles: a text for which ``Chem.MolFromSmiles`` returns None.
    """
    if smiles.startswith("InChI="):
        return "an InChI, not a SMILES"
    if smiles.replace("->", "").count(">") > 1:
        return "a reaction, not a molecule"
    with rdBase.BlockLogs():
        raw, messages = _read_unsanitized(smiles)
        return _describe_syntax(smiles, messages) if raw is None else describe_problems(raw)


def describe_problems(mol: Chem.Mol) -> str:
    """The chemistry problems of an unsanitised molecule, the first one of each kind."""
    problems = Chem.DetectChemistryProblems(mol)
    if not problems:
        return "RDKit cannot sanitise the structure"
    problem = problems[0]
    kind = problem.GetType()
    if kind == "AtomValenceException":
        return _describe_valence(mol, problem.GetAtomIdx())
    if kind == "KekulizeException":
        atoms = sorted(problem.GetAtomIndices())
        shown = ", ".join(str(atom + 1) for atom in atoms[:_SHOWN_ATOMS])
        more = ", ..." if len(atoms) > _SHOWN_ATOMS else ""
        return (
            f"aromatic ring atoms {shown}{more} cannot be given alternating bonds "
            "(is a hydrogen missing, as in [nH]?)"
        )
    if kind == "AtomKekulizeException":
        atom = mol.GetAtomWithIdx(problem.GetAtomIdx())
        return f"atom {atom.GetIdx() + 1} ({atom.GetSymbol()}) is aromatic but not in a ring"
    return str(problem.Message()).strip()


def _read_unsanitized(smiles: str) -> tuple[Chem.Mol | None, str]:
    """The unsanitised molecule and RDKit's messages, where its version can hand them over."""
    if not hasattr(rdBase, "CaptureErrorLog"):  # added in RDKit 2026.03
        return Chem.MolFromSmiles(smiles, sanitize=False), ""
    with rdBase.CaptureErrorLog() as log:
        return Chem.MolFromSmiles(smiles, sanitize=False), log.messages


def _describe_valence(mol: Chem.Mol, index: int) -> str:
    atom = mol.GetAtomWithIdx(index)
    valence = sum(bond.GetValenceContrib(atom) for bond in atom.GetBonds())
    valence += atom.GetNumExplicitHs()
    charge = atom.GetFormalCharge()
    label = atom.GetSymbol() + (f"{charge:+d}" if charge else "")
    return f"valence of atom {index + 1} ({label}) is {valence:g}, more than allowed"


def _describe_syntax(smiles: str, messages: str) -> str:
    lines = [line.split(_PREFIX, 1)[1] for line in messages.splitlines() if _PREFIX in line]
    if not lines:
        return "not a SMILES"
    reason = _TAIL.sub("", lines[0]).strip()
    match = _POSITION.search(messages)
    place = int(match.group(1)) if match else 0
    if 0 < place <= len(smiles):
        return f"{reason} at character {place} ({smiles[place - 1]!r})"
    return reason
