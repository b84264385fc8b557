"""Layers as differentiable torch functions, one a kind, of values with channels first: whose gradients integer layers get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.layers import (
    Add,
    Affine,
    AveragePool,
    Clip,
    Concat,
    IntegerAveragePool,
    IntegerMaxPool,
    IntegerWindow,
    Interpolate,
    MaxPool,
    Move,
    Normalise,
    Product,
    Relu,
    Softmax,
    Table,
    Window,
)
from addersim.layers.base import Array
from addersim.layers.pool_windows import windows_of
from addersim.train.coded import signs
from addersim.train.functional import squares
from addersim.train.kernels import l1_forward

__all__ = ["FORMS", "SUMS", "array", "form", "max_pool", "pool_sums", "tensor", "window_sums"]


def tensor(values: Array) -> Tensor:
    """Values with channels last, as layers hold them, as a float32 tensor with channels first; memory stays as it was."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32)).movedim(-1, 1)


def array(values: Tensor) -> Array:
    """A tensor's values with channels last."""
    found: Array = values.detach().movedim(1, -1).cpu().numpy()
    return found


def window_sums(layer: Window | IntegerWindow, x: Tensor, weights: Tensor) -> Tensor:
    """Sums of a window over its input, in the layer's arithmetic.

    Parameters
    ----------
    layer
        Whose moves and arithmetic are used.
    x
        Its input.
    weights
        In place of the layer's own.
    """
    record = ARITHMETICS[layer.arithmetic] if isinstance(layer, Window) else DATAPATHS[layer.datapath].arithmetic
    pixels = x if x.ndim == 4 else x[:, :, None, None]
    filling = 0.0
    if record.activation_bits == 1:
        pixels, filling = signs(pixels), 1.0  # the sign of a padded zero
    far = layer.far_padding or layer.padding
    even = far == layer.padding and not filling
    if not even:
        pixels = functional.pad(pixels, (layer.padding[1], far[1], layer.padding[0], far[0]), value=filling)
    moves = layer.stride, layer.padding if even else (0, 0), layer.dilation, layer.groups
    sums = SUMS[record.kernel](pixels, weights, *moves)
    return sums if x.ndim == 4 else sums[:, :, 0, 0]


SUMS: Mapping[str, Callable[..., Tensor]] = MappingProxyType(
    {
        "mac": lambda x, weights, *moves: functional.conv2d(x, weights, None, *moves),
        "l1": lambda x, weights, *moves: l1_forward(x, weights, *moves, False),
        "l2": squares,
        "xnor": lambda x, weights, *moves: functional.conv2d(x, signs(weights), None, *moves),
    }
)
"""Sums of a window by the kernel of its arithmetic; adder layers have the method's gradients."""


def form(layer: Any, *inputs: Tensor) -> Tensor:
    """Output of a layer that has no trained values."""
    return FORMS[type(layer)](layer, *inputs)


def _affine(layer: Affine, x: Tensor) -> Tensor:
    multiplier, addend = (
        torch.from_numpy(one.astype(np.float32)).to(x.device).view(-1, *(1,) * (x.ndim - 2))
        for one in (layer.multiplier, layer.addend)
    )
    return x * multiplier + addend


def _relu(layer: Relu, x: Tensor) -> Tensor:
    # At zero the gradient passes: a code of zero may stand for a value above it, and what narrowed it knows better.
    return x.clamp(0, layer.maximum)


def max_pool(layer: MaxPool | IntegerMaxPool, x: Tensor) -> Tensor:
    """Largest values of windows; padding is never one."""
    if layer.kernel and layer.far_padding is None and not layer.ceil_mode and 2 * max(layer.padding) <= min(layer.kernel):
        return functional.max_pool2d(x, layer.kernel, layer.stride, layer.padding, layer.dilation)
    for axis, windows in enumerate(windows_of(layer, tuple(x.shape[1:])), 2):
        x = torch.stack([x[(slice(None),) * axis + (span,)].amax(axis) for span in windows.spans], axis)
    return x


def pool_sums(layer: AveragePool | IntegerAveragePool, x: Tensor) -> Tensor:
    """Sums of the windows of a mean."""
    for axis, windows in enumerate(windows_of(layer, tuple(x.shape[1:])), 2):
        x = torch.stack([x[(slice(None),) * axis + (span,)].sum(axis) for span in windows.spans], axis)
    return x


def _average_pool(layer: AveragePool, x: Tensor) -> Tensor:
    sums, (rows, columns) = pool_sums(layer, x), windows_of(layer, tuple(x.shape[1:]))
    down, right = (torch.tensor(one.taps if layer.count_padding else one.inside) for one in (rows, columns))
    return sums / (torch.outer(down, right).to(x.device) if layer.divisor is None else layer.divisor)


def _move(layer: Move, x: Tensor) -> Tensor:
    """The layer itself says where each value goes, and which are zeros: by its run on the numbers of places."""
    places = array(torch.arange(1, x[0].numel() + 1, dtype=torch.float64).view(1, *x.shape[1:]))
    moved = torch.from_numpy(np.moveaxis(layer.run(places), -1, 1).astype(np.int64)[0]).to(x.device)
    return functional.pad(x.flatten(1), (1, 0))[:, moved]


def _table(layer: Table, x: Tensor) -> Tensor:
    """The function with the slope between two points beside each."""
    at, step = array(x).astype(np.float64), 1e-3
    with np.errstate(all="ignore"):
        slope = (layer.run(at + step).astype(np.float64) - layer.run(at - step)) / (2 * step)
        value = layer.run(at)
    known = tensor(np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)).to(x.device)
    return tensor(value).to(x.device) + known * (x - x.detach())


def _interpolate(layer: Interpolate, x: Tensor) -> Tensor:
    for axis, taps in enumerate(layer.axes, 2):
        share = torch.tensor(taps.share, device=x.device).view(-1, *(1,) * (x.ndim - 1 - axis))
        first, second = (x.index_select(axis, torch.tensor(one, device=x.device)) for one in (taps.first, taps.second))
        x = first * (1 - share) + second * share
    return x


def _normalise(layer: Normalise, x: Tensor) -> Tensor:
    axes = tuple(range(1 + layer.kept, x.ndim))
    if layer.centre:
        x = x - x.mean(axes, keepdim=True)
    return x / (x.square().mean(axes, keepdim=True) + max(layer.epsilon, 1e-12)).sqrt()


def _softmax(layer: Softmax, x: Tensor) -> Tensor:
    return (functional.log_softmax if layer.log else functional.softmax)(x, layer.axis + 1)


FORMS: Mapping[type, Callable[..., Tensor]] = MappingProxyType(
    {
        Affine: _affine,
        Relu: _relu,
        MaxPool: max_pool,
        AveragePool: _average_pool,
        Add: lambda layer, a, b: a - b if layer.subtract else a + b,
        Move: _move,
        Concat: lambda layer, *inputs: torch.cat(inputs, 1),
        Product: lambda layer, a, b: a * b,
        Clip: lambda layer, x: x.clamp(layer.low, layer.high),
        Table: _table,
        Interpolate: _interpolate,
        Normalise: _normalise,
        Softmax: _softmax,
    }
)
"""By layer kind; windows have `window_sums`."""
