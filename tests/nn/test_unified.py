import pytest
import torch

from molweave.nn.fusion.unified import UnifiedCode
from molweave.nn.objectives.reconstruction import reconstruction
from molweave.shapes import Tensor

WIDTHS = {"image": 4, "graph": 3}


def module(**changes) -> UnifiedCode:
    torch.manual_seed(0)
    return UnifiedCode(WIDTHS, **{"hidden": 6, "code": 5, "decoders": True, **changes})


def masks(image: list[int], graph: list[int]) -> dict[str, Tensor]:
    return {"image": torch.tensor(image).bool(), "graph": torch.tensor(graph).bool()}


def test_against_the_equations_row_by_row() -> None:
    network, present = module(), masks([1, 0, 1, 0], [1, 1, 0, 0])
    features = {"image": torch.randn(2, 4), "graph": torch.randn(2, 3)}
    found = network(features, present)
    rows = {("image", 0): 0, ("image", 2): 1, ("graph", 0): 0, ("graph", 1): 1}
    for row in range(4):
        mine = []
        for name in WIDTHS:
            if (name, row) not in rows:
                assert not found.codes[name][row].any()
                assert not found.hidden[name][row].any()
                continue
            x = torch.tanh(network.hidden[name](features[name][rows[name, row]]))
            c = torch.tanh(network.code[name](x))
            torch.testing.assert_close(found.hidden[name][row], x)
            torch.testing.assert_close(found.codes[name][row], c)
            mine.append(c)
        expected = torch.stack(mine).mean(0) if mine else torch.zeros(5)
        torch.testing.assert_close(found.embedding[row], expected)
    assert found.weights.tolist() == [[0.5, 0.5], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]


def test_a_modality_that_nobody_has() -> None:
    network, graph = module(), torch.randn(3, 3)
    found = network({"graph": graph}, masks([0, 0, 0], [1, 1, 1]))
    torch.testing.assert_close(found.embedding, found.codes["graph"])
    assert found.weights.tolist() == [[0.0, 1.0]] * 3


def test_decoders_only_where_asked_for() -> None:
    names = {name.split(".")[0] for name, _ in module(decoders=False).named_parameters()}
    assert names == {"hidden", "code"}
    decoded = module().decode("image", torch.randn(2, 5))
    assert decoded.shape == (2, 6)
    assert decoded.abs().max() < 1


@pytest.mark.parametrize("cross", [False, True])
def test_reconstruction_against_sums(cross: bool) -> None:
    network, present = module(), masks([1, 0, 1, 1], [1, 1, 0, 1])
    hidden = {name: torch.randn(4, 6, requires_grad=True) for name in WIDTHS}
    codes = {name: torch.randn(4, 5, requires_grad=True) for name in WIDTHS}
    found = reconstruction(hidden, codes, present, network.decode, cross=cross)
    values = []
    for target in WIDTHS:
        source = next(name for name in WIDTHS if (name != target) == cross)
        rows = [i for i in range(4) if present[target][i] and present[source][i]]
        errors = [
            (torch.tanh(network.decoder[target](codes[source][i])) - hidden[target][i]) ** 2
            for i in rows
        ]
        values.append(torch.stack(errors).mean())
    torch.testing.assert_close(found, torch.stack(values).mean())
    found.backward()
    assert all(value.grad is None for value in hidden.values())
    both = [0, 3] if cross else None
    for name, value in codes.items():
        assert value.grad is not None
        rows = value.grad.abs().sum(1).nonzero()[:, 0].tolist()
        assert rows == (both or present[name].nonzero()[:, 0].tolist())


def test_nothing_to_reconstruct_is_zero() -> None:
    network, present = module(), masks([1, 0], [0, 1])
    hidden, codes = ({name: torch.randn(2, d) for name in WIDTHS} for d in (6, 5))
    assert reconstruction(hidden, codes, present, network.decode, cross=True) == 0
