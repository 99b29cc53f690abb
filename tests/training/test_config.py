import jaxtyping
import pytest

from molweave.errors import UserError
from molweave.training.config import TrainConfig
from molweave.training.options import FitOptions

TERMS = ("kl", "mmd", "align", "orth", "rec")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": "linear"}, "schedule must be one of cosine, noam, constant; found 'linear'"),
        ({"optimizer": "sgd"}, "optimizer must be one of adamw, adam; found 'sgd'"),
        ({"precision": "8"}, "precision must be one of auto, 32-true"),
        ({"metric": "aucc"}, "unknown metric 'aucc': use one of roc_auc, pr_auc"),
        ({"epochs": 0}, "found epochs 0, batch_size 64"),
        ({"batch_size": 1}, "batch_size >= 2"),
        ({"learning_rate": 0.0}, "learning_rate > 0"),
        ({"average": 1.0}, "average must be at least 0 and below 1; found 1.0"),
        ({"patience": -1}, "patience must not be negative; found -1"),
        ({"clip": -0.5}, "clip must not be negative"),
        ({"warmup_epochs": -1}, "warmup_epochs must not be negative"),
        ({"weight_decay": -0.1}, "weight_decay must not be negative"),
        ({"max_minutes": -1.0}, "max_minutes must not be negative"),
    ],
)
def test_values_that_make_no_sense(changes, message):
    with pytest.raises(UserError, match=message):
        TrainConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ensemble": 0}, "ensemble must be at least 1; found 0"),
        ({"seed": -1}, "seed must be between 0 and 4294967295; found -1"),
        ({"method": "gcn"}, "unknown method 'gcn'; known: auto, dmmrl"),
        ({"preset": "tiny"}, r"dmmrl has the presets .*small.*; found 'tiny'"),
        ({"modalities": ("graph", "image")}, "one or more of the modalities sequence, graph"),
        ({"method_options": {"fuson": "mean"}}, r"unknown option 'fuson' .* did you mean 'fusion'"),
        ({"method_options": {"width": "wide"}}, "must be of type int, found 'wide'"),
        (
            {"modalities": ("graph",), "method_options": {"modality_dropout": 0.5}},
            "modality_dropout does nothing with modalities=graph",
        ),
        (
            {"training": {"schedule": "constant", "warmup_epochs": 1}},
            "warmup_epochs does nothing with schedule=constant",
        ),
        ({"training": {"epochs": 2.5}}, "must be of type int, found 2.5"),
        ({"training": {"epoch": 2}}, "did you mean 'epochs'"),
        (
            {"preset": "flat", "method_options": {"geometry_layers": 5}},
            "geometry_layers does nothing with modalities=graph,descriptors,fingerprint",
        ),
        ({"method": "moleblend", "method_options": {"spd": 2}}, "spd does nothing with views=2d"),
        (
            {"method": "moleblend", "method_options": {"kernels": 9}},
            "kernels does nothing with views=2d",
        ),
        ({"method_options": {"align": 0, "temperature": 1}}, "temperature does nothing with align"),
        (
            {"method_options": {"orth": 0, "orthogonality": "cosine"}},
            "orthogonality does nothing with orth=0",
        ),
        (
            {"method_options": {"ramp": 1, **dict.fromkeys(TERMS, 0)}},
            "ramp does nothing with kl, mmd, align, orth, rec of 0",
        ),
        (
            {"method": "mmsa", "method_options": {"protocol": "fused", "contrast": 1}},
            "contrast does nothing with protocol=fused",
        ),
        (
            {"method": "mmsa", "method_options": {"contrast": 0.1}},
            "contrast does nothing with protocol=graph",
        ),
        (
            {"method": "mmsa", "modalities": ("graph", "image")},
            r"views does nothing with protocol=graph \(protocol=fused reads several\)",
        ),
        (
            {"method": "mmsa", "method_options": {"protocol": "fused", "anchors": 9}},
            "anchors does nothing with no read_memory",
        ),
        (
            {"method": "mmsa", "method_options": {"protocol": "fused", "rotation": 9}},
            "rotation does nothing with protocol=fused",
        ),
        (
            {
                "method": "mmsa",
                "method_options": {"protocol": "fused", "views": "graph,image", "cutoff": 5},
            },
            "cutoff does nothing with views=graph,image",
        ),
        (
            {"method": "moleblend", "modalities": ("graph",)},
            "does not choose among modalities; found graph; .*--set views=2d",
        ),
        (
            {"method": "mmsa", "method_options": {"read_memory": "true"}},
            "read_memory does nothing with protocol=graph",
        ),
        (
            {"method": "mmsa", "method_options": {"protocol": "fused", "read_memory": "true"}},
            "read_memory needs a pre-trained encoder",
        ),
    ],
)
def test_options_are_refused_before_any_data_is_read(changes, message):
    with pytest.raises(UserError, match=message):
        FitOptions(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1.5}, "seed must be a whole number; found 1.5"),
        ({"ensemble": True}, "ensemble must be a whole number; found True"),
        ({"workers": "2"}, "workers must be a whole number; found '2'"),
        ({"split": None}, "split must be a name in quotes; found None"),
    ],
)
def test_options_of_another_kind(changes, message, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # users have no type checker
    with pytest.raises(UserError, match=message):
        FitOptions(**changes)


def test_modalities_are_the_views_of_a_method_that_fuses_them():
    asked = FitOptions(
        method="mmsa", modalities=("graph", "image"), method_options={"protocol": "fused"}
    )
    assert asked.method_config.views == ("graph", "image")
    assert asked.command("x.csv", ["y"]).count("--modalities graph,image") == 1


def test_what_blending_reads_may_be_set_where_a_fit_blends():
    options = FitOptions(method="moleblend", method_options={"views": "blend", "spd": 2})
    assert options.method_config.spd == 2.0
    told = FitOptions(method="mmsa", method_options={"protocol": "fused", "read_memory": False})
    assert not told.method_config.read_memory


def test_changes_go_on_top_of_the_preset():
    options = FitOptions(
        preset="small",
        modalities=("graph",),
        method_options={"width": "32"},
        training={"epochs": "7", "balance": "true"},
    )
    assert (options.method_config.width, options.method_config.modalities) == (32, ("graph",))
    assert options.method_config.shared == FitOptions(preset="small").method_config.shared
    assert (options.train_config.epochs, options.train_config.balance) == (7, True)
    assert options.train_config.schedule == FitOptions(preset="small").train_config.schedule


def test_a_fit_in_words():
    classes = FitOptions(method="dmmrl", preset="robust")
    assert classes.describe() == "dmmrl, preset robust"
    assert FitOptions(method="mmsa").describe() == "mmsa, preset small"
    encoder = FitOptions(pretrained="moleblend-small")
    assert encoder.describe() == "moleblend, preset small, from moleblend-small"
    frozen = FitOptions(pretrained="moleblend-small", freeze=True)
    assert frozen.describe() == "moleblend, preset small, from moleblend-small (frozen)"


@pytest.mark.parametrize(
    ("kinds", "labelled", "epochs"),
    [
        (["regression"] * 2, 999, 40),
        (["regression", "classification"], 999, 40),
        (["classification"], 999, 40),
        (["classification"] * 3, 1000, 10),
        (["classification"], 4999, 10),
        (["classification"], 5000, 5),
    ],
)
def test_classes_and_few_numbers_start_from_the_encoder_that_ships(kinds, labelled, epochs):
    found = FitOptions().resolve(kinds, labelled=labelled, placed=False)
    assert found.describe() == "moleblend, preset small, from moleblend-small"
    assert found.train_config.epochs == epochs
    assert found.resolve(kinds, labelled=labelled, placed=False) == found
    named = f" --train epochs={epochs}" if epochs != 40 else ""
    command = f"molweave fit d --target y --from moleblend-small{named} --out model"
    assert found.command("d", ["y"]) == command


@pytest.mark.parametrize("kinds", [["regression"], ["regression", "classification"]])
def test_many_numbers_start_afresh(kinds):
    found = FitOptions().resolve(kinds, labelled=1000, placed=False)
    assert found.describe() == "dmmrl, preset hybrid"
    assert found.command("d", ["y"]) == (
        "molweave fit d --target y --method dmmrl --preset hybrid --out model"
    )


def test_who_chooses_the_number_of_epochs_gets_it():
    options = FitOptions(training={"epochs": 3})
    found = options.resolve(["classification"], labelled=2000, placed=False)
    assert (found.pretrained, found.train_config.epochs) == ("moleblend-small", 3)


def test_own_structures_of_classes_are_read():
    own = FitOptions()
    assert own.resolve(["classification"], labelled=2000, placed=True).preset == "robust"
    assert own.resolve(["classification"] * 3, labelled=2000, placed=True).preset == "hybrid"


@pytest.mark.parametrize(
    "chosen",
    [
        {"conformers": "generate"},
        {"modalities": ("graph", "sequence")},
        {"method_options": {"fusion": "mean"}},
        {"method": "dmmrl", "preset": "hybrid"},
    ],
)
def test_who_chooses_views_or_method_starts_afresh(chosen):
    options = FitOptions(**chosen)
    found = options.resolve(["regression"], labelled=50, placed=False)
    assert found.describe() == "dmmrl, preset hybrid"
    own_structures = FitOptions().resolve(["regression"], labelled=50, placed=True)
    assert own_structures.describe() == "dmmrl, preset hybrid"


def test_the_command_names_what_differs_from_the_defaults():
    assert FitOptions().command("d.csv", ["y"]) == "molweave fit d.csv --target y --out model"
    options = FitOptions(
        split="column:my part",
        seed=3,
        kinds={"y": "regression"},
        modalities=("graph", "sequence"),
        method_options={"fusion": "mean"},
        training={"epochs": 5},
    )
    assert options.command("d.csv", ["y", "z"]) == (
        "molweave fit d.csv --target y --target z --split-column 'my part' --seed 3 "
        "--modalities graph,sequence --set fusion=mean --train epochs=5 --kind y=regression "
        "--out model"
    )
    named = FitOptions().command("d.csv", ["y"], "my smiles")
    assert named == ("molweave fit d.csv --target y --smiles-column 'my smiles' --out model")
    shares = FitOptions(split="random:90/10/0", kinds="classification").command("d.csv", ["y"])
    assert "--split random:90/10/0 --kind classification" in shares
