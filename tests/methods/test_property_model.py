import dataclasses
import math

import numpy as np
import pytest
import torch
from tiny import DRUGLIKE, TASKS, labels, make_batch, tiny_config, tiny_model
from torch.nn import functional

from molweave.data.targets import Task
from molweave.methods.dmmrl import DMMRL
from molweave.methods.property_model import PropertyModel


def test_predictions_are_probabilities_and_values_in_units_of_the_data() -> None:
    model = tiny_model()
    batch = make_batch(DRUGLIKE)
    prediction = model.predict(batch)
    with torch.no_grad():
        outputs = model.head(model.method.encode(batch).embedding).double()
    torch.testing.assert_close(prediction.values[:, 0], torch.sigmoid(outputs[:, 0]))
    torch.testing.assert_close(prediction.values[:, 1], outputs[:, 1] * 1.5 + 2.0)
    assert not prediction.values.requires_grad


def test_the_task_loss_is_in_standardised_units() -> None:
    model = tiny_model(tiny_config(dropout=0.0, encoder_dropout=0.0)).train()
    targets = labels(len(DRUGLIKE))
    targets[2, 1] = targets[3, 0] = np.nan
    batch = make_batch(DRUGLIKE, targets=targets)
    torch.manual_seed(0)
    found = model(batch, 0.0)["task"].value
    torch.manual_seed(0)
    outputs = model.head(model.method.encode(batch).embedding).detach()
    total = 0.0
    for row in range(len(DRUGLIKE)):
        if row != 3:
            p = torch.sigmoid(outputs[row, 0]).item()
            total -= math.log(p if targets[row, 0] else 1 - p)
        if row != 2:
            total += (outputs[row, 1].item() - (targets[row, 1] - 2.0) / 1.5) ** 2
    assert found.item() == pytest.approx(total / (2 * len(DRUGLIKE) - 2), abs=1e-5)


def test_values_that_are_large_beside_their_spread_lose_nothing() -> None:
    """Total energies: 1e9, and differences of 1."""
    near, far = (Task("energy", "regression", mean, 1.5) for mean in (2.0, 1e9))
    method = DMMRL(tiny_config(dropout=0.0, encoder_dropout=0.0))
    values = labels(len(DRUGLIKE))[:, 1:]
    found = []
    for task, targets in ((near, values), (far, values + (1e9 - 2.0))):
        torch.manual_seed(0)
        model = PropertyModel(method, [task], dropout=0.0)
        loss = model.train()(make_batch(DRUGLIKE, targets=targets), 0.0)["task"].value
        predicted = model.eval().predict(make_batch(DRUGLIKE)).values - task.mean
        found.append((loss.item(), predicted))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], atol=1e-6, rtol=0)


def test_positives_weigh_more_where_asked() -> None:
    config = tiny_config(dropout=0.0, encoder_dropout=0.0, modalities=("graph",))
    batch = make_batch(DRUGLIKE, targets=np.ones((len(DRUGLIKE), 1)))
    task = Task("active", "classification")
    losses = []
    for weight in (None, [1.0], [4.0]):
        torch.manual_seed(0)
        model = PropertyModel(DMMRL(config), [task], dropout=0.0, positive_weight=weight)
        torch.manual_seed(1)
        losses.append(model.train()(batch, 0.0)["task"].value.item())
    assert losses[0] == losses[1]
    assert losses[2] == pytest.approx(4 * losses[1], rel=1e-5)


def test_a_training_batch_needs_targets() -> None:
    with pytest.raises(ValueError, match="needs targets"):
        tiny_model()(make_batch(DRUGLIKE), 0.0)


def test_a_batch_without_any_label_teaches_the_head_nothing() -> None:
    model = tiny_model(tiny_config(kl=0.0, mmd=0.0, align=0.0, orth=0.0, rec=0.0)).train()
    batch = make_batch(DRUGLIKE, targets=np.full((len(DRUGLIKE), 2), np.nan))
    task = model(batch, 0.5)["task"].value
    task.backward()
    assert task == 0
    assert all(p.grad is None or (p.grad == 0).all() for p in model.parameters())


def test_nothing_but_parameters_is_stored() -> None:
    """Scaling comes from the tasks of the specification, so it cannot disagree with it."""
    model = tiny_model()
    assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}
    other = PropertyModel(
        model.method, [TASKS[0], dataclasses.replace(TASKS[1], mean=-1.0)], dropout=0.0
    )
    other.load_state_dict(model.state_dict())
    batch = make_batch(DRUGLIKE)
    shifted = model.predict(batch).values - other.eval().predict(batch).values
    torch.testing.assert_close(shifted[:, 1], torch.full((len(DRUGLIKE),), 3.0).double())


def test_cross_entropy_is_that_of_torch() -> None:
    config = tiny_config(dropout=0.0, encoder_dropout=0.0, modalities=("descriptors",))
    model = tiny_model(config).train()
    targets = labels(len(DRUGLIKE))
    targets[:, 1] = np.nan
    batch = make_batch(DRUGLIKE, targets=targets)
    torch.manual_seed(0)
    found = model(batch, 0.0)["task"].value
    torch.manual_seed(0)
    logits = model.head(model.method.encode(batch).embedding)[:, 0]
    wanted = torch.from_numpy(targets[:, 0]).float()
    torch.testing.assert_close(found, functional.binary_cross_entropy_with_logits(logits, wanted))
