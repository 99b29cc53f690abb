"""The linear layer against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from molweave.nn import linear as module
from molweave.nn.linear import Linear


@pytest.fixture(autouse=True)
def computed_by_onednn(monkeypatch):
    """Also on a processor on which torch's own products are faster."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this build of torch has no oneDNN")
    monkeypatch.setattr(module, "_ONEDNN", True)


def layers(inputs: int = 37, outputs: int = 19) -> tuple[Linear, nn.Linear]:
    torch.manual_seed(0)
    mine, plain = Linear(inputs, outputs), nn.Linear(inputs, outputs)
    mine.load_state_dict(plain.state_dict())
    return mine, plain


@pytest.mark.parametrize("shape", [(5, 37), (2, 7, 37), (1, 37), (0, 37), (3, 0, 37)])
@pytest.mark.parametrize("onednn", [True, False])
def test_values_and_gradients_are_those_of_torch(shape, onednn, monkeypatch):
    monkeypatch.setattr(module, "_ONEDNN", onednn)
    mine, plain = layers()
    one = torch.randn(shape, requires_grad=True)
    other = one.detach().clone().requires_grad_(True)
    upstream = torch.randn(*shape[:-1], 19)
    for layer, x in ((mine, one), (plain, other)):
        (layer(x) * upstream).sum().backward()
    torch.testing.assert_close(mine(one), plain(other))
    torch.testing.assert_close(one.grad, other.grad)
    torch.testing.assert_close(mine.weight.grad, plain.weight.grad)
    torch.testing.assert_close(mine.bias.grad, plain.bias.grad)


def test_views_and_slices():
    mine, plain = layers(4, 6)
    wide = torch.randn(3, 4, 5).transpose(1, 2)
    with torch.inference_mode():
        torch.testing.assert_close(mine(wide), plain(wide))
        found = module.linear(wide[:, :1], mine.weight[2:], mine.bias[2:])
        torch.testing.assert_close(found, plain(wide)[:, :1, 2:])


def test_gradients_of_views_and_slices():
    mine, plain = layers(4, 6)
    wide = torch.randn(3, 4, 5).transpose(1, 2)
    inputs = [wide.clone().requires_grad_(True) for _ in range(2)]
    for layer, x in zip((mine, plain), inputs, strict=True):
        layer(x[:, :1]).square().sum().backward()
        layer(x).transpose(0, 1)[0].square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(mine.weight.grad, plain.weight.grad)
    torch.testing.assert_close(mine.bias.grad, plain.bias.grad)


def test_intel_is_told_from_others(monkeypatch):
    found = {"vendor_id : GenuineIntel": True, "vendor_id : AuthenticAMD": False}
    for text, expected in found.items():
        monkeypatch.setattr(module.Path, "read_text", lambda *_, text=text, **__: text)
        assert module._is_of_intel() is expected

    def no_such_file(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(module.Path, "read_text", no_such_file)
    monkeypatch.setattr(module.platform, "processor", lambda: "Intel64 Family 6, GenuineIntel")
    assert module._is_of_intel() is True


def test_frozen_weights_still_pass_gradients_on():
    mine, plain = layers()
    x = torch.randn(4, 37, requires_grad=True)
    mine.requires_grad_(False)
    mine(x).sum().backward()
    torch.testing.assert_close(x.grad, plain.weight.sum(0).expand(4, -1))
    assert mine.weight.grad is None
    only = Linear(37, 19)
    only(x.detach()).sum().backward()
    assert only.weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_left_to_torch(dtype):
    mine, _ = layers()
    x = torch.randn(4, 37, dtype=dtype)
    mine = mine.to(dtype)
    assert torch.equal(mine(x), functional.linear(x, mine.weight, mine.bias))


def test_autocast_is_left_to_torch():
    mine, plain = layers()
    x = torch.randn(4, 37)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mine(x).dtype == torch.bfloat16
        assert torch.equal(mine(x), plain(x))


def test_onednn_is_used_on_the_cpu(monkeypatch):
    used = []
    product = module._product
    monkeypatch.setattr(module, "_product", lambda *parts: used.append(1) or product(*parts))
    mine, _ = layers()
    with torch.inference_mode():
        mine(torch.randn(4, 37))
    assert used == [1]
