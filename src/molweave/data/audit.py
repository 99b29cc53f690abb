"""The audit of a data set: what a chemist should know before trusting a model of it."""

from collections.abc import Mapping, Sequence

import numpy as np

from molweave.chem.molecule import Molecule, Rejected
from molweave.data.audit_labels import (
    Labels,
    check_balance,
    check_codes,
    check_constant,
    check_copies,
    check_missing,
    check_outliers,
)
from molweave.data.audit_structures import check_rejected, check_structures, parent_smiles
from molweave.data.findings import SEVERITIES, Audit, Finding
from molweave.data.leakage import check_few, check_leakage, check_parts, check_possible
from molweave.data.splits import ImpossibleSplitError, Split
from molweave.data.targets import find_kinds

__all__ = ["Audit", "Finding", "audit"]


def audit(
    molecules: Sequence[Molecule],
    targets: np.ndarray | None = None,
    names: Sequence[str] = (),
    *,
    rejected: Sequence[Rejected] = (),
    kinds: str | Mapping[str, str] | None = None,
    split: Split | ImpossibleSplitError | None = None,
) -> Audit:
    """Look for what may spoil a model.

    Args:
        molecules: the usable rows.
        targets: float (molecules, T), NaN where missing; None to look at structures only.
        names: of the T targets.
        rejected: the rows that are not usable.
        kinds: as for `find_kinds`.
        split: positions in ``molecules``; adds what crosses from train to test. Or why there are
            none, which is a finding.

    Raises:
        UserError: see `find_kinds`.
    """
    num_rows = len(molecules) + len(rejected)
    if targets is None:
        targets, names = np.empty((len(molecules), 0)), ()
    rows = np.array([molecule.row for molecule in molecules], dtype=np.int64)
    labels = Labels(
        values=targets,
        names=tuple(names),
        kinds=find_kinds(targets, names, kinds, rows=rows),
        rows=rows,
        given=names if isinstance(kinds, str) else tuple(kinds or ()),
    )
    parents = parent_smiles(molecules)
    findings = check_rejected(rejected, num_rows) + check_structures(molecules)
    findings += check_copies(labels, molecules, parents)
    if len(labels.names):
        findings += check_missing(labels) + check_constant(labels) + check_codes(labels)
        findings += check_balance(labels) + check_outliers(labels)
    if isinstance(split, ImpossibleSplitError):
        findings += check_possible(split)
    elif split is not None:
        findings += check_few(labels, split) + check_parts(labels, split)
        findings += check_leakage(molecules, parents, split)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    distinct = len({molecule.canonical for molecule in molecules})
    return Audit(num_rows, len(molecules), distinct, tuple(findings))
