import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from molweave.nn.fusion.memory import DEAD, DECAY, MemoryBank, perplexity
from molweave.shapes import Tensor


def bank(anchors: int = 6, *, width: int = 3, frozen: bool = False) -> MemoryBank:
    torch.manual_seed(0)
    return MemoryBank(anchors=anchors, width=width, temperature=0.05, frozen=frozen)


def test_addressing_against_its_formula() -> None:
    memory, vectors = bank(), torch.randn(5, 3)
    found = memory.address(vectors)
    torch.testing.assert_close(found.sum(1), torch.ones(5))
    for vector, row in zip(vectors, found, strict=True):
        cosines = torch.cosine_similarity(vector[None], memory.anchors, dim=1)
        expected = (cosines / 0.05).exp() / (cosines / 0.05).exp().sum()
        torch.testing.assert_close(row, expected)


def test_a_reading_lies_in_the_convex_hull_of_the_anchors() -> None:
    """A linear program finds the weights, which have to be non-negative and sum to 1."""
    memory = bank().eval()
    anchors = memory.anchors.detach().double().numpy()

    def inside(point: np.ndarray) -> bool:
        equations = np.vstack([anchors.T, np.ones(len(anchors))])
        found = linprog(np.zeros(len(anchors)), A_eq=equations, b_eq=[*point, 1.0])
        return bool(found.success)

    readings = memory(torch.randn(8, 3)).detach().double().numpy()
    assert all(inside(reading) for reading in readings)
    assert not inside(2 * anchors[np.linalg.norm(anchors, axis=1).argmax()])


def test_an_anchor_reads_itself() -> None:
    memory = bank(width=50).eval()
    torch.testing.assert_close(memory(memory.anchors), memory.anchors, atol=0.02, rtol=0)


def test_the_first_step_puts_anchors_in_the_place_of_molecules() -> None:
    memory, vectors = bank().train(), torch.randn(10, 3)
    memory(vectors)
    places = torch.cdist(memory.anchors, vectors).argmin(1)
    assert len(set(places.tolist())) == 6
    assert torch.equal(memory.anchors, vectors[places])
    assert not memory.dead.any()


def test_a_small_batch_revives_as_many_anchors_as_it_has_molecules() -> None:
    memory = bank().train()
    before = memory.anchors.clone()
    vectors = torch.randn(2, 3)
    memory(vectors)
    assert sorted(memory.anchors[:2].tolist()) == sorted(vectors.tolist())
    assert torch.equal(memory.anchors[2:], before[2:])


def test_usage_is_a_moving_average_and_an_anchor_without_use_moves() -> None:
    memory = bank().train()
    vectors = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).repeat(8, 1)
    memory(vectors)
    with torch.no_grad():
        memory.anchors.copy_(-torch.eye(3).repeat(2, 1) + 0.01 * torch.randn(6, 3))
        memory.anchors[0], memory.anchors[1] = vectors[0], vectors[1]
    memory.usage.fill_(1 / 6)
    lonely = memory.anchors[2].clone()
    steps = 0
    while torch.equal(memory.anchors[2], lonely):
        expected = DECAY * memory.usage + (1 - DECAY) * memory.address(vectors).mean(0)
        memory(vectors)
        steps += 1
        if torch.equal(memory.anchors[2], lonely):
            torch.testing.assert_close(memory.usage, expected)
        assert steps < 400
    assert DECAY ** (steps - 1) <= DEAD < DECAY ** (steps - 2)
    assert memory.anchors[2].tolist() in vectors.tolist()


def test_perplexity_counts_anchors_in_use() -> None:
    memory = bank()
    memory.usage.copy_(torch.tensor([0.25, 0.25, 0.25, 0.25, 0.0, 0.0]))
    assert perplexity(memory.usage) == pytest.approx(4.0)
    assert memory.dead.tolist() == [False] * 4 + [True] * 2
    memory.usage.copy_(torch.tensor([3.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    assert perplexity(memory.usage) == pytest.approx(1.0)


@pytest.mark.parametrize("frozen", [False, True])
def test_what_does_not_train_does_not_change(frozen: bool) -> None:
    memory = bank(frozen=frozen).train(mode=frozen)
    before = {name: value.clone() for name, value in memory.state_dict().items()}
    memory(torch.randn(4, 3))
    assert before.keys() == {"anchors", "usage"}
    assert all(torch.equal(before[name], value) for name, value in memory.state_dict().items())
    assert len(list(memory.parameters())) == (not frozen)


def test_all_processes_take_the_anchors_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Tensor] = []
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.broadcast", lambda value, source: sent.append(value))
    memory = bank().train()
    memory(torch.randn(4, 3))
    assert [value is mine for value, mine in zip(sent, (memory.anchors, memory.usage), strict=True)]
