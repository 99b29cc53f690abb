import json
import math
from itertools import islice

import numpy as np
import pytest
from rdkit import DataStructs
from rdkit.Chem import rdFingerprintGenerator

from molweave.chem.molecule import Molecule, Rejected
from molweave.chem.read import table_from_smiles
from molweave.chem.standardize import Standardizer
from molweave.data.audit import audit
from molweave.data.audit_structures import parent_smiles
from molweave.data.findings import Finding, describe_rows
from molweave.data.leakage import near_copies
from molweave.data.moleculenet import open_dataset
from molweave.data.splits import finish_split
from molweave.data.targets import parse_targets
from molweave.errors import UserError

NAN = math.nan


def _read(smiles):
    standardizer = Standardizer()
    results = [standardizer(record) for record in table_from_smiles(smiles)]
    molecules = [result for result in results if isinstance(result, Molecule)]
    return molecules, [result for result in results if isinstance(result, Rejected)]


def _audit(smiles, labels, kinds=None, parts=None):
    """Labels one per usable molecule; parts as t, v, e (test)."""
    molecules, rejected = _read(smiles)
    targets = np.array(labels, dtype=float).reshape(len(molecules), -1)
    names = ["y", "z"][: targets.shape[1]]
    split = None
    if parts is not None:
        split = finish_split(np.array(["tve".index(part) for part in parts]), kind="random")
    return audit(molecules, targets, names, rejected=rejected, kinds=kinds, split=split)


def _find(found, kind) -> Finding:
    matching = [finding for finding in found.findings if finding.kind == kind]
    assert len(matching) == 1, [finding.kind for finding in found.findings]
    return matching[0]


def _kinds(found):
    return [finding.kind for finding in found.findings]


def _chains(count):
    return ["C" * (length + 2) for length in range(count)]


HALF = [0, 1] * 20


def test_clean_data_has_nothing_but_its_class_balance():
    found = _audit(_chains(40), HALF)
    assert _kinds(found) == ["class-balance"]
    assert found.summary == (
        "40 rows, 40 usable, 40 different molecules",
        "info: positives among the labels: 50.0 %; no class is rare",
    )


def test_rejected_rows_are_grouped_by_reason():
    smiles = ["C1CC", *_chains(40), "CC(C)(C)(C)C", "CCC(C)(C)(C)C", ""]
    found = _audit(smiles, HALF)
    rejected = [finding for finding in found.findings if finding.kind == "rejected"]
    assert sorted(finding.rows for finding in rejected) == [(0,), (41, 42), (43,)]
    assert found.num_rows == 44
    assert found.num_molecules == 40
    both = next(finding for finding in rejected if finding.count == 2)
    assert "2 rows cannot be used" in both.message
    assert "valence of atom … (C) is …" in both.message


def test_many_rejected_rows_are_a_warning():
    found = _audit([*_chains(40), *["C1CC"] * 3], HALF)
    assert _find(found, "rejected").severity == "warning"


def test_duplicates_with_contradictory_classes():
    smiles = ["CCO", "c1ccccc1", "OCC", "c1ccccc1", *_chains(40)[5:]]
    labels = [[1, NAN], [0, 1], [0, 1], [0, 1], *[[0, 1], [1, 0]] * 17, [0, 1]]
    found = _audit(smiles, labels)
    assert _find(found, "duplicates").rows == (0, 1, 2, 3)
    assert _find(found, "duplicates").count == 2
    conflict = _find(found, "conflicting-molecule")
    assert (conflict.rows, conflict.count, conflict.severity) == ((0, 2), 1, "warning")
    assert "contradictory labels for 1 of the 2 molecules with several rows" in conflict.message
    assert found.num_distinct == len(smiles) - 2


def test_a_missing_label_contradicts_nothing():
    found = _audit(["CCO", "OCC", *_chains(40)[2:]], [NAN, 1, *HALF[2:]])
    assert "conflicting-molecule" not in _kinds(found)
    assert "duplicates" in _kinds(found)


def test_copies_behind_salts_and_charges():
    smiles = ["CCCCN", "CCCC[NH3+].[Cl-]", "CC(=O)O", "CC(=O)[O-].[Na+]", *_chains(40)[4:]]
    found = _audit(smiles, [1, 0, 1, 1, *HALF[4:]])
    assert _find(found, "same-parent").rows == (0, 1, 2, 3)
    conflict = _find(found, "conflicting-parent")
    assert (conflict.rows, conflict.count) == ((0, 1), 1)
    assert "duplicates" not in _kinds(found)


def test_parents_are_what_full_standardisation_makes():
    smiles = [
        "CCCC[NH3+].[Cl-]",
        "C[N+](C)(C)C",
        "CC(=O)[O-]",
        "c1ccccc1-c1ccccc1",
        "[Na+].[Cl-]",
        "C[C@H](N)C(=O)O",
    ]
    molecules, _ = _read(smiles)
    full = [Standardizer("full")(record).canonical for record in table_from_smiles(smiles)]
    assert parent_smiles(molecules) == full


def test_spread_of_repeated_measurements():
    smiles = ["CCO", "OCC", "CCN", "NCC", "NCC", "CCCl", "ClCC", *_chains(20)[3:]]
    values = [1.0, 1.6, 2.0, 2.0, 2.9, 5.0, 5.0, *np.linspace(-2, 2, 17)]
    found = _audit(smiles, values)
    replicates = _find(found, "replicates-molecule")
    squares = 2 * 0.3**2 + ((np.array([2, 2, 2.9]) - 2.3) ** 2).sum()
    deviation = math.sqrt(squares / (1 + 2 + 1))
    assert f"standard deviation of one measurement {deviation:.3g}" in replicates.message
    assert "within 2 of the 3 molecules" in replicates.message
    assert replicates.rows == (0, 1, 2, 3, 4)
    assert f"RMSE below about {deviation:.2g}" in replicates.advice


def test_structures_out_of_the_ordinary():
    smiles = [*_chains(40), "CCN.Cl", "C" * 201, "[Xe]"]
    found = _audit(smiles, [*HALF, 1, 0, 1])
    assert _find(found, "mixtures").rows == (40,)
    assert _find(found, "large").rows == (41,)
    assert _find(found, "single-atoms").rows == (42,)
    assert {finding.severity for finding in found.findings} == {"info"}


def test_many_mixtures_are_a_warning():
    found = _audit([*_chains(40), *(f"{'C' * n}N.Cl" for n in range(1, 5))], [*HALF, 1, 0, 1, 0])
    assert _find(found, "mixtures").severity == "warning"


def test_outliers_are_told_from_the_rest():
    values = [*np.linspace(-1, 1, 38), 25.0, -30.0]
    found = _audit(_chains(40), values)
    outliers = _find(found, "outliers")
    assert outliers.rows == (38, 39)
    assert "farthest -30" in outliers.message


def test_no_outliers_in_a_normal_sample_or_in_a_constant_majority():
    sample = np.random.default_rng(0).normal(size=40)
    assert "outliers" not in _kinds(_audit(_chains(40), sample))
    assert "outliers" not in _kinds(_audit(_chains(40), [0.5] * 30 + [0.7] * 10))


def test_concentrations_call_for_a_logarithm():
    values = 10.0 ** np.linspace(-3, 4, 40)
    skewed = _find(_audit(_chains(40), values), "skewed")
    assert "logarithm" in skewed.advice
    assert "y spans 6.3 powers of ten" in skewed.message
    assert "skewed" not in _kinds(_audit(_chains(40), np.log10(values)))


def test_class_balance():
    rare = _find(_audit(_chains(40), [1] + [0] * 39), "class-balance")
    assert rare.severity == "warning"
    assert rare.message == "1 target with a rare class: y (1 of 40 positive)"
    assert "weigh the classes" in rare.advice
    few = _find(_audit(_chains(38), HALF[:38]), "class-balance")
    assert few.message == (
        "1 target with fewer than 20 molecules of a class: y (19 of 38 positive)"
    )
    assert few.advice == "expect wide error bars"
    two = [[0, 1], [1, 1], [0, 1], [1, 0]] * 20
    balanced = _find(_audit(_chains(80), two), "class-balance")
    assert "50.0 % (y) to 75.0 % (z)" in balanced.message


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((-1, 0), "-1, 0"),
        ((1, 2), "1, 2"),
        ((-1, 1), "-1, 1"),
        ((-1, 0, 1), "-1, 0, 1"),
        ((0, 1, 2), "0, 1, 2"),
    ],
)
def test_codes_of_classes_that_were_taken_as_numbers(values, shown):
    labels = [[value, 0.5 * row] for row, value in enumerate((values * 40)[:40])]
    codes = _find(_audit(_chains(40), labels), "codes")
    assert (codes.severity, codes.count) == ("warning", 1)
    assert str(codes) == (
        "warning: 1 target taken as regression, with two or three values only: "
        f"y ({shown}); write classes as 0 and 1 (of three, a target each) and missing labels as "
        "empty, or pass --kind regression"
    )
    for kinds in ("regression", {"y": "regression"}):
        assert "codes" not in _kinds(_audit(_chains(40), labels, kinds=kinds))
    assert "codes" in _kinds(_audit(_chains(40), labels, kinds={"z": "regression"}))


@pytest.mark.parametrize("values", [(0, 1), (0, 1, 2, 3), (-1, 0, 2), (0.5, 1.5, 2.5), (1.5,)])
def test_what_does_not_look_like_codes(values):
    assert "codes" not in _kinds(_audit(_chains(40), (values * 40)[:40]))
    assert "codes" not in _kinds(_audit(_chains(40), [-1, 0] * 4 + [NAN] * 32))


def test_targets_that_cannot_be_learnt_are_errors_and_come_first():
    found = _audit(_chains(9), [[1, NAN]] * 9)
    assert _find(found, "constant").severity == "error"
    assert "y (always 1), z (empty)" in _find(found, "constant").message
    assert _find(found, "too-few-rows").count == 9
    severities = [finding.severity for finding in found.findings]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_missing_labels():
    labels = [[NAN, NAN], [NAN, 1.0], *[[label, 1 - label] for label in HALF[2:]]]
    found = _audit(_chains(40), labels)
    assert _find(found, "unlabelled").rows == (0,)
    missing = _find(found, "missing-labels")
    assert missing.count == 1
    assert "most in y (2.6 %)" in missing.message


def test_near_copies_agree_with_comparing_everything():
    standardizer = Standardizer()
    molecules = [standardizer(record) for record in islice(open_dataset("bbbp"), 300)]
    queries, references = molecules[::3], molecules[1::3] + molecules[2::3]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    known = [generator.GetFingerprint(molecule.mol) for molecule in references]
    nearest = [
        max(
            DataStructs.TanimotoSimilarity(generator.GetFingerprint(query.mol), one)
            for one in known
        )
        for query in queries
    ]
    for threshold in (0.5, 0.95, 1.0):
        expected = [similarity >= threshold for similarity in nearest]
        assert 0 < sum(expected) < len(queries)
        assert near_copies(queries, references, threshold=threshold).tolist() == expected


def test_leakage_across_a_split():
    smiles = [
        *_chains(40),
        "C[C@H](N)C(=O)O",
        "C[C@@H](N)C(=O)O",
        "c1ccccc1CN",
        "c1ccccc1C[NH3+].[Br-]",
    ]
    parts = ["t"] * 36 + ["v", "v", "e", "e"] + ["t", "e", "t", "e"]
    # rows 38 and 39 are long chains: the same environments, hence the same fingerprint, as others
    leak = _find(_audit(smiles, [*HALF, 1, 0, 0, 1], parts=parts), "leakage")
    assert leak.rows == (38, 39, 41, 43)
    assert leak.severity == "warning"
    assert "4 molecules (100.0 %) of the test part" in leak.message
    assert "scaffold split" in leak.advice


def test_no_leakage_between_different_molecules():
    smiles = ["CCO", "CCN", "c1ccccc1", "C1CCNCC1", "CC(=O)C", "CS(=O)C", "c1ccsc1", "OCC#N"]
    found = _audit(smiles, [0, 1] * 4, parts="tttttvee")
    assert "leakage" not in _kinds(found)


def test_a_part_with_one_class():
    found = _audit(_chains(40), HALF, parts=["t"] * 30 + ["v"] * 8 + ["e", "e"])
    assert "one-class-part" not in _kinds(found)
    labels = [*HALF[:38], 1, 1]
    one = _find(
        _audit(_chains(40), labels, parts=["t"] * 30 + ["v"] * 8 + ["e", "e"]), "one-class-part"
    )
    assert one.severity == "warning"
    assert one.message == "the test part has one class only in 1 target: y"


def test_parts_with_few_labels():
    parts = ["t"] * 20 + ["v"] * 10 + ["e"] * 10
    assert "few-labels-part" not in _kinds(_audit(_chains(40), HALF, parts=parts))
    labels = np.array(HALF, dtype=float)
    labels[35:] = np.nan
    few = _find(_audit(_chains(40), labels, parts=parts), "few-labels-part")
    assert few.severity == "warning"
    assert few.message == "fewer than 10 labels in 1 part of a target: test y (5)"
    parts = ["t"] * 30 + ["v"] * 9 + ["e"]
    few = _find(_audit(_chains(40), HALF, parts=parts), "few-labels-part")
    assert few.message == "fewer than 10 labels in 2 parts of a target: valid y (9), test y (1)"


def test_structures_alone_can_be_audited():
    molecules, rejected = _read(["CCO", "OCC", "C1CC"])
    found = audit(molecules, rejected=rejected)
    assert _kinds(found) == ["rejected", "duplicates"]


def test_given_kinds_are_used():
    assert "class-balance" not in _kinds(_audit(_chains(40), HALF, kinds="regression"))
    with pytest.raises(UserError, match="classification task"):
        _audit(_chains(40), np.linspace(0, 1, 40), kinds="classification")


def test_an_audit_is_plain_json():
    found = _audit(["C1CC", "CCO", "OCC", *_chains(40)[2:]], HALF)
    again = json.loads(json.dumps(found.to_json()))
    assert again["num_rows"] == 41
    assert [finding["kind"] for finding in again["findings"]] == _kinds(found)
    assert again["findings"][-1]["rows"] == []


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ((7,), "row 7"),
        ((7, 9), "rows 7 and 9"),
        ((1, 2, 3, 4, 5), "rows 1, 2, 3, 4 and 5"),
        (tuple(range(12)), "rows 0, 1, 2, 3, 4 and 7 more"),
    ],
)
def test_rows_in_words(rows, text):
    assert describe_rows(rows) == text


def test_known_defects_of_the_bundled_sets():
    # counted independently, see SOURCES.md beside the files
    for name, copies, conflicting in (("bbbp", 64, 10), ("esol", 11, 6)):
        table = open_dataset(name)
        records = list(table)
        standardizer = Standardizer()
        molecules = [standardizer(record) for record in records]
        targets = parse_targets(table.columns, records, table.columns[1:])
        found = audit(molecules, targets, table.columns[1:])
        assert found.num_molecules - found.num_distinct == copies
        kind = "conflicting-molecule" if name == "bbbp" else "replicates-molecule"
        assert _find(found, kind).count == conflicting
