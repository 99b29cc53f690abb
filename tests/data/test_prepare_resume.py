"""A run that is killed anywhere ends, when it is repeated, with the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import corpora
import pytest
from kills import Killed

from molweave.data import prepare as prepare_module
from molweave.data.prepare import PrepareSettings, prepare
from molweave.errors import UserError

SETTINGS = PrepareSettings(conformers="none", shard_size=5, valid_share=0.2)

RUN = """
import sys
from molweave.data.prepare import PrepareSettings, prepare

def wait(done, total):
    print(done, flush=True)
    if done >= 12:
        sys.stdin.read()

settings = PrepareSettings(conformers="none", shard_size=5, valid_share=0.2)
prepare(sys.argv[1], sys.argv[2], settings=settings, progress=wait)
"""


@pytest.fixture
def corpus(tmp_path):
    """Two files, 24 rows: molecules, a bad row, duplicates also across spans and files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    chains = [corpora.chain(number) + "O" for number in range(20)]
    (folder / "a.smi").write_text("\n".join([*chains[:8], "C1", "OC", *chains[8:11]]) + "\n")
    (folder / "b.csv").write_text("\n".join(["smiles", chains[2], *chains[11:], "OCC"]) + "\n")
    return folder


@pytest.fixture
def whole(corpus, tmp_path):
    """What an uninterrupted run makes of it."""
    prepare(corpus, tmp_path / "whole", settings=SETTINGS)
    return corpora.contents(tmp_path / "whole")


def test_killed_with_no_warning_it_goes_on_at_the_next_shard(corpus, whole, tmp_path, monkeypatch):
    out = tmp_path / "killed"
    command = [sys.executable, "-c", RUN, str(corpus), str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        for line in run.stdout:
            if int(line) >= 12:
                break
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    found = corpora.contents(out)
    assert 0 < sum(name.startswith("train") for name in found) < 4
    assert "manifest.json" not in found
    times = {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    result = prepare(corpus, out, settings=SETTINGS)
    assert result.resumed >= 12
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert corpora.contents(out) == whole


@pytest.mark.parametrize(
    ("owner", "name"), [(os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "touch")]
)
def test_a_kill_between_any_two_steps_changes_nothing(
    corpus, whole, tmp_path, monkeypatch, owner, name
):
    real = getattr(owner, name)
    out = tmp_path / "killed"
    kills = 0
    left = 0

    def dying(*arguments, **options):
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return real(*arguments, **options)

    for number in range(100):
        shutil.rmtree(out, ignore_errors=True)
        left = number
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, dying)
            try:
                prepare(corpus, out, settings=SETTINGS)
            except Killed:
                kills += 1
        prepare(corpus, out, settings=SETTINGS)
        assert corpora.contents(out) == whole, number
        if left >= 0:
            break
    assert kills == number > 0


def test_a_kill_while_the_old_corpus_is_removed_leaves_nothing_of_it(
    corpus, whole, tmp_path, monkeypatch
):
    old = tmp_path / "old.smi"
    old.write_text("\n".join(map(corpora.chain, range(60))) + "\n")
    real = Path.unlink
    for number in range(4):
        out = tmp_path / f"out{number}"
        prepare(old, out, settings=SETTINGS)
        (out / ".train-00099.parquet.tmp").touch()
        removed = []

        def dying(path, removed=removed, number=number, **options):
            if len(removed) == number:
                raise Killed
            removed.append(path)
            real(path, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", dying)
            with pytest.raises(Killed):
                prepare(corpus, out, settings=SETTINGS, overwrite=True)
        prepare(corpus, out, settings=SETTINGS)
        assert corpora.contents(out) == whole


@pytest.fixture
def broken(corpus, tmp_path, monkeypatch):
    """A run that stopped after three of its five spans."""
    out = tmp_path / "broken"
    real = prepare_module.add_coordinates
    spans = []

    def add(*arguments, **options):
        spans.append(arguments)
        if len(spans) == 4:
            raise Killed
        real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(prepare_module, "add_coordinates", add)
        with pytest.raises(Killed):
            prepare(corpus, out, settings=SETTINGS)
    assert len((out / "progress.jsonl").read_text().splitlines()) == 4
    return out


def damage_log(out):
    log = out / "progress.jsonl"
    log.write_bytes(log.read_bytes()[:-20])


def repeat_line(out):
    log = out / "progress.jsonl"
    log.write_bytes(log.read_bytes() + log.read_bytes().splitlines(keepends=True)[-1])


def flip_byte(out):
    shard = out / "train-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)


def cut_rejects(out):
    os.truncate(out / "rejects.csv", 10)


@pytest.mark.parametrize(
    ("harm", "kept"), [(damage_log, 2), (repeat_line, 3), (flip_byte, 1), (cut_rejects, 0)]
)
def test_what_is_not_sound_is_made_again(corpus, whole, broken, harm, kept):
    first = (0, 5, 12, 18)[kept]
    harm(broken)
    result = prepare(corpus, broken, settings=SETTINGS)
    assert result.resumed == first
    assert corpora.contents(broken) == whole


def test_a_changed_corpus_is_refused_on_resume(corpus, broken):
    before = corpora.contents(broken)
    table = corpus / "b.csv"
    table.write_text(table.read_text() + "CCF\n")
    with pytest.raises(UserError, match=r"corpus file b\.csv has changed.*--overwrite"):
        prepare(corpus, broken, settings=SETTINGS)
    assert corpora.contents(broken) == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_log_that_cannot_be_read_may_be_that_of_another_program(corpus, broken, overwrite):
    (broken / "progress.jsonl").write_text("{")
    before = corpora.contents(broken)
    with pytest.raises(UserError, match=r"progress\.jsonl: damaged .*choose another folder"):
        prepare(corpus, broken, settings=SETTINGS, overwrite=overwrite)
    assert corpora.contents(broken) == before


def test_a_full_disk_is_the_users_to_mend(corpus, whole, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left on device; make room"):
            prepare(corpus, tmp_path / "out", settings=SETTINGS)
    prepare(corpus, tmp_path / "out", settings=SETTINGS)
    assert corpora.contents(tmp_path / "out") == whole
