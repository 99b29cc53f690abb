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
