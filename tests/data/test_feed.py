"""The batches of a pre-training: what is in them, and that nothing but the seed decides it."""

import multiprocessing
from collections import Counter
from itertools import islice

import corpora
import numpy as np
import pytest
import torch
from rdkit import Chem

from molweave.data import feed as feed_module
from molweave.data.batch import Batch
from molweave.data.feed import Feed, count_atoms
from molweave.data.shard_file import Sample
from molweave.data.shards import ShardedCorpus
from molweave.errors import UserError

SIZES = (9, 8, 7)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus")
    corpora.write_corpus(path, SIZES, valid=3)
    return ShardedCorpus(path)


@pytest.fixture
def small_window(monkeypatch):
    monkeypatch.setattr(feed_module, "WINDOW", 2)


def make(corpus, **changes) -> Feed:
    given = {"batch_size": 4, "seed": 1, "bucket": False, **changes}
    return Feed(corpus, ("relations", "geometry"), **given)


def lengths(feed: Feed, start: int, end: int) -> list[list[tuple[int, ...]]]:
    """Atoms of every molecule of every micro-batch; a chain is known by its length."""
    return [
        [tuple(batch.parts["relations"].sizes) for batch in step] for step in feed.steps(start, end)
    ]


def flat(steps) -> list[int]:
    return [size for step in steps for piece in step for size in piece]


def test_batches_of_one_size_do_not_come_by_size(corpus):
    largest = [max(piece) for step in lengths(make(corpus, bucket=True), 0, 6) for piece in step]
    assert largest != sorted(largest)


@pytest.mark.usefixtures("small_window")
@pytest.mark.parametrize("bucket", [False, True])
def test_an_epoch_uses_a_molecule_once_and_drops_less_than_a_step(corpus, bucket):
    feed = make(corpus, batch_size=5, bucket=bucket)
    assert feed.steps_per_epoch == sum(SIZES) // 5
    for epoch in range(2):
        used = Counter(flat(lengths(feed, 4 * epoch, 4 * epoch + 4)))
        assert len(used) == 20
        assert set(used.values()) == {1}
    assert lengths(feed, 0, 4) != lengths(feed, 4, 8), "the epochs have different orders"


@pytest.mark.usefixtures("small_window")
def test_a_start_anywhere_gives_the_rest(corpus):
    feed = make(corpus, accumulate=2)
    everything = lengths(feed, 0, 14)
    for start in (1, 2, 3, 6, 7, 11):
        assert lengths(feed, start, 14) == everything[start:]


def test_ranks_share_the_molecules_of_a_step(corpus):
    one = lengths(make(corpus), 0, 6)
    ranks = [lengths(make(corpus, rank=rank, ranks=2), 0, 6) for rank in (0, 1)]
    for step, first, second in zip(one, *ranks, strict=True):
        assert sorted(flat([step])) == sorted(flat([first, second]))
        assert len(flat([first])) == len(flat([second])) == 2


def test_buckets_hold_molecules_of_similar_size(corpus):
    def spread(bucket: bool) -> float:
        steps = lengths(make(corpus, bucket=bucket), 0, 6)
        return float(np.mean([max(piece) - min(piece) for step in steps for piece in step]))

    assert spread(True) < 5 < spread(False)


def test_worker_processes_change_nothing_and_validation_has_the_same(corpus):
    def first_valid_rest(feed: Feed) -> list[Batch]:
        steps = feed.steps(0, 4)
        first = next(steps)
        return [*first, *feed.valid(2, 4), *(step[0] for step in steps)]

    alone = first_valid_rest(make(corpus))
    with make(corpus, workers=2).working() as feed:
        ahead = first_valid_rest(feed)
        children = multiprocessing.active_children()
    assert len(children) == 2
    assert not set(children) & set(multiprocessing.active_children())
    for expected, found in zip(alone, ahead, strict=True):
        assert torch.equal(expected.present["geometry"], found.present["geometry"])
        for field in ("atoms", "spd", "hops"):
            wanted = getattr(expected.parts["relations"], field)
            assert torch.equal(wanted, getattr(found.parts["relations"], field))


def test_large_molecules_are_left_out(corpus):
    feed = make(corpus, batch_size=8, max_atoms=20)
    assert max(flat(lengths(feed, 0, 3))) == 20
    with pytest.raises(UserError, match="more than 2 heavy atoms; raise max_atoms"):
        lengths(make(corpus, batch_size=8, max_atoms=2), 0, 3)


def test_a_window_that_lost_a_molecule_too_many_is_filled_up(corpus):
    full = lengths(make(corpus, batch_size=8, accumulate=4), 0, 3)
    found = lengths(make(corpus, batch_size=8, accumulate=4, max_atoms=23), 0, 3)
    assert [len(step) for step in found] == [len(step) for step in full] == [4] * 3
    assert all(len(batch) == 2 for step in found for batch in step)
    assert set(flat(full)) - set(flat(found)) == {24}


def test_coordinates_come_with_their_molecule(corpus):
    batch = next(iter(make(corpus, batch_size=24).steps(0, 1)))[0]
    sizes = batch.parts["relations"].sizes
    assert batch.present["geometry"].tolist() == [size % 3 == 0 for size in sizes]


def test_validation_is_shared_and_limited(corpus):
    def sizes(count: int, **changes) -> list[int]:
        batches = make(corpus, **changes).valid(count, 2)
        return sorted(size for batch in batches for size in batch.parts["relations"].sizes)

    assert sizes(100) == list(range(1, 10))
    assert sizes(5) == [1, 2, 4, 6, 8]
    assert sorted(sizes(5, rank=0, ranks=2) + sizes(5, rank=1, ranks=2)) == [1, 2, 4, 6, 8]
    assert sizes(1, rank=1, ranks=2) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 25}, "has 24 molecules to train on, fewer than batch_size 25"),
        ({"accumulate": 3}, "batch_size 4 is too small for 3 micro-batches"),
        ({"ranks": 4}, "in each of 4 processes"),
    ],
)
def test_too_few_molecules_for_a_step(corpus, changes, message):
    with pytest.raises(UserError, match=message):
        make(corpus, **changes)


@pytest.mark.parametrize(
    "smiles",
    ["C[C@H](N)C(=O)[O-]", "[Na+].[Cl-]", "FC(F)(F)c1ccc(Cl)cc1Br", "c1ccsc1", "[13CH4]", "I"],
)
def test_atoms_are_counted_without_parsing(smiles):
    assert count_atoms(Sample(smiles, None)) == Chem.MolFromSmiles(smiles).GetNumAtoms()


def test_the_feed_is_endless(corpus):
    feed = make(corpus)
    assert len(list(islice(feed.steps(0, 10**9), 20))) == 20


def test_a_smiles_that_another_rdkit_wrote_is_told():
    with pytest.raises(UserError, match=r"the corpus holds 'C1CC', which this version of RDKit"):
        feed_module.read_sample(0, Sample("C1CC", None))
