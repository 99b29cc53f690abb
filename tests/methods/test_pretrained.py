"""Encoder folders: what is written, what is built from them, and every way to be wrong."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from encoders import tiny_encoder, write_tiny
from fits import untrained
from safetensors.torch import load_file
from tiny import DRUGLIKE, make_batch

from molweave.errors import UserError
from molweave.methods import METHODS, pretrained
from molweave.methods.checkpoint import read_model
from molweave.methods.folder import write_network
from molweave.methods.pretrained import (
    PretrainedEncoder,
    find_encoder,
    read_encoder,
    shipped_encoders,
)
from molweave.methods.spec import folder_kind


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_tiny(tmp_path / "encoder")


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_encoder(folder)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(folder), *words):
        assert word in message, message


def edit(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**plain, **changes}), encoding="utf-8")


def test_round_trip(folder):
    made, again = tiny_encoder(), read_encoder(folder)
    assert again.spec == made.spec
    assert again.tensors.keys() == made.tensors.keys()
    for name, value in made.tensors.items():
        assert torch.equal(again.tensors[name], value), name
    assert again.sha256 == made.sha256
    assert folder_kind(folder) == "encoder"


def test_half_precision_on_disk_is_single_in_memory(tmp_path):
    made = tiny_encoder()
    half, full = write_tiny(tmp_path / "h", half=True), write_tiny(tmp_path / "f")
    stored = load_file(half / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert (half / "model.safetensors").stat().st_size < 0.6 * (
        full / "model.safetensors"
    ).stat().st_size
    for name, value in read_encoder(half).tensors.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, made.tensors[name].half().float()), name


def test_what_half_precision_cannot_hold_stays_single(tmp_path):
    made = tiny_encoder()
    tensors = {**made.tensors, "encoder.token": torch.full((16,), 1e6)}
    pretrained.write_encoder(made.spec, tensors, tmp_path, half=True)
    assert read_encoder(tmp_path).tensors["encoder.token"].tolist() == [1e6] * 16


def test_the_digest_is_of_the_values():
    made = tiny_encoder()
    name = "encoder.token"
    changed = {**made.tensors, name: made.tensors[name] + 1e-3}
    assert PretrainedEncoder(made.spec, changed).sha256 != made.sha256
    turned = dict(reversed(made.tensors.items()))
    assert PretrainedEncoder(made.spec, turned).sha256 == made.sha256


@pytest.mark.parametrize("views", ["2d", "3d", "both", "blend"])
def test_a_network_of_any_views_computes_what_the_pre_trained_one_does(views):
    """The oracle: a network of the pre-training, whose views are changed by hand."""
    made = tiny_encoder()
    built = made.build({"views": views})
    assert not built.training
    whole = METHODS["moleblend"].method(made.spec.configure({"views": "blend"}))
    whole.load_state_dict(dict(made.tensors))
    whole.eval().config = made.spec.configure({"views": views})
    batch = make_batch(DRUGLIKE)
    with torch.no_grad():
        found, expected = built.encode(batch).embedding, whole.encode(batch).embedding
    assert torch.equal(found, expected)


def test_2d_is_the_default_and_leaves_out_what_it_does_not_need():
    built = tiny_encoder().build({})
    assert built.modalities == ("relations",)
    assert not [name for name in built.state_dict() if "distances" in name or "recovery" in name]


def test_another_method_builds_as_well():
    built = tiny_encoder("dmmrl").build({})
    assert built.name == "dmmrl"
    assert built.state_dict().keys() == tiny_encoder("dmmrl").tensors.keys()


def test_building_draws_nothing_from_what_the_encoder_holds():
    made = tiny_encoder()
    first = made.build({})
    with torch.no_grad():
        first.encoder.token.fill_(5.0)
    assert not (made.build({}).encoder.token == 5.0).any()


def test_a_network_of_another_size_is_told_apart():
    with pytest.raises(UserError) as caught:
        tiny_encoder().build({"width": 32, "encoder_dropout": 0.3})
    message = str(caught.value)
    assert "has in another shape (encoder." in message
    assert "pre-trained with width=16, not width=32" in message
    assert "encoder_dropout" not in message  # it decides no shape
    assert "views" not in message  # that of fine-tuning needs fewer tensors, no others


def test_settings_that_go_together_only_are_named():
    with pytest.raises(
        UserError, match=r"not width=12; it was pre-trained with heads=\d, not heads=3"
    ):
        tiny_encoder().build({"width": 12, "heads": 3})


def test_what_was_not_pre_trained_is_named():
    flat = tiny_encoder(views="2d")
    with pytest.raises(UserError) as caught:
        flat.build({"views": "3d"})
    message = str(caught.value)
    assert "that the encoder has not (encoder.distances." in message
    assert "it was pre-trained with views=2d, not views=3d" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": "4d"}, "views must be one of"),
        ({"veiws": "3d"}, "did you mean 'views'"),
        ({"width": "wide"}, "must be of type int"),
    ],
)
def test_changes_that_make_no_sense(changes, message):
    with pytest.raises(UserError, match=message):
        tiny_encoder().build(changes)


def test_not_an_encoder_folder(tmp_path):
    refused(tmp_path, "not an encoder folder", "config.json")
    refused(tmp_path / "nowhere", "not an encoder folder")


def test_models_and_encoders_are_told_apart(folder, tmp_path):
    untrained(tmp_path / "model")
    assert folder_kind(tmp_path / "model") == "model"
    refused(tmp_path / "model", "is a fitted model, not a pre-trained encoder", "predict")
    with pytest.raises(UserError, match="is a pre-trained encoder, not a fitted model; fit --from"):
        read_model(folder)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kind": "index"}, "damaged"),
        ({"kind": None}, "damaged"),
        ({"format_version": 99}, "encoder format 99"),
        ({"method": "alchemy"}, "'alchemy'"),
        ({"method_config": None}, "damaged"),
        ({"record": None}, "damaged"),
        ({"standardizer": "other-3"}, "damaged"),
        ({"method_config": {"width": 10**9}}, "damaged"),
        ({"modality_versions": {"relations": "relations-0"}}, "relations-0"),
        ({"tasks": []}, "tasks"),
    ],
)
def test_a_config_that_is_wrong(folder, changes, word):
    edit(folder, **changes)
    refused(folder, word)


def test_weights_of_another_method(folder):
    spec = tiny_encoder("dmmrl").spec.to_json()
    edit(folder, **{name: spec[name] for name in ("method", "method_config", "modality_versions")})
    refused(folder, "does not fit its config.json", "missing")


@pytest.mark.parametrize("kept", [0, 9, 0.5, -1])
def test_truncated_weights(folder, kept):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    refused(folder, "damaged", "copy it again")


def test_changed_weights(folder):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(folder, "was changed", "copy the folder again")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda tensors: tensors.pop("encoder.token"), ("encoder.token is missing",)),
        (
            lambda tensors: tensors.update({"encoder.token": torch.zeros(3)}),
            ("encoder.token is of another shape",),
        ),
        (lambda tensors: tensors.update(more=torch.zeros(3)), ("more is unknown",)),
    ],
)
def test_weights_that_are_not_those_of_the_config(folder, damage, words):
    tensors = load_file(folder / "model.safetensors")
    damage(tensors)
    write_network(json.loads((folder / "config.json").read_text()), tensors, folder)
    refused(folder, "does not fit its config.json", "1 tensor in all", *words)


def test_shipped_encoders_are_found_by_name(folder, tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    shutil.copytree(folder, shipped / "tiny-one")
    (shipped / "unfinished").mkdir()
    monkeypatch.setattr(pretrained, "SHIPPED", shipped)
    monkeypatch.chdir(tmp_path)
    assert shipped_encoders() == ("tiny-one",)
    assert find_encoder("tiny-one") == shipped / "tiny-one"
    assert find_encoder(folder) == folder
    assert find_encoder("encoder") == Path("encoder")
    with pytest.raises(
        UserError, match=r"nope is neither a folder nor an encoder .* shipped: tiny-one$"
    ):
        find_encoder("nope")
    with pytest.raises(UserError, match=r"/shipped/x is neither a folder"):
        find_encoder("../shipped/x")


def test_every_shipped_encoder_can_be_read():
    for name in shipped_encoders():
        assert read_encoder(find_encoder(name)).build({}).embedding_dim > 0
