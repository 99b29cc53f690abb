import pytest
import torch

from molweave.nn.fusion.variational import Branch, Decoder, VariationalHead


def head() -> VariationalHead:
    return VariationalHead(inputs=6, hidden=8, shared=4, private=3, dropout=0.5)


def test_sizes() -> None:
    shared, private = head().eval()(torch.randn(5, 6))
    assert shared.sample.shape == shared.log_variance.shape == (5, 4)
    assert private.sample.shape == private.mean.shape == (5, 3)


def test_in_evaluation_the_sample_is_the_mean_and_nothing_is_random() -> None:
    module = head().eval()
    x = torch.randn(5, 6)
    for first, second in zip(module(x), module(x), strict=True):
        assert torch.equal(first.sample, first.mean)
        assert torch.equal(first.sample, second.sample)


def test_closed_form_of_the_mean() -> None:
    module = head().eval()
    x = torch.randn(5, 6)
    linear, _, norm, _ = module.trunk
    b = norm(torch.relu(linear(x)))
    branch = module.private
    inner, _, inner_norm, _ = branch.nonlinear
    state = inner_norm(torch.relu(inner(b))) + branch.residual(b)
    _, private = module(x)
    torch.testing.assert_close(private.mean, branch.mean(state))
    torch.testing.assert_close(private.log_variance, branch.log_variance(state))


def fixed(mean: float, log_variance: float) -> Branch:
    """A branch whose mean and log variance do not depend on the input."""
    branch = Branch(4, 2, dropout=0.0)
    for layer, value in ((branch.mean, mean), (branch.log_variance, log_variance)):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, value)
    return branch


def test_statistics_of_the_samples_in_training() -> None:
    latent = fixed(1.5, -0.8).train()(torch.randn(20_000, 4))
    assert (latent.mean == 1.5).all()
    spread = torch.exp(torch.tensor(-0.4))
    torch.testing.assert_close(latent.sample.mean(0), torch.full((2,), 1.5), atol=0.02, rtol=0)
    torch.testing.assert_close(latent.sample.std(0), spread.expand(2), atol=0.02, rtol=0)
    standard = (latent.sample - 1.5) / spread
    correlation = (standard[:, 0] * standard[:, 1]).mean()
    assert abs(correlation) < 0.03, "the dimensions share their noise"


def test_gradient_of_the_sample_reaches_mean_and_variance() -> None:
    branch = fixed(0.0, 0.0).train()
    latent = branch(torch.randn(50, 4))
    latent.sample.square().mean().backward()
    assert (branch.mean.bias.grad != 0).all()
    assert (branch.log_variance.bias.grad != 0).all()


@pytest.mark.parametrize(("raw", "clamped"), [(50.0, 10.0), (-50.0, -10.0), (9.0, 9.0)])
def test_log_variance_is_clamped(raw: float, clamped: float) -> None:
    latent = fixed(0.0, raw).train()(torch.randn(3, 4))
    assert (latent.log_variance == clamped).all()
    assert latent.sample.isfinite().all()


def test_decoder_closed_form() -> None:
    decoder = Decoder(shared=4, private=3, hidden=8, outputs=6)
    first, _, norm, last = decoder.network
    shared, private = torch.randn(5, 4), torch.randn(5, 3)
    expected = last(norm(torch.relu(first(torch.cat([shared, private], dim=1)))))
    torch.testing.assert_close(decoder(shared, private), expected)
