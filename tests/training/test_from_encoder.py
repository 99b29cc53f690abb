"""Fits that start from a pre-trained encoder: what changes, what stays, what is recorded."""

from pathlib import Path

import numpy as np
import pytest
from encoders import tiny_encoder, write_tiny
from fits import SPLIT, fake_clock, frame, same_weights, weights
from told import Told

from molweave import Predictor, UserError
from molweave.chem.read import table_from_frame
from molweave.events import Events
from molweave.methods import METHODS
from molweave.methods.moleblend import MoleBLEND
from molweave.training import ensemble, pipeline
from molweave.training.config import TRAIN_PRESETS
from molweave.training.ensemble import EnsembleFit
from molweave.training.finetune import Fit, Trainer
from molweave.training.options import FitOptions
from molweave.training.pipeline import FitResult, fit_table
from molweave.training.pretrain_options import PretrainOptions

STILL = {"learning_rate": 1e-12, "weight_decay": 0.0}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("encoder") / "tiny", half=True)


def settings(pretrained: Path | str | None, **changes) -> FitOptions:
    training = {"epochs": 2, "batch_size": 16, "head_epochs": 0, **changes.pop("training", {})}
    plain = {"training": training, "split": SPLIT, "device": "cpu", "workers": 1}
    return FitOptions(**{**plain, "pretrained": pretrained and str(pretrained), **changes})


def fit(pretrained, *, checkpoint=None, resume=False, events=None, **changes) -> FitResult:
    options = settings(pretrained, **changes)
    table = table_from_frame(frame())
    return fit_table(
        table, ["alcohol"], options, checkpoint=checkpoint, resume=resume, events=events
    )


def part(result: FitResult, prefix: str) -> dict[str, np.ndarray]:
    found = weights(result.model)
    return {name: value for name, value in found.items() if name.startswith(f"0.{prefix}.")}


def test_what_no_objective_trains_starts_afresh_unless_it_would_stay_so(tmp_path):
    """A gate is learnt from labels alone, so an encoder has none."""
    views = {"method": "dmmrl", "modalities": ("graph", "sequence")}
    assert PretrainOptions(method="dmmrl").method_config.fusion == "mean"
    folder = write_tiny(tmp_path / "e", **views, fusion="mean")
    found = part(fit(folder, method_options={"fusion": "gated"}), "method")
    assert "0.method.fusion.gate.0.weight" in found
    assert "0.method.fusion.gate.0.weight" not in part(fit(folder), "method")
    for changes in ({"freeze": True}, {"training": {"head_epochs": 2}}):
        with pytest.raises(UserError, match="pre-trained with fusion=mean, not fusion=gated"):
            fit(folder, method_options={"fusion": "gated"}, **changes)


def test_the_fit_starts_from_the_encoder_and_moves_all_of_it(encoder):
    stored = {name: value.half().float().numpy() for name, value in tiny_encoder().tensors.items()}
    still = part(fit(encoder, training=STILL), "method")
    assert len(still) > 20
    for name, value in still.items():
        np.testing.assert_allclose(value, stored[name.removeprefix("0.method.")], atol=1e-8)
    moved = part(fit(encoder), "method")
    touched = [name for name in still if not np.array_equal(moved[name], still[name])]
    untouched = set(still) - set(touched)
    assert untouched <= {"0.method.encoder.paths.edge.table.weight"}


def test_only_the_initial_weights_of_the_encoder_differ_from_a_fit_from_scratch(encoder):
    tuned = fit(encoder, training=STILL)
    config = tuned.model.spec.method_config
    afresh = fit(None, method="moleblend", preset="small", method_options=config, training=STILL)
    assert afresh.model.spec.method_config == config
    heads, other = part(tuned, "head"), part(afresh, "head")
    assert all(np.allclose(value, other[name], atol=1e-8) for name, value in heads.items())
    bodies, other = part(tuned, "method"), part(afresh, "method")
    assert bodies.keys() == other.keys()
    assert not np.allclose(
        bodies["0.method.encoder.token"], other["0.method.encoder.token"], atol=0.1
    )


def test_the_epochs_are_those_of_a_fit_from_scratch():
    for method in ("moleblend", "dmmrl"):
        tuned, afresh = TRAIN_PRESETS[(method, "finetune")], TRAIN_PRESETS[(method, "small")]
        assert (tuned.epochs, tuned.batch_size) == (afresh.epochs, afresh.batch_size)
        assert tuned.layer_decay < 1 == afresh.layer_decay


@pytest.mark.parametrize("views", ["3d", "both"])
def test_other_views(encoder, views, monkeypatch):
    monkeypatch.setattr(pipeline.Featurizer, "conformers", lambda self, mols, _: [None] * len(mols))
    options = settings(encoder, method_options={"views": views})
    assert options.method_config.modalities == ("relations", "geometry")
    assert options.read_encoder() is not None


def test_another_method(tmp_path):
    folder = write_tiny(tmp_path / "e", method="dmmrl", modalities=("graph",))
    result = fit(folder, training=STILL)
    assert result.model.spec.method == "dmmrl"
    stored = tiny_encoder("dmmrl", modalities=("graph",)).tensors
    for name, value in part(result, "method").items():
        np.testing.assert_allclose(value, stored[name.removeprefix("0.method.")], atol=1e-8)


class AlwaysEvaluating(MoleBLEND):
    """Never in training mode."""

    def train(self, mode: bool = True) -> "AlwaysEvaluating":
        return super().train(False)


def test_a_frozen_encoder_stays_and_its_head_is_trained_as_if_nothing_were_cached(
    encoder, monkeypatch
):
    """The oracle embeds in every step, with parameters that ask for no gradient."""
    frozen = fit(encoder, freeze=True, training={"epochs": 3})
    still = part(fit(encoder, training=STILL), "method")
    for name, value in part(frozen, "method").items():
        np.testing.assert_allclose(value, still[name], atol=1e-8)

    build = ensemble.build_member

    def build_frozen(spec, **more):
        member = build(spec, **more)
        member.method.__class__ = AlwaysEvaluating
        return member.requires_grad_(False)

    class Unfreeze(Trainer):
        def __init__(self, model, *arguments, **more):
            model.head.requires_grad_(True)
            super().__init__(model, *arguments, **more)

    monkeypatch.setattr(ensemble, "build_member", build_frozen)
    monkeypatch.setattr(ensemble, "Trainer", Unfreeze)
    same = settings(encoder, freeze=True).train_config
    training = {"epochs": 3, "learning_rate": same.learning_rate, "layer_decay": 1.0}
    slow = fit(encoder, training=training)
    for name, value in part(frozen, "head").items():
        np.testing.assert_allclose(value, part(slow, "head")[name], atol=1e-5)
    np.testing.assert_allclose(frozen.outputs.predictions, slow.outputs.predictions, atol=1e-5)
    assert [record["loss"] for record in frozen.fits[0].history] == pytest.approx(
        [record["loss"] for record in slow.fits[0].history], abs=1e-5
    )


def test_a_frozen_encoder_embeds_every_molecule_once(encoder, monkeypatch):
    def rows(epochs: int) -> int:
        seen = []

        def remember(self, batch):
            seen.append(batch.size)
            return encode(self, batch)

        encode = MoleBLEND.encode
        with monkeypatch.context() as patch:
            patch.setattr(MoleBLEND, "encode", remember)
            fit(encoder, freeze=True, ensemble=2, training={"epochs": epochs})
        return sum(seen)

    scored = 2 * 40  # at the end, by both networks
    assert rows(1) == rows(5) == 40 + scored


def test_what_is_recorded(encoder):
    spec = fit(encoder, freeze=True).model.spec
    stored = settings(encoder).read_encoder()
    assert spec.record["pretrained"] == {"name": "tiny", "sha256": stored.sha256, "frozen": True}
    assert (spec.method, spec.preset, spec.method_config["views"]) == ("moleblend", "small", "2d")
    assert spec.record["command"].startswith(
        "molweave fit data.csv --target alcohol --from tiny --freeze --split random"
    )
    assert "--method" not in spec.record["command"]
    sizes = {"width": 16, "heads": 2, "layers": 1}
    afresh = fit(None, method="moleblend", method_options=sizes)
    assert afresh.model.spec.record["pretrained"] is None


def test_the_report_and_the_card_name_the_encoder(encoder, tmp_path):
    model = Predictor(
        pretrained=encoder, training={"epochs": 1, "batch_size": 16}, device="cpu", workers=1
    ).fit(frame(), "alcohol", split=SPLIT, out=tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    digest = model.model.spec.record["pretrained"]["sha256"]
    assert "Pre-trained encoder: tiny, fine-tuned" in card
    assert digest in card
    assert digest in (tmp_path / "m" / "report.html").read_text(encoding="utf-8")
    again = Predictor.load(tmp_path / "m", device="cpu")
    assert same_weights(again, model)


class StopIn(Events):
    """Interrupts the first epoch of a stage."""

    def __init__(self, stage: str) -> None:
        self.wanted, self.now = stage, ""

    def stage(self, name, total=None):
        self.now = name

    def epoch(self, member, info):
        if self.now.startswith(self.wanted):
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("stage", "changes"),
    [
        ("training", {}),
        ("training", {"freeze": True}),
        ("training", {"training": {"head_epochs": 2}}),
        ("head", {"training": {"head_epochs": 2}}),
        ("head 2", {"ensemble": 2, "training": {"head_epochs": 2, "balance": True}}),
        ("training 2", {"ensemble": 2, "training": {"head_epochs": 2, "metric": "loss"}}),
    ],
)
def test_an_interrupted_fit_goes_on_to_the_same_bits(encoder, tmp_path, stage, changes):
    with pytest.raises(KeyboardInterrupt):
        fit(encoder, checkpoint=tmp_path, events=StopIn(stage), **changes)
    resumed = fit(encoder, checkpoint=tmp_path, resume=True, **changes)
    assert same_weights(resumed.model, fit(encoder, **changes).model)


def test_the_head_is_trained_alone_first_as_on_a_frozen_encoder(encoder):
    first = fit(encoder, training={**STILL, "head_epochs": 3})
    frozen = fit(encoder, freeze=True, training={"epochs": 3, "batch_size": 32})
    afresh = fit(encoder, training=STILL)
    for name, value in part(frozen, "head").items():
        np.testing.assert_allclose(part(first, "head")[name], value, atol=1e-6)
        assert not np.allclose(part(afresh, "head")[name], value, atol=1e-4)
    for name, value in part(afresh, "method").items():
        np.testing.assert_allclose(part(first, "method")[name], value, atol=1e-8)


def test_the_time_limit_is_that_of_the_head_and_of_all_together(encoder, monkeypatch):
    fake_clock(monkeypatch, 10.0)
    limit = {"epochs": 30, "max_minutes": 4.0}
    alone, short, long = (
        fit(encoder, training={**limit, "head_epochs": epochs}).fits[0] for epochs in (0, 2, 30)
    )
    assert alone.stopped == short.stopped == long.stopped == "time"
    assert len(alone.history) > len(short.history) > len(long.history)


def test_one_epoch_is_trained_when_the_head_took_all_the_time(encoder, monkeypatch):
    slow = Fit([{"valid_roc_auc": 0.5}], "roc_auc", best_epoch=0, seconds=1e6, stopped="time")
    run = EnsembleFit._run

    def run_slowly(self, trainer, name, number):
        return slow if name == "head" else run(self, trainer, name, number)

    monkeypatch.setattr(EnsembleFit, "_run", run_slowly)
    limit = {"epochs": 30, "head_epochs": 5, "max_minutes": 5.0}
    (done,) = fit(encoder, training=limit).fits
    assert (len(done.history), done.stopped) == (1, "time")


def test_an_interrupted_head_goes_on_where_it_was(encoder, tmp_path, monkeypatch):
    class Third(Events):
        def epoch(self, member, info):
            if info.number == 3:
                raise KeyboardInterrupt

    trained = []
    step = Trainer._train_epoch
    monkeypatch.setattr(Trainer, "_train_epoch", lambda it: trained.append(it) or step(it))
    training = {"epochs": 1, "head_epochs": 4}
    with pytest.raises(KeyboardInterrupt):
        fit(encoder, checkpoint=tmp_path, events=Third(), training=training)
    assert len(trained) == 3
    fit(encoder, checkpoint=tmp_path, resume=True, training=training)
    assert len(trained) == 4 + 1


def test_moleblend_is_tuned_from_a_trained_head_with_the_dropout_of_its_pretraining(tmp_path):
    place = write_tiny(tmp_path / "e", encoder_dropout=0.0, drop_path=0.0)
    tuned, frozen = (FitOptions(pretrained=str(place), freeze=on) for on in (False, True))
    assert tuned.method_config.encoder_dropout == tuned.method_config.drop_path == 0
    assert tuned.train_config.head_epochs == frozen.train_config.epochs == 100
    assert frozen.train_config.head_epochs == 0


def test_a_head_is_trained_alone_first_only_on_an_encoder_that_is_then_tuned(encoder):
    with pytest.raises(UserError, match="head_epochs does nothing with freeze"):
        settings(encoder, freeze=True, training={"head_epochs": 5})
    with pytest.raises(UserError, match="head_epochs needs a pre-trained encoder"):
        settings(None, training={"head_epochs": 5})
    with pytest.raises(UserError, match="head_epochs must not be negative; found -1"):
        settings(encoder, training={"head_epochs": -1})


def test_a_resume_from_other_weights_is_refused(encoder, tmp_path):
    place = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        fit(encoder, checkpoint=place, events=StopIn("training"))
    other = write_tiny(tmp_path / "tiny", half=False)
    for changes in ({"pretrained": other}, {"pretrained": encoder, "freeze": True}):
        with pytest.raises(UserError, match="the checkpoint of another run: "):
            fit(checkpoint=place, resume=True, **changes)
    moved = tmp_path / "moved"
    moved.symlink_to(encoder)
    fit(moved, checkpoint=place, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "mmsa"}, "is of method moleblend, found method 'mmsa'; leave --method out"),
        ({"preset": "base"}, "is of preset small, found preset 'base'; leave --preset out"),
        ({"method_options": {"veiws": "3d"}}, "did you mean 'views'"),
        ({"modalities": ("graph",)}, "does not choose among modalities; found graph"),
    ],
)
def test_what_conflicts_with_the_encoder(encoder, changes, message):
    with pytest.raises(UserError, match=message):
        settings(encoder, **changes)


def test_naming_what_the_encoder_is_anyway_is_no_conflict(encoder):
    options = settings(encoder, method="moleblend", preset="small")
    assert options.method_config == settings(encoder).method_config
    assert options.resolve(["classification"], labelled=9999, placed=False).preset == "small"


def test_a_size_that_the_encoder_has_not_is_refused_before_any_data_is_read(encoder):
    class NoReading(Events):
        def stage(self, name, total=None):
            raise AssertionError

    with pytest.raises(UserError, match="pre-trained with width=16, not width=32"):
        fit(encoder, method_options={"width": 32}, events=NoReading())


def test_freeze_leaves_nothing_to_decay(encoder):
    with pytest.raises(UserError, match="layer_decay does nothing with freeze"):
        settings(encoder, freeze=True, training={"layer_decay": 0.9})
    settings(encoder, freeze=True, training={"layer_decay": 1.0})
    settings(encoder, training={"layer_decay": 0.9})


@pytest.mark.parametrize("name", ["encoder_dropout", "drop_path"])
def test_freeze_leaves_nothing_to_train_in_the_encoder(encoder, name):
    unchanged = getattr(settings(encoder).method_config, name)
    with pytest.raises(UserError, match=f"{name} does nothing with freeze; leave it out"):
        settings(encoder, freeze=True, method_options={name: unchanged + 0.1})
    settings(encoder, freeze=True, method_options={name: unchanged, "dropout": 0.3})
    settings(encoder, method_options={name: unchanged + 0.1})


def test_another_standardisation_than_that_of_the_encoder_is_told(encoder):
    for name, said in (("full", True), ("default", False)):
        told = Told()
        fit(encoder, standardize=name, training={"epochs": 1}, freeze=True, events=told)
        text = "the encoder was pre-trained on molecules standardised by default-1, these are by"
        assert any(line.startswith(text) for line in told.lines) == said


def test_freeze_without_an_encoder():
    with pytest.raises(UserError, match="freeze needs a pre-trained encoder; name it with --from"):
        FitOptions(freeze=True)


def test_no_such_encoder():
    with pytest.raises(UserError, match="nowhere is neither a folder nor an encoder"):
        FitOptions(pretrained="nowhere")


def test_every_method_says_the_depth_of_every_parameter():
    for method in METHODS:
        network = tiny_encoder(method).build({})
        assert list(network.depths()) == [name for name, _ in network.named_parameters()]


def test_depths_of_moleblend_rise_from_the_embeddings_to_the_last_layer():
    depths = tiny_encoder().build({"views": "blend"}).depths()
    assert {depths[name] for name in depths if ".layers." not in name} == {0, 2}
    assert depths["encoder.token"] == depths["encoder.atom.table.weight"] == 0
    assert depths["encoder.distances.atom.weight"] == depths["encoder.paths.spd.weight"] == 0
    assert depths["encoder.layers.0.output.weight"] == 1
    assert depths["encoder.layers.1.output.bias"] == depths["encoder.norm.weight"] == 2


def test_rates_fall_towards_the_input(encoder):
    """One step of Adam moves a weight by its rate, whatever the gradient."""
    rate, decay = 1e-3, 0.5
    training = {
        "epochs": 1,
        "batch_size": 40,
        "optimizer": "adam",
        "schedule": "constant",
        "learning_rate": rate,
        "weight_decay": 0.0,
        "layer_decay": decay,
        "clip": 0.0,
    }
    moved = fit(encoder, training=training)
    still = fit(encoder, training={**training, "learning_rate": 1e-12})
    assert len(moved.fits[0].history) == 1
    expected = {
        "0.head.network.4.bias": rate,
        "0.method.encoder.norm.weight": rate * decay,
        "0.method.encoder.layers.1.output.weight": rate * decay,
        "0.method.encoder.layers.0.output.weight": rate * decay**2,
        "0.method.encoder.token": rate * decay**3,
    }
    for name, size in expected.items():
        step = np.abs(weights(moved.model)[name] - weights(still.model)[name])
        assert step.max() == pytest.approx(size, rel=0.02), name


def test_layer_decay_must_make_sense():
    for value in (0.0, 1.5):
        with pytest.raises(
            UserError, match=f"layer_decay must be above 0 and at most 1; found {value}"
        ):
            settings(None, training={"layer_decay": value})
