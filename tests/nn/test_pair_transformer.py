"""The pair-biased Transformer, against attention written out head by head."""

from dataclasses import replace

import pytest
import torch
from tiny import make_batch, tiny_config
from torch import nn

from molweave.methods.moleblend import build_encoder
from molweave.nn.encoders.pair_transformer import PairTransformer
from molweave.nn.fusion.blend import Shown, blend, show
from molweave.nn.pairs import Pairs, pad_pairs
from molweave.nn.transformer import DropPath, TransformerLayer

SMILES = ("CC(=O)Oc1ccccc1", "CCN.Cl", "C")


def padded(smiles=SMILES, run: slice | None = None) -> Pairs:
    part = make_batch(SMILES).parts["relations"]
    torch.manual_seed(5)
    positions = 2 * torch.randn(len(part.atoms), 3)
    placed = torch.tensor([True, False, True])
    return pad_pairs(part, positions, placed, run or slice(0, len(SMILES)))


def build(views: str = "both") -> PairTransformer:
    torch.manual_seed(0)
    return build_encoder(tiny_config("moleblend", "small", views=views)).eval()


def everything(pairs: Pairs) -> Shown:
    return show(pairs.placed, flat=True, spatial=True)


def test_a_layer_is_attention_written_out():
    layer = TransformerLayer(width=8, heads=2, feed_forward=12, dropout=0.0, drop_path=0.0)
    states, bias = torch.randn(2, 5, 8), torch.randn(2, 2, 5, 5)
    bias[0, :, :, 3] = -torch.inf
    normed = layer.attention_norm(states)
    query, key, value = layer.inputs(normed).chunk(3, dim=-1)
    mixed = []
    for head in range(2):
        q, k, v = (one[..., 4 * head : 4 * head + 4] for one in (query, key, value))
        mixed.append(torch.softmax(q @ k.mT / 2 + bias[:, head], dim=-1) @ v)
    after = states + layer.output(torch.cat(mixed, dim=-1))
    torch.testing.assert_close(layer(states, bias), after + layer.network(after))


def test_the_first_state_alone_is_the_first_of_all():
    layer = TransformerLayer(width=8, heads=2, feed_forward=12, dropout=0.0, drop_path=0.0)
    states, bias = torch.randn(2, 5, 8), torch.randn(2, 2, 5, 5)
    bias[0, :, :, 3] = -torch.inf
    first = layer.first(states, bias)
    assert first.shape == (2, 1, 8)
    torch.testing.assert_close(first, layer(states, bias)[:, :1])


@pytest.mark.parametrize("views", ["2d", "both"])
def test_the_graph_alone_is_that_of_all_states(views):
    pairs, network = padded(), build(views)
    shown = show(pairs.placed, flat=True, spatial=views != "2d")
    torch.testing.assert_close(network.graph(pairs, shown), network(pairs, shown).graph)
    single = build_encoder(tiny_config("moleblend", "small", views=views, layers=1)).eval()
    torch.testing.assert_close(single.graph(pairs, shown), single(pairs, shown).graph)


def test_the_bias_is_the_sum_of_what_is_shown():
    pairs, network = padded(), build()
    first, second = network.paths(pairs)
    assert network.distances is not None
    third, _ = network.distances(pairs)
    full = network(pairs, everything(pairs)).bias.permute(0, 2, 3, 1)
    expected = first + second + third * pairs.placed[:, None, None, None]
    torch.testing.assert_close(full, expected)
    shown = blend(pairs.placed, 10, pairs=(0.3, 0.3, 0.4), spatial_atoms=0.5, symmetric=False)
    mixed = network(pairs, shown).bias.permute(0, 2, 3, 1)
    choice = shown.pairs.long().argmax(-1)
    stacked = torch.stack([first, second, third], dim=3)
    picked = stacked.gather(3, choice[..., None, None].expand(*choice.shape, 1, first.shape[-1]))
    torch.testing.assert_close(mixed, picked[..., 0, :])


def test_a_relation_that_is_not_shown_has_no_effect():
    pairs, network = padded(), build()
    flat = show(pairs.placed, flat=True, spatial=False)
    elsewhere = replace(pairs, positions=3 * pairs.positions)
    assert torch.equal(network(pairs, flat).graph, network(elsewhere, flat).graph)
    spatial = show(pairs.placed, flat=False, spatial=True)
    other = replace(pairs, spd=pairs.spd.roll(1, 1), hops=pairs.hops.roll(1, 1))
    same = (network(pairs, spatial).graph - network(other, spatial).graph).abs().amax(1) < 1e-6
    assert same.tolist() == [True, False, True]  # the second has no conformer


@pytest.mark.parametrize("views", ["2d", "both"])
def test_the_order_of_the_atoms_is_only_that(views):
    network, pairs = build(views), padded(run=slice(0, 1))
    order = torch.randperm(pairs.real.shape[1])
    moved = Pairs(
        atoms=pairs.atoms[:, order],
        real=pairs.real[:, order],
        spd=pairs.spd[:, order][:, :, order],
        hops=pairs.hops[:, order][:, :, order],
        positions=pairs.positions[:, order],
        placed=pairs.placed,
    )
    first, second = network(pairs, everything(pairs)), network(moved, everything(moved))
    torch.testing.assert_close(second.graph, first.graph, atol=1e-5, rtol=0)
    torch.testing.assert_close(second.atoms, first.atoms[:, order], atol=1e-5, rtol=0)


def test_padding_and_mates_do_not_matter():
    network, together = build(), padded()
    states = network(together, everything(together))
    for index in range(len(SMILES)):
        alone = padded(run=slice(index, index + 1))
        found = network(alone, everything(alone))
        size = alone.real.shape[1]
        torch.testing.assert_close(found.graph[0], states.graph[index], atol=1e-5, rtol=0)
        torch.testing.assert_close(found.atoms[0], states.atoms[index, :size], atol=1e-5, rtol=0)


def test_the_token_sees_every_atom_under_one_bias_per_head():
    network, pairs = build(), padded()
    nn.init.normal_(network.token_bias)
    bias = network(pairs, everything(pairs)).bias
    full = network._with_token(bias, pairs.real)
    heads = network.token_bias.tolist()
    for index, size in enumerate(pairs.real.sum(1).tolist()):
        for head, value in enumerate(heads):
            row, column = full[index, head, 0, : size + 1], full[index, head, :, 0]
            assert row.tolist() == pytest.approx([value] * (size + 1))
            assert column.tolist() == pytest.approx([value] * len(column))
        assert (full[index, :, :, size + 1 :] == -torch.inf).all()
        assert torch.equal(full[index, :, 1:, 1 : size + 1], bias[index, :, :, :size])


def test_drop_path_keeps_the_mean_and_whole_molecules():
    branch, path = torch.ones(4000, 2, 3), DropPath(0.25)
    out = path(branch)
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(out, out[:, :1, :1].expand_as(out))
    assert float(out.mean()) == pytest.approx(1.0, abs=0.05)
    assert torch.equal(path.eval()(branch), branch)
