"""The loop: which epoch is kept, when it ends, what it minimises."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fits import SPLIT, fake_clock, frame, options
from sklearn.metrics import log_loss, mean_squared_error, roc_auc_score, root_mean_squared_error
from told import Told

from molweave.chem.read import table_from_frame
from molweave.data.targets import Task
from molweave.errors import UserError
from molweave.events import Events
from molweave.methods.apply import apply_members
from molweave.metrics import Score
from molweave.training import finetune
from molweave.training.config import TrainConfig
from molweave.training.finetune import Trainer, choose_metric, choose_precision, refuse_precision
from molweave.training.options import FitOptions
from molweave.training.pipeline import FitResult, fit_table
from molweave.wording import counted

CLASS, NUMBER = Task("a", "classification"), Task("b", "regression")


def fit(*targets: str, table=None, events=None, **changes) -> FitResult:
    table = table_from_frame(frame() if table is None else table)
    settings = FitOptions(**options(**{"split": SPLIT, **changes}))
    return fit_table(table, targets or ("alcohol",), settings, events=events)


def valid_part(result: FitResult) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction of the validation part, (n, T)."""
    valid = result.split.valid
    return result.data.targets[valid], result.outputs.predictions.mean(0)[valid]


RESTLESS = {"epochs": 12, "learning_rate": 0.03, "schedule": "constant"}


@pytest.mark.parametrize(
    ("target", "score", "best"),
    [("alcohol", roc_auc_score, max), ("carbons", root_mean_squared_error, min)],
)
def test_the_epoch_is_chosen_on_the_validation_part(target, score, best):
    result = fit(target, training=RESTLESS)
    (done,) = result.fits
    scores = [record[f"valid_{done.metric}"] for record in done.history]
    assert len(scores) == 12
    assert len(set(scores)) > 1
    chosen = best(scores)
    assert done.best_epoch == max(n for n, value in enumerate(scores) if value == chosen)
    truth, prediction = valid_part(result)
    assert score(truth[:, 0], prediction[:, 0]) == pytest.approx(chosen, rel=1e-5)


def test_mixed_tasks_are_chosen_by_their_mean_loss():
    table = frame()
    table.loc[table.index % 3 == 0, "alcohol"] = np.nan
    table.loc[table.index % 4 == 0, "carbons"] = np.nan
    result = fit("alcohol", "carbons", table=table, training=RESTLESS)
    (done,) = result.fits
    assert done.metric == "loss"
    truth, prediction = valid_part(result)
    there = ~np.isnan(truth)
    assert there.any(0).all()
    assert not there.all()
    scale = result.model.spec.tasks[1].scale
    expected = np.mean(
        [
            log_loss(truth[there[:, 0], 0], prediction[there[:, 0], 0], labels=[0, 1]),
            mean_squared_error(truth[there[:, 1], 1], prediction[there[:, 1], 1]) / scale**2,
        ]
    )
    assert done.history[done.best_epoch]["valid_loss"] == pytest.approx(expected, rel=1e-5)
    scores = result.scores["valid"]
    assert {name: score["n"] for name, score in scores.items()} == dict(
        zip(("alcohol", "carbons"), there.sum(0).tolist(), strict=True)
    )


def test_only_labels_of_the_training_part_are_learnt():
    """Other labels, and missing ones, of the test part change nothing; one of training does."""
    drawn = fit("alcohol", "carbons").split.parts
    parts = frame().assign(part="")
    for part, positions in drawn.items():
        parts.loc[positions, "part"] = part
    plain = fit("alcohol", "carbons", table=parts, split="column:part")

    def changed(row: int, **values: float) -> bool:
        table = parts.astype({"alcohol": float})
        table.loc[row, list(values)] = list(values.values())
        again = fit("alcohol", "carbons", table=table, split="column:part")
        one, other = (result.model.members[0].state_dict() for result in (plain, again))
        return not all(torch.equal(value, other[name]) for name, value in one.items())

    tested, learnt = int(plain.split.test[0]), int(plain.split.train[0])
    assert not changed(tested, carbons=90.0)
    assert not changed(tested, alcohol=np.nan, carbons=np.nan)
    assert changed(learnt, carbons=90.0)
    assert changed(learnt, alcohol=np.nan)


def test_every_term_of_the_loss_is_in_the_history():
    (done,) = fit("alcohol").fits
    for number, record in enumerate(done.history):
        assert record["epoch"] == number
        names = {"loss", "task", "kl", "mmd", "align", "orth", "rec", "learning_rate", "seconds"}
        assert record.keys() == names | {"epoch", "valid_roc_auc"}
        assert all(math.isfinite(value) for value in record.values())
    assert done.seconds == pytest.approx(sum(record["seconds"] for record in done.history))


def scripted(monkeypatch, scores: list[float]) -> None:
    """Let the validation give these scores, larger is better."""
    left = iter(scores)

    def score(self, record):
        record["valid_scripted"] = value = next(left)
        return value

    monkeypatch.setattr(Trainer, "_score", score)


@pytest.mark.parametrize(
    ("patience", "scores", "trained", "best", "stopped"),
    [
        (2, [1, 3, 2, 2, 9], 4, 1, "patience"),
        (2, [1, 3, 2, 4, 3, 3, 9], 6, 3, "patience"),
        (1, [3, 2, 9], 2, 0, "patience"),
        (0, [9, 3, 2, 2, 1, 0, 0, 0], 8, 0, "epochs"),
        (3, [1, 1, 1, 1, 1, 1, 1, 1], 4, 3, "patience"),
        (2, [-math.inf] * 8, 3, 2, "patience"),
    ],
)
def test_early_stopping(monkeypatch, patience, scores, trained, best, stopped):
    scripted(monkeypatch, scores)
    told = Told()
    (done,) = fit(training={"epochs": 8, "patience": patience}, events=told).fits
    assert (len(done.history), done.best_epoch, done.stopped) == (trained, best, stopped)
    why = f"the validation score had not improved for {counted(patience, 'epoch')}"
    line = f"training 1/1 ended after {trained} of 8 epochs: {why}"
    assert (line in told.lines) == (stopped == "patience")


@pytest.mark.parametrize(("target", "best"), [("alcohol", 2), ("carbons", 1)])
def test_an_epoch_without_a_score_is_not_chosen(monkeypatch, target, best):
    """Of 0.3 and 0.6, a ROC-AUC is better when larger, an RMSE when smaller."""
    left = iter([math.nan, 0.3, 0.6, math.nan])
    found = Score("any", 0.0, (), ())
    monkeypatch.setattr(finetune, "evaluate", lambda *_: replace(found, value=next(left)))
    (done,) = fit(target, training={"epochs": 4}).fits
    assert done.best_epoch == best


def test_a_time_limit_ends_training_with_the_best_epoch_so_far(monkeypatch):
    whole = fit("carbons", training={"epochs": 50, **RESTLESS}).fits[0].history
    fake_clock(monkeypatch, 10.0)
    result = fit("carbons", training={**RESTLESS, "epochs": 12, "max_minutes": 2.0})
    (done,) = result.fits
    assert done.stopped == "time"
    assert 1 < len(done.history) < 12
    found = [record["valid_rmse"] for record in done.history]
    assert found == [record["valid_rmse"] for record in whole[: len(found)]]
    truth, prediction = valid_part(result)
    expected = root_mean_squared_error(truth[:, 0], prediction[:, 0])
    assert min(found) == pytest.approx(expected, rel=1e-5)


def test_one_epoch_is_trained_however_short_the_time(monkeypatch):
    fake_clock(monkeypatch, 1000.0)
    told = Told()
    (done,) = fit(training={"epochs": 3, "max_minutes": 0.1}, events=told).fits
    assert (len(done.history), done.stopped) == (1, "time")
    assert "training 1/1 ended after 1 of 3 epochs: the time limit was reached" in told.lines


def test_networks_of_an_ensemble_share_the_time(monkeypatch):
    fake_clock(monkeypatch, 10.0)
    alone = fit(training={"epochs": 30, "max_minutes": 4.0}).fits
    pair = fit(training={"epochs": 30, "max_minutes": 8.0}, ensemble=2).fits
    assert [len(done.history) for done in (*alone, *pair)] == [len(alone[0].history)] * 3


def test_the_epoch_of_several_numbers_does_not_depend_on_their_units():
    chosen = []
    for unit in (1.0, 1000.0):
        table = frame().assign(other=unit * np.random.default_rng(0).normal(size=len(frame())))
        (done,) = fit("carbons", "other", table=table, training=RESTLESS).fits
        assert done.metric == "loss"
        chosen.append(done.best_epoch)
    assert chosen[0] == chosen[1]
    assert choose_metric(TrainConfig(metric="rmse"), (NUMBER, NUMBER), np.eye(2)) == "rmse"


def test_balance_weighs_positives_of_the_training_part():
    table = frame().iloc[:32]  # 13 amines, 19 alcohols
    plain, balanced = (fit(table=table, training={"balance": on}) for on in (False, True))
    train = balanced.data.targets[balanced.split.train, 0]
    expected = (train == 0).sum() / (train == 1).sum()
    assert expected != 1
    assert balanced.model.members[0].positive_weight.tolist() == pytest.approx([expected])
    assert plain.model.members[0].positive_weight.tolist() == [1.0]
    first = [result.fits[0].history[0]["task"] for result in (plain, balanced)]
    assert first[0] != first[1]


def test_the_averaged_weights_are_those_that_are_kept(monkeypatch):
    averages = []
    update = finetune.WeightAverage.update

    def remember(self, model):
        update(self, model)
        averages.append({name: value.clone() for name, value in self.weights.items()})

    monkeypatch.setattr(finetune.WeightAverage, "update", remember)
    result = fit("carbons", training={**RESTLESS, "average": 0.9, "epochs": 3})
    assert len(averages) == 3 * 2
    best = result.fits[0].best_epoch
    kept = result.model.members[0].state_dict()
    assert all(torch.equal(kept[name], value) for name, value in averages[2 * best + 1].items())
    truth, prediction = valid_part(result)
    expected = root_mean_squared_error(truth[:, 0], prediction[:, 0])
    assert result.fits[0].history[best]["valid_rmse"] == pytest.approx(expected, rel=1e-5)


def test_gradients_are_clipped(monkeypatch):
    norms = []

    def remember(self, *arguments, **settings):
        norms.append(settings["max_norm"])
        return clip(self, *arguments, **settings)

    clip = finetune.Fabric.clip_gradients
    monkeypatch.setattr(finetune.Fabric, "clip_gradients", remember)
    fit(training={"clip": 0.0})
    assert norms == []
    fit(training={"clip": 0.25})
    assert set(norms) == {0.25}


def test_a_training_that_diverges_is_explained():
    with pytest.raises(UserError, match=r"diverged in epoch \d+: .* lower learning_rate"):
        fit("carbons", training={"epochs": 20, "learning_rate": 1e20, "schedule": "constant"})


def test_weights_that_are_spoilt_by_the_last_step_are_noticed(monkeypatch):
    train = Trainer._train_epoch

    def spoilt(self):
        record = train(self)
        next(iter(self.model.head.parameters())).data.fill_(math.nan)
        return record

    monkeypatch.setattr(Trainer, "_train_epoch", spoilt)
    with pytest.raises(UserError, match="diverged in epoch 1: a prediction is not finite"):
        fit("carbons", training={"epochs": 1})


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_float16_is_refused_on_the_cpu_before_the_data_are_read(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    told = []
    events = Events()
    monkeypatch.setattr(events, "stage", told.append)
    with pytest.raises(UserError, match=r"16-mixed needs a GPU, .* on the CPU; write bf16-mixed"):
        fit(device=device, training={"precision": "16-mixed"}, events=events)
    assert told == []


@pytest.mark.parametrize(
    ("device", "precision"),
    [("cuda", "16-mixed"), ("auto", "16-mixed"), ("cpu", "bf16-mixed"), ("cpu", "auto")],
)
def test_precisions_that_a_device_has(device, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    refuse_precision(device, precision)


def test_events_tell_of_every_epoch():
    seen: list[tuple] = []

    class Remember(Events):
        def stage(self, name, total=None):
            seen.append(("stage", name, total))

        def epoch(self, member, info):
            seen.append(("epoch", member, info.number, info.total, info.best_epoch))

    result = fit(events=Remember(), ensemble=2)
    training = [entry for entry in seen if entry[0] == "epoch" or "training" in entry[1]]
    expected = []
    for member, done in enumerate(result.fits):
        expected.append(("stage", f"training {member + 1}/2", 2))
        expected.append(("epoch", member, 1, 2, 0))
        expected.append(("epoch", member, 2, 2, done.best_epoch))
    assert training == expected


BOTH, ONE, NONE = ([[0.0], [1.0]], [[1.0], [1.0]], [[np.nan], [np.nan]])


@pytest.mark.parametrize(
    ("metric", "tasks", "truth", "expected"),
    [
        ("auto", (CLASS,), BOTH, "roc_auc"),
        ("auto", (CLASS,), ONE, "loss"),
        ("auto", (CLASS,), NONE, "loss"),
        ("auto", (NUMBER,), ONE, "rmse"),
        ("auto", (NUMBER,), NONE, "loss"),
        ("auto", (CLASS, NUMBER), [[0.0, 1.0], [1.0, 1.0]], "loss"),
        ("auto", (CLASS, CLASS), [[1.0, 1.0], [1.0, 0.0]], "roc_auc"),
        ("loss", (CLASS,), BOTH, "loss"),
        ("auprc", (CLASS,), BOTH, "pr_auc"),
        ("mae", (NUMBER,), ONE, "mae"),
    ],
)
def test_choice_of_the_metric(metric, tasks, truth, expected):
    assert choose_metric(TrainConfig(metric=metric), tasks, np.array(truth)) == expected


@pytest.mark.parametrize(
    ("metric", "tasks", "kinds"),
    [
        ("roc_auc", (NUMBER,), "regression"),
        ("rmse", (CLASS,), "classification"),
        ("rmse", (CLASS, NUMBER), "classification and regression"),
    ],
)
def test_a_metric_of_the_wrong_kind(metric, tasks, kinds):
    with pytest.raises(UserError, match=f"the targets are {kinds}; use auto or loss"):
        choose_metric(TrainConfig(metric=metric), tasks, np.zeros((2, len(tasks))))


def test_a_validation_part_of_one_class_is_judged_by_its_loss():
    table = frame()
    part = np.where(table["alcohol"] == 1, "train", "test")
    part[table.index % 2 == 0] = "train"
    part[[0, 2, 4, 6]] = "valid"
    result = fit(table=table.assign(part=part), split="column:part", training=RESTLESS)
    (done,) = result.fits
    losses = [record["valid_loss"] for record in done.history]
    assert losses[done.best_epoch] == min(losses)


def test_a_validation_part_without_labels_is_refused():
    part = np.where(frame().index % 5 == 0, "valid", "train")
    table = frame().assign(part=part)
    table.loc[part == "valid", "carbons"] = np.nan
    with pytest.raises(UserError, match="no molecule of the valid part can be used"):
        fit("carbons", table=table, split="column:part", training={"epochs": 3})


def test_molecules_without_a_label_are_not_trained_on():
    """They would count in the self-supervised terms and in the size of the split."""
    part = np.where(frame().index % 5 == 0, "valid", "train")
    table = frame().assign(part=part)
    table.loc[table.index % 3 == 1, "carbons"] = np.nan
    result = fit("carbons", table=table, split="column:part", training={"epochs": 1})
    labelled = table.dropna(subset="carbons")
    assert len(result.split.train) == (labelled.part == "train").sum()
    assert len(result.split.valid) == (labelled.part == "valid").sum()
    assert result.model.spec.tasks[0].mean == pytest.approx(
        labelled.carbons[labelled.part == "train"].mean()
    )


def test_apply_uses_the_device_of_the_members(monkeypatch):
    """A fit on a GPU scores on the GPU."""
    devices = []

    def remember(members, dataset, **settings):
        devices.append(settings["device"])
        return apply_members(members, dataset, **settings)

    monkeypatch.setattr("molweave.training.pipeline.apply_members", remember)
    result = fit()
    assert devices == [next(result.model.members[0].parameters()).device]


def test_a_metric_without_a_value_on_the_validation_part():
    with pytest.raises(UserError, match="the metric roc_auc has no value on the validation part"):
        choose_metric(TrainConfig(metric="roc_auc"), (CLASS,), np.ones((5, 1)))


@pytest.mark.parametrize(
    ("emulated", "in_hardware", "expected"),
    [(True, True, "bf16-mixed"), (True, False, "32-true"), (False, False, "32-true")],
)
def test_bf16_is_taken_where_the_gpu_has_it(emulated, in_hardware, expected, monkeypatch):
    def supported(including_emulation=True):
        return emulated if including_emulation else in_hardware

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert choose_precision("auto", on_gpu=True) == expected
