"""MobileNet (arXiv 1704.04861), MobileNetV2 (1801.04381) and MobileNetV3 (1905.02244)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor, nn

from addersim.train.architectures.layers import Layers, divisible, shrunk

__all__ = ["MobileNetV1", "MobileNetV2", "MobileNetV3", "SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate, which two 1x1 layers and a hard sigmoid make of the channels' averages."""

    def __init__(self, layers: Layers, channels: int, squeezed: int):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = layers.biased_conv(channels, squeezed)
        self.relu = layers.activation()
        self.expand = layers.biased_conv(squeezed, channels)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x * self.gate(self.expand(self.relu(self.reduce(self.pool(x)))))
        return out


class MobileNetV1(nn.Sequential):
    """A 3x3 layer, then 13 pairs of a depthwise 3x3 and a 1x1 layer, batch norm and ReLU after each.

    The paper's table prints stride 2 for the last depthwise layer, between two images of 7x7: it is 1.
    """

    def __init__(
        self, layers: Layers, classes: int = 1000, channels: int = 3, *, width: float = 1.0, small_images: bool = False
    ):
        outputs = (32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
        widths = [divisible(width * one) for one in outputs]
        strides = shrunk([2, 1, 2, 1, 2, 1, 2, *[1] * 5, 2, 1], small_images)
        modules = [layers.unit(channels, widths[0], 3, strides[0], end=True)]
        for before, after, stride in zip(widths, widths[1:], strides[1:], strict=False):
            modules += [layers.unit(before, before, 3, stride, groups=before), layers.unit(before, after)]
        classifier = layers.biased_linear(widths[-1], classes, end=True)
        super().__init__(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), classifier)


class InvertedResidual(nn.Module):
    """1x1 to more channels, depthwise, an optional gate, 1x1 to fewer; added to its input where the shapes are equal."""

    def __init__(
        self,
        layers: Layers,
        inputs: int,
        expanded: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        gated: bool = False,
        activation: type[nn.Module] = nn.ReLU6,
    ):
        super().__init__()
        parts: list[nn.Module] = []
        if expanded != inputs:
            parts.append(layers.unit(inputs, expanded, activation=activation))
        parts.append(layers.unit(expanded, expanded, kernel, stride, groups=expanded, activation=activation))
        if gated:
            parts.append(SqueezeExcite(layers, expanded, divisible(expanded / 4)))
        parts.append(layers.unit(expanded, outputs, activation=nn.Identity))
        self.body = nn.Sequential(*parts)
        self.residual = stride == 1 and inputs == outputs
        self.shift = layers.on_shortcut() if self.residual else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return self.shift(x) + y if self.residual else y


class MobileNetV2(nn.Sequential):
    """Inverted residuals with ReLU6; widths are multiples of 8, and the last layer of 1,280 never narrows."""

    STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    """Expansion, outputs, number and first stride of the blocks of each stage: table 2 of the paper."""

    def __init__(
        self, layers: Layers, classes: int = 1000, channels: int = 3, *, width: float = 1.0, small_images: bool = False
    ):
        strides = shrunk([2, *(stride for _, _, _, stride in self.STAGES)], small_images)
        inputs, last = divisible(32 * width), divisible(1280 * max(1.0, width))
        modules: list[nn.Module] = [layers.unit(channels, inputs, 3, strides[0], activation=nn.ReLU6, end=True)]
        for (expansion, outputs, number, _), first in zip(self.STAGES, strides[1:], strict=True):
            for stride in (first, *[1] * (number - 1)):
                after = divisible(outputs * width)
                modules.append(InvertedResidual(layers, inputs, inputs * expansion, after, stride=stride))
                inputs = after
        modules.append(layers.unit(inputs, last, activation=nn.ReLU6))
        classifier = layers.biased_linear(last, classes, end=True)
        super().__init__(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), classifier)


class _Row(NamedTuple):
    """A block of MobileNetV3: kernel, channels between, outputs, gate, activation and stride, as the paper's tables."""

    kernel: int
    expanded: int
    outputs: int
    gated: bool
    activation: type[nn.Module]
    stride: int


_RE, _HS = nn.ReLU, nn.Hardswish
_V3: Mapping[str, tuple[tuple[_Row, ...], int]] = MappingProxyType(
    {
        "large": (
            (
                _Row(3, 16, 16, False, _RE, 1),
                _Row(3, 64, 24, False, _RE, 2),
                _Row(3, 72, 24, False, _RE, 1),
                _Row(5, 72, 40, True, _RE, 2),
                *[_Row(5, 120, 40, True, _RE, 1)] * 2,
                _Row(3, 240, 80, False, _HS, 2),
                _Row(3, 200, 80, False, _HS, 1),
                *[_Row(3, 184, 80, False, _HS, 1)] * 2,
                _Row(3, 480, 112, True, _HS, 1),
                _Row(3, 672, 112, True, _HS, 1),
                _Row(5, 672, 160, True, _HS, 2),
                *[_Row(5, 960, 160, True, _HS, 1)] * 2,
            ),
            1280,
        ),
        "small": (
            (
                _Row(3, 16, 16, True, _RE, 2),
                _Row(3, 72, 24, False, _RE, 2),
                _Row(3, 88, 24, False, _RE, 1),
                _Row(5, 96, 40, True, _HS, 2),
                *[_Row(5, 240, 40, True, _HS, 1)] * 2,
                _Row(5, 120, 48, True, _HS, 1),
                _Row(5, 144, 48, True, _HS, 1),
                _Row(5, 288, 96, True, _HS, 2),
                *[_Row(5, 576, 96, True, _HS, 1)] * 2,
            ),
            1024,
        ),
    }
)
"""Blocks and the width of the last hidden layer: tables 1 and 2 of the paper."""


class MobileNetV3(nn.Sequential):
    """Inverted residuals with gates and hard swish; `size` is ``large`` or ``small``.

    As in the released networks there is no gate on the last 1x1 layer, where table 2 marks one.
    """

    def __init__(
        self,
        layers: Layers,
        classes: int = 1000,
        channels: int = 3,
        *,
        size: str,
        width: float = 1.0,
        small_images: bool = False,
    ):
        rows, last = _V3[size]
        strides = shrunk([2, *(row.stride for row in rows)], small_images)
        inputs = divisible(16 * width)
        modules: list[nn.Module] = [layers.unit(channels, inputs, 3, strides[0], activation=_HS, end=True)]
        for row, stride in zip(rows, strides[1:], strict=True):
            expanded, outputs = divisible(row.expanded * width), divisible(row.outputs * width)
            options = {"kernel": row.kernel, "stride": stride, "gated": row.gated, "activation": row.activation}
            modules.append(InvertedResidual(layers, inputs, expanded, outputs, **options))  # type: ignore[arg-type]
            inputs = outputs
        wide = divisible(rows[-1].expanded * width)
        hidden = divisible(last * max(1.0, width))
        modules += [layers.unit(inputs, wide, activation=_HS), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        modules += [layers.biased_linear(wide, hidden), _HS(), nn.Dropout(0.2)]
        super().__init__(*modules, layers.biased_linear(hidden, classes, end=True))
