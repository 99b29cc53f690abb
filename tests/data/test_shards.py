import hashlib
import json
import re
import weakref
from dataclasses import asdict
from itertools import chain, islice

import corpora
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molweave.data import shards as shards_module
from molweave.data.manifest import Manifest
from molweave.data.shard_file import ShardRows
from molweave.data.shards import Position, ShardedCorpus, Share
from molweave.errors import UserError

SIZES = (7, 5, 9, 1)
COUNT = sum(SIZES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus")
    corpora.write_corpus(path, SIZES, valid=2)
    return path


@pytest.fixture
def own(tmp_path):
    """A corpus that a test may damage."""
    corpora.write_corpus(tmp_path, SIZES, valid=2)
    return tmp_path


def names(samples) -> list[str]:
    return [sample.smiles for sample in samples]


ALL = [corpora.chain(number) for number in range(COUNT)]


def test_an_epoch_has_every_molecule_once_with_its_coordinates(folder):
    corpus = ShardedCorpus(folder)
    samples = list(corpus.train(seed=0))
    assert sorted(names(samples), key=len) == ALL
    assert corpus.count() == COUNT
    assert corpus.count("valid") == 8
    for sample in samples:
        expected = corpora.made_up(sample.smiles)
        assert (sample.coordinates is None) == (expected is None)
        if expected is not None:
            assert sample.coordinates.dtype == np.float32
            centred = expected - expected.mean(axis=0)
            assert np.abs(sample.coordinates - centred).max() < 0.002


def test_validation_comes_in_order(folder):
    corpus = ShardedCorpus(folder)
    assert names(corpus.valid()) == ["O" * number for number in range(1, 9)]
    ranks = [names(corpus.valid(share=Share(rank=rank, ranks=5))) for rank in range(5)]
    assert [len(rank) for rank in ranks] == [2, 2, 2, 1, 1]
    assert sorted(chain.from_iterable(ranks), key=len) == names(corpus.valid())


@given(
    ranks=st.integers(1, 5),
    workers=st.integers(1, 4),
    block=st.integers(1, 4),
    start=st.integers(0, COUNT + 2),
    buffer=st.integers(1, 30),
    epoch=st.integers(0, 3),
)
def test_ranks_and_workers_share_the_rest_of_an_epoch(
    folder, ranks, workers, block, start, buffer, epoch
):
    corpus = ShardedCorpus(folder, buffer=buffer)
    whole = names(corpus.train(seed=3, position=Position(epoch)))
    position = Position(epoch, start)
    shares = {
        (rank, worker): names(
            corpus.train(
                seed=3,
                position=position,
                share=Share(rank=rank, ranks=ranks, worker=worker, workers=workers, block=block),
            )
        )
        for rank in range(ranks)
        for worker in range(workers)
    }
    rest = whole[start:]
    used = rest[: len(rest) - len(rest) % ranks]
    assert sorted(chain.from_iterable(shares.values())) == sorted(used)
    for rank in range(ranks):
        turns = [iter(shares[rank, worker]) for worker in range(workers)]
        loaded: list[str] = []
        for turn in range(len(used)):
            loaded += islice(turns[turn % workers], block)
        assert loaded == used[rank::ranks]


def test_a_state_is_two_numbers_that_resume_at_the_exact_sample(folder):
    corpus = ShardedCorpus(folder, buffer=12)
    whole = names(corpus.train(seed=1, position=Position(2)))
    for used in range(COUNT + 1):
        state = Position(**json.loads(json.dumps(asdict(Position(2, used)))))
        assert names(corpus.train(seed=1, position=state)) == whole[used:]


@pytest.fixture
def read(monkeypatch):
    """Files of the shards that are read, in order, and the most molecules in memory at a time."""
    files, alive, most = [], weakref.WeakSet(), [0]

    class Watched(ShardRows):
        def __init__(self, path, shard):
            super().__init__(path, shard)
            files.append(path.name)
            alive.add(self)
            most[0] = max(most[0], sum(map(len, alive)))

        __hash__ = object.__hash__

    monkeypatch.setattr(shards_module, "ShardRows", Watched)
    return files, most


def test_what_is_used_up_is_not_read_again(folder, read):
    files, _ = read
    corpus = ShardedCorpus(folder, buffer=1)
    next(corpus.train(seed=0, position=Position(0, COUNT - 1)))
    assert len(files) == 1
    files.clear()
    assert list(corpus.train(seed=0, position=Position(0, COUNT))) == []
    assert files == []


def test_the_corpus_is_never_in_memory(tmp_path, read):
    _, most = read
    corpora.write_corpus(tmp_path, [50] * 20)
    corpus = ShardedCorpus(tmp_path, buffer=120)
    assert len(list(corpus.train(seed=0))) == 1000
    assert most[0] == 100
    most[0] = 0
    assert len(list(ShardedCorpus(tmp_path, buffer=1).train(seed=0))) == 1000
    assert most[0] == 50


def test_no_epoch_ends_with_a_short_stretch_of_one_shard(tmp_path, read):
    """Eleven shards that are a little too much for the buffer: six and five, not ten and one."""
    files, most = read
    corpora.write_corpus(tmp_path, [10] * 11)
    assert len(list(ShardedCorpus(tmp_path, buffer=105).train(seed=0))) == 110
    assert most[0] in (50, 60)
    assert len(files) == 11


def rank_correlation(order: list[str]) -> float:
    return float(np.corrcoef([len(name) for name in order], np.arange(len(order)))[0, 1])


def test_the_order_is_shuffled_anew_every_epoch(tmp_path):
    corpora.write_corpus(tmp_path, [10] * 60)
    corpus = ShardedCorpus(tmp_path, buffer=50)
    orders = [names(corpus.train(seed=0, position=Position(epoch))) for epoch in range(3)]
    assert orders[0] == names(corpus.train(seed=0))
    assert orders[0] != names(corpus.train(seed=1))
    for number, order in enumerate(orders):
        assert abs(rank_correlation(order)) < 0.4
        assert len({(len(name) - 1) // 10 for name in order[:20]}) > 3
        for other in orders[:number]:
            assert sum(a == b for a, b in zip(order, other, strict=True)) < 10


def test_with_a_large_buffer_every_order_is_as_likely(tmp_path):
    corpora.write_corpus(tmp_path, [2, 2])
    corpus = ShardedCorpus(tmp_path)
    seen = [tuple(names(corpus.train(seed=seed))) for seed in range(480)]
    counts = [seen.count(order) for order in set(seen)]
    assert len(counts) == 24
    assert sum((count - 20) ** 2 / 20 for count in counts) < 49.7  # chi squared, 23, p = 0.001


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def changed(path):
    path.write_bytes(path.read_bytes().replace(b"made up", b"made uq"))


@pytest.mark.parametrize("harm", [truncated, changed])
def test_a_shard_that_is_not_the_one_of_the_manifest_is_refused_when_it_is_read(own, harm):
    harm(own / "train-00002.parquet")
    corpus = ShardedCorpus(own, buffer=1)
    with pytest.raises(UserError, match=r"train-00002\.parquet: the checksum is .*cut short or ch"):
        list(corpus.train(seed=0))
    assert len(list(corpus.valid())) == 8


def rewrite_manifest(folder, file, **values):
    path = folder / "manifest.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    next(shard for shard in plain["shards"] if shard["file"] == file).update(values)
    path.write_text(json.dumps(plain), encoding="utf-8")


def test_shards_that_have_their_checksum_and_are_wrong(own):
    file = "train-00002.parquet"
    rewrite_manifest(own, file, rows=10)
    with pytest.raises(UserError, match=r"train-00002\.parquet: 9 molecules, the manifest says 10"):
        list(ShardedCorpus(own).train(seed=0))
    content = b"PAR1 and no more PAR1"
    (own / file).write_bytes(content)
    rewrite_manifest(own, file, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(UserError, match=r"train-00002\.parquet: not a readable shard"):
        list(ShardedCorpus(own).train(seed=0))
    rewrite_manifest(own, file, rows=0)
    with pytest.raises(UserError, match=r"train-00002\.parquet: the shard is empty"):
        ShardedCorpus(own)


def test_empty_and_missing_shards_are_found_at_once(own):
    path = own / "train-00002.parquet"
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"train-00002\.parquet: the shard is empty"):
        ShardedCorpus(own)
    path.unlink()
    with pytest.raises(UserError, match=r"train-00002\.parquet: the shard is missing"):
        ShardedCorpus(own)


def test_folders_that_are_no_corpus(own, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        ShardedCorpus(tmp_path / "none")
    (own / "progress.jsonl").write_text("")
    with pytest.raises(UserError, match="not complete; repeat the molweave prepare command"):
        ShardedCorpus(own)
    (own / "progress.jsonl").unlink()
    manifest = own / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text[:-40], encoding="utf-8")
    with pytest.raises(UserError, match=r"manifest\.json: damaged"):
        ShardedCorpus(own)
    for damage in (
        text.replace('"standardizer"', '"standard"'),
        re.sub(r'"rows": (\d+),(\s+"with)', r'"rows": "\1",\2', text, count=1),
    ):
        assert damage != text
        manifest.write_text(damage, encoding="utf-8")
        with pytest.raises(UserError, match=r"manifest\.json: damaged"):
            ShardedCorpus(own)
    manifest.write_text(text.replace('"format": 1', '"format": 9'), encoding="utf-8")
    with pytest.raises(UserError, match="format 9, this molweave reads 1"):
        ShardedCorpus(own)
    manifest.unlink()
    with pytest.raises(UserError, match=r"not a corpus, no manifest\.json"):
        ShardedCorpus(own)


def test_a_manifest_comes_back_as_it_was(own):
    manifest = Manifest.load(own)
    before = (own / "manifest.json").read_bytes()
    manifest.save(own)
    assert (own / "manifest.json").read_bytes() == before


def test_shares_and_parts_that_are_none(folder):
    for wrong in ({"rank": 2, "ranks": 2}, {"worker": -1}, {"block": 0}):
        with pytest.raises(ValueError, match="no such share"):
            Share(**wrong)
    with pytest.raises(ValueError, match="no part 'test'"):
        ShardedCorpus(folder).count("test")
