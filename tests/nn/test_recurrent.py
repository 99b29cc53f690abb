from unittest.mock import Mock

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from molweave.modalities.sequence import SequencePart
from molweave.nn.encoders import recurrent_transformer
from molweave.nn.encoders.recurrent_transformer import RecurrentTransformer
from molweave.nn.recurrent import BidirectionalLSTM

LENGTHS = torch.tensor([3, 7, 1, 5])


def packed_oracle(module: BidirectionalLSTM, width: int) -> nn.LSTM:
    """torch's own bidirectional LSTM with the weights of ``module``."""
    layers = len(module.forwards)
    oracle = nn.LSTM(width, width // 2, layers, batch_first=True, bidirectional=True)
    weights = {}
    for index, (ahead, back) in enumerate(zip(module.forwards, module.backwards, strict=True)):
        for name, value in ahead.state_dict().items():
            weights[name.replace("_l0", f"_l{index}")] = value
        for name, value in back.state_dict().items():
            weights[name.replace("_l0", f"_l{index}_reverse")] = value
    oracle.load_state_dict(weights)
    return oracle


def test_lstm_is_computed_in_the_precision_of_its_weights_under_autocast() -> None:
    module = BidirectionalLSTM(8, layers=2, dropout=0).train()
    states = torch.randn(4, 7, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = module(states, LENGTHS)
    assert found.dtype == torch.float
    assert torch.equal(found, module(states, LENGTHS))


@pytest.mark.parametrize("layers", [1, 3])
def test_lstm_is_torchs_on_packed_sequences(layers: int) -> None:
    module = BidirectionalLSTM(8, layers=layers, dropout=0.5).eval()
    states = torch.randn(4, 7, 8)
    packed = pack_padded_sequence(states, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(packed_oracle(module, 8)(packed)[0], batch_first=True)
    found = module(states, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(found[row, :length], expected[row, :length])


def test_lstm_gradients_are_torchs() -> None:
    module = BidirectionalLSTM(4, layers=2, dropout=0.0)
    states = torch.randn(4, 7, 4)
    real = torch.arange(7) < LENGTHS[:, None]
    oracle = packed_oracle(module, 4)
    packed = pack_padded_sequence(states, LENGTHS, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(oracle(packed)[0], batch_first=True)
    expected[real].square().sum().backward()
    module(states, LENGTHS)[real].square().sum().backward()
    torch.testing.assert_close(
        module.backwards[0].weight_ih_l0.grad, oracle.weight_ih_l0_reverse.grad
    )
    torch.testing.assert_close(module.forwards[1].weight_hh_l0.grad, oracle.weight_hh_l1.grad)


def test_lstm_dropout_lies_between_the_layers() -> None:
    states = torch.randn(2, 7, 8)
    lengths = torch.tensor([7, 4])
    single = BidirectionalLSTM(8, layers=1, dropout=0.9).train()
    assert torch.equal(single(states, lengths), single(states, lengths))
    double = BidirectionalLSTM(8, layers=2, dropout=0.9).train()
    assert not torch.equal(double(states, lengths), double(states, lengths))


def encoder(dropout: float = 0.1) -> RecurrentTransformer:
    return RecurrentTransformer(
        vocabulary_size=20,
        width=8,
        recurrent_layers=2,
        attention_layers=2,
        heads=2,
        feed_forward=16,
        dropout=dropout,
    ).eval()


def part(*sequences: list[int], padding: int = 0) -> SequencePart:
    longest = max(map(len, sequences)) + padding
    tokens = torch.zeros(len(sequences), longest, dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        tokens[row, : len(sequence)] = torch.tensor(sequence)
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return SequencePart(num_molecules=len(sequences), tokens=tokens, lengths=lengths)


def test_padding_and_batch_mates_do_not_matter() -> None:
    network = encoder()
    sequences = [[2, 3, 4, 5, 6], [7], [8, 2, 8, 2, 9, 9, 11, 3], [4, 4]]
    alone = torch.cat([network(part(sequence)) for sequence in sequences])
    torch.testing.assert_close(network(part(*sequences)), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(network(part(*sequences, padding=9)), alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(network(part(*sequences[::-1])), alone.flip(0), atol=1e-5, rtol=0)


def test_a_long_sequence_costs_its_own_pairs_of_tokens_only(monkeypatch) -> None:
    """Padded together, they would take four times as much."""
    network = encoder()
    monkeypatch.setattr(network, "_read", Mock(wraps=network._read))
    sequences = [[3] * length for length in (300, 20, 1, 22, 21, 9)]
    found = network(part(*sequences))
    shapes = [tuple(call.args[0].shape) for call in network._read.call_args_list]
    assert shapes == [(5, 22), (1, 300)]
    alone = torch.cat([network(part(sequence)) for sequence in sequences])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)


def test_the_budget_bounds_the_pairs_that_are_read_at_a_time(monkeypatch) -> None:
    network = encoder()
    sequences = [[2 + row, 3, 4] for row in range(6)]
    whole = network(part(*sequences))
    monkeypatch.setattr(recurrent_transformer, "_PAIR_BUDGET", 20)
    monkeypatch.setattr(network, "_read", Mock(wraps=network._read))
    torch.testing.assert_close(network(part(*sequences)), whole, atol=1e-5, rtol=0)
    assert [len(call.args[0]) for call in network._read.call_args_list] == [2, 2, 2]


def test_no_gradient_crosses_between_molecules() -> None:
    network = encoder().train()
    seen: list[torch.Tensor] = []

    def keep(module: nn.Module, inputs: object, embedded: torch.Tensor) -> None:
        embedded.retain_grad()
        seen.append(embedded)

    network.embedding.register_forward_hook(keep)
    out = network(part([2, 3, 4], [5, 6, 7, 8], [9]))  # the network sorts them by length
    out[0].square().sum().backward()
    touched = seen[0].grad.abs().sum(2) > 0
    assert touched.tolist() == [[False] * 4, [True, True, True, False], [False] * 4]


def test_order_of_tokens_matters() -> None:
    network = encoder()
    assert not torch.allclose(network(part([2, 3, 4])), network(part([4, 3, 2])), atol=1e-3)


def test_read_out_is_the_mean_over_real_tokens() -> None:
    network = encoder()
    one = part([2, 3, 4])
    states = network.recurrent(network.embedding(one.tokens), one.lengths)
    for layer in network.attention.layers:
        attended, _ = layer.self_attn(states, states, states)
        states = layer.norm1(states + attended)
        states = layer.norm2(states + layer.linear2(torch.relu(layer.linear1(states))))
    torch.testing.assert_close(network(one)[0], states[0].mean(0))
