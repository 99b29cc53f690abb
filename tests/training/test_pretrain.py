"""The loop of a pre-training: it learns, it resumes to the same bits, it refuses what is wrong."""

import json
import math
import signal

import corpora
import pytest
import torch
from fits import fake_clock
from tiny import SIZES
from told import Told

from molweave import UserError
from molweave.data import feed as feed_module
from molweave.data.feed import Feed
from molweave.data.shards import ShardedCorpus
from molweave.events import Events, Silent
from molweave.methods import METHODS
from molweave.methods.base import Encoding, Method, Term
from molweave.methods.pretrained import read_encoder
from molweave.pretraining import pretrain
from molweave.training import pretrain as pretrain_module
from molweave.training.finetune import make_fabric
from molweave.training.pretrain import Pretrainer
from molweave.training.pretrain_config import PretrainConfig
from molweave.training.pretrain_corpus import pretrain_corpus
from molweave.training.pretrain_options import PretrainOptions

RECIPE = {"epochs": 3, "batch_size": 6, "log_steps": 2, "valid_steps": 4, "valid_molecules": 6}
AVERAGED = {"accumulate": 2, "average": 0.9}


@pytest.fixture(autouse=True)
def _small_window(monkeypatch):
    monkeypatch.setattr(feed_module, "WINDOW", 3)


def options(method: str = "moleblend", **changes) -> PretrainOptions:
    given = {"method_options": SIZES[method], "device": "cpu", **changes}
    given["training"] = {**RECIPE, **changes.get("training", {})}
    return PretrainOptions(method=method, **given)


class StopAt(Events):
    """Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def record(self, record, steps):
        if record["step"] == self.step:
            raise KeyboardInterrupt


def interrupt(shards, state, *, method: str = "moleblend", step: int = 4, **changes) -> None:
    """Leave a checkpoint in ``state``."""
    training = {**changes.pop("training", {}), "save_minutes": 0}
    chosen = options(method, **changes, training=training)
    with pytest.raises(KeyboardInterrupt):
        pretrain_corpus(shards, chosen, checkpoint=state, events=StopAt(step))


def without_times(history):
    times = ("seconds", "molecules_per_second")
    return [{k: v for k, v in record.items() if k not in times} for record in history]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_without_labels(shards, method):
    result = pretrain_corpus(
        shards, options(method, training={"epochs": 6, "learning_rate": 0.005})
    )
    history = result.training.history
    assert [record["step"] for record in history] == list(range(2, 25, 2))
    term = "loss" if method == "mmsa" else "valid_loss"  # ramps of dmmrl raise the former
    values = [record[term] for record in history if term in record]
    third = len(values) // 3
    assert sum(values[-third:]) < sum(values[:third])
    assert all(math.isfinite(value) for record in history for value in record.values())
    assert [record["step"] for record in history if "valid_loss" in record] == [
        4,
        8,
        12,
        16,
        20,
        24,
    ]
    assert not result.method.training


@pytest.mark.parametrize(
    ("method", "training"),
    [
        *((method, {}) for method in METHODS),
        *(("dmmrl", AVERAGED), ("moleblend", AVERAGED)),
        pytest.param("mmsa", AVERAGED, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_an_interrupted_run_goes_on_to_the_same_bits(shards, tmp_path, method, training):
    """Batch statistics, stored codes and the usage of anchors go on as well as the weights."""
    chosen = options(method, training={**training, "save_minutes": 0})
    alone = pretrain_corpus(shards, chosen)
    interrupt(shards, tmp_path / "state", method=method, step=8, training=training)
    torch.manual_seed(999)
    assert json.loads((tmp_path / "state" / "state.json").read_text())["step"] == 7
    resumed = pretrain_corpus(shards, chosen, checkpoint=tmp_path / "state", resume=True)
    assert without_times(resumed.training.history) == without_times(alone.training.history)
    assert list(map(list, resumed.training.history)) == list(map(list, alone.training.history))
    for name, value in alone.method.state_dict().items():
        assert torch.equal(resumed.method.state_dict()[name], value), name


class Counting(Method):
    """Its loss is a mean over molecules, so that pieces of equal size add up to the whole."""

    name = "counting"

    def __init__(self) -> None:
        super().__init__()
        self.modalities = ("relations",)
        self.embedding_dim = 1
        self.slope = torch.nn.Parameter(torch.ones(1))

    def encode(self, batch):
        sizes = torch.tensor(batch.parts["relations"].sizes, dtype=torch.float32)[:, None]
        return Encoding(self.slope * sizes, self.modalities, torch.ones(batch.size, 1))

    def objectives(self, encoding, batch, progress):
        return {"square": Term(0.5, encoding.embedding.square().mean())}


@pytest.fixture
def _interruptible():
    """Ctrl-C as in a terminal, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_control_c_keeps_the_step_that_was_running(shards, tmp_path, monkeypatch):
    """Between two lines of the log, and long before a checkpoint is due."""
    chosen = options(training={"log_steps": 4})
    alone = pretrain_corpus(shards, chosen)
    state, step = tmp_path / "state", Pretrainer._step

    def interrupted(self, batches):
        if self.state.step == 5:
            signal.raise_signal(signal.SIGINT)
        step(self, batches)

    monkeypatch.setattr(Pretrainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain_corpus(shards, chosen, checkpoint=state)
    monkeypatch.setattr(Pretrainer, "_step", step)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert json.loads((state / "state.json").read_text())["step"] == 6
    resumed = pretrain_corpus(shards, chosen, checkpoint=state, resume=True)
    assert without_times(resumed.training.history) == without_times(alone.training.history)
    assert list(map(list, resumed.training.history)) == list(map(list, alone.training.history))


def test_accumulation_is_the_same_step_in_pieces(shards):
    """The gradient, which Adam would hide: it takes no notice of a constant factor."""

    def first_step(pieces: int) -> tuple[float, float, float]:
        recipe = PretrainConfig(
            batch_size=6, accumulate=pieces, epochs=1, log_steps=1, clip=0, valid_molecules=0
        )
        trainer = Pretrainer(
            Counting(), ShardedCorpus(shards), recipe, make_fabric("cpu", "32-true")
        )
        seen: list[float] = []
        step = trainer.optimizer.step
        trainer.optimizer.step = lambda: (seen.append(float(trainer.method.slope.grad)), step())
        record = trainer.run().history[0]
        return seen[0], record["loss"], record["square"]

    whole, pieces = first_step(1), first_step(3)
    assert whole[0] == pytest.approx(2 * whole[1])  # d/ds of s^2 m / 2 at s = 1 is m
    feed = Feed(ShardedCorpus(shards), ("relations",), batch_size=6, accumulate=3, bucket=False)
    sizes = [s for b in next(iter(feed.steps(0, 1))) for s in b.parts["relations"].sizes]
    mean = sum(size**2 for size in sizes) / 6
    assert pieces == pytest.approx((mean, mean / 2, mean))


def test_the_clock_is_looked_at_after_every_step(shards, tmp_path, monkeypatch):
    """Also where the log has a line every fifty steps, each of which takes a minute."""
    fake_clock(monkeypatch, 60.0, pretrain_module)
    saved, save = [], Pretrainer._save

    def noted(self):
        saved.append(self.state.step)
        save(self)

    monkeypatch.setattr(Pretrainer, "_save", noted)
    training = {"log_steps": 50, "save_minutes": 3.0, "max_minutes": 8.0}
    chosen = options(training=training)
    result = pretrain_corpus(shards, chosen, checkpoint=tmp_path / "state").training
    assert (result.stopped, [record["step"] for record in result.history]) == ("time", [8])
    assert saved == [3, 6, 8, 8]  # the last one before and after the validation


def test_max_time_ends_cleanly_and_goes_on(shards, tmp_path):
    out = tmp_path / "encoder"
    given = {"method": "moleblend", "method_options": SIZES["moleblend"], "device": "cpu"}
    spec = pretrain(shards, out, **given, training={**RECIPE, "max_minutes": 1e-9})
    assert spec.record["stopped"] == "time"
    assert spec.record["steps"] == 1
    assert "valid_loss" in spec.record["valid"]
    assert (tmp_path / "encoder.training").is_dir()
    spec = pretrain(shards, out, **given, training=RECIPE, resume=True)
    assert (spec.record["stopped"], spec.record["steps"]) == ("epochs", 12)
    assert not (tmp_path / "encoder.training").exists()
    alone = pretrain(shards, tmp_path / "alone", **given, training=RECIPE)
    assert alone.record["valid"] == spec.record["valid"]
    assert read_encoder(tmp_path / "alone").sha256 == read_encoder(out).sha256


def test_the_folder_holds_the_weights_and_the_log(shards, tmp_path):
    out = tmp_path / "encoder"
    pretrain(shards, out, method="moleblend", method_options=SIZES["moleblend"], training=RECIPE)
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "config.json", "history.csv", "model.safetensors", "report.html",
    ]  # fmt: skip
    encoder = read_encoder(out)
    assert encoder.spec.method_config["views"] == "blend"
    assert encoder.build({}).config.views == "2d"
    lines = (out / "history.csv").read_text().splitlines()
    assert lines[0].startswith("step,epoch,loss,spd,edge,distance,denoise")
    assert len(lines) == 7
    page = (out / "report.html").read_text()
    assert page.count("<svg") == 15
    assert "src=" not in page
    card = (out / "README.md").read_text()
    assert "25 molecules to train on, 6 held out" in card
    assert "On 6 held-out molecules" in card
    assert "spd hidden" in card


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 7}, "seed was 0, is 7"),
        ({"training": {"batch_size": 5}}, "training.batch_size was 6, is 5"),
        ({"preset": "base"}, "method.layers was"),
        ({"method": "dmmrl"}, "another run: method was moleblend, is dmmrl; use the same command"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(shards, tmp_path, change, message):
    state = tmp_path / "state"
    sizes = {k: v for k, v in SIZES["moleblend"].items() if k != "layers"}
    given = {"method_options": {**sizes, "layers": 2}}
    if "preset" in change:
        change = {"preset": "base", "method_options": {**sizes, "layers": 3}}
    interrupt(shards, state, **given)
    if "method" in change:
        given = {}
    with pytest.raises(UserError, match=message):
        pretrain_corpus(shards, options(**{**given, **change}), checkpoint=state, resume=True)


def test_a_changed_corpus_is_refused(shards, tmp_path):
    other, state = tmp_path / "other", tmp_path / "state"
    corpora.write_corpus(other, (14, 12), valid=3)
    interrupt(shards, state)
    told = r"corpus was \w+, is \w+; corpus.train was 25, is 26; use the same"
    with pytest.raises(UserError, match=told):
        pretrain_corpus(other, options(), checkpoint=state, resume=True)


def test_a_damaged_checkpoint_is_refused(shards, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    (state / "state.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        pretrain_corpus(shards, options(), checkpoint=state, resume=True)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("moleblend", {"views": "2d"}),
        ("mmsa", {"protocol": "graph"}),
        ("mmsa", {"views": ("graph",), "reconstruction": 0, "memory": 0, "recall": 0}),
        ("dmmrl", dict.fromkeys(("kl", "mmd", "align", "orth", "rec"), 0.0)),
    ],
    ids=str,
)
def test_a_network_without_objectives_is_refused(shards, method, changes):
    chosen = options(method, method_options=changes)
    with pytest.raises(UserError, match=f"{method} has nothing to learn from without labels"):
        pretrain_corpus(shards, chosen)


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("dmmrl", {"modalities": ("geometry",)}, "has no coordinates, and geometry is made from"),
        ("mmsa", {"views": ("geometry",)}, "has no coordinates, and geometry is made from"),
        (
            "moleblend",
            dict.fromkeys(("spd", "edge", "atoms", "descriptors", "fingerprint"), 0.0),
            "moleblend has nothing to learn from .* and without coordinates; leave",
        ),
    ],
)
def test_a_corpus_without_coordinates_teaches_nothing(
    method, changes, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(corpora, "made_up", lambda name: None)
    corpora.write_corpus(tmp_path / "flat", (8, 8), valid=2)
    chosen = PretrainOptions(method=method, method_options=changes, training=RECIPE, device="cpu")
    with pytest.raises(UserError, match=message):
        pretrain_corpus(tmp_path / "flat", chosen)


@pytest.mark.parametrize("device", ["banana", "cuda:99x"])
def test_a_device_that_is_not_there_is_refused(shards, tmp_path, device):
    with pytest.raises(UserError, match="there is no device"):
        pretrain(shards, tmp_path / "encoder", method="moleblend", device=device)


def test_what_there_is_to_say_is_logged_where_nobody_listens(shards, caplog):
    with caplog.at_level("INFO", logger="molweave"):
        pretrain_corpus(shards, options())
        assert any("25 molecules to train on, 6 held out" in text for text in caplog.messages)
        caplog.clear()
        Silent().message("nobody hears this")
        pretrain_corpus(shards, options(), events=Told())
    assert not caplog.messages


def test_a_corpus_without_coordinates_is_blended_in_2d(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "made_up", lambda name: None)
    corpora.write_corpus(tmp_path / "flat", (8, 8), valid=2)
    told = Told()
    result = pretrain_corpus(tmp_path / "flat", options(), events=told)
    assert any("the corpus has no coordinates" in text for text in told.lines)
    last = result.training.history[-1]
    told_of = {name.removeprefix("valid_") for record in result.training.history for name in record}
    assert not told_of & {"distance", "denoise", "distance_hidden", "distance_visible"}
    assert last["spd"] > 0
    assert last["valid_spd"] > 0


def test_flat_is_pretrained_without_coordinates(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora, "made_up", lambda name: None)
    corpora.write_corpus(tmp_path / "shards", (9,), valid=3)
    told = Told()
    chosen = options("dmmrl", preset="flat", method_options={"width": 16})
    result = pretrain_corpus(tmp_path / "shards", chosen, events=told)
    assert result.method.modalities == ("graph", "descriptors", "fingerprint")
    assert not any("coordinates" in text for text in told.lines)


def test_a_corpus_without_a_validation_part(tmp_path):
    corpora.write_corpus(tmp_path / "shards", (8, 8))
    with pytest.raises(UserError, match="holds out 0 molecules"):
        pretrain_corpus(tmp_path / "shards", options())
    result = pretrain_corpus(tmp_path / "shards", options(training={"valid_molecules": 0}))
    assert not any("valid_loss" in record for record in result.training.history)


def test_a_run_goes_on_from_an_encoder(shards, tmp_path):
    """Its first validation is that of the encoder, but for the rounding to half precision."""
    given = {"method": "moleblend", "method_options": SIZES["moleblend"], "device": "cpu"}
    first = pretrain(shards, tmp_path / "first", **given, training=RECIPE)
    still = {**RECIPE, "epochs": 1, "learning_rate": 1e-12}
    second = pretrain(
        shards, tmp_path / "second", **given, training=still, pretrained=str(tmp_path / "first")
    )
    assert second.record["valid"] == pytest.approx(first.record["valid"], rel=0.02, abs=0.01)
    assert "--from first " in second.record["command"]
    with pytest.raises(UserError, match="is an encoder of moleblend, not of dmmrl"):
        pretrain_corpus(shards, options("dmmrl", pretrained=str(tmp_path / "first")))
    other = options(
        method_options={**SIZES["moleblend"], "layers": 3}, pretrained=str(tmp_path / "first")
    )
    with pytest.raises(UserError, match="layers"):
        pretrain_corpus(shards, other)


def test_an_objective_that_the_encoder_does_not_know_starts_afresh(shards, tmp_path):
    given = {"method": "moleblend", "device": "cpu", "training": RECIPE}
    sizes = SIZES["moleblend"]
    pretrain(shards, tmp_path / "first", **given, method_options={**sizes, "atoms": 0.0})
    told = Told()
    first = str(tmp_path / "first")
    wider = {**given, "method_options": sizes, "pretrained": first, "events": told}
    second = pretrain(shards, tmp_path / "second", **wider)
    assert "valid_atoms" in second.record["valid"]
    assert [text for text in told.lines if "without recovery.heads.atoms" in text]


def test_weights_that_are_no_numbers_do_not_replace_a_checkpoint(shards, tmp_path):
    state = tmp_path / "state"
    interrupt(shards, state)
    before = {path.name: path.read_bytes() for path in state.iterdir()}
    trainer = Pretrainer(
        Counting(),
        ShardedCorpus(shards),
        PretrainConfig(batch_size=6),
        make_fabric("cpu", "32-true"),
        checkpoint=state,
    )
    next(trainer.method.parameters()).data.fill_(float("nan"))
    with pytest.raises(UserError, match="a weight is not finite"):
        trainer._save()
    assert {path.name: path.read_bytes() for path in state.iterdir()} == before


def test_divergence_is_told(shards):
    with pytest.raises(UserError, match="start afresh with a lower learning_rate"):
        pretrain_corpus(shards, options(training={"learning_rate": 1e12, "clip": 0}))


def test_compile_needs_layers_that_gain(shards):
    with pytest.raises(UserError, match="dmmrl has no layers that gain from compile"):
        pretrain_corpus(shards, options("dmmrl", training={"compile": True}))
