"""The slow twins of `addersim.kernels`, from the definitions: one step of numpy int64 (or float64) a tap.

These functions are the specification of the kernels. They share the checks of arguments with them and no arithmetic. Taps
come in the order kernel row, kernel column, input channel. ``threads`` is taken and ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.arithmetics import arithmetic as find_arithmetic
from addersim.arithmetic.fixed import Accumulator, FixedFormat, Overflow, Rounding, shift_right, wrap
from addersim.arithmetic.geometry import Geometry, Pair
from addersim.errors import NetworkError
from addersim.kernels.checks import (
    CODES,
    INTEGERS,
    AccumulatorOverflow,
    CodesResult,
    FusedResult,
    Moves,
    WindowResult,
    check_adaptive,
    check_affine_products,
    check_arithmetic,
    check_array,
    check_constants,
    check_exact,
    check_format,
    check_kind,
    check_levels,
    check_pool,
    check_product,
    check_products,
    check_shapes,
    check_threads,
    check_window,
)
from addersim.kernels.reference_blending import blend
from addersim.kernels.reference_mantissas import mantissas
from addersim.kernels.reference_prepared import prepare_window_rescale
from addersim.kernels.reference_requantisation import requantize, rescaled_add, rescaled_mean
from addersim.kernels.reference_softmax import softmax
from addersim.kernels.reference_tables import look_up_codes, look_up_pieces
from addersim.kernels.reference_zeros import channels_last, zero_runs
from addersim.kernels.zero_points import check_zero_points

__all__ = [
    "adaptive_max_pool",
    "adaptive_sum_pool",
    "add",
    "affine",
    "blend",
    "channels_last",
    "clamp",
    "forward",
    "l1_forward",
    "l1_input_gradient",
    "l1_sign_filter_gradient",
    "look_up",
    "look_up_codes",
    "look_up_pieces",
    "mac_forward",
    "mantissas",
    "max_pool",
    "multiply",
    "prepare_window",
    "prepare_window_affine",
    "prepare_window_rescale",
    "requantize",
    "rescaled_add",
    "rescaled_mean",
    "softmax",
    "sum_pool",
    "window",
    "window_affine",
    "zero_runs",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]


def _met(x: Array, geometry: Geometry, sizes: Pair, row: int, column: int, outside: int = 0) -> Array:
    """What one tap meets in all windows, ``(images, out_height, out_width, channels)``: pixels, or a value where none is."""
    places, inside = [], []
    for axis, tap in enumerate((row, column)):
        at = np.arange(sizes[axis]) * geometry.stride[axis] - geometry.padding[axis] + tap * geometry.dilation[axis]
        inside.append((at >= 0) & (at < x.shape[1 + axis]))
        places.append(at.clip(0, x.shape[1 + axis] - 1))
    return np.where((inside[0][:, None] & inside[1])[..., None], x[:, places[0][:, None], places[1]], outside)


def _slices(geometry: Geometry, sizes: Pair, row: int, column: int) -> tuple[slice, slice]:
    """Pixels of the padded image that meet one tap, over all windows."""
    starts = row * geometry.dilation[0], column * geometry.dilation[1]
    ends = (starts[axis] + (sizes[axis] - 1) * geometry.stride[axis] + 1 for axis in range(2))
    return tuple(slice(start, end, step) for start, end, step in zip(starts, ends, geometry.stride, strict=True))  # type: ignore[return-value]


def _taps(geometry: Geometry, channels: int) -> Iterator[tuple[int, int, int]]:
    """Kernel row, kernel column, input channel of a group."""
    rows, columns = geometry.kernel
    return iter(np.ndindex(rows, columns, channels // geometry.groups))


def _operands(x: Array, weights: Array, geometry: Geometry, sizes: Pair) -> Iterator[tuple[Array, Array]]:
    """Operands of each tap, x ``(images, out_height, out_width, outputs)``, or one for all outputs, and w ``(outputs,)``."""
    outputs = len(weights)
    first = np.arange(outputs) // (outputs // geometry.groups) * weights.shape[3]
    for row, column in np.ndindex(*geometry.kernel):
        met = _met(x, geometry, sizes, row, column)
        for channel in range(weights.shape[3]):
            operand = met[..., channel, None] if geometry.groups == 1 else met[..., first + channel]
            yield operand, weights[:, row, column, channel]


def _term(arithmetic: str, products: Array | None) -> Callable[[Array, Array], Array]:
    """One tap: the arithmetic's, or what a multiplier's table has for the low bytes of its operands."""
    if products is None:
        return ARITHMETICS[arithmetic].term
    return lambda x, w: products[x & 255, w & 255].astype(np.int64)


def window(
    x: Array,
    weights: Array,
    *,
    arithmetic: str,
    products: Array | None = None,
    zero_point: int = 0,
    weight_zero_points: Array | None = None,
    accumulator_bits: int | None = None,
    overflow: AccumulatorOverflow = "exact",
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> WindowResult:
    """As `addersim.kernels.window`; the register is handled after every tap."""
    x, weights = check_array("x", x, CODES), check_array("weights", weights, CODES)
    register = check_arithmetic(arithmetic, accumulator_bits, overflow)
    term = _term(arithmetic, check_products(products, arithmetic, x.dtype, weights.dtype))
    check_threads(threads)
    geometry, shape = check_window(x, weights, moves)
    zero, of_weights = check_zero_points(zero_point, weight_zero_points, arithmetic, x.dtype, weights, products)
    codes = np.iinfo(x.dtype).min - zero, np.iinfo(x.dtype).max - zero
    x, weights = x.astype(np.int64) - zero, weights.astype(np.int64)
    if of_weights is not None:
        weights -= of_weights[:, None, None, None]
    exact, held, changed = np.zeros((3, *shape), np.int64)
    for operand, weight in _operands(x, weights, geometry, (shape[1], shape[2])):
        one = term(operand, weight)
        exact += one
        after = _held(held + one, register)
        changed |= after != held + one
        held = after
    overflowed = changed if overflow == "saturate" else held != exact
    ends = (int(exact.min()), int(exact.max())) if exact.size else (0, 0)
    check_exact(register, *ends)
    word = _word(codes, weights, term, ARITHMETICS[arithmetic].falls, register)
    return WindowResult(held.astype(word), *ends, int(np.count_nonzero(overflowed)))


def _held(values: Array, register: Accumulator) -> Array:
    """What the register keeps of values."""
    if register.overflow == "exact" or register.bits is None:
        return values
    if register.overflow == "wrap":
        return wrap(values, register.bits)
    return np.clip(values, register.minimum, register.maximum)


def _word(
    ends: Pair, weights: Array, term: Callable[[Array, Array], Array], falls: bool, register: Accumulator
) -> type[np.signedinteger[Any]]:
    """int32 where no x between two ends, with these weights, gives a sum beyond 32 bits, or the register is that narrow."""
    least, most = ends
    codes = np.arange(least, most + 1) if most - least < 256 else np.array([least, 0, most], np.int64)
    terms = term(codes, weights.reshape(len(weights), -1, 1))
    lows, highs = np.minimum(terms.min(axis=2), 0), np.maximum(terms.max(axis=2), 0)
    low, high = lows.sum(axis=1).min(), 0 if falls else highs.sum(axis=1).max()
    small = register.overflow != "exact" and register.bits is not None and register.bits <= 32
    return np.int32 if small or (low >= -(2**31) and high < 2**31) else np.int64


def _into(values: Array, output: FixedFormat, overflow: Overflow, then: FixedFormat | None = None) -> CodesResult:
    codes = wrap(values, output.bits, output.signed) if overflow == "wrap" else np.clip(values, output.minimum, output.maximum)
    ends = (int(values.min()), int(values.max())) if values.size else (0, 0)
    stored = then or output
    kept = np.clip(codes, stored.minimum, stored.maximum).astype(stored.dtype)
    relu = (values < output.minimum) & (overflow == "saturate" and output.ends_at_zero)
    return CodesResult(kept, *ends, int(np.count_nonzero((codes != values) & ~relu)))


def affine(
    x: Array,
    multiplier: Array,
    addend: Array,
    shift: Array,
    *,
    output: FixedFormat,
    rounding: Rounding = "half-even",
    overflow: Overflow = "saturate",
    then: FixedFormat | None = None,
    threads: int | None = None,
) -> CodesResult:
    """As `addersim.kernels.affine`."""
    x = check_array("x", x, INTEGERS)
    check_format(output, overflow, then)
    multiplier, addend, shift = check_constants(x.shape, multiplier, addend, shift, rounding)
    check_affine_products(x, multiplier, addend)
    check_threads(threads)
    return _into(shift_right(x.astype(np.int64) * multiplier + addend, shift, rounding), output, overflow, then)


def window_affine(
    x: Array,
    weights: Array,
    multiplier: Array,
    addend: Array,
    shift: Array,
    *,
    arithmetic: str,
    output: FixedFormat,
    products: Array | None = None,
    zero_point: int = 0,
    weight_zero_points: Array | None = None,
    accumulator_bits: int | None = None,
    overflow: AccumulatorOverflow = "exact",
    rounding: Rounding = "half-even",
    output_overflow: Overflow = "saturate",
    then: FixedFormat | None = None,
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> FusedResult:
    """As `addersim.kernels.window_affine`: one after the other."""
    how: dict[str, Any] = {"arithmetic": arithmetic, "products": products}
    how |= {"zero_point": zero_point, "weight_zero_points": weight_zero_points}
    sums = window(x, weights, **how, accumulator_bits=accumulator_bits, overflow=overflow, threads=threads, **moves)
    codes = affine(
        sums.values, multiplier, addend, shift, output=output, rounding=rounding, overflow=output_overflow, then=then
    )
    seen = (sums.minimum, sums.maximum, sums.overflowed, codes.minimum, codes.maximum, codes.overflowed)
    return FusedResult(codes.values, *seen)


def prepare_window(
    kind: npt.DTypeLike,
    weights: Array,
    *,
    arithmetic: str,
    products: Array | None = None,
    zero_point: int = 0,
    weight_zero_points: Array | None = None,
    accumulator_bits: int | None = None,
    overflow: AccumulatorOverflow = "exact",
    **moves: Unpack[Moves],
) -> partial[WindowResult]:
    """See `addersim.kernels.prepare_window`: here everything is found out at each call, for x of any type."""
    check_kind(kind)
    how: dict[str, Any] = {"arithmetic": arithmetic, "products": products}
    how |= {"zero_point": zero_point, "weight_zero_points": weight_zero_points}
    return partial(window, weights=weights, **how, **moves, accumulator_bits=accumulator_bits, overflow=overflow)


def prepare_window_affine(
    layer: partial[WindowResult],
    multiplier: Array,
    addend: Array,
    shift: Array,
    *,
    output: FixedFormat,
    rounding: Rounding = "half-even",
    output_overflow: Overflow = "saturate",
    then: FixedFormat | None = None,
) -> partial[FusedResult]:
    """See `addersim.kernels.prepare_window_affine`."""
    constants: dict[str, Any] = {"multiplier": multiplier, "addend": addend, "shift": shift}
    how: dict[str, Any] = {"output": output, "rounding": rounding, "output_overflow": output_overflow, "then": then}
    return partial(window_affine, **layer.keywords, **constants, **how)


def add(
    a: Array,
    b: Array,
    *,
    output: FixedFormat,
    overflow: Overflow = "saturate",
    then: FixedFormat | None = None,
    subtract: bool = False,
    threads: int | None = None,
) -> CodesResult:
    """As `addersim.kernels.add`."""
    a, b = check_array("a", a, CODES), check_array("b", b, CODES)
    check_format(output, overflow)
    check_threads(threads)
    check_shapes("add", a, b)
    return _into(a.astype(np.int64) + (-1 if subtract else 1) * b.astype(np.int64), output, overflow, then)


def multiply(a: Array, b: Array, *, threads: int | None = None) -> Array:
    """As `addersim.kernels.multiply`."""
    a, b = check_array("a", a, CODES), check_array("b", b, CODES)
    check_threads(threads)
    return (a.astype(np.int64) * b.astype(np.int64)).astype(check_product(a, b))


def clamp(x: Array, *, output: FixedFormat, threads: int | None = None) -> CodesResult:
    """As `addersim.kernels.clamp`."""
    x = check_array("x", x, INTEGERS)
    check_format(output, "saturate")
    check_threads(threads)
    return _into(x.astype(np.int64), output, "saturate")


def max_pool(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    *,
    far_padding: Pair | None = None,
    ceil_mode: bool = False,
    threads: int | None = None,
) -> Array:
    """As `addersim.kernels.max_pool`."""
    x = check_array("x", x, CODES)
    check_threads(threads)
    geometry, shape = check_pool(x, kernel, stride, padding, dilation, far_padding, ceil_mode)
    least = int(np.iinfo(x.dtype).min)
    y = np.full(shape, least, x.dtype)
    for row, column in np.ndindex(*geometry.kernel):
        y = np.maximum(y, _met(x, geometry, (shape[1], shape[2]), row, column, least))
    return y


def sum_pool(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    *,
    far_padding: Pair | None = None,
    ceil_mode: bool = False,
    threads: int | None = None,
) -> Array:
    """As `addersim.kernels.sum_pool`."""
    x = check_array("x", x, CODES)
    check_threads(threads)
    geometry, shape = check_pool(x, kernel, stride, padding, dilation, far_padding, ceil_mode)
    y = np.zeros(shape, np.int64)
    for row, column in np.ndindex(*geometry.kernel):
        y += _met(x, geometry, (shape[1], shape[2]), row, column)
    return y.astype(_sum_type(x, geometry.kernel[0] * geometry.kernel[1]))


def _sum_type(x: Array, taps: int) -> type[np.signedinteger[Any]]:
    worst = max(abs(int(np.iinfo(x.dtype).min)), int(np.iinfo(x.dtype).max)) * taps
    return np.int32 if worst < 2**31 else np.int64


def _parts(x: Array, output_size: Pair) -> Iterator[tuple[int, int, Array]]:
    """Output row and column, and the codes that they see."""
    height, width = x.shape[1:3]
    for row, column in np.ndindex(*output_size):
        top, bottom = row * height // output_size[0], -(-(row + 1) * height // output_size[0])
        left, right = column * width // output_size[1], -(-(column + 1) * width // output_size[1])
        yield row, column, x[:, top:bottom, left:right]


def adaptive_max_pool(x: Array, output_size: Pair, *, threads: int | None = None) -> Array:
    """As `addersim.kernels.adaptive_max_pool`."""
    x = check_array("x", x, CODES)
    check_threads(threads)
    check_adaptive(x, output_size)
    y = np.empty((x.shape[0], *output_size, x.shape[3]), x.dtype)
    for row, column, part in _parts(x, output_size):
        y[:, row, column] = part.max(axis=(1, 2))
    return y


def adaptive_sum_pool(x: Array, output_size: Pair, *, threads: int | None = None) -> Array:
    """As `addersim.kernels.adaptive_sum_pool`."""
    x = check_array("x", x, CODES)
    check_threads(threads)
    check_adaptive(x, output_size)
    y, taps = np.empty((x.shape[0], *output_size, x.shape[3]), np.int64), 0
    for row, column, part in _parts(x, output_size):
        y[:, row, column] = part.sum(axis=(1, 2), dtype=np.int64)
        taps = max(taps, part.shape[1] * part.shape[2])
    return y.astype(_sum_type(x, taps))


def look_up(pixels: Array, levels: Array, *, threads: int | None = None) -> Array:
    """As `addersim.kernels.look_up`."""
    pixels, levels = check_levels(pixels, levels)
    check_threads(threads)
    images, channels, height, width = pixels.shape
    y = np.empty((images, height, width, channels), levels.dtype)
    for channel in range(channels):
        y[..., channel] = levels[:, channel][pixels[:, channel]]
    return y


def forward(
    x: Floats,
    weights: Floats,
    *,
    arithmetic: str,
    paired: bool = False,
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> Floats:
    """As `addersim.kernels.forward`, summed in float64, which operands and result may be too."""
    x, weights = check_array("x", x, ("float32", "float64")), check_array("weights", weights, (str(x.dtype),))
    term = find_arithmetic(arithmetic).term
    check_threads(threads)
    geometry, shape = check_window(x, weights, moves)
    y = np.zeros(shape)
    for operand, weight in _operands(x.astype(np.float64), weights.astype(np.float64), geometry, (shape[1], shape[2])):
        y += term(operand, weight)
    return y.astype(x.dtype, copy=False)


def l1_forward(x: Floats, weights: Floats, **how: Any) -> Floats:
    """As `addersim.kernels.l1_forward`."""
    return forward(x, weights, arithmetic="l1", **how)


def mac_forward(x: Floats, weights: Floats, **how: Any) -> Floats:
    """As `addersim.kernels.mac_forward`."""
    return forward(x, weights, arithmetic="mac", **how)


def _gradients(gradient: Floats, x: Floats, weights: Floats, moves: Moves, threads: int | None) -> tuple[Floats, Floats]:
    """Gradients of the l1 layer for x (clipped) and for the weights (sign), summed in float64."""
    gradient, x = check_array("gradient", gradient, ("float32",)), check_array("x", x, ("float32",))
    weights = check_array("weights", weights, ("float32",))
    check_threads(threads)
    geometry, shape = check_window(x, weights, moves)
    if gradient.shape != shape:
        raise NetworkError(f"gradient: shape {gradient.shape}; the layer's output has {shape}")
    padded = np.pad(x.astype(np.float64), ((0, 0), geometry.sides(0), geometry.sides(1), (0, 0)))
    for_x, for_weights = np.zeros(padded.shape), np.zeros(weights.shape)
    for output, weight in enumerate(weights.astype(np.float64)):
        first = output // (len(weights) // geometry.groups) * weights.shape[3]
        arriving = gradient[..., output].astype(np.float64)
        for row, column, channel in _taps(geometry, x.shape[3]):
            seen = (slice(None), *_slices(geometry, (shape[1], shape[2]), row, column), first + channel)
            difference = weight[row, column, channel] - padded[seen]
            for_x[seen] += arriving * np.clip(difference, -1, 1)
            for_weights[output, row, column, channel] = -(arriving * np.sign(difference)).sum()
    inside = tuple(slice(pad, pad + size) for pad, size in zip(geometry.padding, x.shape[1:3], strict=True))
    return for_x[:, inside[0], inside[1]].astype(np.float32), for_weights.astype(np.float32)


def l1_input_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> Floats:
    """As `addersim.kernels.l1_input_gradient`, summed in float64."""
    return _gradients(gradient, x, weights, moves, threads)[0]


def l1_sign_filter_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    threads: int | None = None,
    **moves: Unpack[Moves],
) -> Floats:
    """As `addersim.kernels.l1_sign_filter_gradient`, summed in float64."""
    return _gradients(gradient, x, weights, moves, threads)[1]
