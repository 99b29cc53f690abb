"""Findings about a split: near copies of training molecules in test, parts without both classes."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
from rdkit import DataStructs
from rdkit.Chem import rdFingerprintGenerator

from molweave.chem.molecule import Molecule
from molweave.data.audit_labels import Labels
from molweave.data.findings import Finding, listed, make_finding, percent
from molweave.data.splits import ImpossibleSplitError, Split
from molweave.data.targets import FEWEST_ROWS
from molweave.wording import counted

NEAR = 0.95
_MANY = 0.05
_RADIUS, _BITS = 2, 2048


def near_copies(
    queries: Sequence[Molecule], references: Sequence[Molecule], *, threshold: float = NEAR
) -> np.ndarray:
    """Which queries have a reference with Tanimoto similarity of at least ``threshold``.

    ECFP4 (Morgan, radius 2, 2048 bits, without chirality: stereoisomers have similarity 1). Exact
    and quick: two sets of a and b bits, a <= b, have a similarity of at most a / b, so only
    references with nearly as many bits are compared.

    Returns:
        bool (queries,).
    """
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=_RADIUS, fpSize=_BITS)
    known = [generator.GetFingerprint(molecule.mol) for molecule in references]
    known.sort(key=lambda fingerprint: fingerprint.GetNumOnBits())
    bits = [fingerprint.GetNumOnBits() for fingerprint in known]
    found = np.zeros(len(queries), dtype=bool)
    for index, molecule in enumerate(queries):
        fingerprint = generator.GetFingerprint(molecule.mol)
        size = fingerprint.GetNumOnBits()
        first = bisect_left(bits, threshold * size)
        last = bisect_right(bits, size / threshold)
        similar = DataStructs.BulkTanimotoSimilarity(fingerprint, known[first:last])
        found[index] = any(value >= threshold for value in similar)
    return found


def check_leakage(
    molecules: Sequence[Molecule], parents: Sequence[str], split: Split
) -> list[Finding]:
    """Test molecules (valid ones when there is no test) that are nearly in train."""
    name = "test" if len(split.test) else "valid"
    held = split.parts[name]
    if not len(held) or not len(split.train):
        return []
    trained = {parents[position] for position in split.train}
    leaked = near_copies(
        [molecules[position] for position in held],
        [molecules[position] for position in split.train],
    )
    leaked |= np.array([parents[position] in trained for position in held])
    if not leaked.any():
        return []
    count = int(leaked.sum())
    advice = "the score is easier there than on new chemistry"
    if not split.kind.startswith("scaffold"):
        advice += "; a scaffold split has fewer of them"
    return [
        make_finding(
            "leakage",
            "warning" if count > _MANY * len(held) else "info",
            (molecules[position].row for position in held[leaked]),
            f"{counted(count, 'molecule')} ({percent(count, len(held))}) of the {name} part "
            f"nearly in train (same parent, or ECFP4 similarity of {NEAR} or more)",
            advice,
        )
    ]


def check_possible(impossible: ImpossibleSplitError) -> list[Finding]:
    """A split that the molecules do not allow, with which a fit would not start."""
    return [
        make_finding(
            "impossible-split", "error", (), impossible.problem, impossible.advice, count=1
        )
    ]


def check_few(labels: Labels, split: Split) -> list[Finding]:
    """Parts with so few labels of a target that a score of them is a matter of luck."""
    few = [
        f"{part} {name} ({count})"
        for part, positions in split.parts.items()
        if len(positions)
        for name, count in zip(
            labels.names, (~np.isnan(labels.values[positions])).sum(0), strict=True
        )
        if count < FEWEST_ROWS
    ]
    if not few:
        return []
    return [
        make_finding(
            "few-labels-part",
            "warning",
            (),
            f"fewer than {FEWEST_ROWS} labels in {counted(len(few), 'part')} of a target: "
            f"{listed(few)}",
            "scores of so few are a matter of luck: use k-fold or more data",
            len(few),
        )
    ]


def check_parts(labels: Labels, split: Split) -> list[Finding]:
    """Classification targets of which a part has one class only, so that ROC-AUC is undefined."""
    findings = []
    for part, positions in split.parts.items():
        lacking = []
        for task in labels.columns("classification"):
            values = labels.values[positions, task]
            if len(positions) and not ((values == 0).any() and (values == 1).any()):
                lacking.append(labels.names[task])
        if lacking:
            findings.append(
                make_finding(
                    "one-class-part",
                    "error" if part == "train" else "warning",
                    (),
                    f"the {part} part has one class only in {counted(len(lacking), 'target')}: "
                    f"{listed(lacking)}",
                    "choose another split or seed; metrics of both classes leave such targets out",
                    len(lacking),
                )
            )
    return findings
