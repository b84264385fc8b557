"""DenseNet-BC (arXiv 1608.06993)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from addersim.train.architectures.layers import Layers

__all__ = ["DenseNetBC"]


class DenseLayer(nn.Module):
    """Batch norm, ReLU and 1x1 to four times the growth, the same and 3x3 to the growth, joined to what came in."""

    def __init__(self, layers: Layers, inputs: int, growth: int):
        super().__init__()
        inside = 4 * growth
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(inputs), layers.activation(), layers.conv(inputs, inside, 1)),
            *(nn.BatchNorm2d(inside), layers.activation(), layers.conv(inside, growth, 3, padding=1)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


class DenseNetBC(nn.Sequential):
    """Dense blocks of `depths` layers with `growth`, between them a 1x1 layer to half the channels and average pooling.

    The first layer is 7x7 with stride 2 and max pooling for ImageNet, 3x3 with stride 1 for small images.
    """

    def __init__(
        self,
        layers: Layers,
        classes: int = 1000,
        channels: int = 3,
        *,
        growth: int,
        depths: Sequence[int],
        small_images: bool = False,
    ):
        width = 2 * growth
        modules: list[nn.Module]
        if small_images:
            modules = [layers.conv(channels, width, 3, 1, 1, end=True)]
        else:
            modules = [layers.unit(channels, width, 7, 2, end=True), nn.MaxPool2d(3, 2, 1)]
        for place, depth in enumerate(depths):
            if place:
                modules += [nn.BatchNorm2d(width), layers.activation(), layers.conv(width, width // 2, 1), nn.AvgPool2d(2)]
                width //= 2
            for _ in range(depth):
                modules.append(DenseLayer(layers, width, growth))
                width += growth
        modules += [nn.BatchNorm2d(width), layers.activation(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*modules, layers.biased_linear(width, classes, end=True))
