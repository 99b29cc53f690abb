"""Findings about labels: missing ones, class balance, outliers, and copies that disagree."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from molweave.chem.molecule import Molecule
from molweave.chem.scaffolds import group_positions
from molweave.data.findings import Finding, listed, make_finding, percent
from molweave.data.targets import FEWEST_ROWS
from molweave.wording import counted

_RARE_SHARE = 0.05
_RARE_COUNT = 20
_OUTLIER = 5.0
_MAD_TO_SD = 1.4826
_SKEWED = 1000.0


@dataclass(frozen=True)
class Labels:
    """The labels of the molecules of a data set.

    Attributes:
        values: float (molecules, T), NaN where missing.
        names: of the T tasks.
        kinds: ``classification`` or ``regression``, one per task.
        rows: int (molecules,), the row of each molecule in the input.
        given: the tasks whose kind the user named; that of the others was inferred.
    """

    values: np.ndarray
    names: Sequence[str]
    kinds: Sequence[str]
    rows: np.ndarray
    given: Collection[str] = ()

    def columns(self, kind: str) -> list[int]:
        """The tasks of a kind."""
        return [task for task, found in enumerate(self.kinds) if found == kind]


def check_missing(labels: Labels) -> list[Finding]:
    """Rows without any label, and tasks with few labels."""
    measured = ~np.isnan(labels.values)
    findings = []
    usable = int(measured.any(axis=1).sum())
    if usable < FEWEST_ROWS:
        findings.append(
            make_finding(
                "too-few-rows",
                "error",
                (),
                f"only {counted(usable, 'row')} with both a molecule and a label",
                f"at least {FEWEST_ROWS} are needed",
                usable,
            )
        )
    unlabelled = labels.rows[~measured.any(axis=1)]
    if len(unlabelled):
        findings.append(
            make_finding(
                "unlabelled",
                "info",
                unlabelled,
                f"{counted(len(unlabelled), 'usable row')} without any label",
                "they are not trained on",
            )
        )
    partly = measured[measured.any(axis=1)]
    share = 1 - partly.mean(axis=0) if len(partly) else np.zeros(len(labels.names))
    if (share > 0).any():
        worst = int(np.argmax(share))
        findings.append(
            make_finding(
                "missing-labels",
                "info",
                (),
                f"{percent(int((~partly).sum()), partly.size)} of the labels are missing, most in "
                f"{labels.names[worst]} ({100 * share[worst]:.1f} %)",
                "missing labels are left out of the loss and of the metrics",
                int((~partly).sum()),
            )
        )
    return findings


def check_constant(labels: Labels) -> list[Finding]:
    """Tasks with no label, one class or one value."""
    dead: list[str] = []
    for task, name in enumerate(labels.names if len(labels.rows) else ()):
        values = labels.values[:, task]
        values = values[~np.isnan(values)]
        if not len(values) or values.min() == values.max():
            dead.append(f"{name} ({f'always {values[0]:g}' if len(values) else 'empty'})")
    if not dead:
        return []
    return [
        make_finding(
            "constant",
            "error",
            (),
            f"{counted(len(dead), 'target')} with one class or value only: {listed(dead)}",
            "leave them out or add data",
            len(dead),
        )
    ]


def check_codes(labels: Labels) -> list[Finding]:
    """Tasks that were taken as regression although their labels look like the codes of classes.

    That is two values, or three whole numbers in a row, in ten labels or more.
    """
    coded = []
    for task in labels.columns("regression"):
        values, name = labels.values[:, task], labels.names[task]
        known = values[~np.isnan(values)]
        distinct = np.unique(known)
        in_a_row = len(distinct) == 3 and np.array_equal(distinct, distinct[0].round() + range(3))
        few = len(distinct) == 2 or in_a_row
        if few and len(known) >= FEWEST_ROWS and name not in labels.given:
            coded.append(f"{name} ({', '.join(f'{value:g}' for value in distinct)})")
    if not coded:
        return []
    return [
        make_finding(
            "codes",
            "warning",
            (),
            f"{counted(len(coded), 'target')} taken as regression, with two or three values only: "
            f"{listed(coded)}",
            "write classes as 0 and 1 (of three, a target each) and missing labels as empty, or "
            "pass --kind regression",
            len(coded),
        )
    ]


def check_balance(labels: Labels) -> list[Finding]:
    """Class balance: a warning where a class is rare, else the share of positives."""
    shares: list[tuple[float, str]] = []
    rare: list[str] = []
    few: list[str] = []
    for task in labels.columns("classification"):
        values = labels.values[:, task]
        positive, negative = int((values == 1).sum()), int((values == 0).sum())
        total = positive + negative
        if not positive or not negative:
            continue
        shares.append((positive / total, labels.names[task]))
        fewer = min(positive, negative)
        named = f"{labels.names[task]} ({positive} of {total} positive)"
        if fewer < _RARE_SHARE * total:
            rare.append(named)
        elif fewer < _RARE_COUNT:
            few.append(named)
    if rare or few:
        return _scarce(rare, few)
    if not shares:
        return []
    low, high = min(shares), max(shares)
    span = f"{100 * low[0]:.1f} %" + (
        f" ({low[1]}) to {100 * high[0]:.1f} % ({high[1]})" if len(shares) > 1 else ""
    )
    message = f"positives among the labels: {span}"
    return [make_finding("class-balance", "info", (), message, "no class is rare", 0)]


def _scarce(rare: Sequence[str], few: Sequence[str]) -> list[Finding]:
    """What to do about classes that are a small share, and about classes of few molecules."""
    wide = "expect wide error bars"
    kinds = (
        (
            rare,
            "with a rare class",
            f"weigh the classes (fit --balance), look at pr_auc besides roc_auc, and {wide}",
        ),
        (few, f"with fewer than {_RARE_COUNT} molecules of a class", wide),
    )
    return [
        make_finding(
            "class-balance",
            "warning",
            (),
            f"{counted(len(found), 'target')} {what}: {listed(found)}",
            advice,
            len(found),
        )
        for found, what, advice in kinds
        if found
    ]


def check_outliers(labels: Labels) -> list[Finding]:
    """Regression targets: values more than 5 robust deviations off, and very skewed scales.

    The robust deviation is 1.4826 times the median distance from the median.
    """
    findings = []
    for task in labels.columns("regression"):
        values, name = labels.values[:, task], labels.names[task]
        known = values[~np.isnan(values)]
        if len(known) < FEWEST_ROWS:
            continue
        low, high = np.quantile(known, (0.05, 0.95))
        if known.min() > 0 and high > _SKEWED * low:
            findings.append(
                make_finding(
                    "skewed",
                    "warning",
                    (),
                    f"{name} spans {math.log10(high / low):.1f} powers of ten "
                    f"({low:.3g} to {high:.3g} for the middle 90 %)",
                    "predict its logarithm instead (pIC50 instead of IC50, say)",
                    len(known),
                )
            )
            continue
        centre = float(np.median(known))
        spread = _MAD_TO_SD * float(np.median(np.abs(known - centre)))
        far = np.flatnonzero(np.abs(values - centre) > _OUTLIER * spread)
        if spread and len(far):
            findings.append(
                make_finding(
                    "outliers",
                    "warning",
                    labels.rows[far],
                    f"{counted(len(far), 'value')} of {name} far from the others (median "
                    f"{centre:.3g}, robust deviation {spread:.3g}, farthest "
                    f"{values[far][np.argmax(np.abs(values[far] - centre))]:.4g})",
                    "check units and typing errors; real extremes may stay",
                )
            )
    return findings


def check_copies(
    labels: Labels, molecules: Sequence[Molecule], parents: Sequence[str]
) -> list[Finding]:
    """Rows of the same molecule, and of the same parent structure, and whether they agree."""
    same = _repeated([molecule.canonical for molecule in molecules])
    findings = []
    if same:
        rows = labels.rows[np.concatenate(same)]
        findings.append(
            make_finding(
                "duplicates",
                "info",
                rows,
                f"{counted(len(same), 'molecule')} in more than one row ({len(rows)} rows, same "
                "canonical SMILES)",
                "a drawn split keeps them together; one of your own loses the rows of train or "
                "valid with an equal molecule in a later part",
                len(same),
            )
        )
        findings += _disagreements(labels, same, "molecule", "")
    related = _repeated(parents)
    if sum(map(len, related)) > sum(map(len, same)):
        rows = labels.rows[np.concatenate(related)]
        findings.append(
            make_finding(
                "same-parent",
                "info",
                rows,
                f"without salts and charges, {len(rows)} rows are only "
                f"{counted(len(related), 'molecule')}",
                "--standardize full makes them one molecule; without it they may be in both train "
                "and test",
                len(related),
            )
        )
        findings += _disagreements(labels, related, "parent", ", salts and charges set aside")
    return findings


def _disagreements(
    labels: Labels, groups: Sequence[np.ndarray], kind: str, aside: str
) -> list[Finding]:
    """Groups of copies whose labels differ: contradictions of classes, spread of values."""
    findings = []
    classes = labels.values[:, labels.columns("classification")]
    conflicting = [
        group
        for group in groups
        if ((classes[group] == 0).any(axis=0) & (classes[group] == 1).any(axis=0)).any()
    ]
    if conflicting:
        findings.append(
            make_finding(
                f"conflicting-{kind}",
                "warning",
                labels.rows[np.concatenate(conflicting)],
                f"contradictory labels for {len(conflicting)} of the "
                f"{counted(len(groups), 'molecule')} with several rows{aside}",
                "decide which label is right, or remove both: no model can get both right",
                len(conflicting),
            )
        )
    for task in labels.columns("regression"):
        deviation, differing = _replicate_deviation(labels.values[:, task], groups)
        if differing:
            name = labels.names[task]
            findings.append(
                make_finding(
                    f"replicates-{kind}",
                    "warning",
                    labels.rows[np.concatenate(differing)],
                    f"{name} differs within {len(differing)} of the "
                    f"{counted(len(groups), 'molecule')} with several rows{aside}: standard "
                    f"deviation of one measurement {deviation:.3g}",
                    f"do not expect an RMSE below about {deviation:.2g} on such data; check the "
                    "largest differences",
                    len(differing),
                )
            )
    return findings


def _replicate_deviation(
    values: np.ndarray, groups: Sequence[np.ndarray]
) -> tuple[float, list[np.ndarray]]:
    """Standard deviation within groups, pooled, and the groups whose values differ.

    ``s^2 = sum_g sum_i (x_gi - mean_g)^2 / sum_g (n_g - 1)`` over groups with two values or more.
    """
    squares, freedom = 0.0, 0
    differing = []
    for group in groups:
        known = values[group]
        known = known[~np.isnan(known)]
        if len(known) > 1:
            squares += float(((known - known.mean()) ** 2).sum())
            freedom += len(known) - 1
            if known.min() != known.max():
                differing.append(group)
    return (math.sqrt(squares / freedom) if freedom else math.nan), differing


def _repeated(keys: Sequence[str]) -> list[np.ndarray]:
    """Positions that share a key, groups of two or more."""
    return [group for group in group_positions(keys) if len(group) > 1]
