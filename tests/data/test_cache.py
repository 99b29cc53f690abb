import logging
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from molweave.chem.conformers import CRASHED, Conformer, ConformerSettings, embed_conformer
from molweave.data import cache as cache_module
from molweave.data import cache_file
from molweave.data.cache import ConformerCache, load_conformers
from molweave.data.cache_file import default_cache_path
from molweave.errors import UserError

SETTINGS = ConformerSettings()

WRITER = """
import sys
import numpy as np
from pathlib import Path
from molweave.chem.conformers import Conformer, ConformerSettings
from molweave.data.cache import ConformerCache
letter, count = sys.argv[2], int(sys.argv[3])
with ConformerCache(Path(sys.argv[1])) as cache:
    for size in range(1, count):
        points = np.full((size, 3), size, dtype=np.float32)
        conformer = Conformer(coordinates=points, origin="etkdg")
        cache.put_many([(letter * size, conformer)], ConformerSettings())
        print(size, flush=True)
"""


def made_up(atoms: int) -> Conformer:
    points = np.random.default_rng(atoms).normal(size=(atoms, 3)).astype(np.float32)
    return Conformer(coordinates=points, origin="etkdg+mmff94")


def chain(atoms: int) -> str:
    return "C" * atoms


def same(left: Conformer, right: Conformer) -> bool:
    return (left.origin, left.failure) == (right.origin, right.failure) and np.array_equal(
        left.coordinates, right.coordinates
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "conformers.sqlite"


@pytest.fixture
def cache(path):
    with ConformerCache(path) as opened:
        yield opened


@pytest.fixture
def generated(monkeypatch):
    """Names of the molecules that had to be made."""
    names = []
    real = cache_module.generate_conformers

    def generate(canonical, settings, *, workers):
        names.extend(canonical)
        yield from real(canonical, settings, workers=workers)

    monkeypatch.setattr(cache_module, "generate_conformers", generate)
    return names


def start_writer(path: Path, letter: str, count: int) -> subprocess.Popen:
    command = [sys.executable, "-c", WRITER, str(path), letter, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def test_what_was_put_comes_back_also_after_reopening(cache, path):
    items = {chain(size): made_up(size) for size in range(1, 1203)}
    items["CO"] = Conformer.failed("no embedding found")
    cache.put_many(items.items(), SETTINGS)
    cache.close()
    with ConformerCache(path) as reopened:
        found = reopened.get_many([*items, "CN"], SETTINGS)
    assert found.keys() == items.keys()
    assert all(same(found[name], items[name]) for name in items)
    assert found["CC"].coordinates.dtype == np.float32
    assert found["CC"].coordinates.flags.writeable


def test_settings_do_not_mix(cache):
    cache.put_many([("CC", made_up(2))], SETTINGS)
    assert cache.get_many(["CC"], ConformerSettings(seed=1)) == {}
    other = Conformer(coordinates=np.zeros((2, 3), dtype=np.float32), origin="etkdg")
    cache.put_many([("CC", other)], ConformerSettings(seed=1))
    assert same(cache.get_many(["CC"], SETTINGS)["CC"], made_up(2))
    assert same(cache.get_many(["CC"], ConformerSettings(seed=1))["CC"], other)


def test_stats_count(cache, path):
    assert (cache.stats().entries, cache.stats().failures) == (0, 0)
    items = [("CC", made_up(2)), ("CCC", made_up(3)), ("CO", Conformer.failed("why"))]
    cache.put_many(items, SETTINGS)
    stats = cache.stats()
    assert (stats.path, stats.entries, stats.failures) == (path, 3, 1)
    assert stats.bytes >= path.stat().st_size > 0


def test_a_crash_is_not_stored_and_a_time_out_is(cache):
    late = Conformer.failed("timed out after 10 s")
    cache.put_many([("CC", Conformer.failed(CRASHED)), ("CO", late)], SETTINGS)
    assert cache.get_many(["CC", "CO"], SETTINGS) == {"CO": late}


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE conformers SET coordinates = zeroblob(24) WHERE canonical = 'CC'",
        "UPDATE conformers SET coordinates = substr(coordinates, 1, 12) WHERE canonical = 'CC'",
        "UPDATE conformers SET coordinates = NULL WHERE canonical = 'CC'",
        "UPDATE conformers SET coordinates = 'text' WHERE canonical = 'CC'",
        "UPDATE conformers SET origin = 'input' WHERE canonical = 'CC'",
        "UPDATE conformers SET failure = 'none' WHERE canonical = 'CC'",
        "UPDATE conformers SET checksum = checksum + 1 WHERE canonical = 'CC'",
        "UPDATE conformers SET checksum = 'text' WHERE canonical = 'CC'",
    ],
)
def test_a_corrupt_entry_is_made_again(cache, path, damage, generated):
    first = load_conformers(["CC", "CCC"], SETTINGS, cache=cache, workers=1)
    with sqlite3.connect(path) as database:
        assert database.execute(damage).rowcount == 1
    database.close()
    assert cache.get_many(["CC", "CCC"], SETTINGS).keys() == {"CCC"}
    generated.clear()
    again = load_conformers(["CC", "CCC"], SETTINGS, cache=cache, workers=1)
    assert generated == ["CC"]
    assert same(first["CC"], again["CC"])
    assert cache.get_many(["CC"], SETTINGS).keys() == {"CC"}


def test_an_entry_with_another_number_of_atoms_is_a_miss(cache):
    cache.put_many([("CCO", made_up(2)), ("ClCBr", made_up(3))], SETTINGS)
    assert cache.get_many(["CCO", "ClCBr"], SETTINGS).keys() == {"ClCBr"}


def test_atoms_are_counted_as_rdkit_does(odd_smiles):
    for name, smiles in odd_smiles.items():
        canonical = Chem.CanonSmiles(smiles)
        low, high = cache_module._atom_bounds(canonical)
        assert low <= Chem.MolFromSmiles(canonical).GetNumAtoms() <= high, name
        assert low == high or "[H]" in canonical


@pytest.mark.parametrize("kind", ["no database", "broken pages"])
def test_a_damaged_file_is_moved_aside_with_a_warning(path, kind, caplog):
    with ConformerCache(path) as cache:
        cache.put_many([(chain(size), made_up(size)) for size in range(1, 300)], SETTINGS)
    content = bytearray(path.read_bytes())
    if kind == "no database":
        content[:100] = b"x" * 100
    else:
        content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING), ConformerCache(path) as cache:
        assert cache.get_many([chain(5), chain(250)], SETTINGS) == {}
        cache.put_many([("CC", made_up(2))], SETTINGS)
        assert cache.get_many(["CC"], SETTINGS).keys() == {"CC"}
    assert "is damaged" in caplog.text
    (aside,) = path.parent.glob("conformers.sqlite.damaged-*")
    assert aside.read_bytes() == content
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_file_that_stays_damaged_is_no_endless_loop(cache, monkeypatch):
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    def fail(_):
        raise error

    monkeypatch.setattr(cache_module, "open_database", fail)
    cache.close()
    with pytest.raises(UserError, match=r"it is damaged.*MOLWEAVE_CACHE"):
        cache.stats()


def test_a_file_of_the_user_is_never_touched(tmp_path):
    table = tmp_path / "data.csv"
    table.write_text("smiles,y\nCCO,1\n")
    with pytest.raises(UserError, match=r"data\.csv is not a conformer cache"):
        ConformerCache(table)
    assert table.read_text() == "smiles,y\nCCO,1\n"
    foreign = tmp_path / "other.sqlite"
    database = sqlite3.connect(foreign)
    database.execute("CREATE TABLE mine (x)")
    database.close()
    with pytest.raises(UserError, match="tables of another program"):
        ConformerCache(foreign)


def test_a_cache_of_a_later_format_is_refused(cache, path):
    cache.close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UserError, match="format 99"):
        cache.stats()


def test_a_home_directory_that_nobody_knows_is_the_users_to_mend(monkeypatch):
    monkeypatch.setenv("MOLWEAVE_CACHE", "~nobody-of-this-name/cache")
    with pytest.raises(UserError, match=r"no such home directory; set MOLWEAVE_CACHE"):
        ConformerCache()


def test_a_place_that_cannot_be_written_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be made .*MOLWEAVE_CACHE"):
        ConformerCache(tmp_path / "file" / "conformers.sqlite")
    (tmp_path / "conformers.sqlite").mkdir()
    with pytest.raises(UserError, match=r"cannot be opened.*MOLWEAVE_CACHE"):
        ConformerCache(tmp_path / "conformers.sqlite")


def test_a_read_only_database_is_the_users_to_mend(cache):
    cache._do(lambda database: database.execute("PRAGMA query_only = ON"))
    with pytest.raises(UserError, match=r"it is read-only.*MOLWEAVE_CACHE"):
        cache.put_many([("CC", made_up(2))], SETTINGS)


def test_a_cache_that_another_process_holds_is_waited_for_and_then_explained(path, monkeypatch):
    monkeypatch.setattr(cache_file, "_BUSY_SECONDS", 0.0)
    with ConformerCache(path) as cache:
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="another process"):
            cache.put_many([("CC", made_up(2))], SETTINGS)
        holder.execute("ROLLBACK")
        holder.close()
        cache.put_many([("CC", made_up(2))], SETTINGS)
        assert cache.stats().entries == 1


def test_processes_share_one_file(path):
    writers = [start_writer(path, letter, 120) for letter in "CNO"]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    with ConformerCache(path) as cache:
        assert cache.stats().entries == 3 * 119
        names = [letter * size for letter in "CNO" for size in range(1, 120)]
        found = cache.get_many(names, SETTINGS)
    assert found.keys() == set(names)
    assert all(
        np.array_equal(conformer.coordinates, np.full((len(name), 3), len(name)))
        for name, conformer in found.items()
    )


def test_a_killed_writer_loses_nothing_that_it_had_written(path):
    with start_writer(path, "C", 100_000) as writer:
        last = 0
        while last < 30:
            last = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
    with ConformerCache(path) as cache:
        names = [chain(size) for size in range(1, last + 1)]
        assert cache.get_many(names, SETTINGS).keys() == set(names)
        cache.put_many([("CO", made_up(2))], SETTINGS)
        assert cache.get_many(["CO"], SETTINGS).keys() == {"CO"}
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_a_fork_opens_the_file_anew(cache):
    cache.put_many([("CC", made_up(2))], SETTINGS)
    mine = cache._connect()
    cache._process += 1
    assert cache.get_many(["CC"], SETTINGS).keys() == {"CC"}
    assert cache._connect() is not mine
    mine.close()


def test_load_makes_what_is_missing_once_and_keeps_the_order(cache, generated):
    names = ["CCO", "CC", "CCO", "C1CC", "[Na+]"]
    calls = []
    first = load_conformers(
        names, SETTINGS, cache=cache, workers=2, progress=lambda *now: calls.append(now)
    )
    assert list(first) == ["CCO", "CC", "C1CC", "[Na+]"]
    assert sorted(generated) == sorted(first)
    assert calls == [(done, 4) for done in range(5)]
    assert all(same(first[name], embed_conformer(name, SETTINGS)) for name in first)
    assert first["C1CC"].failure == "the SMILES cannot be read"
    generated.clear()
    second = load_conformers([*names, "CCN"], SETTINGS, cache=cache, workers=2)
    assert generated == ["CCN"]
    assert all(same(first[name], second[name]) for name in first)


@pytest.mark.parametrize("stop_after", [3, 60])
def test_an_interrupted_run_keeps_what_it_made(cache, monkeypatch, stop_after):
    def generate(canonical, settings, *, workers):
        for count, name in enumerate(canonical):
            if count == stop_after:
                raise KeyboardInterrupt
            yield name, made_up(len(name))

    monkeypatch.setattr(cache_module, "generate_conformers", generate)
    with pytest.raises(KeyboardInterrupt):
        load_conformers([chain(size) for size in range(1, 99)], SETTINGS, cache=cache, workers=1)
    assert cache.stats().entries == stop_after


def test_results_are_written_while_the_run_goes_on(cache, monkeypatch, path):
    seen = []

    def generate(canonical, settings, *, workers):
        for name in canonical:
            yield name, made_up(len(name))
            seen.append(cache.stats().entries)

    monkeypatch.setattr(cache_module, "generate_conformers", generate)
    names = [chain(size) for size in range(1, 121)]
    load_conformers(names, SETTINGS, cache=cache, workers=1)
    assert seen[48:50] == [0, 50]
    assert seen[99] == 100
    assert cache.stats().entries == 120


def test_the_default_place_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("MOLWEAVE_CACHE", str(tmp_path))
    assert default_cache_path() == tmp_path / "conformers.sqlite"
    monkeypatch.setenv("MOLWEAVE_CACHE", str(tmp_path / "new"))
    assert default_cache_path() == tmp_path / "new" / "conformers.sqlite"
    monkeypatch.setenv("MOLWEAVE_CACHE", str(tmp_path / "mine.db"))
    assert default_cache_path() == tmp_path / "mine.db"
    with ConformerCache() as cache:
        assert cache.stats().path == tmp_path / "mine.db"
    monkeypatch.delenv("MOLWEAVE_CACHE")
    monkeypatch.setenv("HOME", "/home/someone")
    tail = Path("molweave/conformers.sqlite")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache_path() == Path("/xdg") / tail
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_path() == Path("/home/someone/.cache") / tail
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_cache_path() == Path("/home/someone/Library/Caches") / tail
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert default_cache_path() == Path("/local") / tail
