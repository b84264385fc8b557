"""Window layers of a network, by arithmetic: adder layers, multiplying ones, or any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from addersim.train.coded import CODED_LAYERS
from addersim.train.nn import LAYERS, Gradient

__all__ = ["ARITHMETICS", "Ends", "Layers", "LearnedShift", "Shortcut", "divisible", "shrunk"]

ARITHMETICS: Mapping[str, str] = MappingProxyType(
    {
        "adder": "-sum |x - f|",
        "euclidean": "-sum (x - f)^2",
        "xnor": "a sum of products of signs, times one factor a filter",
        "ternary": "sum x * f with f of -a, 0 or a, one a each filter",
        "shift": "sum x * f with f zero or a signed power of two",
        "apot": "sum x * f with f a sum of two powers of two",
        "shiftadd": "a shift layer, batch norm and an adder layer in place of each",
        "conv": "sum x * f",
    }
)
"""What the window layers of a network compute, by the last word of its name."""
Ends = Literal["adder", "multiply"]
Shortcut = Literal["plain", "shift"]


class LearnedShift(nn.Module):
    """Values times a learned power of two: hardware shifts them. The exponent is rounded, with the gradient passing.

    Examples
    --------
    >>> layer = LearnedShift()
    >>> _ = nn.init.constant_(layer.places, -1.2)
    >>> layer(torch.ones(2)).tolist()
    [0.5, 0.5]
    """

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.exp2(self.places + (self.places.round() - self.places).detach())


@dataclass(frozen=True, slots=True)
class Layers:
    """Which arithmetic the window layers of a network use.

    Attributes
    ----------
    arithmetic
        ``adder``, ``euclidean``, ``conv``, those of `addersim.train.coded`, or ``shiftadd``: a shift layer and then an adder
        layer of the same kernel, batch norm between them (after ShiftAddNet, arXiv 2010.12785).
    ends
        What the first layer and the classifier do: ``multiply``, as in the released code, or ``adder``: what the others do.
    gradient
        Rule of the adder filters' gradient.
    shortcut
        What residual blocks add: ``plain``, their input; ``shift``, their input times a `LearnedShift`.
    """

    arithmetic: str = "adder"
    ends: Ends = "multiply"
    gradient: Gradient = "full"
    shortcut: Shortcut = "plain"

    def on_shortcut(self) -> nn.Module:
        """What the shortcut of a residual block goes through last."""
        return LearnedShift() if self.shortcut == "shift" else nn.Identity()

    def conv(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int = 0, *, groups: int = 1, end: bool = False
    ) -> nn.Module:
        """A window layer without bias; `end` marks the first layer and the classifier."""
        if self.multiplies(end):
            layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
            nn.init.normal_(layer.weight, std=math.sqrt(2 * groups / (kernel * kernel * outputs)))
            return layer
        if self.arithmetic == "shiftadd":
            shift, add = (replace(self, arithmetic=one) for one in ("shift", "adder"))
            first = shift.conv(inputs, outputs, kernel, stride, padding, groups=groups)
            second = add.conv(outputs, outputs, kernel, padding=kernel // 2, groups=outputs if groups == inputs else groups)
            return nn.Sequential(first, nn.BatchNorm2d(outputs), second)
        return self._made(0)(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def linear(self, inputs: int, outputs: int, *, end: bool = False) -> nn.Module:
        """A fully connected layer without bias."""
        if self.multiplies(end):
            return nn.Linear(inputs, outputs, bias=False)
        if self.arithmetic == "shiftadd":
            shift, add = (replace(self, arithmetic=one) for one in ("shift", "adder"))
            return nn.Sequential(shift.linear(inputs, outputs), nn.BatchNorm1d(outputs), add.linear(outputs, outputs))
        return self._made(1)(inputs, outputs, bias=False)

    def _made(self, place: int) -> Callable[..., nn.Module]:
        """The module in place of Conv2d (0) or Linear (1)."""
        if self.arithmetic in CODED_LAYERS:
            return CODED_LAYERS[self.arithmetic][place]
        return partial(LAYERS[self.arithmetic][place], gradient=self.gradient)

    def activation(self, usual: type[nn.Module] = nn.ReLU) -> nn.Module:
        """The usual activation; none where the next layer reads signs alone, which a ReLU would all make positive."""
        return nn.Identity() if self.arithmetic == "xnor" else usual()

    def unit(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        activation: type[nn.Module] = nn.ReLU,
        end: bool = False,
    ) -> nn.Sequential:
        """A window layer, padded so that stride 1 keeps the size, then batch norm and activation."""
        conv = self.conv(inputs, outputs, kernel, stride, kernel // 2, groups=groups, end=end)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), self.activation(activation))

    def biased_conv(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, padding: int = 0, *, end: bool = False
    ) -> nn.Module:
        """A window layer with a bias and no batch norm; where it adds, batch norm stands for the bias.

        The sums of an adder layer are never positive: without batch norm a ReLU or a gate behind them would stay shut.
        """
        if self.multiplies(end):
            return nn.Conv2d(inputs, outputs, kernel, stride, padding)
        return nn.Sequential(self.conv(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs))

    def biased_linear(self, inputs: int, outputs: int, *, end: bool = False) -> nn.Module:
        """A fully connected layer with a bias; where it adds, batch norm stands for the bias."""
        if self.multiplies(end):
            return nn.Linear(inputs, outputs)
        return nn.Sequential(self.linear(inputs, outputs), nn.BatchNorm1d(outputs))

    def multiplies(self, end: bool) -> bool:
        """Whether a layer multiplies."""
        return self.arithmetic == "conv" or (end and self.ends == "multiply")


def divisible(channels: float, divisor: int = 8) -> int:
    """A number of channels as a multiple of `divisor`, rounded, never below nine tenths of it: a rule of the released code.

    Examples
    --------
    >>> divisible(32 * 0.35), divisible(18)
    (16, 24)
    """
    found = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return found + divisor if found < 0.9 * channels else found


def shrunk(strides: list[int], small_images: bool) -> list[int]:
    """Strides of a network's stages in order; for small images the first two that halve the image are left out.

    Examples
    --------
    >>> shrunk([2, 1, 2, 2, 1, 2], small_images=True)
    [1, 1, 1, 2, 1, 2]
    """
    left = 2 if small_images else 0
    halving = [place for place, stride in enumerate(strides) if stride == 2]
    return [1 if place in halving[:left] else stride for place, stride in enumerate(strides)]
