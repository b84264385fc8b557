"""Layers whose weights take a few values, in place of Conv2d and Linear: binary, ternary, shift and two-shift ones.

Each keeps real weights, which the optimizer moves, and computes with the values of its codec next to them
(`addersim.arithmetic.codecs`); gradients pass the rounding as if it were not there (straight-through, arXiv 1308.3432).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.errors import NetworkError

__all__ = [
    "CODED_LAYERS",
    "Apot2d",
    "ApotLinear",
    "CodedLayer",
    "Parts",
    "Shift2d",
    "ShiftLinear",
    "Ternary2d",
    "TernaryLinear",
    "Xnor2d",
    "XnorLinear",
    "signs",
]

TERNARY_THRESHOLD = 0.7
"""Of a filter's mean magnitude: smaller weights become zero (ternary weight networks, arXiv 1605.04711, eq. 6)."""
SHIFT_BITS, APOT_BITS = 5, 4
"""Stored widths where the caller does not choose: of DeepShift's best networks, and of APoT's ResNets."""
APOT_CLIP = 3.0
"""Standard deviations beyond which APoT's weights are clipped at first; the number is trained (released code)."""


class Parts(NamedTuple):
    """A layer as a window between two multiply-adds: ``y = scale * window(x - threshold) + bias``.

    Attributes
    ----------
    weights
        What the window computes with, shape of the layer's weights.
    threshold
        Subtracted from each input channel before, or None.
    scale
        Factor of each output channel, or None.
    """

    weights: Tensor
    threshold: Tensor | None = None
    scale: Tensor | None = None


def _through(values: Tensor, rounded: Tensor) -> Tensor:
    """Rounded values with the gradient of those that were not."""
    return values + (rounded - values).detach()


def _by_channel(numbers: Tensor, x: Tensor) -> Tensor:
    """One number a channel, as it meets a batch or a single image of pixels, or features."""
    return numbers if x.ndim < 3 else numbers[:, None, None]


def _per_filter(weights: Tensor) -> Tensor:
    """Magnitudes, one row a filter."""
    return weights.abs().flatten(1)


def signs(x: Tensor) -> Tensor:
    """Signs, zero counting as 1; the gradient passes where ``|x| <= 1``."""
    return _through(x.clamp(-1, 1), torch.where(x < 0, -1.0, 1.0).to(x))


class CodedLayer(nn.Module):
    """What the layers share: an arithmetic and the values of its codec.

    Attributes
    ----------
    arithmetic
        Name in `addersim.arithmetic.arithmetics.ARITHMETICS`.
    weight_bits
        Stored width of a weight; `usual_bits` where the caller does not choose.
    """

    arithmetic: ClassVar[str]
    usual_bits: ClassVar[int]
    weight: Any
    levels: Tensor

    def __init__(self, *arguments: Any, weight_bits: int | None = None, **options: Any):
        super().__init__(*arguments, **options)
        self.weight_bits = self.usual_bits if weight_bits is None else weight_bits
        codec = ARITHMETICS[self.arithmetic].codec
        if not codec.fewest <= self.weight_bits <= codec.most:
            allowed = f"{codec.fewest}..{codec.most}"
            raise NetworkError(
                f"{type(self).__name__}: weight_bits {self.weight_bits}; {codec.name} weights take {allowed} bits"
            )
        levels = torch.tensor(codec.levels(self.weight_bits), dtype=torch.float64) / codec.largest(self.weight_bits)
        self.register_buffer("levels", levels, persistent=False)  # so that it lies where the weights lie

    def parts(self) -> Parts:
        """Values of the weights and what stands around the window, with their gradients."""
        raise NotImplementedError


class _Coded2d(CodedLayer, nn.Conv2d):
    """With the signature of `torch.nn.Conv2d`, and the stored width of a weight."""

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self._conv_forward(x, self.parts().weights, self.bias)
        return y


class _CodedLinear(CodedLayer, nn.Linear):
    """With the signature of `torch.nn.Linear`, and the stored width of a weight."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.parts().weights, self.bias)


class _Ternary(CodedLayer):
    arithmetic, usual_bits = "ternary", 2

    def parts(self) -> Parts:
        """Magnitudes above the threshold become the mean of those, a filter at a time."""
        magnitudes = _per_filter(self.weight).detach()
        large = magnitudes > TERNARY_THRESHOLD * magnitudes.mean(1, keepdim=True)
        mean = (magnitudes * large).sum(1) / large.sum(1).clamp_min(1)
        values = self.weight.sign() * (large * mean[:, None]).view_as(self.weight)
        return Parts(_through(self.weight, values))


class _Shift(CodedLayer):
    arithmetic, usual_bits = "shift", SHIFT_BITS

    def parts(self) -> Parts:
        """The power of two next to a weight in the exponent (DeepShift-Q), from 1 down to the codec's smallest; zero below."""
        powers = len(self.levels) - 1  # 1, 1/2, ... of which the codec has so many
        exponents = self.weight.detach().abs().log2().round().clamp_max(0)
        values = torch.where(exponents < 1 - powers, 0.0, exponents.exp2() * self.weight.sign())
        return Parts(_through(self.weight, values.to(self.weight.dtype)))


class _Apot(CodedLayer):
    arithmetic, usual_bits = "apot", APOT_BITS

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.clip = nn.Parameter(self.weight.new_full((), APOT_CLIP))

    def parts(self) -> Parts:
        """Weights of mean 0 and deviation 1, clipped at a trained number, each a sum of two powers of two (APoT)."""
        weights: Tensor = (self.weight - self.weight.mean()) / self.weight.std(correction=0).clamp_min(1e-12)
        inside = (weights / self.clip).clamp(-1, 1)
        values = inside.sign() * self._nearest_level(inside.detach().abs())
        # Beyond the clip a weight keeps its gradient, as in the released code: it may come back.
        beyond = (weights - weights.detach()) * (weights.detach().abs() > self.clip.detach())
        return Parts(self.clip * _through(inside, values) + beyond)

    def _nearest_level(self, magnitudes: Tensor) -> Tensor:
        """Of magnitudes from 0 to 1, the codec's nearest one; the smaller of two as near."""
        levels = self.levels.to(magnitudes)
        return levels[torch.bucketize(magnitudes.contiguous(), (levels[1:] + levels[:-1]) / 2)]


class _Xnor(CodedLayer):
    arithmetic, usual_bits = "xnor", 1

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        channels = self.weight.shape[1] * getattr(self, "groups", 1)
        self.threshold = nn.Parameter(self.weight.new_zeros(channels))

    def parts(self) -> Parts:
        """Signs, each filter times its mean magnitude (XNOR-Net); inputs are compared with a trained threshold (ReActNet)."""
        return Parts(signs(self.weight), self.threshold, self.scale())

    def scale(self) -> Tensor:
        """Factor of each output channel."""
        return _per_filter(self.weight).mean(1)


class Ternary2d(_Ternary, _Coded2d):
    """A convolution with weights of -a, 0 and a, one a filter (ternary weight networks, arXiv 1605.04711).

    Examples
    --------
    >>> layer = Ternary2d(3, 2, 3)
    >>> [len(set(row.tolist())) <= 3 for row in layer.parts().weights.flatten(1)]
    [True, True]
    """


class TernaryLinear(_Ternary, _CodedLinear):
    """A fully connected layer with weights of -a, 0 and a; see `Ternary2d`."""


class Shift2d(_Shift, _Coded2d):
    """A convolution with weights that are zero or signed powers of two (DeepShift-Q, arXiv 1905.13298).

    Examples
    --------
    >>> layer = Shift2d(3, 2, 3, weight_bits=4)
    >>> sizes = layer.parts().weights.detach().abs()
    >>> bool(((sizes.log2() % 1 == 0) | (sizes == 0)).all())
    True
    """


class ShiftLinear(_Shift, _CodedLinear):
    """A fully connected layer with weights that are zero or signed powers of two; see `Shift2d`."""


class Apot2d(_Apot, _Coded2d):
    """A convolution with weights that are sums of two powers of two (APoT, arXiv 1909.13144); batch norm should follow.

    Weights are brought to mean 0 and deviation 1 first; `clip`, trained, is the largest magnitude.
    """


class ApotLinear(_Apot, _CodedLinear):
    """A fully connected layer with weights that are sums of two powers of two; see `Apot2d`."""


class Xnor2d(_Xnor, _Coded2d):
    """A convolution of signs: of the weights, and of the inputs less a trained threshold (XNOR-Net, ReActNet).

    ``y = mean |w| * sum sign(x - t) sign(w) + bias``, the mean and `threshold` t one a filter and one an input channel.
    Hardware has no zero among signs: a padded position counts as +1, the sign of zero. No ReLU should come before.

    Examples
    --------
    >>> layer = Xnor2d(1, 1, 3, padding=1, bias=False)
    >>> nn.init.constant_(layer.weight, 0.5).shape
    torch.Size([1, 1, 3, 3])
    >>> layer(-torch.ones(1, 1, 1, 1)).item()  # eight padded positions of +1, and one of -1, times 0.5
    3.5
    """

    def forward(self, x: Tensor) -> Tensor:
        moved = x - _by_channel(self.threshold, x)
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        inputs = signs(functional.pad(moved, self._reversed_padding_repeated_twice, mode))
        y = functional.conv2d(inputs, signs(self.weight), None, self.stride, 0, self.dilation, self.groups)
        y = y * _by_channel(self.scale(), y)
        return y if self.bias is None else y + _by_channel(self.bias, y)


class XnorLinear(_Xnor, _CodedLinear):
    """A fully connected layer of signs; see `Xnor2d`."""

    def forward(self, x: Tensor) -> Tensor:
        y = functional.linear(signs(x - self.threshold), signs(self.weight)) * self.scale()
        return y if self.bias is None else y + self.bias


CODED_LAYERS: Mapping[str, tuple[type[_Coded2d], type[_CodedLinear]]] = MappingProxyType(
    {
        "xnor": (Xnor2d, XnorLinear),
        "ternary": (Ternary2d, TernaryLinear),
        "shift": (Shift2d, ShiftLinear),
        "apot": (Apot2d, ApotLinear),
    }
)
"""Modules in place of Conv2d and Linear, by the name that their networks carry."""
