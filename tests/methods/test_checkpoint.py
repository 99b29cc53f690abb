"""Model folders: what is written, and every way in which a folder can be wrong."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import TASKS, tiny_config, tiny_model

from molweave.chem.conformers import ConformerSettings
from molweave.errors import UserError
from molweave.methods import folder as folders
from molweave.methods.checkpoint import FittedModel, ModelSpec, read_model, write_model
from molweave.methods.config import to_plain
from molweave.methods.folder import CHECKSUM, replace_folder, write_network
from molweave.methods.spec import FORMAT_VERSION, read_spec
from molweave.modalities import MODALITIES


@pytest.fixture
def model() -> FittedModel:
    config = tiny_config(modalities=("graph",), fusion="mean")
    spec = ModelSpec(
        method="dmmrl",
        preset="paper",
        method_config=to_plain(config),
        tasks=TASKS,
        standardizer="full-2",
        conformers=ConformerSettings(seed=7, force_field="uff"),
        coordinates="none",
        modality_versions={"graph": MODALITIES["graph"]().version},
        members=2,
        record={"data": {"name": "Löslichkeit.csv", "rows": 12}},
    )
    return FittedModel(spec, (tiny_model(config, seed=0), tiny_model(config, seed=1)))


@pytest.fixture
def folder(model, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(model, folder)
    return folder


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        read_model(folder)
    message = str(caught.value)
    assert "\n" not in message
    for word in (str(folder), *words):
        assert word in message, message


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    plain = json.loads(path.read_text(encoding="utf-8"))
    change(plain)
    path.write_text(json.dumps(plain), encoding="utf-8")


def test_round_trip(model, folder: Path) -> None:
    again = read_model(folder)
    assert again.spec == dataclasses.replace(model.spec)
    assert again.spec.modality_names == ("graph",)
    for member, original in zip(again.members, model.members, strict=True):
        assert not member.training
        for name, value in original.state_dict().items():
            assert torch.equal(member.state_dict()[name], value), name


def test_the_folder_is_plain_text_and_tensors(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    text = (folder / "config.json").read_text(encoding="utf-8")
    assert "Löslichkeit.csv" in text
    assert json.loads(text)["format_version"] == FORMAT_VERSION
    names = set(load_file(folder / "model.safetensors"))
    assert {name.split(".")[1] for name in names} == {"0", "1"}


def test_writing_does_not_change_the_model(model, tmp_path: Path) -> None:
    before = [member.training for member in model.members], model.spec.to_json()
    write_model(model, tmp_path)
    assert ([member.training for member in model.members], model.spec.to_json()) == before


def test_not_a_model_folder(tmp_path: Path) -> None:
    refused(tmp_path, "not a model folder", "config.json")
    refused(tmp_path / "nowhere", "not a model folder")
    file = tmp_path / "file.csv"
    file.write_text("smiles")
    refused(file, "not a model folder")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"7", b"{}", b"\xff\xfe", b'"text"', b"null"]
)
def test_a_damaged_config(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    refused(folder, "damaged", "copy it again")


def test_another_format_version(folder: Path) -> None:
    edit(folder, lambda plain: plain.update(format_version=FORMAT_VERSION + 1))
    refused(folder, f"format {FORMAT_VERSION + 1}", f"reads format {FORMAT_VERSION}", "install")


@pytest.mark.parametrize("key", [*(f.name for f in dataclasses.fields(ModelSpec)), CHECKSUM])
def test_a_missing_key(folder: Path, key: str) -> None:
    edit(folder, lambda plain: plain.pop(key))
    if key == "record":  # information only
        assert read_spec(folder, ModelSpec).record == {}
    else:
        refused(folder, "damaged", key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tasks", 5),
        ("tasks", [{"name": "y"}]),
        ("tasks", ["y"]),
        ("conformers", []),
        ("conformers", {"seeds": 3}),
        ("modality_versions", ["graph"]),
        ("modality_versions", None),
        ("standardizer", None),
        ("standardizer", "other-3"),
        ("record", None),
        (CHECKSUM, None),
        (CHECKSUM, 7),
        ("surprise", 1),
    ],
)
def test_a_key_of_the_wrong_kind(folder: Path, key: str, value: object) -> None:
    edit(folder, lambda plain: plain.update({key: value}))
    refused(folder, "damaged")


def test_an_unknown_method(folder: Path) -> None:
    edit(folder, lambda plain: plain.update(method="alchemy"))
    refused(folder, "'alchemy'", "dmmrl")


def test_a_changed_modality(folder: Path) -> None:
    edit(folder, lambda plain: plain["modality_versions"].update(graph="graph-0"))
    refused(folder, "graph-0", MODALITIES["graph"]().version, "fit again")


def test_a_changed_standardizer(folder: Path) -> None:
    edit(folder, lambda plain: plain.update(standardizer="full-0"))
    refused(folder, "full-0", "full-2")


def test_an_unknown_option_of_the_method(folder: Path) -> None:
    edit(folder, lambda plain: plain["method_config"].update(wdith=16))
    refused(folder, "damaged", "did you mean 'width'")


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused(folder, "model.safetensors", "copy it again")


@pytest.mark.parametrize("kept", [0, 5, 0.5, -1])
def test_truncated_weights(folder: Path, kept: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    end = int(kept * len(content)) if isinstance(kept, float) else kept
    path.write_bytes(content[:end])
    refused(folder, "model.safetensors", "damaged")


def test_changed_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(folder, "was changed", "copy the folder again")


def test_unreadable_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.unlink()
    path.mkdir()
    refused(folder, "model.safetensors", "copy it again")


def lose(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["members.1.head.network.1.weight"]


def invent(tensors: dict[str, torch.Tensor]) -> None:
    tensors["members.2.head.network.1.weight"] = torch.zeros(2)


def reshape(tensors: dict[str, torch.Tensor]) -> None:
    tensors["members.0.head.network.1.bias"] = torch.zeros(99)


@pytest.mark.parametrize("damage", [lose, invent, reshape])
def test_weights_of_another_network(folder: Path, damage: Callable[[Any], None]) -> None:
    tensors = load_file(folder / "model.safetensors")
    damage(tensors)
    write_network(json.loads((folder / "config.json").read_text()), tensors, folder)
    refused(folder, "does not fit its config.json")


@pytest.mark.parametrize("members", [1, 3])
def test_another_number_of_members(folder: Path, members: int) -> None:
    edit(folder, lambda plain: plain.update(members=members))
    refused(folder, "does not fit its config.json")


def left_over(place: Path, *expected: str) -> None:
    assert sorted(path.name for path in place.iterdir()) == sorted(expected)


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "model"
    with replace_folder(target, overwrite=False) as fresh:
        assert fresh.parent == target.parent
        (fresh / "config.json").write_text("{}")
        assert not target.exists()
    left_over(tmp_path / "deep", "model")
    left_over(target, "config.json")
    assert target.stat().st_mode & 0o777 == 0o755


def test_overwriting_is_refused_unless_asked_for(folder: Path) -> None:
    before = (folder / "config.json").read_text()
    with (
        pytest.raises(UserError, match="exists; choose another name"),
        replace_folder(folder, overwrite=False),
    ):
        raise AssertionError
    assert (folder / "config.json").read_text() == before
    with replace_folder(folder, overwrite=True) as fresh:
        (fresh / "config.json").write_text("new")
    left_over(folder.parent, "model")
    left_over(folder, "config.json")


def test_only_model_folders_and_empty_ones_are_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    (tmp_path / "empty").mkdir()
    for name, word in (("thesis", "not a model folder"), ("file", "is a file")):
        with pytest.raises(UserError, match=word), replace_folder(tmp_path / name, overwrite=True):
            raise AssertionError
    with replace_folder(tmp_path / "empty", overwrite=True) as fresh:
        (fresh / "config.json").write_text("new")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    left_over(tmp_path, "thesis", "file", "empty")


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / "config.json").read_text()
    rename = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target == folder and not self.name.endswith(".old"):
            raise OSError("no space left")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with (
        pytest.raises(UserError, match="no space left"),
        replace_folder(folder, overwrite=True) as fresh,
    ):
        (fresh / "config.json").write_text("new")
    assert (folder / "config.json").read_text() == before
    left_over(folder.parent, "model")


def fill(folder: Path, work: Callable[[Path], object]) -> None:
    """Replace a folder as `Predictor.save` does."""
    with replace_folder(folder, overwrite=True) as fresh:
        work(fresh)


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_an_exception_leaves_the_old_folder_and_nothing_else(folder: Path, error) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def work(fresh: Path) -> None:
        (fresh / "config.json").write_text("half")
        raise error

    with pytest.raises(type(error)):
        fill(folder, work)
    left_over(folder.parent, "model")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk(model, tmp_path: Path) -> None:
    def work(fresh: Path) -> None:
        (fresh / "config.json").symlink_to("/dev/full")
        write_model(model, fresh)

    with pytest.raises(UserError, match="No space left on device") as caught:
        fill(tmp_path / "model", work)
    assert "\n" not in str(caught.value)
    left_over(tmp_path)


def test_a_disk_that_fills_up_with_weights(model, tmp_path: Path, monkeypatch) -> None:
    """safetensors has an exception of its own for it."""

    def fail(tensors: object, path: object) -> None:
        raise folders.SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(folders, "save_file", fail)
    with pytest.raises(UserError, match="No space left on device"):
        fill(tmp_path / "model", lambda fresh: write_model(model, fresh))
    left_over(tmp_path)


def test_a_place_that_cannot_hold_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    target = tmp_path / "file" / "model"
    with pytest.raises(UserError, match=r"cannot write .*model"):
        replace_folder(target, overwrite=False).__enter__()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(UserError, match="Permission denied; choose another place"):
        replace_folder(tmp_path / "model", overwrite=False).__enter__()
    tmp_path.chmod(0o755)


def test_a_read_only_file_system(tmp_path: Path, monkeypatch) -> None:
    def fail(**where: object) -> str:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(folders.tempfile, "mkdtemp", fail)
    with pytest.raises(UserError, match="Read-only file system; choose another place"):
        replace_folder(tmp_path / "model", overwrite=False).__enter__()
