"""Findings about structures: rejected rows, mixtures, unusual sizes, and parent structures."""

import re
from collections import defaultdict
from collections.abc import Sequence

from molweave.chem.conformers import ConformerSettings
from molweave.chem.diagnose import generalize
from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.standardize import Standardizer
from molweave.chem.table import Record
from molweave.data.findings import Finding, make_finding, percent
from molweave.wording import counted

_IONIC = re.compile(r"\.|[+-]\d*\]")
_MANY = 0.05


def parent_smiles(molecules: Sequence[Molecule]) -> list[str]:
    """Canonical SMILES without counter-ions and charges: the same for a salt and its base.

    What the ``full`` standardiser makes of molecules with several fragments or charged atoms;
    stereo and isotopes stay. All others, and those that it rejects, are their own parents.
    """
    full = Standardizer("full")
    known: dict[str, str] = {}
    for molecule in molecules:
        canonical = molecule.canonical
        if canonical not in known:
            known[canonical] = canonical
            if _IONIC.search(canonical):
                parent = full(Record(molecule.row, (), canonical))
                known[canonical] = parent.canonical if isinstance(parent, Molecule) else canonical
    return [known[molecule.canonical] for molecule in molecules]


def check_rejected(rejected: Sequence[Rejected], num_rows: int) -> list[Finding]:
    """Rejected rows, one finding per reason (atom numbers and quoted text set aside)."""
    by_reason: defaultdict[str, list[Rejected]] = defaultdict(list)
    for found in rejected:
        by_reason[generalize(str(found))].append(found)
    findings = []
    for reason, group in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        shown = str(group[0]) if len(group) == 1 else reason
        findings.append(
            make_finding(
                "rejected",
                "warning" if len(group) > _MANY * num_rows else "info",
                (found.row for found in group),
                f"{counted(len(group), 'row')} cannot be used: {shown}",
                "mend the structures, or leave them: they are not trained on, and predictions for "
                "such rows say why there is none",
            )
        )
    return findings


def check_structures(molecules: Sequence[Molecule]) -> list[Finding]:
    """Mixtures, very large molecules, single atoms."""
    findings = []
    mixtures = [molecule.row for molecule in molecules if "." in molecule.canonical]
    if mixtures:
        findings.append(
            make_finding(
                "mixtures",
                "warning" if len(mixtures) > _MANY * len(molecules) else "info",
                mixtures,
                f"a salt or a mixture in {counted(len(mixtures), 'row')} "
                f"({percent(len(mixtures), len(molecules))})",
                "if the counter-ion does not matter for the target, use --standardize full, which "
                "keeps the largest fragment",
            )
        )
    limit = ConformerSettings().max_atoms
    large = [molecule.row for molecule in molecules if molecule.mol.GetNumAtoms() > limit]
    if large:
        findings.append(
            make_finding(
                "large",
                "info",
                large,
                f"{counted(len(large), 'molecule')} with more than {limit} heavy atoms",
                "they are slow, and get no 3D structure unless the input has one",
            )
        )
    single = [molecule.row for molecule in molecules if molecule.mol.GetNumAtoms() == 1]
    if single:
        findings.append(
            make_finding(
                "single-atoms",
                "info",
                single,
                f"{counted(len(single), 'molecule')} of one heavy atom",
                "check that they belong there: they have no bonds to learn from",
            )
        )
    return findings
