import itertools
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molweave.chem import conformer_pool, conformers
from molweave.chem.conformer_pool import ConformerPool
from molweave.chem.conformer_worker import write_request
from molweave.chem.conformers import (
    CRASHED,
    Conformer,
    ConformerSettings,
    embed_conformer,
    generate_conformers,
)
from molweave.errors import MolweaveError, UserError

SETTINGS = ConformerSettings()
CHIRAL = [
    "C[C@@H](O)[C@H](N)/C=C/Cl",
    "C[C@@H](O)[C@H](N)/C=C\\Cl",
    "N[C@@H](C)C(=O)O",
    "C[C@H]1CC[C@@H](C)CC1",
    "C[C@H]1CC[C@H](C)CC1",
    "C[S@](=O)c1ccccc1",
    "CN1[C@H]2CC[C@@H]1[C@H](C(=O)OC)[C@@H](OC(=O)c1ccccc1)C2",
    "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "[H]/N=C(\\C)CC",
]
SLOW = "C" * 190


def canonical(smiles: str) -> str:
    return Chem.CanonSmiles(smiles)


def with_coordinates(smiles: str, coordinates: np.ndarray) -> Chem.Mol:
    mol = Chem.MolFromSmiles(smiles)
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.SetPositions(coordinates.astype(np.float64))
    mol.AddConformer(conformer)
    return mol


@pytest.mark.parametrize("smiles", ["CCO", "CC(=O)Oc1ccccc1C(=O)O", CHIRAL[0], "C1CC1C#N"])
def test_the_usual_way_is_what_rdkit_itself_computes(smiles):
    smiles = canonical(smiles)
    full = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters = AllChem.ETKDGv3()
    parameters.randomSeed = SETTINGS.seed
    assert AllChem.EmbedMolecule(full, parameters) == 0
    heavy = full.GetNumHeavyAtoms()
    embedded = full.GetConformer().GetPositions()[:heavy]
    AllChem.MMFFOptimizeMolecule(full, maxIters=SETTINGS.max_iterations)
    optimised = full.GetConformer().GetPositions()[:heavy]

    found = embed_conformer(smiles, SETTINGS)
    assert found.origin == "etkdg+mmff94"
    assert found.coordinates.dtype == np.float32
    np.testing.assert_allclose(found.coordinates, optimised, atol=1e-5)
    bare = embed_conformer(smiles, ConformerSettings(force_field="none"))
    assert bare.origin == "etkdg"
    np.testing.assert_allclose(bare.coordinates, embedded, atol=1e-5)
    assert not np.allclose(embedded, optimised, atol=1e-2)


def test_uff_is_what_rdkit_itself_computes():
    full = Chem.AddHs(Chem.MolFromSmiles("CCCO"))
    AllChem.EmbedMolecule(full, randomSeed=7)
    AllChem.UFFOptimizeMolecule(full, maxIters=30)
    found = embed_conformer("CCCO", ConformerSettings(seed=7, force_field="uff", max_iterations=30))
    assert found.origin == "etkdg+uff"
    np.testing.assert_allclose(found.coordinates, full.GetConformer().GetPositions()[:4], atol=1e-5)


@pytest.mark.parametrize("smiles", CHIRAL)
@pytest.mark.parametrize("force_field", ["mmff94", "none"])
def test_the_coordinates_have_the_stereochemistry_of_the_smiles(smiles, force_field):
    smiles = canonical(smiles)
    found = embed_conformer(smiles, ConformerSettings(force_field=force_field))
    mol = with_coordinates(smiles, found.coordinates)
    Chem.RemoveStereochemistry(mol)
    assert Chem.MolToSmiles(mol) != smiles
    Chem.AssignStereochemistryFrom3D(mol)
    assert Chem.MolToSmiles(mol) == smiles


def test_a_mirror_image_is_not_taken_for_the_molecule():
    for smiles in map(canonical, ("N[C@@H](C)C(=O)O", "C[C@@H](O)[C@H](N)CC")):
        mol = Chem.MolFromSmiles(smiles)
        positions = embed_conformer(smiles, SETTINGS).coordinates.astype(np.float64)
        assert conformers._sound(mol, positions)
        assert not conformers._sound(mol, positions * [1, 1, -1])
        assert not conformers._sound(mol, positions * np.nan)
        assert not conformers._sound(mol, positions * 0)


def test_bonds_have_the_length_and_atoms_the_place_of_the_canonical_order():
    smiles = canonical("OC(=O)c1ccc(Br)cc1C#N")
    mol = with_coordinates(smiles, embed_conformer(smiles, SETTINGS).coordinates)
    positions = mol.GetConformer().GetPositions()
    expected = {("C", "N", 3.0): 1.16, ("C", "O", 2.0): 1.22, ("Br", "C", 1.0): 1.89}
    seen = 0
    for bond in mol.GetBonds():
        symbols = sorted((bond.GetBeginAtom().GetSymbol(), bond.GetEndAtom().GetSymbol()))
        length = np.linalg.norm(positions[bond.GetBeginAtomIdx()] - positions[bond.GetEndAtomIdx()])
        key = (*symbols, bond.GetBondTypeAsDouble())
        if key in expected:
            seen += 1
            assert length == pytest.approx(expected[key], abs=0.03)
    assert seen == 3


@pytest.mark.parametrize(
    ("smiles", "origin"),
    [
        ("[Na+]", "single atom"),
        ("C", "single atom"),
        ("[Xe]", "single atom"),
        ("[H][H]", "etkdg+uff"),
        ("*c1ccccc1", "etkdg"),
        ("N[Pt](N)(Cl)Cl", "etkdg"),
        ("CB(O)O", "etkdg+uff"),
        ("C" * 60, "random+mmff94"),
    ],
)
def test_origin_says_what_worked(smiles, origin):
    smiles = canonical(smiles)
    found = embed_conformer(smiles, SETTINGS)
    assert (found.origin, found.failure) == (origin, None)
    assert found.coordinates.shape == (Chem.MolFromSmiles(smiles).GetNumAtoms(), 3)
    distances = np.linalg.norm(found.coordinates[:, None] - found.coordinates, axis=-1)
    assert (distances + 10 * np.eye(len(distances)) > 0.5).all()


def test_single_atoms_lie_at_the_origin():
    assert embed_conformer("[Cl-]", SETTINGS).coordinates.tolist() == [[0.0, 0.0, 0.0]]


def test_fragments_lie_side_by_side():
    smiles = canonical("CC(=O)[O-].C1CCCC1[NH3+].[Na+]")
    mol = Chem.MolFromSmiles(smiles)
    x = embed_conformer(smiles, SETTINGS).coordinates[:, 0]
    spans = [(x[list(part)].min(), x[list(part)].max()) for part in Chem.GetMolFrags(mol)]
    gaps = [later[0] - earlier[1] for earlier, later in itertools.pairwise(spans)]
    np.testing.assert_allclose(gaps, 4.0, atol=1e-4)


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("N[C@@H](C)C(=O)" * 200 + "O", "1001 atoms, more than max_atoms = 200"),
        ("C[C@@]12CC[C@@]1(C)C2", "no embedding found"),
        ("C1CC", "cannot be read"),
        ("", "no atoms"),
    ],
)
def test_a_failure_says_why_and_has_no_coordinates(smiles, reason):
    found = embed_conformer(smiles, SETTINGS)
    assert found.coordinates is None
    assert found.origin == "failed"
    assert reason in found.failure
    assert not found.transient


def test_what_rdkit_raises_becomes_a_failure(monkeypatch):
    def broken(*_):
        raise RuntimeError("Pre-condition Violation\n  bad things\n")

    monkeypatch.setattr(conformers, "_parameters", broken)
    assert embed_conformer("CCO", SETTINGS).failure == "RDKit: Pre-condition Violation bad things"


def test_a_force_field_that_breaks_a_molecule_is_not_used(monkeypatch):
    def flatten(full, _steps):
        full.GetConformer().SetPositions(np.zeros((full.GetNumAtoms(), 3)))
        return True

    monkeypatch.setattr(conformers, "_mmff94", flatten)
    assert embed_conformer("CCCO", SETTINGS).origin == "etkdg+uff"
    monkeypatch.setattr(conformers, "_uff", flatten)
    assert embed_conformer("CCCO", SETTINGS).origin == "etkdg"


def test_the_embedding_without_torsion_knowledge_makes_sound_molecules(monkeypatch):
    monkeypatch.setattr(conformers, "_ATTEMPTS", {"plain": 20})
    found = embed_conformer("C1CC2CCC1CC2", ConformerSettings(force_field="none"))
    assert found.origin == "plain"
    assert np.ptp(found.coordinates, axis=0).min() > 0.5


def test_seed_and_settings_decide_and_the_key_names_them():
    smiles = "CCCCCC(=O)NCCO"
    same = embed_conformer(smiles, ConformerSettings())
    np.testing.assert_array_equal(same.coordinates, embed_conformer(smiles, SETTINGS).coordinates)
    other = embed_conformer(smiles, ConformerSettings(seed=1))
    assert not np.allclose(same.coordinates, other.coordinates, atol=0.1)
    changes = {"seed": 1, "force_field": "uff", "max_iterations": 7, "timeout": 9.5, "max_atoms": 3}
    keys = {ConformerSettings(**{name: value}).key for name, value in changes.items()}
    assert len(keys | {SETTINGS.key}) == 1 + len(changes)
    assert ConformerSettings(timeout=10).key == SETTINGS.key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("force_field", "amber"),
        ("seed", -1),
        ("max_iterations", 0),
        ("max_atoms", 0),
        ("timeout", 0.0),
        ("timeout", float("nan")),
    ],
)
def test_settings_without_sense_are_refused(name, value):
    with pytest.raises(UserError, match=rf"{name} is .*{value}.*: use"):
        ConformerSettings(**{name: value})


def test_workers_give_the_same_as_this_process_whatever_their_number():
    names = [*map(canonical, CHIRAL), "[Na+]", "C1CC", "CCCCCCCC"]
    here = {name: embed_conformer(name, SETTINGS) for name in names}
    for workers in (1, 3):
        there = dict(generate_conformers(names, SETTINGS, workers=workers))
        assert there.keys() == here.keys()
        for name, expected in here.items():
            assert (there[name].origin, there[name].failure) == (expected.origin, expected.failure)
            np.testing.assert_array_equal(there[name].coordinates, expected.coordinates)


def test_a_molecule_that_takes_too_long_fails_and_the_others_do_not():
    names = [SLOW, "CCO", SLOW + "O", "CCN"]
    found = dict(generate_conformers(names, ConformerSettings(timeout=0.2), workers=1))
    assert found[SLOW] == found[SLOW + "O"] == Conformer.failed("timed out after 0.2 s")
    assert found["CCO"].origin == found["CCN"].origin == "etkdg+mmff94"
    assert not found[SLOW].transient


def test_a_worker_that_waits_instead_of_computing_is_killed_by_the_clock(monkeypatch):
    idle = conformer_pool._PROGRAM.replace(
        "import main;",
        "import main; import threading, molweave.chem.conformer_worker as w; "
        "w.embed_conformer = lambda c, s: threading.Event().wait();",
    )
    monkeypatch.setattr(conformer_pool, "_PROGRAM", idle)
    found = dict(generate_conformers(["CC", "CCO"], ConformerSettings(timeout=0.02), workers=2))
    assert set(found.values()) == {Conformer.failed("timed out after 0.02 s")}


def test_a_worker_counts_its_own_processor_time():
    """Wall-clock time alone would fail molecules because the machine is busy."""
    command = [sys.executable, "-m", "molweave.chem.conformer_worker"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as worker:
        write_request(worker.stdin, SLOW, ConformerSettings(timeout=0.05))
        assert worker.wait(timeout=60) == -signal.SIGPROF


def test_every_molecule_has_its_result_when_a_worker_is_killed():
    names = ["C" * count + "O" for count in range(1, 17)]
    with ConformerPool(2) as pool:
        found = {}
        killed = set()
        for count, (name, conformer) in enumerate(pool.run(names, SETTINGS)):
            found[name] = conformer
            if count in (0, 6):
                victim = pool.pids[0]
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
        assert len(killed) == 2
    assert found.keys() == set(names)
    for name in names:
        expected = embed_conformer(name, SETTINGS)
        np.testing.assert_array_equal(found[name].coordinates, expected.coordinates)


def test_a_molecule_that_kills_its_worker_twice_is_recorded(monkeypatch):
    deadly = conformer_pool._PROGRAM.replace(
        "import main;",
        "import main; import os, molweave.chem.conformer_worker as w; real = w.embed_conformer; "
        "w.embed_conformer = lambda c, s: os.abort() if c == 'CCC' else real(c, s);",
    )
    monkeypatch.setattr(conformer_pool, "_PROGRAM", deadly)
    found = dict(generate_conformers(["CC", "CCC", "CCO"], SETTINGS, workers=1))
    assert found["CCC"] == Conformer.failed(CRASHED)
    assert found["CCC"].transient
    assert found["CC"].coordinates is not None
    assert found["CCO"].coordinates is not None


def test_a_worker_that_cannot_start_is_an_error_that_says_why(monkeypatch):
    monkeypatch.setattr(conformer_pool, "_PROGRAM", "import no_such_module")
    with pytest.raises(MolweaveError, match=r"did not start: .*no_such_module"):
        list(generate_conformers(["CC"], SETTINGS, workers=2))
    monkeypatch.setattr(conformer_pool, "_PROGRAM", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(UserError, match=r"killed 3 times .*; use fewer with --workers"):
        list(generate_conformers(["CC"], SETTINGS, workers=1))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(MolweaveError, match="could not be started with /no/such/python"):
        list(generate_conformers(["CC"], SETTINGS, workers=1))


def test_a_worker_needs_a_temporary_file(monkeypatch):
    def nowhere():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.TemporaryFile", nowhere)
    with pytest.raises(UserError, match=r"No usable temporary .*; make room or set TMPDIR"):
        list(generate_conformers(["CC"], SETTINGS, workers=1))


def test_closing_the_iterator_kills_the_workers():
    pool = ConformerPool(2)
    results = pool.run(["CC", *(SLOW + "C" * count for count in range(5))], SETTINGS)
    with pool:
        next(results)
        pids = pool.pids
        assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_no_workers_is_refused_and_no_molecules_is_fine():
    with pytest.raises(UserError, match="workers is 0"):
        next(generate_conformers(["CC"], SETTINGS, workers=0))
    assert list(generate_conformers([], SETTINGS, workers=2)) == []


def test_the_worker_loads_rdkit_and_numpy_only():
    script = "import sys, molweave.chem.conformer_worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.decode().split()}
    assert {"rdkit", "numpy"} <= loaded
    assert loaded.isdisjoint({"torch", "pandas", "scipy", "sklearn", "pyarrow", "matplotlib"})


def test_a_worker_ends_when_its_parent_is_gone():
    """The standard input of a worker closes when its parent dies."""
    command = [sys.executable, "-m", "molweave.chem.conformer_worker"]
    done = subprocess.run(command, input=b"\x05\x00", capture_output=True, timeout=60, check=True)
    assert b"ready" in done.stdout
    assert done.stderr == b""
