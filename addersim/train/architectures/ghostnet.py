"""GhostNet (arXiv 1911.11907)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from addersim.train.architectures.layers import Layers, divisible, shrunk
from addersim.train.architectures.mobilenet import SqueezeExcite

__all__ = ["GhostNet"]


class GhostModule(nn.Module):
    """A 1x1 layer to half of the outputs, and a depthwise 3x3 layer that makes the other half of these."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, *, activation: type[nn.Module]):
        super().__init__()
        half = outputs // 2
        self.primary = layers.unit(inputs, half, activation=activation)
        self.cheap = layers.unit(half, half, 3, groups=half, activation=activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self.primary(x)
        return torch.cat([x, self.cheap(x)], 1)


class GhostBottleneck(nn.Module):
    """Two ghost modules, between them a depthwise layer where it strides and an optional gate, beside a shortcut."""

    def __init__(self, layers: Layers, inputs: int, expanded: int, outputs: int, *, kernel: int, gated: bool, stride: int):
        super().__init__()
        parts: list[nn.Module] = [GhostModule(layers, inputs, expanded, activation=nn.ReLU)]
        if stride > 1:
            parts.append(layers.unit(expanded, expanded, kernel, stride, groups=expanded, activation=nn.Identity))
        if gated:
            parts.append(SqueezeExcite(layers, expanded, divisible(expanded / 4, 4)))
        self.body = nn.Sequential(*parts, GhostModule(layers, expanded, outputs, activation=nn.Identity))
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            depthwise = layers.unit(inputs, inputs, kernel, stride, groups=inputs, activation=nn.Identity)
            self.shortcut = nn.Sequential(depthwise, layers.unit(inputs, outputs, activation=nn.Identity))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


class GhostNet(nn.Sequential):
    """A 3x3 layer, 16 ghost bottlenecks, a 1x1 layer, the average, a hidden layer of 1,280 and the classifier.

    Blocks whose stride is left out for small images keep their shortcut and lose the depthwise layer between the ghosts.
    """

    BLOCKS = (
        *((3, 16, 16, False, 1), (3, 48, 24, False, 2), (3, 72, 24, False, 1), (5, 72, 40, True, 2), (5, 120, 40, True, 1)),
        *((3, 240, 80, False, 2), (3, 200, 80, False, 1), (3, 184, 80, False, 1), (3, 184, 80, False, 1)),
        *((3, 480, 112, True, 1), (3, 672, 112, True, 1), (5, 672, 160, True, 2)),
        *((5, 960, 160, False, 1), (5, 960, 160, True, 1), (5, 960, 160, False, 1), (5, 960, 160, True, 1)),
    )
    """Kernel, channels between, outputs, gate and stride: table 1 of the paper, kernels of the released code."""

    def __init__(self, layers: Layers, classes: int = 1000, channels: int = 3, *, small_images: bool = False):
        strides = shrunk([2, *(stride for *_, stride in self.BLOCKS)], small_images)
        inputs = 16
        modules: list[nn.Module] = [layers.unit(channels, inputs, 3, strides[0], end=True)]
        for (kernel, expanded, outputs, gated, _), stride in zip(self.BLOCKS, strides[1:], strict=True):
            block = GhostBottleneck(layers, inputs, expanded, outputs, kernel=kernel, gated=gated, stride=stride)
            modules.append(block)
            inputs = outputs
        modules += [layers.unit(inputs, 960), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        modules += [layers.biased_linear(960, 1280), layers.activation(), nn.Dropout(0.2)]
        super().__init__(*modules, layers.biased_linear(1280, classes, end=True))
