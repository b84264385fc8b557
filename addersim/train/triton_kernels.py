"""Triton kernels of the adder layer for CUDA: forward, input gradient and the gradient by sign.

Each thread of a program holds a tile of sums in registers, HEIGHT rows x WIDTH columns, of which LANES stand side by side.
A step of the innermost loop reads one value for each of its rows and columns and adds a whole tile of terms: two
floating-point instructions a tap in the forward pass (subtract, add the absolute value), four in the input gradient. As that
loop goes tap by tap, any number of taps will do. Windows that reach into the padding read a row of zeros instead, so that
nothing in the loop is masked but columns beyond the last. Tensors are channels last; values are read in their own type, and
all arithmetic is float32.

With ``TRITON_INTERPRET=1`` set before Triton is imported, the same kernels run on CPU tensors. So they are tested, and so is
that they compile for compute capability 8.0 and 9.0. `make test-gpu` runs them on a GPU; their speed there was not measured.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from addersim.train.operands import Pair, channels_last, check_size, empty_outputs, geometry_of, output_shape

__all__ = ["CONFIGS", "l1_forward", "l1_input_gradient", "l1_sign_filter_gradient"]

UNROLL = tl.constexpr(4)
"""Steps of the innermost loop that are unrolled, so that loads are under way while sums are added."""

SPLIT = 4096
"""Output pixels that one program of the gradient by sign adds up."""


@triton.jit
def _tile(HEIGHT: tl.constexpr, WIDTH: tl.constexpr, LANES: tl.constexpr, THREADS: tl.constexpr):
    """Rows (HEIGHT, 1, THREADS) and columns (1, WIDTH, THREADS) of a program's sums; the last axis is spread over threads."""
    thread = tl.arange(0, THREADS)[None, None, :]
    row = tl.program_id(0) * (HEIGHT * (THREADS // LANES)) + tl.arange(0, HEIGHT)[:, None, None] * (THREADS // LANES)
    column = tl.program_id(1) * (WIDTH * LANES) + tl.arange(0, WIDTH)[None, :, None]
    return row + thread // LANES, column + thread % LANES * WIDTH


@triton.jit
def _forward(
    x, filters, zeros, y, pixels, channels, outputs, groups, height, width, out_height, out_width, kernel_height,
    kernel_width, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, LANES: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    """Rows are output pixels, columns the outputs of one group; filters lie as (taps, channels of a group, all outputs)."""
    row, column = _tile(HEIGHT, WIDTH, LANES, THREADS)
    group = tl.program_id(2)
    image, place = row // (out_height * out_width), row % (out_height * out_width)
    top, left = place // out_width * stride_y - padding_y, place % out_width * stride_x - padding_x
    weights = filters + group * outputs + column
    total = tl.zeros((HEIGHT, WIDTH, THREADS), tl.float32)
    for tap_y in range(kernel_height):
        for tap_x in range(kernel_width):
            in_y, in_x = top + tap_y * dilation_y, left + tap_x * dilation_x
            inside = (row < pixels) & (in_y >= 0) & (in_y < height) & (in_x >= 0) & (in_x < width)
            values = x + ((image * height + in_y) * width + in_x) * (channels * groups) + group * channels
            values = tl.where(inside, values, zeros)
            for channel in tl.range(0, channels, loop_unroll_factor=UNROLL):
                value = tl.load(values + channel).to(tl.float32)
                weight = tl.load(weights, mask=column < outputs, other=0.0).to(tl.float32)
                total += tl.abs(value - weight)
                weights += outputs * groups
    target = y + row * (outputs * groups) + group * outputs + column
    tl.store(target, (-total).to(y.dtype.element_ty), mask=(row < pixels) & (column < outputs))


@triton.jit
def _input_gradient(
    gradient, x, filters, zeros, result, pixels, channels, outputs, groups, height, width, out_height, out_width,
    kernel_height, kernel_width, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, LANES: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    """Rows are input pixels, columns the channels of one group; filters lie as (taps, all outputs, channels of a group)."""
    row, column = _tile(HEIGHT, WIDTH, LANES, THREADS)
    group = tl.program_id(2)
    image, place = row // (height * width), row % (height * width)
    is_value = (row < pixels) & (column < channels)
    at = row * (channels * groups) + group * channels + column
    value = tl.load(x + at, mask=is_value, other=0.0).to(tl.float32)
    total = tl.zeros((HEIGHT, WIDTH, THREADS), tl.float32)
    for tap_y in range(kernel_height):
        for tap_x in range(kernel_width):
            down = place // width + padding_y - tap_y * dilation_y  # the output's row times stride, where there is one
            right = place % width + padding_x - tap_x * dilation_x
            out_y, out_x = down // stride_y, right // stride_x
            inside = (row < pixels) & (down >= 0) & (out_y < out_height) & (down % stride_y == 0)
            inside = inside & (right >= 0) & (out_x < out_width) & (right % stride_x == 0)
            factors = gradient + ((image * out_height + out_y) * out_width + out_x) * (outputs * groups) + group * outputs
            factors = tl.where(inside, factors, zeros)
            weights = filters + ((tap_y * kernel_width + tap_x) * groups + group) * (outputs * channels) + column
            for output in tl.range(0, outputs, loop_unroll_factor=UNROLL):
                factor = tl.load(factors + output).to(tl.float32)
                weight = tl.load(weights, mask=column < channels, other=0.0).to(tl.float32)
                total += tl.minimum(tl.maximum(weight - value, -1.0), 1.0) * factor
                weights += channels
    tl.store(result + at, total.to(result.dtype.element_ty), mask=is_value)


@triton.jit
def _sign_filter_gradient(
    gradient, x, filters, result, pixels, channels, outputs, groups, height, width, out_height, out_width, kernel_height,
    kernel_width, stride_y, stride_x, padding_y, padding_x, dilation_y, dilation_x, split,
    HEIGHT: tl.constexpr, WIDTH: tl.constexpr, LANES: tl.constexpr, THREADS: tl.constexpr,
):  # fmt: skip
    """Rows are taps x channels of a group, columns its outputs; filters as in `_forward`; one result for each split."""
    row, column = _tile(HEIGHT, WIDTH, LANES, THREADS)
    taps = kernel_height * kernel_width * channels
    group, first = tl.program_id(2) % groups, tl.program_id(2) // groups * split
    tap, channel = row // channels, row % channels
    tap_y, tap_x = tap // kernel_width * dilation_y - padding_y, tap % kernel_width * dilation_x - padding_x
    is_filter = (row < taps) & (column < outputs)
    at = row * (outputs * groups) + group * outputs + column
    weight = tl.load(filters + at, mask=is_filter, other=0.0).to(tl.float32)
    total = tl.zeros((HEIGHT, WIDTH, THREADS), tl.float32)
    for pixel in range(first, tl.minimum(first + split, pixels)):
        image, place = pixel // (out_height * out_width), pixel % (out_height * out_width)
        in_y, in_x = place // out_width * stride_y + tap_y, place % out_width * stride_x + tap_x
        inside = (row < taps) & (in_y >= 0) & (in_y < height) & (in_x >= 0) & (in_x < width)
        values = x + ((image * height + in_y) * width + in_x) * (channels * groups) + group * channels + channel
        value = tl.load(values, mask=inside, other=0.0).to(tl.float32)
        factors = gradient + pixel * (outputs * groups) + group * outputs + column
        factor = tl.load(factors, mask=column < outputs, other=0.0).to(tl.float32)
        total += tl.where(value > weight, factor, tl.where(value < weight, -factor, 0.0))
    part = result + tl.program_id(2) // groups * (taps * outputs * groups)
    tl.store(part + at, total, mask=is_filter)


def _config(height: int, lanes: int, warps: int) -> Any:
    return triton.Config({"HEIGHT": height, "WIDTH": 4, "LANES": lanes, "THREADS": 32 * warps}, num_warps=warps)


# Four columns a thread are one vector load; with more, the compiler passes them through shared memory at each step.
CONFIGS = tuple(_config(height, lanes, warps) for height in (2, 4, 8, 16) for lanes in (2, 4, 8, 16) for warps in (2, 4))
"""Tiles among which the autotuner takes the fastest, for each shape of layer and type of data."""

_KEY = ("channels", "outputs", "groups", "kernel_height", "kernel_width", "stride_x", "out_width")


def _tuned(kernel: Any) -> Any:
    interpreted = not isinstance(kernel, triton.JITFunction)  # then there is no time to measure, and one tile will do
    return triton.autotune([*(CONFIGS[:1] if interpreted else CONFIGS)], key=[*_KEY])(kernel)


_FORWARD, _INPUT_GRADIENT, _SIGN_FILTER_GRADIENT = map(_tuned, (_forward, _input_gradient, _sign_filter_gradient))


def l1_forward(
    x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int, *, kernel: Any = _FORWARD
) -> Tensor:
    """``Y = -sum |X - F|``, in the wider type of `x` and `adder`; shapes as in `addersim.train.reference.l1_forward`.

    `kernel` is the autotuned kernel; tests put one tile after the other in its place.
    """
    x, filters = channels_last(x), adder.detach().permute(2, 3, 1, 0).contiguous()
    shape, sizes = _sizes(x, adder, stride, padding, dilation, groups)
    y = empty_outputs(shape, torch.promote_types(x.dtype, adder.dtype), x.device)
    pixels = math.prod(shape[:3])
    check_size(x, y)
    grid = _grid(pixels, shape[3] // groups, groups)
    with torch.cuda.device_of(x):  # Triton launches on the current device, whichever the tensors are on
        kernel[grid](x, filters, x.new_zeros(adder.shape[1]), y, pixels, *sizes)
    return y


def l1_input_gradient(
    gradient: Tensor,
    x: Tensor,
    adder: Tensor,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    *,
    kernel: Any = _INPUT_GRADIENT,
) -> Tensor:
    """Sum of ``HardTanh(F - X) g`` over outputs and windows, in the shape and type of `x`; `kernel` as in `l1_forward`."""
    gradient, x = channels_last(gradient), channels_last(x)
    result, filters = torch.empty_like(x), adder.detach().permute(2, 3, 0, 1).contiguous()
    outputs, channels, pixels = adder.shape[0] // groups, adder.shape[1], x[:, 0].numel()
    shape, sizes = _sizes(x, adder, stride, padding, dilation, groups)
    check_size(x, gradient, shape=shape)
    grid = _grid(pixels, channels, groups)
    with torch.cuda.device_of(x):
        kernel[grid](gradient, x, filters, gradient.new_zeros(outputs), result, pixels, *sizes)
    return result


def l1_sign_filter_gradient(
    gradient: Tensor,
    x: Tensor,
    adder: Tensor,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    *,
    kernel: Any = _SIGN_FILTER_GRADIENT,
) -> Tensor:
    """Sum of ``sgn(X - F) g`` over images and pixels, in the shape and type of `adder`; `kernel` as in `l1_forward`."""
    gradient, x = channels_last(gradient), channels_last(x)
    filters, pixels = adder.detach().permute(2, 3, 1, 0).contiguous(), gradient[:, 0].numel()
    splits = triton.cdiv(pixels, SPLIT)
    parts = torch.empty((splits, *filters.shape), dtype=torch.float32, device=x.device)
    shape, sizes = _sizes(x, adder, stride, padding, dilation, groups)
    check_size(x, gradient, parts, shape=shape)
    grid = _grid(adder[0].numel(), adder.shape[0] // groups, groups * splits)
    with torch.cuda.device_of(x):
        kernel[grid](gradient, x, filters, parts, pixels, *sizes, SPLIT)
    result = parts.sum(0).permute(3, 2, 0, 1).to(adder.dtype)
    return result.contiguous(memory_format=torch.channels_last)


def _sizes(
    x: Tensor, adder: Tensor, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels-last shape of the output, checked; and the sizes as every kernel takes them, from `channels` on."""
    geometry = geometry_of(adder.shape, stride, padding, dilation, groups)
    shape = output_shape(x.shape, adder.shape, geometry)
    moves = *geometry.kernel, *geometry.stride, *geometry.padding, *geometry.dilation
    return shape, (adder.shape[1], adder.shape[0] // geometry.groups, geometry.groups, *x.shape[2:], *shape[1:3], *moves)


def _grid(rows: int, columns: int, others: int) -> Any:
    """Number of programs, given a tile."""

    def count(tile: dict[str, int]) -> tuple[int, int, int]:
        height, width = tile["HEIGHT"] * (tile["THREADS"] // tile["LANES"]), tile["WIDTH"] * tile["LANES"]
        return triton.cdiv(rows, height), triton.cdiv(columns, width), others

    return count
