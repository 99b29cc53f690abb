from types import SimpleNamespace

import torch

from molweave.nn.encoders.perceptron import Perceptron


def test_closed_form() -> None:
    network = Perceptron(inputs=5, width=3, dropout=0.4).eval()
    first, last = (layer for layer in network.network if isinstance(layer, torch.nn.Linear))
    assert first.out_features == 6
    values = torch.randn(4, 5)
    hidden = (values @ first.weight.T + first.bias).clamp(min=0)
    out = hidden @ last.weight.T + last.bias
    spread = torch.sqrt(out.var(1, correction=0, keepdim=True) + 1e-5)
    expected = (out - out.mean(1, keepdim=True)) / spread
    torch.testing.assert_close(network(SimpleNamespace(values=values)), expected)


def test_dropout_acts_in_training_only() -> None:
    network = Perceptron(inputs=5, width=3, dropout=0.4)
    part = SimpleNamespace(values=torch.randn(4, 5))
    assert not torch.equal(network.train()(part), network(part))
    assert torch.equal(network.eval()(part), network(part))


def test_fourier_features_stand_in_place_of_the_smooth_numbers_only() -> None:
    network = Perceptron(inputs=5, width=3, dropout=0.4, smooth=2, fourier=8).eval()
    assert network.network[0].in_features == 3 + 8
    values = torch.randn(4, 5)
    waves = torch.cos(values[:, :2] @ network.waves.weight.T + network.waves.bias) / 8**0.5
    expected = network.norm(network.network(torch.cat([waves, values[:, 2:]], dim=1)))
    torch.testing.assert_close(network(SimpleNamespace(values=values)), expected)


def test_without_fourier_features_the_numbers_are_read_as_they_are() -> None:
    torch.manual_seed(0)
    plain = Perceptron(inputs=5, width=3, dropout=0.4).eval()
    torch.manual_seed(0)
    network = Perceptron(inputs=5, width=3, dropout=0.4, smooth=2).eval()
    part = SimpleNamespace(values=torch.randn(4, 5))
    assert network.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(network(part), plain(part))
