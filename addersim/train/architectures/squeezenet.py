"""SqueezeNet (arXiv 1602.07360), and version 1.1 of its released code."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from addersim.train.architectures.layers import Layers

__all__ = ["SqueezeNet"]


class Fire(nn.Module):
    """A 1x1 layer to few channels, then a 1x1 and a 3x3 layer beside each other."""

    def __init__(self, layers: Layers, inputs: int, squeezed: int, expanded: int):
        super().__init__()
        self.squeeze = layers.biased_conv(inputs, squeezed)
        self.expand1 = layers.biased_conv(squeezed, expanded)
        self.expand3 = layers.biased_conv(squeezed, expanded, 3, padding=1)
        self.relu = layers.activation()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.expand1(x)), self.relu(self.expand3(x))], 1)


class SqueezeNet(nn.Sequential):
    """A convolution, eight `Fire` modules with max pooling between them, and a 1x1 classifier whose scores are averaged.

    The layers have biases and no batch norm. Sizes are those of the first layer without padding, pooling rounded up.

    Parameters
    ----------
    first
        Outputs and kernel of the first layer, which has stride 2.
    pools
        Number of fire modules before each max pooling.
    small_images
        The first layer keeps the size, and the first pooling is left out.
    """

    FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    """Channels within and, of each of two layers, behind a fire module."""

    def __init__(
        self,
        layers: Layers,
        classes: int = 1000,
        channels: int = 3,
        *,
        first: tuple[int, int],
        pools: Sequence[int],
        small_images: bool = False,
    ):
        inputs, kernel = first
        stride, padding = (1, kernel // 2) if small_images else (2, 0)
        modules: list[nn.Module] = [
            layers.biased_conv(channels, inputs, kernel, stride, padding, end=True),
            layers.activation(),
        ]
        for place, (squeezed, expanded) in enumerate(self.FIRES):
            if place in pools and not (small_images and place == pools[0]):
                modules.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            modules.append(Fire(layers, inputs, squeezed, expanded))
            inputs = 2 * expanded
        modules += [nn.Dropout(0.5), layers.biased_conv(inputs, classes, end=True), layers.activation()]
        super().__init__(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten())
