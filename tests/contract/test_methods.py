"""What every method promises, with every preset, fusion and choice of modalities."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from tiny import (
    DRUGLIKE,
    TASKS,
    batch_of,
    conformer,
    labels,
    make_batch,
    molecule,
    sample,
    thirty_two,
    tiny_config,
    tiny_model,
    total,
    train,
)

from molweave.chem.conformers import Conformer, ConformerSettings
from molweave.data.dataset import make_modalities
from molweave.methods import METHODS
from molweave.methods.checkpoint import FittedModel, ModelSpec, read_model, write_model
from molweave.methods.config import to_plain
from molweave.methods.dmmrl_config import DMMRL_MODALITIES as ALL
from molweave.methods.property_model import PropertyModel
from molweave.metrics import evaluate
from molweave.modalities import MODALITIES
from molweave.nn.fusion.variational import Branch


@dataclass(frozen=True)
class Case:
    """A configuration of a method: a preset made small, with changes."""

    method: str
    preset: str
    changes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        changes = [
            "+".join(value) if isinstance(value, tuple) else str(value)
            for value in self.changes.values()
        ]
        return "-".join([self.method, self.preset, *changes])

    def model(self, *, seed: int = 0, **changes: Any) -> PropertyModel:
        config = tiny_config(self.method, self.preset, **{**self.changes, **changes})
        return tiny_model(config, method=self.method, seed=seed)


CASES = [
    *(Case(name, preset) for name, entry in METHODS.items() for preset in entry.presets),
    Case("dmmrl", "small", {"fusion": "mean", "modalities": ALL}),
    Case("dmmrl", "small", {"fusion": "concat", "modalities": ALL}),
    Case("dmmrl", "paper", {"fusion": "concat", "modalities": ("geometry", "graph")}),
    Case("dmmrl", "paper", {"orthogonality": "cosine", "modalities": ("sequence", "graph")}),
    *(Case("dmmrl", "small", {"modalities": (name,)}) for name in ALL),
    Case("dmmrl", "small", {"fourier": 8, "modalities": ("graph", "descriptors")}),
    Case("mmsa", "small", {"protocol": "pretrain"}),
    Case("mmsa", "small", {"protocol": "fused"}),
    Case("mmsa", "small", {"protocol": "fused", "read_memory": True, "hypergraph": "knn"}),
    Case("mmsa", "small", {"protocol": "fused", "views": ("geometry", "graph")}),
    Case("mmsa", "small", {"graph_encoder": "cmpnn"}),
    *(Case("moleblend", "small", {"views": views}) for views in ("3d", "both", "blend")),
]


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def outcome(model: PropertyModel, batch: Any) -> dict[str, torch.Tensor]:
    """Everything of a prediction that a user sees."""
    found = model.predict(batch)
    encoding = found.encoding
    assert encoding.modalities == model.method.modalities
    assert encoding.embedding.shape == (batch.size, model.method.embedding_dim)
    return {
        "values": found.values,
        "embedding": encoding.embedding,
        "weights": encoding.weights,
        **{f"shared {name}": code for name, code in encoding.codes.get("shared", {}).items()},
    }


def assert_same(
    found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], atol: float = 1e-5
) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        close = torch.allclose(found[name], value, atol=atol, rtol=0)
        assert close, f"{name} differs by {(found[name] - value).abs().max():.1e}"


ODD = (
    "C",
    "[NH4+]",
    "[Xe]",
    "[Na+].[Cl-]",
    "CCN.Cl",
    "Cl[Pt](Cl)(<-[NH3])<-[NH3]",
    "CC[Sn](C)(C)Cl",
    "C[C@H]([NH3+])C(=O)[O-]",
)


def test_same_alone_as_in_a_batch_in_any_order(case: Case) -> None:
    model = case.model()
    smiles = [*DRUGLIKE, *ODD]
    flat = {1, 7}  # no conformer
    alone = [
        outcome(model, make_batch([text], flat=[0] if index in flat else []))
        for index, text in enumerate(smiles)
    ]
    joined = {name: torch.cat([one[name] for one in alone]) for name in alone[0]}
    assert all(value.isfinite().all() for value in joined.values())
    assert_same(outcome(model, make_batch(smiles, flat=sorted(flat))), joined)
    order = torch.randperm(len(smiles)).tolist()
    shuffled = make_batch(
        [smiles[index] for index in order],
        flat=[place for place, index in enumerate(order) if index in flat],
    )
    assert_same(outcome(model, shuffled), {name: value[order] for name, value in joined.items()})


def test_a_smiles_written_in_another_order_predicts_the_same(case: Case) -> None:
    model = case.model()
    mol = Chem.MolFromSmiles("C[C@@H](Oc1ccc(Cl)cc1)C(=O)N1CC/C(=C\\F)C1")
    order = torch.randperm(mol.GetNumAtoms()).tolist()
    written = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
    assert written != Chem.MolToSmiles(mol)
    assert_same(
        outcome(model, make_batch([written])),
        outcome(model, make_batch([Chem.MolToSmiles(mol)])),
        atol=0,
    )


def test_rotating_the_coordinates_changes_nothing(case: Case) -> None:
    model = case.model()
    mine = molecule(DRUGLIKE[0])
    coordinates = conformer(mine.canonical).coordinates
    assert coordinates is not None
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    placed = [
        Conformer(values.astype(np.float32), "input")
        for values in (coordinates, coordinates @ turn.T + 5.0, coordinates * [1.5, 1.0, 1.0])
    ]
    first, turned, stretched = (
        outcome(
            model,
            batch_of([{n: kind().featurize(mine, one) for n, kind in MODALITIES.items()}]),
        )
        for one in placed
    )
    assert_same(turned, first)
    if "geometry" in model.method.modalities:
        assert not torch.allclose(stretched["embedding"], first["embedding"], atol=1e-3)


def test_weights_tell_what_a_prediction_is_made_of(case: Case) -> None:
    model = case.model()
    weights = outcome(model, make_batch(DRUGLIKE, flat=[0, 3]))["weights"]
    present = torch.ones_like(weights, dtype=torch.bool)
    for column, name in enumerate(model.method.modalities):
        if name == "geometry":
            present[[0, 3], column] = False
    assert (weights[~present] == 0).all()
    assert (weights[present] > 0).all()
    torch.testing.assert_close(weights.sum(1), present.any(1).float())


def test_weights_differ_only_where_they_are_learnt(case: Case) -> None:
    model = case.model()
    weights = outcome(model, make_batch(DRUGLIKE, flat=[0, 3]))["weights"]
    present = weights > 0
    share = present / present.sum(1, keepdim=True).clamp(min=1)
    alike = torch.allclose(weights, share, atol=1e-4)
    assert model.method.weighs is not alike


def test_a_missing_modality_is_a_mask_and_no_data(case: Case) -> None:
    """Nobody has geometry, or mates have it: the molecule without it predicts the same."""
    model = case.model()
    nobody = outcome(model, make_batch(DRUGLIKE, flat=range(len(DRUGLIKE))))
    mates = outcome(model, make_batch(DRUGLIKE, flat=[2]))
    assert_same(
        {name: value[2] for name, value in mates.items()},
        {name: value[2] for name, value in nobody.items()},
    )
    everybody = outcome(model, make_batch(DRUGLIKE))
    changed = (everybody["embedding"] - mates["embedding"]).abs().amax(1) > 1e-4
    assert changed.tolist() == [
        index == 2 and "geometry" in model.method.modalities for index in range(len(DRUGLIKE))
    ]


def idle(parameter: str, modalities: tuple[str, ...]) -> bool:
    """A gate has no choice with one modality, and no vector is missed where none can be missing."""
    gate = parameter.startswith("method.fusion.gate") and len(modalities) == 1
    absent = parameter == "method.fusion.absent" and (
        "geometry" not in modalities or len(modalities) == 1
    )
    return gate or absent


def test_gradients_reach_every_parameter(case: Case) -> None:
    model = case.model().train()
    batch = make_batch(DRUGLIKE, flat=[1], targets=labels(len(DRUGLIKE)))
    for _ in range(4):  # dropout may hide one molecule from one pass
        total(model(batch, 0.5)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0 or idle(name, model.method.modalities), name


@pytest.mark.parametrize("smiles", [["C", "[Xe]", "[Na+].[Cl-]"], ["CCO"], ["CCO", "CCO"]])
def test_a_step_on_an_awkward_batch_is_finite(case: Case, smiles: list[str]) -> None:
    """No bonds at all; one molecule; a molecule twice. The last one has no geometry."""
    model = case.model().train()
    batch = make_batch(smiles, flat=[len(smiles) - 1], targets=labels(len(smiles)))
    terms = model(batch, 0.5)
    total(terms).backward()
    assert all(term.value.isfinite() for term in terms.values())
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_step_in_mixed_precision_is_finite(case: Case) -> None:
    model = case.model().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = model(make_batch(DRUGLIKE, flat=[1], targets=labels(len(DRUGLIKE))), 0.5)
        loss = total(terms)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_saved_model_predicts_the_same_to_the_last_bit(case: Case, tmp_path: Path) -> None:
    members = tuple(case.model(seed=seed) for seed in (0, 1))
    config = members[0].method.config
    modalities = make_modalities(config.modalities)
    spec = ModelSpec(
        method=case.method,
        preset=case.preset,
        method_config=to_plain(config),
        tasks=TASKS,
        standardizer="default-1",
        conformers=ConformerSettings(),
        coordinates="input",
        modality_versions={modality.name: modality.version for modality in modalities},
        members=2,
    )
    write_model(FittedModel(spec, members), tmp_path)
    torch.manual_seed(99)
    again = read_model(tmp_path)
    assert again.spec.to_json() == spec.to_json()
    batch = make_batch(DRUGLIKE, flat=[1])
    results = [outcome(member, batch) for member in again.members]
    for member, result, original in zip(again.members, results, members, strict=True):
        assert not any(module.training for module in member.modules())
        assert_same(result, outcome(original, batch), atol=0)
    assert not torch.equal(results[0]["values"], results[1]["values"])


def test_a_seed_decides_the_training(case: Case) -> None:
    batch = make_batch(DRUGLIKE, flat=[1], targets=labels(len(DRUGLIKE)))

    def run(seed: int) -> torch.Tensor:
        model = case.model(seed=seed)
        train(model, batch, steps=2)
        return torch.cat([value.flatten() for value in model.state_dict().values()])

    first = run(3)
    assert torch.equal(run(3), first)
    assert not torch.equal(run(4), first)


def test_predicting_is_not_random_and_leaves_no_trace(case: Case) -> None:
    model, batch = case.model(), make_batch(DRUGLIKE)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert_same(outcome(model, batch), outcome(model, batch), atol=0)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


FITS = [
    Case("dmmrl", "paper"),
    Case("dmmrl", "paper", {"fusion": "mean"}),
    Case("dmmrl", "paper", {"fusion": "concat"}),
]


@pytest.mark.parametrize("case", FITS, ids=str)
def test_memorises_32_molecules(case: Case) -> None:
    """Classes and values drawn at random, told apart by a network without dropout and noise."""
    smiles, targets = thirty_two()
    batch = batch_of([sample(text) for text in smiles], targets=targets)
    sizes = {"width": 32, "hidden": 32, "shared": 32, "recurrent_layers": 1, "attention_layers": 1}
    terms = dict.fromkeys(("kl", "mmd", "align", "orth", "rec"), 0.0)
    model = case.model(dropout=0.0, encoder_dropout=0.0, **sizes, **terms)
    for module in model.modules():
        if isinstance(module, Branch):
            torch.nn.init.constant_(module.log_variance.bias, -8.0)
    train(model, batch, steps=60, rate=4e-3)
    values = model.predict(batch).values.numpy()
    assert evaluate("roc_auc", targets[:, 0], values[:, 0]).value == 1.0
    assert evaluate("rmse", targets[:, 1], values[:, 1]).value < 0.5
    assert targets[:, 1].std() > 1.0
