"""Losses of atoms and molecules, against loops."""

import torch

from molweave.nn.objectives.structure import bit_loss, feature_loss, value_loss


def test_feature_loss_is_the_mean_over_features_and_masked_atoms():
    logits = torch.randn(2, 4, 3 + 5)
    features = torch.stack([torch.randint(3, (2, 4)), torch.randint(5, (2, 4))], dim=-1)
    mask = torch.tensor([[True, False, True, False], [False, False, False, True]])
    losses = []
    for n, i in mask.nonzero().tolist():
        first, second = logits[n, i, :3], logits[n, i, 3:]
        losses.append(-torch.log_softmax(first, 0)[features[n, i, 0]])
        losses.append(-torch.log_softmax(second, 0)[features[n, i, 1]])
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(feature_loss(logits, features, (3, 5), mask), expected)


def test_feature_loss_of_no_atom_is_0_and_has_a_gradient():
    logits = torch.randn(1, 2, 4, requires_grad=True)
    loss = feature_loss(
        logits, torch.zeros(1, 2, 1, dtype=torch.long), (4,), torch.zeros(1, 2, dtype=torch.bool)
    )
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_value_loss_leaves_molecules_out():
    predicted, values = torch.randn(3, 4), torch.randn(3, 4)
    mask = torch.tensor([True, False, True])
    expected = (predicted[mask] - values[mask]).square().mean()
    torch.testing.assert_close(value_loss(predicted, values, mask), expected)


def test_bit_loss_leaves_molecules_out():
    logits, bits = torch.randn(3, 4), torch.rand(3, 4) < 0.3
    mask = torch.tensor([False, True, True])
    probability = torch.sigmoid(logits[mask])
    expected = -torch.where(bits[mask], probability, 1 - probability).log().mean()
    torch.testing.assert_close(bit_loss(logits, bits, mask), expected)
