"""Heads over pairs and displacements: outer products written out, and symmetries."""

import torch

from molweave.nn.heads import DisplacementHead, DistanceHead, PairHead


def test_the_bilinear_head_is_the_outer_product_head():
    head = PairHead(inputs=6, outputs=4, width=5)
    torch.nn.init.normal_(head.bias)
    atoms = torch.randn(2, 7, 6)
    outer = torch.einsum("nid,nje->nijde", head.row(atoms), head.column(atoms)).flatten(3)
    weight = head.weight.transpose(0, 1).flatten(1)
    expected = (outer @ weight.T + head.bias).permute(0, 3, 1, 2)
    torch.testing.assert_close(head(atoms), expected, atol=1e-5, rtol=1e-4)


def test_no_outer_product_is_kept_for_the_backward_pass():
    count, size, outputs = 2, 24, 11
    head = PairHead(inputs=16, outputs=outputs)
    sizes: list[int] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = head(torch.randn(count, size, 16))
    assert sizes
    assert max(sizes) <= count * size * outputs * 32 < count * size**2 * 32**2 / 4
    assert out.shape == (count, outputs, size, size)


def test_a_distance_is_the_same_both_ways():
    out = DistanceHead(inputs=8)(torch.randn(3, 5, 8))
    assert out.shape == (3, 5, 5)
    torch.testing.assert_close(out, out.mT)
    assert out.std() > 0.01


def scene(size: int = 6) -> tuple[torch.Tensor, ...]:
    atoms, bias = torch.randn(2, size, 8), torch.randn(2, 4, size, size)
    real = torch.arange(size) < torch.tensor([[size], [size - 2]])
    different = real[:, :, None] & real[:, None] & ~torch.eye(size, dtype=torch.bool)
    return atoms, bias, 2 * torch.randn(2, size, 3), different


def displace(head: DisplacementHead, positions: torch.Tensor, *scene: torch.Tensor) -> torch.Tensor:
    atoms, bias, different = scene
    return head(atoms, bias, positions, torch.cdist(positions, positions), different)


def test_displacements_turn_with_the_molecule_and_ignore_where_it_is():
    head = DisplacementHead(inputs=8, heads=4)
    atoms, bias, positions, different = scene()
    first = displace(head, positions, atoms, bias, different)
    turn, _ = torch.linalg.qr(torch.randn(3, 3))
    for matrix in (turn, -turn):
        moved = displace(head, positions @ matrix.T + 7.0, atoms, bias, different)
        torch.testing.assert_close(moved, first @ matrix.T, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(first @ turn.T, first, atol=0.01)


def test_displacements_are_their_formula():
    head = DisplacementHead(inputs=8, heads=4)
    atoms, bias, positions, different = scene()
    found = displace(head, positions, atoms, bias, different)
    query, key = head.inputs(atoms).view(2, 6, 2, 4, 2).unbind(2)
    value = head.value(atoms)
    for n in range(2):
        for i in different[n].any(1).nonzero()[:, 0].tolist():
            others = different[n, i].nonzero()[:, 0]
            total = torch.zeros(3)
            for h in range(4):
                scores = key[n, others, h] @ query[n, i, h] / 2**0.5 + bias[n, h, i, others]
                gap = positions[n, others] - positions[n, i]
                unit = gap / gap.norm(dim=1, keepdim=True)
                share = torch.softmax(scores, 0) * value[n, others, h]
                total = total + share @ unit
            torch.testing.assert_close(found[n, i], total, atol=1e-4, rtol=1e-4)


def test_a_lonely_atom_is_not_displaced():
    head = DisplacementHead(inputs=8, heads=4)
    none = torch.zeros(1, 1, 1, dtype=torch.bool)
    atoms = torch.randn(1, 1, 8, requires_grad=True)
    out = displace(head, torch.randn(1, 1, 3), atoms, torch.randn(1, 4, 1, 1), none)
    assert not out.any()
    out.sum().backward()
    assert atoms.grad is not None
    assert atoms.grad.isfinite().all()
