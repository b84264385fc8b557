"""What adder and Euclidean layers compute, as functions of their input and filters; padding and types are met here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.fx
from torch import Tensor
from torch.nn import functional

from addersim.arithmetic.geometry import Pair
from addersim.errors import NetworkError
from addersim.train.kernels import l1
from addersim.train.powers import power_sums
from addersim.train.precision import whole_products, widened

__all__ = ["MODES", "adder2d", "adder_linear", "euclidean2d", "euclidean_linear"]

Sums = Callable[..., Tensor]
MODES = ("zeros", "reflect", "replicate", "circular")
"""What stands around an image; each is an operand of its taps."""
# torch.fx takes these calls as they are: what is in them looks at shapes.
for _name in ("adder2d", "adder_linear", "euclidean2d", "euclidean_linear"):
    torch.fx.wrap(_name)


def adder2d(
    x: Tensor,
    filters: Tensor,
    stride: Pair,
    near: Pair,
    far: Pair,
    dilation: Pair,
    groups: int,
    padding_mode: str,
    sign: bool,
    power: float = 1.0,
) -> Tensor:
    """``-sum |X - F|^power`` over windows of (images, channels, height, width), or of one image without the first axis.

    `near` and `far` are the padding before and after an image.
    """
    return _windows(_sums(power, sign), x, filters, stride, near, far, dilation, groups, padding_mode)


def _sums(power: float, sign: bool) -> Sums:
    """At 1 with the adder method's gradients, `sign` among them; above with those of the power itself."""
    if power == 1:
        return lambda *given: l1(*given, sign)
    return squares if power == 2 else lambda *given: power_sums(*given, power)


def euclidean2d(
    x: Tensor, filters: Tensor, stride: Pair, near: Pair, far: Pair, dilation: Pair, groups: int, padding_mode: str
) -> Tensor:
    """``-sum (X - F)^2``; otherwise as `adder2d`."""
    return _windows(squares, x, filters, stride, near, far, dilation, groups, padding_mode)


def adder_linear(x: Tensor, filters: Tensor, sign: bool, power: float = 1.0) -> Tensor:
    """``-sum |X - F|^power`` over the last axis of the input."""
    _check_features(x, filters)
    pixels = x.reshape(-1, filters.shape[1], 1, 1)
    y = _sums(power, sign)(pixels, filters[:, :, None, None], (1, 1), (0, 0), (1, 1), 1)
    return y.reshape(*x.shape[:-1], filters.shape[0])


def euclidean_linear(x: Tensor, filters: Tensor) -> Tensor:
    """``-sum (X - F)^2`` over the last axis of the input."""
    _check_features(x, filters)

    def sums(x: Tensor, filters: Tensor) -> Tensor:
        return 2 * functional.linear(x, filters) - (x * x).sum(-1, keepdim=True) - (filters * filters).sum(1)

    return _in_float32(sums, x, filters)


def _check_features(x: Tensor, filters: Tensor) -> None:
    if x.ndim < 1 or x.shape[-1] != filters.shape[1]:
        raise NetworkError(
            f"linear adder layer: input has shape {tuple(x.shape)}; its last axis needs {filters.shape[1]} features"
        )


def _windows(
    sums: Sums, x: Tensor, filters: Tensor, stride: Pair, near: Pair, far: Pair, dilation: Pair, groups: int, mode: str
) -> Tensor:
    if x.ndim not in (3, 4):
        raise NetworkError(f"adder layer: input has shape {tuple(x.shape)}; needs images of (channels, height, width), or one")
    pixels = x if x.ndim == 4 else x[None]
    if mode != "zeros" or near != far:
        pixels, near = _surrounded(pixels, near, far, mode), (0, 0)
    y = sums(pixels, filters, stride, near, dilation, groups)
    return y if x.ndim == 4 else y[0]


def _surrounded(x: Tensor, near: Pair, far: Pair, mode: str) -> Tensor:
    room = {"reflect": -1, "circular": 0}.get(mode)  # what an image can give of itself
    for axis, what in ((0, "height"), (1, "width")):
        size, most = x.shape[axis + 2], max(near[axis], far[axis])
        if room is not None and most > size + room:
            raise NetworkError(
                f"adder layer: padding_mode {mode!r} has {size + room} pixels at most for a {what} of {size}; "
                f"padding is {most}"
            )
    return functional.pad(x, (near[1], far[1], near[0], far[0]), "constant" if mode == "zeros" else mode)


def squares(x: Tensor, filters: Tensor, *geometry: Any) -> Tensor:
    """``-sum (X - F)^2`` as ``2 sum X F - sum X^2 - sum F^2``, each by torch, which knows their gradients."""

    def sums(x: Tensor, filters: Tensor) -> Tensor:
        every = torch.ones_like(filters[:1]).repeat(geometry[-1], 1, 1, 1)
        norms = functional.conv2d(x * x, every, None, *geometry).repeat_interleave(filters.shape[0] // geometry[-1], dim=1)
        return 2 * functional.conv2d(x, filters, None, *geometry) - norms - (filters * filters).sum((1, 2, 3))[:, None, None]

    return _in_float32(sums, x, filters)


def _in_float32(sums: Sums, x: Tensor, filters: Tensor) -> Tensor:
    """Large sums are subtracted from each other: halves, autocast's and TF32 too, would leave no digit of what remains."""
    device = x.device.type
    with whole_products(x):
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return sums(widened(x), widened(filters))
        y = sums(widened(x), widened(filters))
    return y.to(x.dtype) if x.dtype == filters.dtype != y.dtype else y
