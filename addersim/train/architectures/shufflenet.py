"""ShuffleNetV2 (arXiv 1807.11164)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from addersim.train.architectures.layers import Layers, shrunk

__all__ = ["ShuffleNetV2"]


class ShuffleUnit(nn.Module):
    """Half of the channels stay, the other half pass 1x1, depthwise 3x3 and 1x1; at stride 2 both halves see all channels."""

    def __init__(self, layers: Layers, inputs: int, outputs: int, stride: int, *, split: bool):
        super().__init__()
        half = outputs // 2
        entering = half if split else inputs
        self.split = split
        self.kept = nn.Identity() if split else nn.Sequential(*self._depthwise(layers, inputs, stride, half))
        self.branch = nn.Sequential(layers.unit(entering, half), *self._depthwise(layers, half, stride, half))

    @staticmethod
    def _depthwise(layers: Layers, inputs: int, stride: int, outputs: int) -> tuple[nn.Module, nn.Module]:
        depthwise = layers.unit(inputs, inputs, 3, stride, groups=inputs, activation=nn.Identity)
        return depthwise, layers.unit(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        kept, passed = x.chunk(2, 1) if self.split else (x, x)
        halves = torch.stack([self.kept(kept), self.branch(passed)], 2)  # one of each half by turns: the channel shuffle
        return halves.flatten(1, 2)


class ShuffleNetV2(nn.Sequential):
    """A 3x3 layer, max pooling, three stages of 4, 8 and 4 units, a 1x1 layer; `widths` are the outputs of the last four."""

    def __init__(
        self,
        layers: Layers,
        classes: int = 1000,
        channels: int = 3,
        *,
        widths: tuple[int, int, int, int],
        small_images: bool = False,
    ):
        stem, pool, *_ = shrunk([2, 2], small_images)
        inputs = 24
        modules: list[nn.Module] = [layers.unit(channels, inputs, 3, stem, end=True)]
        if pool == 2:
            modules.append(nn.MaxPool2d(3, 2, 1))
        for outputs, number in zip(widths, (4, 8, 4), strict=False):
            modules.append(ShuffleUnit(layers, inputs, outputs, 2, split=False))
            modules += [ShuffleUnit(layers, outputs, outputs, 1, split=True) for _ in range(number - 1)]
            inputs = outputs
        modules += [layers.unit(inputs, widths[-1]), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        super().__init__(*modules, layers.biased_linear(widths[-1], classes, end=True))
