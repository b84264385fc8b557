"""The networks of the AdderNet literature.

Modules of the ResNets are named as in the released AdderNet code (huawei-noah/AdderNet), so that its state dicts load.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from addersim.train.architectures.layers import Layers

__all__ = ["BasicBlock", "Bottleneck", "LeNet5", "ResNet", "VGGSmall"]


class LeNet5(nn.Sequential):
    """LeNet-5-BN: two 5x5 window layers with pooling, three fully connected ones, batch norm after each."""

    def __init__(self, layers: Layers, classes: int = 10, channels: int = 1):
        modules: dict[str, nn.Module] = {}
        for place, (inputs, outputs, padding) in enumerate(((channels, 6, 2), (6, 16, 0)), 1):
            modules |= {
                f"conv{place}": layers.conv(inputs, outputs, 5, padding=padding, end=place == 1),
                f"conv{place}_bn": nn.BatchNorm2d(outputs),
                f"conv{place}_relu": layers.activation(),
                f"conv{place}_pool": nn.MaxPool2d(2),
            }
        modules["flatten"] = nn.Flatten()
        for place, (inputs, outputs) in enumerate(((400, 120), (120, 84)), 1):
            modules |= {
                f"fc{place}": layers.linear(inputs, outputs),
                f"fc{place}_bn": nn.BatchNorm1d(outputs),
                f"fc{place}_relu": layers.activation(),
            }
        modules |= {"fc3": layers.linear(84, classes, end=True), "fc3_bn": nn.BatchNorm1d(classes)}
        super().__init__(OrderedDict(modules))


class VGGSmall(nn.Sequential):
    """VGG-small: 128-128-M-256-256-M-512-512-M, then one fully connected layer with batch norm on its outputs."""

    def __init__(self, layers: Layers, classes: int = 10, channels: int = 3):
        modules: list[nn.Module] = []
        inputs = channels
        for outputs in (128, 256, 512):
            for _ in range(2):
                modules += [
                    layers.conv(inputs, outputs, 3, padding=1, end=inputs == channels),
                    nn.BatchNorm2d(outputs),
                    layers.activation(),
                ]
                inputs = outputs
            modules.append(nn.MaxPool2d(2))
        classifier = layers.linear(512 * 4 * 4, classes, end=True)
        super().__init__(*modules, nn.Flatten(), classifier, nn.BatchNorm1d(classes))


def _projection(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(layers.conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 layers beside a shortcut."""

    expansion = 1

    def __init__(self, layers: Layers, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = layers.conv(inputs, width, 3, stride, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = layers.activation()
        self.conv2 = layers.conv(width, width, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(layers, inputs, width, stride)
        self.shift = layers.on_shortcut()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        out: Tensor = self.relu(self.bn2(self.conv2(y)) + self.shift(shortcut))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 layers beside a shortcut; `stride_in_3x3` tells v1.5 from v1, which strides in the first 1x1."""

    expansion = 4

    def __init__(self, layers: Layers, inputs: int, width: int, stride: int, *, stride_in_3x3: bool):
        super().__init__()
        first, second = (1, stride) if stride_in_3x3 else (stride, 1)
        self.conv1 = layers.conv(inputs, width, 1, first)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = layers.conv(width, width, 3, second, 1)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = layers.conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = layers.activation()
        self.downsample = _projection(layers, inputs, 4 * width, stride)
        self.shift = layers.on_shortcut()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        out: Tensor = self.relu(self.bn3(self.conv3(y)) + self.shift(shortcut))
        return out


Block = Callable[[Layers, int, int, int], nn.Module]


class ResNet(nn.Module):
    """Residual network; `conv1`, `pool` and `avgpool` differ between the CIFAR and the ImageNet forms."""

    def __init__(
        self,
        layers: Layers,
        classes: int = 10,
        channels: int = 3,
        *,
        block: Block,
        expansion: int,
        depths: Sequence[int],
        imagenet: bool,
    ):
        super().__init__()
        width = 64 if imagenet else 16
        self.conv1 = layers.conv(channels, width, 7 if imagenet else 3, 2 if imagenet else 1, 3 if imagenet else 1, end=True)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = layers.activation()
        self.maxpool = nn.MaxPool2d(3, 2, 1) if imagenet else nn.Identity()
        inputs = width
        for stage, depth in enumerate(depths):
            blocks = []
            for position in range(depth):
                blocks.append(block(layers, inputs, width << stage, 2 if stage and not position else 1))
                inputs = (width << stage) * expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.stages = len(depths)
        self.avgpool = nn.AvgPool2d(7 if imagenet else 8)
        self.fc = layers.conv(inputs, classes, 1, end=True)
        self.bn2 = nn.BatchNorm2d(classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        out: Tensor = self.bn2(self.fc(self.avgpool(x))).flatten(1)
        return out
