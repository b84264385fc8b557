"""Adder layers as torch modules: `Adder2d` and `AdderLinear` in place of Conv2d and Linear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from addersim.arithmetic.geometry import Geometry, Pair, same_padding
from addersim.errors import NetworkError
from addersim.train import functional
from addersim.train.functional import MODES
from addersim.train.rate import AdderRate, Rate, watch

__all__ = [
    "LAYERS",
    "Adder2d",
    "AdderLinear",
    "AdderRate",
    "Euclidean2d",
    "EuclideanLinear",
    "Gradient",
    "Rate",
    "adder_layers",
]

Gradient = Literal["full", "sign"]
PADDINGS = ("same", "valid")


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


class _AdderLayer(nn.Module):
    """Filters `adder`, an optional `bias`, and the rule for the filters' gradient."""

    def __init__(
        self,
        shape: tuple[int, ...],
        bias: bool,
        gradient: Gradient,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        if gradient not in get_args(Gradient):
            raise NetworkError(f"{type(self).__name__}: gradient {gradient!r} is not one of {', '.join(get_args(Gradient))}")
        if dtype is not None and not dtype.is_floating_point:
            raise NetworkError(f"{type(self).__name__}: dtype {dtype} is no floating type, such as torch.float32")
        self.gradient: Gradient = gradient
        self._power = 1.0
        self.adder = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(shape[0], device=device, dtype=dtype)) if bias else None
        self.reset_parameters()
        watch(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"_power": 1.0} | state)  # type: ignore[no-untyped-call]
        watch(self)  # copies, too

    @property
    def power(self) -> float:
        """p of ``-sum |X - F|^p``."""
        return self._power

    @power.setter
    def power(self, power: float) -> None:
        if not isinstance(power, (int, float)) or not 1 <= power <= 2:
            raise NetworkError(
                f"{type(self).__name__}: power {power!r}; needs a number from 1, adder layers, to 2, Euclidean ones"
            )
        self._power = float(power)

    def reset_parameters(self) -> None:
        """Draw filters from N(0, 1), as the released code does; the bias is zero."""
        nn.init.normal_(self.adder)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        if f"{prefix}b" in state:  # the bias in state dicts of the official adder2d
            state[f"{prefix}bias"] = state.pop(f"{prefix}b")
        super()._load_from_state_dict(state, prefix, *rest)


class Adder2d(_AdderLayer):
    """Two-dimensional adder layer, ``Y = -sum |X - F| + bias``, with the signature of `torch.nn.Conv2d`.

    Backward uses the method's gradients (arXiv 1912.13200): ``X - F`` for the filters and ``HardTanh(F - X)`` for the
    input. They are not scaled here; the per-layer learning rate is `AdderRate`'s. Batch norm should follow.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        As in `torch.nn.Conv2d`. Padding counts: with zeros, a padded tap adds ``-|0 - F|``. On the CPU, float64 is computed in
        float64, slowly; bfloat16 and float16 are summed in float32 and rounded once.
    gradient
        ``full`` for ``X - F``, ``sign`` for ``sgn(X - F)``.

    Attributes
    ----------
    adder
        Filters, of shape (out_channels, in_channels / groups, kernel height, kernel width).
    power
        p of ``-sum |X - F|^p``, from 1, an adder layer, to 2, a Euclidean one; `addersim.train.annealing` lets it fall while a
        network is trained. Above 1 gradients are those of the power itself. It is not part of the state dict.

    Raises
    ------
    NetworkError
        For channels that the groups do not divide, and for geometry out of range; for a second or a forward derivative.

    Examples
    --------
    >>> layer = Adder2d(1, 2, kernel_size=3, padding=1, bias=False)
    >>> layer(torch.zeros(1, 1, 4, 4)).shape
    torch.Size([1, 2, 4, 4])
    >>> torch.allclose(layer(torch.zeros(1, 1, 4, 4))[0, :, 0, 0], -layer.adder.abs().sum((1, 2, 3)))
    True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair | Literal["same", "valid"] = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        gradient: Gradient = "full",
    ):
        if groups < 1 or in_channels < 1 or out_channels < 1 or in_channels % groups or out_channels % groups:
            raise NetworkError(f"Adder2d: {in_channels} -> {out_channels} channels cannot be divided into {groups} groups")
        if isinstance(padding, str) and padding not in PADDINGS:
            raise NetworkError(f"Adder2d: padding {padding!r} is not one of {', '.join(PADDINGS)}, or whole numbers")
        pixels = (0, 0) if isinstance(padding, str) else _pair(padding)
        geometry = Geometry(_pair(kernel_size), _pair(stride), pixels, _pair(dilation), groups)
        if padding == "same" and geometry.stride != (1, 1):
            raise NetworkError(f"Adder2d: padding 'same' keeps the size at stride 1 alone; stride is {geometry.stride}")
        if padding_mode not in MODES:
            raise NetworkError(f"Adder2d: padding_mode {padding_mode!r} is not one of {', '.join(MODES)}")
        super().__init__((out_channels, in_channels // groups, *geometry.kernel), bias, gradient, device, dtype)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = geometry.kernel, geometry.stride
        self.padding = padding if isinstance(padding, str) else geometry.padding
        self.padding_mode, self.dilation = padding_mode, geometry.dilation

    def _moves(self) -> dict[str, Any]:
        if self.padding == "same":
            near, far = same_padding(self.kernel_size, self.dilation)
        else:
            near = far = (0, 0) if isinstance(self.padding, str) else self.padding
        names = ("stride", "dilation", "groups", "padding_mode")
        return {name: getattr(self, name) for name in names} | {"near": near, "far": far}

    def forward(self, x: Tensor) -> Tensor:
        y = functional.adder2d(x, self.adder, **self._moves(), sign=self.gradient == "sign", power=self.power)
        return y if self.bias is None else y + self.bias[:, None, None]

    def extra_repr(self) -> str:
        geometry = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        rest = (
            f"groups={self.groups}, bias={self.bias is not None}, padding_mode={self.padding_mode}, gradient={self.gradient}"
        )
        return f"{self.in_channels}, {self.out_channels}, {geometry}, {rest}"


class AdderLinear(_AdderLayer):
    """Adder layer on vectors, ``Y = -sum |X - F| + bias``, with the signature of `torch.nn.Linear`.

    Gradients and errors as in `Adder2d`; `adder` has shape (out_features, in_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        gradient: Gradient = "full",
    ):
        if in_features < 1 or out_features < 1:
            raise NetworkError(f"AdderLinear: {in_features} -> {out_features} features; needs at least one of each")
        super().__init__((out_features, in_features), bias, gradient, device, dtype)
        self.in_features, self.out_features = in_features, out_features

    def forward(self, x: Tensor) -> Tensor:
        y = functional.adder_linear(x, self.adder, self.gradient == "sign", self.power)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}, gradient={self.gradient}"


class Euclidean2d(Adder2d):
    """Two-dimensional Euclidean layer, ``Y = -sum (X - F)^2 + bias``, with the signature of `Adder2d`.

    The gradients are the full ones, ``2 (X - F)`` for the filters and ``2 (F - X)`` for the input; `gradient` is ``full``.

    Examples
    --------
    >>> layer = Euclidean2d(1, 2, kernel_size=3, padding=1, bias=False)
    >>> torch.allclose(layer(torch.zeros(1, 1, 4, 4))[0, :, 0, 0], -(layer.adder**2).sum((1, 2, 3)))
    True
    """

    def forward(self, x: Tensor) -> Tensor:
        y = functional.euclidean2d(x, self.adder, **self._moves())
        return y if self.bias is None else y + self.bias[:, None, None]


class EuclideanLinear(AdderLinear):
    """Euclidean layer on vectors, ``Y = -sum (X - F)^2 + bias``; see `Euclidean2d`."""

    def forward(self, x: Tensor) -> Tensor:
        y = functional.euclidean_linear(x, self.adder)
        return y if self.bias is None else y + self.bias


LAYERS: Mapping[str, tuple[type[Adder2d], type[AdderLinear]]] = MappingProxyType(
    {"adder": (Adder2d, AdderLinear), "euclidean": (Euclidean2d, EuclideanLinear)}
)
"""Modules in place of Conv2d and Linear, by the name that their networks carry."""


def adder_layers(module: nn.Module) -> Iterator[tuple[str, Adder2d | AdderLinear]]:
    """Names and modules of the adder layers in a module."""
    for name, layer in module.named_modules():
        if isinstance(layer, (Adder2d, AdderLinear)):
            yield name, layer
