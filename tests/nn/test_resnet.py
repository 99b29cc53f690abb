"""The residual network against plain sums over pixels, and its published sizes and names."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from molweave.nn.augment import ImageAugmentation
from molweave.nn.encoders.resnet import BasicBlock, ResNet18


def image_part(pixels: torch.Tensor) -> SimpleNamespace:
    return SimpleNamespace(num_molecules=len(pixels), pixels=pixels)


def convolved(x: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
    """Convolution written out pixel by pixel."""
    (stride, _), (pad, _), (size, _) = layer.stride, layer.padding, layer.kernel_size
    padded = torch.nn.functional.pad(x, (pad, pad, pad, pad))
    side = (x.shape[-1] + 2 * pad - size) // stride + 1
    out = torch.zeros(len(x), layer.out_channels, side, side, dtype=x.dtype)
    for row in range(side):
        for column in range(side):
            i, j = row * stride, column * stride
            patch = padded[:, :, i : i + size, j : j + size]
            out[:, :, row, column] = torch.einsum("ncij,dcij->nd", patch, layer.weight)
    return out


def normalized(x: torch.Tensor, norm: nn.BatchNorm2d) -> torch.Tensor:
    mean, var, weight, bias = (
        value.reshape(1, -1, 1, 1)
        for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (var + 1e-5).sqrt() * weight + bias


def block_of(block: BasicBlock, x: torch.Tensor) -> torch.Tensor:
    y = normalized(convolved(x, block.conv1), block.bn1).clamp(min=0)
    y = normalized(convolved(y, block.conv2), block.bn2)
    if len(block.downsample):
        x = normalized(convolved(x, block.downsample[0]), block.downsample[1])
    return (x + y).clamp(min=0)


def warmed(model: nn.Module, pixels: torch.Tensor) -> nn.Module:
    for _ in range(3):
        model(image_part(pixels))
    return model.eval()


@pytest.mark.parametrize("reduce", [1, 2])
def test_against_sums_over_pixels(reduce: int) -> None:
    pixels = torch.randint(0, 256, (2, 3, 32 * reduce, 32 * reduce), dtype=torch.uint8)
    model = warmed(ResNet18(width=2, reduce=reduce).double(), pixels)
    ink = 1 - pixels.double() / 255
    side = 32
    ink = ink.reshape(2, 3, side, reduce, side, reduce).mean(dim=(3, 5))
    maps = normalized(convolved(ink, model.conv1), model.bn1).clamp(min=0)
    padded = torch.nn.functional.pad(maps, (1, 1, 1, 1))
    maps = torch.stack(
        [padded[:, :, i : i + 16 : 2, j : j + 16 : 2] for i in range(3) for j in range(3)]
    ).amax(0)
    for group in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in group:
            maps = block_of(block, maps)
    assert maps.shape == (2, 16, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model(image_part(pixels)), maps[:, :, 0, 0])


def test_published_size_and_names() -> None:
    model = ResNet18()
    parameters = dict(model.named_parameters())
    # He et al., table 1: ResNet-18 for ImageNet has 11,689,512, of which 513,000 in the last layer
    assert sum(p.numel() for p in parameters.values()) == 11_689_512 - 513_000
    assert parameters["conv1.weight"].shape == (64, 3, 7, 7)
    assert parameters["layer1.0.conv1.weight"].shape == (64, 64, 3, 3)
    assert parameters["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert parameters["layer4.1.bn2.bias"].shape == (512,)
    assert "layer1.0.downsample.0.weight" not in parameters
    assert "layer3.1.bn1.running_var" in model.state_dict()


def test_white_paper_is_nothing() -> None:
    white = torch.full((1, 3, 64, 64), 255, dtype=torch.uint8)
    model = ResNet18(width=2)
    seen = []
    model.conv1.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    model(image_part(white))
    assert (seen[0] == 0).all()


def test_images_are_augmented_in_training_only() -> None:
    pixels = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)
    model = ResNet18(width=2, augment=ImageAugmentation())
    plain = ResNet18(width=2)
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        expected = plain.eval()(image_part(pixels))
        assert torch.equal(model.eval()(image_part(pixels)), expected)
        assert not torch.equal(model.train()(image_part(pixels)), plain.train()(image_part(pixels)))


def test_training_on_one_image_whose_last_maps_are_one_pixel() -> None:
    model = ResNet18(width=4).train()
    found = model(image_part(torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)))
    assert found.isfinite().all()
    found.sum().backward()
