"""Residual network for images (He et al., CVPR 2016), 18 layers."""

from typing import Protocol, runtime_checkable

import torch
from torch import nn
from torch.nn import functional

from molweave.nn.layers import BatchNorm2d
from molweave.shapes import Float, Tensor, UInt


@runtime_checkable
class ImageInput(Protocol):
    """One square image per molecule."""

    @property
    def num_molecules(self) -> int:
        """Number of images."""

    @property
    def pixels(self) -> UInt[Tensor, "N 3 h w"]:
        """Red, green and blue, 0 to 255; 255 is the ground."""


class BasicBlock(nn.Module):
    r"""Two 3 x 3 convolutions with a shortcut.

    .. math:: y = ReLU(BN(conv_2(ReLU(BN(conv_1(x))))) + x)

    Where the block halves the image or widens it, x passes a 1 x 1 convolution and BN.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """``stride`` 2 halves height and width."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride > 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "N c h w"]) -> Float[Tensor, "N d i j"]:
        """Feature maps of the same size or half of it."""
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.downsample(x))


class ResNet18(nn.Module):
    """ResNet-18 up to its pooled features, 8 ``width`` of them (512 for the published width 64).

    The network sees ink, 1 - pixel / 255, so that the white ground is 0 like the padding of the
    convolutions. With ``reduce`` 2 it sees the image at half the resolution, each pixel the mean of
    four: a quarter of the work. In evaluation mode batch normalisation uses running statistics, so
    that batch mates do not matter.

    Parameters have the customary names (``conv1``, ``bn1``, ``layer1.0.conv1``,
    ``layer2.0.downsample.0``, ...) and shapes, so that published weights without their ``fc`` fit.
    """

    def __init__(
        self, *, width: int = 64, reduce: int = 1, augment: nn.Module | None = None
    ) -> None:
        """Build the network.

        Args:
            width: channels of the first layer; each later group has twice those of the one before.
            reduce: how many pixels along each side are averaged to one.
            augment: changes the ink in training.
        """
        super().__init__()
        self.reduce = reduce
        self.augment = augment or nn.Identity()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.layer1 = _group(width, width, stride=1)
        self.layer2 = _group(width, 2 * width, stride=2)
        self.layer3 = _group(2 * width, 4 * width, stride=2)
        self.layer4 = _group(4 * width, 8 * width, stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, part: ImageInput) -> Float[Tensor, "N D"]:
        """One vector per image: the mean over its last feature maps."""
        pixels = part.pixels.to(self.conv1.weight.dtype)
        if self.reduce > 1:
            pixels = functional.avg_pool2d(pixels, self.reduce)
        ink = self.augment(1 - pixels / 255).contiguous(memory_format=torch.channels_last)
        maps = torch.relu(self.bn1(self.conv1(ink)))
        maps = functional.max_pool2d(maps, kernel_size=3, stride=2, padding=1)
        for group in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps = group(maps)
        return maps.mean(dim=(2, 3))


def _group(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1))
