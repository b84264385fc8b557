"""Layers between Euclidean and adder ones, ``-sum |X - F|^p``, as torch operators ``addersim::power_*`` with exact gradients.

Images are unfolded a few at a time. On the CPU the kernels sum in float32; elsewhere, and in float64, torch does, a filter at
a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from addersim.arithmetic.geometry import Geometry
from addersim.kernels import powers
from addersim.train.kernels import check_types
from addersim.train.precision import widened
from addersim.train.transforms import transformable

__all__ = ["power_filter_gradient", "power_forward", "power_input_gradient", "power_sums"]

Pairs = Sequence[int]
MOST = 1 << 20
"""Numbers that unfolded images may be, some 4 MiB: they stay in a cache."""


@torch.library.custom_op("addersim::power_forward", mutates_args=())
def power_forward(
    x: Tensor, adder: Tensor, stride: Pairs, padding: Pairs, dilation: Pairs, groups: int, power: float
) -> Tensor:
    """``Y = -sum |X - F|^p``; shapes as in `addersim.train.reference.l1_forward`."""
    window = _window(x, adder, stride, padding, dilation, groups)
    y = x.new_empty(_output(x, adder, window))
    for images in _pieces(x, adder, y):
        sums = _forward(_unfolded(x[images], window), _filters(adder, groups), power)
        y[images] = _folded(sums, y[images])
    return y


@power_forward.register_fake
def _(x: Tensor, adder: Tensor, stride: Pairs, padding: Pairs, dilation: Pairs, groups: int, power: float) -> Tensor:
    return x.new_empty(_output(x, adder, _window(x, adder, stride, padding, dilation, groups)))


@torch.library.custom_op("addersim::power_input_gradient", mutates_args=())
def power_input_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pairs, padding: Pairs, dilation: Pairs, groups: int, power: float
) -> Tensor:
    """``-sum g p |X - F|^(p - 1) sgn(X - F)`` over outputs and windows; the shape of `x`."""
    window, found = _window(x, adder, stride, padding, dilation, groups), torch.empty_like(x)
    moves = window.kernel, window.dilation, window.padding, window.stride
    for images in _pieces(x, adder, gradient):
        seen = _unfolded(x[images], window)
        columns = _input_gradient(_upstream(gradient[images], groups), seen, _filters(adder, groups), power)
        count = len(x[images])
        columns = columns.reshape(-1, count, columns.shape[-1] // count).transpose(0, 1)
        found[images] = functional.fold(columns, x.shape[2:], *moves)
    return found


@power_input_gradient.register_fake
def _(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pairs, padding: Pairs, dilation: Pairs, groups: int, power: float
) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("addersim::power_filter_gradient", mutates_args=())
def power_filter_gradient(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pairs, padding: Pairs, dilation: Pairs, groups: int, power: float
) -> Tensor:
    """``sum g p |X - F|^(p - 1) sgn(X - F)`` over images and pixels; the shape of `adder`."""
    window, found = _window(x, adder, stride, padding, dilation, groups), torch.zeros_like(adder)
    for images in _pieces(x, adder, gradient):
        seen = _unfolded(x[images], window)
        found += _filter_gradient(_upstream(gradient[images], groups), seen, _filters(adder, groups), power).view_as(found)
    return found


@power_filter_gradient.register_fake
def _(
    gradient: Tensor, x: Tensor, adder: Tensor, stride: Pairs, padding: Pairs, dilation: Pairs, groups: int, power: float
) -> Tensor:
    return torch.empty_like(adder)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, adder, *ctx.rest = inputs
    ctx.save_for_backward(x, adder)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, adder = ctx.saved_tensors
    rules = zip(ctx.needs_input_grad, (_by_input, _by_filters), strict=False)
    return *(rule(gradient, x, adder, *ctx.rest) if needed else None for needed, rule in rules), None, None, None, None, None


_by_input = transformable(power_input_gradient, 2)
_by_filters = transformable(power_filter_gradient, 2, gives_filters=True)
_power = transformable(power_forward, 1, keep=_keep, backward=_backward)
power_forward.register_autograd(_backward, setup_context=_keep)


def power_sums(x: Tensor, adder: Tensor, *geometry: Any) -> Tensor:
    """`power_forward` as layers call it; halves are summed in float32, which an autocast keeps."""
    if x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        check_types(input=x, filters=adder)
    y = _power(widened(x), widened(adder), *geometry)
    return y.to(x.dtype) if x.dtype == adder.dtype != y.dtype else y


def _window(x: Tensor, adder: Tensor, stride: Pairs, padding: Pairs, dilation: Pairs, groups: int) -> Geometry:
    steps, sides, spread = ((pair[0], pair[1]) for pair in (stride, padding, dilation))
    return Geometry((adder.shape[2], adder.shape[3]), steps, sides, spread, groups)


def _output(x: Tensor, adder: Tensor, window: Geometry) -> tuple[int, ...]:
    images, height, width, outputs = window.output_shape(*(tuple(one.movedim(1, -1).shape) for one in (x, adder)))
    return images, outputs, height, width


def _pieces(x: Tensor, adder: Tensor, y: Tensor) -> Iterator[slice]:
    """As many images as may be unfolded together."""
    step = max(1, MOST // max(1, x.shape[1] * adder[0, 0].numel() * y[0, 0].numel())) if len(x) else 1
    return (slice(first, first + step) for first in range(0, len(x), step))


def _unfolded(x: Tensor, window: Geometry) -> Tensor:
    """What places of windows see: (groups, taps, images * places)."""
    columns = functional.unfold(x, window.kernel, window.dilation, window.padding, window.stride)
    return columns.transpose(0, 1).reshape(window.groups, -1, columns.shape[-1] * len(x))


def _filters(adder: Tensor, groups: int) -> Tensor:
    return adder.reshape(groups, -1, adder[0].numel())


def _upstream(gradient: Tensor, groups: int) -> Tensor:
    return gradient.transpose(0, 1).reshape(groups, -1, len(gradient) * gradient[0, 0].numel())


def _folded(sums: Tensor, like: Tensor) -> Tensor:
    images, outputs, *size = like.shape
    return sums.reshape(outputs, images, *size).transpose(0, 1)


def _in_c(run: Callable[..., Any], power: float, *tensors: Tensor) -> Tensor:
    return torch.from_numpy(run(*(one.numpy() for one in tensors), power, threads=torch.get_num_threads()))


def _is_kernels(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.float32


def _forward(x: Tensor, filters: Tensor, power: float) -> Tensor:
    if _is_kernels(x):
        return _in_c(powers.power_forward, power, x, filters)
    return -torch.stack([(x - one[..., None]).abs_().pow_(power).sum(1) for one in filters.unbind(1)], 1)


def _slopes(x: Tensor, filters: Tensor, power: float) -> Iterator[Tensor]:
    """Of ``|X - F|^p`` against X, a filter of each group at a time."""
    for one in filters.unbind(1):
        difference = x - one[..., None]
        yield difference.abs().pow_(power - 1).mul_(difference.sign_()).mul_(power)


def _input_gradient(gradient: Tensor, x: Tensor, filters: Tensor, power: float) -> Tensor:
    if _is_kernels(x):
        return _in_c(powers.power_input_gradient, power, gradient, x, filters)
    found = torch.zeros_like(x)
    for one, slopes in zip(gradient.unbind(1), _slopes(x, filters, power), strict=True):
        found -= slopes * one[:, None]
    return found


def _filter_gradient(gradient: Tensor, x: Tensor, filters: Tensor, power: float) -> Tensor:
    if _is_kernels(x):
        return _in_c(powers.power_filter_gradient, power, gradient, x, filters)
    pairs = zip(gradient.unbind(1), _slopes(x, filters, power), strict=True)
    return torch.stack([(slopes * one[:, None]).sum(2) for one, slopes in pairs], 1)
