"""The fast kernels: the only importer of `addersim._core`, which checks nothing. Here everything is checked and allocated.

Values are channels last: x ``(images, height, width, channels)``, window weights
``(outputs, kernel_height, kernel_width, channels / groups)``. `addersim.reference` holds a slow twin of each function, which
is its specification. ``threads=None`` takes as many threads as OpenMP would (``OMP_NUM_THREADS``); no result depends on it.
The environment variable ``ADDERSIM_KERNELS`` forces one instruction set.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arguments import (
    CODES,
    INTEGERS,
    AccumulatorOverflow,
    CodesResult,
    Lane,
    Moves,
    WindowResult,
    check_affine,
    check_array,
    check_exact,
    check_format,
    check_lane,
    check_pool,
    check_threads,
    check_window,
)
from addersim.errors import ConfigError, NetworkError
from addersim.fixed import Accumulator, FixedFormat, Overflow, Rounding
from addersim.geometry import Geometry, Pair

try:
    from addersim import _core
except ImportError as error:
    raise ImportError(
        f"addersim._core, the compiled kernels, cannot load ({error}); build it with a C compiler: pip install -e . or make"
    ) from error

__all__ = [
    "KernelInfo",
    "add",
    "affine",
    "clamp",
    "kernel_info",
    "l1_forward",
    "l1_input_gradient",
    "l1_sign_filter_gradient",
    "mac_forward",
    "max_pool",
    "sum_pool",
    "window",
]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

KNOWN_SETS = ("portable", "avx2", "avx512", "avx512vnni", "neon")
_INT32 = np.iinfo(np.int32)
_LANES = {"l1": 0, "mac": 1}
_OVERFLOWS = {"exact": 0, "wrap": 1, "saturate": 2}
_ROUNDINGS = {"half-even": 0, "half-up": 1, "truncate": 2}
_EXACT_DOUBLES = 1 << 52


@dataclass(frozen=True, slots=True)
class KernelInfo:
    """What runs the kernels.

    Attributes
    ----------
    instruction_set
        The set in use.
    available
        Sets that this machine runs, best first.
    threads
        Threads of a call that does not say how many.
    openmp
        Whether the kernels were built with OpenMP; without it there is one thread.
    """

    instruction_set: str
    available: tuple[str, ...]
    threads: int
    openmp: bool


def kernel_info() -> KernelInfo:
    """The instruction set in use, those available, and the default number of threads."""
    available = _core.instruction_sets()
    threads = _core.default_threads()
    return KernelInfo(available[_kernels()], available, max(1, threads), threads > 0)


def _kernels() -> int:
    """Position of the instruction set in use: the best, or what ADDERSIM_KERNELS names."""
    name = os.environ.get("ADDERSIM_KERNELS", "")
    if not name:
        return 0
    available = _core.instruction_sets()
    if name not in available:
        found = "is not a known instruction set" if name not in KNOWN_SETS else "is not supported by this machine"
        raise ConfigError(f"ADDERSIM_KERNELS: {name!r} {found}; this machine runs {', '.join(available)}")
    return available.index(name)


def _numbers(geometry: Geometry, x: Array, y: Array) -> tuple[int, ...]:
    """Geometry in the order of the C struct."""
    sizes = (*x.shape, *y.shape[1:], *geometry.kernel)
    return (*sizes, *geometry.stride, *geometry.padding, *geometry.dilation, geometry.groups)


def _flat(values: Array) -> Array:
    return values.reshape(-1).view(np.uint8)


def _type(values: Array) -> int:
    return INTEGERS.index(values.dtype.name)


def _bounds(weights: Array, lane: Lane, low: int, high: int) -> tuple[Array, Array]:
    """Smallest and largest exact sum of each output for any x in low..high and zero."""
    least, most = np.empty((2, len(weights)), np.int64)
    ends, taps = (min(low, 0), max(high, 0)), weights[0].size
    _core.window_bounds(_flat(weights), _type(weights), _LANES[lane], taps, *ends, least, most, _kernels())
    return least, most


def _within(bounds: tuple[Array, Array], low: int, high: int) -> bool:
    return bool(bounds[0].min() >= low and bounds[1].max() <= high)


def window(
    x: Array,
    weights: Array,
    *,
    lane: Lane,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    accumulator_bits: int | None = None,
    overflow: AccumulatorOverflow = "exact",
    threads: int | None = None,
) -> WindowResult:
    """Window layer on codes, bit for bit: ``-sum |x - w|`` (l1) or ``sum x * w`` (mac).

    The register starts at zero and takes the taps in the order kernel row, kernel column, input channel; padding is an
    operand of code zero.

    Parameters
    ----------
    x
        Codes ``(images, height, width, channels)``, of type int8, uint8, int16 or uint16.
    weights
        Codes ``(outputs, kernel_height, kernel_width, channels / groups)``, of any of these types, for l1 on x's scale.
    lane
        ``l1`` or ``mac``.
    stride, padding, dilation, groups
        See `addersim.geometry.Geometry`.
    accumulator_bits, overflow
        See `addersim.fixed.Accumulator`; ``exact`` with a width refuses a sum that leaves it.
    threads
        How many; None takes what OpenMP would. The result does not depend on it.

    Returns
    -------
    `WindowResult`

    Raises
    ------
    FormatError, NetworkError, ConfigError
        For wrong types, shapes that do not fit, a register that cannot exist or is too narrow, or threads out of range.

    Examples
    --------
    >>> x, w = np.array([[[[100, -2]]]], np.int8), np.array([[[[-100, 1]]]], np.int8)
    >>> window(x, w, lane="l1").values.item(), window(x, w, lane="mac").values.item()
    (-203, -10002)
    >>> window(x, w, lane="l1", accumulator_bits=8, overflow="saturate").values.item()
    -128
    """
    x, weights = check_array("x", x, CODES), check_array("weights", weights, CODES)
    register, count = check_lane(lane, accumulator_bits, overflow), check_threads(threads)
    geometry, shape = check_window(x, weights, (stride, padding, dilation, groups))
    ends = np.iinfo(x.dtype)
    bounds = _bounds(weights, lane, ends.min, ends.max)
    small = register.overflow != "exact" and register.bits is not None and register.bits <= 32
    narrow = _within(bounds, _INT32.min, _INT32.max)
    y = np.empty(shape, np.int32 if narrow or small else np.int64)
    if not y.size:
        return WindowResult(y, 0, 0, 0)
    low, high = int(ends.min), int(ends.max)
    if lane == "mac" and not (narrow and _holds(register, bounds)):  # what x really holds may prove more
        low, high = int(x.min()), int(x.max())
        bounds = _bounds(weights, lane, low, high)
        narrow = _within(bounds, _INT32.min, _INT32.max)
    seen = _core.window(
        _flat(x),
        _type(x),
        (min(low, 0), max(high, 0)),
        _flat(weights),
        _type(weights),
        _flat(y),
        y.dtype == np.int64,
        _numbers(geometry, x, y),
        _LANES[lane],
        _register(register, bounds),
        narrow,
        _ordered(register, lane, bounds),
        _kernels(),
        count,
    )
    check_exact(register, seen[0], seen[1])
    return WindowResult(y, *seen)


def _holds(register: Accumulator, bounds: tuple[Array, Array]) -> bool:
    return register.bits is None or _within(bounds, register.minimum, register.maximum)


def _register(register: Accumulator, bounds: tuple[Array, Array]) -> tuple[int, int, int, int]:
    """The register in the order of the C struct; one that no sum can leave needs no handling."""
    if register.overflow == "exact" or register.bits is None or _holds(register, bounds):
        return _OVERFLOWS["exact"], 0, 0, 0
    return _OVERFLOWS[register.overflow], register.bits, register.minimum, register.maximum


def _ordered(register: Accumulator, lane: Lane, bounds: tuple[Array, Array]) -> Array | None:
    """Outputs for which the order of the taps matters: a mac sum that could leave a saturating register on its way."""
    if lane != "mac" or register.overflow != "saturate":
        return None
    found: Array = (bounds[0] < register.minimum) | (bounds[1] > register.maximum)
    return found.view(np.uint8) if found.any() else None


def affine(
    x: Array,
    multiplier: Array,
    addend: Array,
    shift: Array,
    *,
    output: FixedFormat,
    rounding: Rounding = "half-even",
    overflow: Overflow = "saturate",
    threads: int | None = None,
) -> CodesResult:
    """``(x * multiplier + addend) >> shift`` a channel (the last axis), rounded, into a format.

    Parameters
    ----------
    x
        Integers of any shape ``(..., channels)``, int8 to int64 or uint8 and uint16.
    multiplier, addend, shift
        int32, int64 and uint8 (0..62), shape ``(channels,)``. ``|x * multiplier| + |addend|`` must stay below 2**62.
    output
        Format of the result.
    rounding
        As in `addersim.fixed.shift_right`.
    overflow
        ``saturate`` or ``wrap``.
    threads
        As in `window`.

    Examples
    --------
    >>> one = affine(np.array([[5], [300]], np.int32), np.array([3], np.int32), np.array([1]), np.array([1], np.uint8),
    ...              output=FixedFormat(8))
    >>> one.values.ravel().tolist(), one.maximum, one.overflowed
    ([8, 127], 450, 1)
    """
    x, multiplier = check_array("x", x, INTEGERS), check_array("multiplier", multiplier, ("int32",))
    addend, shift = check_array("addend", addend, ("int64",)), check_array("shift", shift, ("uint8",))
    check_format(output, overflow)
    worst, count = check_affine(x, multiplier, addend, shift, rounding), check_threads(threads)
    y = np.empty(x.shape, output.dtype)
    if not y.size:
        return CodesResult(y, 0, 0, 0)
    half = (1 << int(shift.max())) // 2 if rounding == "half-up" else 0
    doubles = overflow == "saturate" and worst + half < _EXACT_DOUBLES and x.dtype != np.int64
    form, mode = _codes(output, overflow), _ROUNDINGS[rounding]
    seen = _core.affine(
        _flat(x), _type(x), x.size, multiplier, addend, shift, mode, doubles, form, _flat(y), _kernels(), count
    )
    return CodesResult(y, *seen)


def _codes(output: FixedFormat, overflow: Overflow) -> tuple[int, ...]:
    """A format in the order of the C struct."""
    kind = INTEGERS.index(output.dtype.name)
    return kind, _OVERFLOWS[overflow], output.bits, int(output.signed), output.minimum, output.maximum


def add(
    a: Array, b: Array, *, output: FixedFormat, overflow: Overflow = "saturate", threads: int | None = None
) -> CodesResult:
    """Sum of two arrays of codes (int8, uint8, int16 or uint16, of one shape and scale) into a format.

    Examples
    --------
    >>> add(np.array([100], np.int8), np.array([200], np.uint8), output=FixedFormat(9)).values.item()
    255
    """
    a, b, count = check_array("a", a, CODES), check_array("b", b, CODES), check_threads(threads)
    check_format(output, overflow)
    if a.shape != b.shape:
        raise NetworkError(f"add: shapes {a.shape} and {b.shape} differ")
    y = np.empty(a.shape, output.dtype)
    if not y.size:
        return CodesResult(y, 0, 0, 0)
    form = _codes(output, overflow)
    return CodesResult(y, *_core.add(_flat(a), _type(a), _flat(b), _type(b), a.size, form, _flat(y), _kernels(), count))


def clamp(x: Array, *, output: FixedFormat, threads: int | None = None) -> CodesResult:
    """Integers into a format of the same scale, saturating: ReLU is the clamp to an unsigned format.

    Examples
    --------
    >>> clamp(np.array([-3, 5, 200], np.int16), output=FixedFormat(7, signed=False)).values.tolist()
    [0, 5, 127]
    """
    x, count = check_array("x", x, INTEGERS), check_threads(threads)
    check_format(output, "saturate")
    y = np.empty(x.shape, output.dtype)
    if not y.size:
        return CodesResult(y, 0, 0, 0)
    return CodesResult(y, *_core.clamp(_flat(x), _type(x), x.size, _codes(output, "saturate"), _flat(y), _kernels(), count))


def max_pool(
    x: Array,
    kernel: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    *,
    threads: int | None = None,
) -> Array:
    """Largest code under each window, a channel; padding never wins. Shapes as in `window`, type as `x`."""
    x, count = check_array("x", x, CODES), check_threads(threads)
    geometry, shape = check_pool(x, kernel, stride, padding, dilation)
    y = np.empty(shape, x.dtype)
    if y.size:
        _core.pool(_flat(x), _type(x), _flat(y), _numbers(geometry, x, y), True, False, _kernels(), count)
    return y


def sum_pool(x: Array, kernel: Pair, stride: Pair, padding: Pair = (0, 0), *, threads: int | None = None) -> Array:
    """Sum of the codes under each window, a channel; padding adds zeros. An `affine` makes an average of it.

    The sums are int32, or int64 where the window and the type of `x` could leave 32 bits.
    """
    x, count = check_array("x", x, CODES), check_threads(threads)
    geometry, shape = check_pool(x, kernel, stride, padding, (1, 1))
    largest = max(-int(np.iinfo(x.dtype).min), int(np.iinfo(x.dtype).max))
    wide = geometry.kernel[0] * geometry.kernel[1] * largest > _INT32.max
    y = np.empty(shape, np.int64 if wide else np.int32)
    if y.size:
        _core.pool(_flat(x), _type(x), _flat(y), _numbers(geometry, x, y), False, wide, _kernels(), count)
    return y


def _forward(lane: Lane, x: Floats, weights: Floats, moves: Moves, threads: int | None) -> Floats:
    x, weights, count = _floats("x", x), _floats("weights", weights), check_threads(threads)
    geometry, shape = check_window(x, weights, moves)
    y = np.empty(shape, np.float32)
    if y.size:
        _core.forward(x, weights, y, _numbers(geometry, x, y), _LANES[lane], _kernels(), count)
    return y


def _floats(what: str, values: Array) -> Floats:
    return check_array(what, values, ("float32",))


def l1_forward(
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Adder layer on floats: ``-sum |x - w|`` over each window; padding is an operand of value zero (arXiv 1912.13200, eq. 2).

    Parameters
    ----------
    x
        float32 ``(images, height, width, channels)``
    weights
        float32 ``(outputs, kernel_height, kernel_width, channels / groups)``
    stride, padding, dilation, groups
        See `addersim.geometry.Geometry`.
    threads
        How many; None takes what OpenMP would. The result does not depend on it.

    Returns
    -------
    float32 ``(images, out_height, out_width, outputs)``

    Raises
    ------
    FormatError, NetworkError, ConfigError
        For a wrong type, shapes that do not fit, or a number of threads out of range.

    Examples
    --------
    >>> x, w = np.array([[[[1, -2]]]], np.float32), np.array([[[[3, 1]]]], np.float32)
    >>> l1_forward(x, w).item()
    -5.0
    """
    return _forward("l1", x, weights, (stride, padding, dilation, groups), threads)


def mac_forward(
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Convolution on floats: ``sum x * w`` over each window. Arguments and result as `l1_forward`."""
    return _forward("mac", x, weights, (stride, padding, dilation, groups), threads)


def _backward(gradient: Floats, x: Floats, weights: Floats, moves: Moves) -> tuple[Floats, Floats, Floats, Geometry]:
    gradient, x, weights = _floats("gradient", gradient), _floats("x", x), _floats("weights", weights)
    geometry, wanted = check_window(x, weights, moves)
    if gradient.shape != wanted:
        raise NetworkError(f"gradient: shape {gradient.shape}; the layer's output has {wanted}")
    return gradient, x, weights, geometry


def l1_input_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Gradient of `l1_forward` for x, with the sign clipped to HardTanh (arXiv 1912.13200, eq. 6).

    ``sum gradient * clamp(w - x, -1, 1)`` over the outputs that see a pixel.

    Parameters
    ----------
    gradient
        float32 ``(images, out_height, out_width, outputs)``
    x, weights, stride, padding, dilation, groups, threads
        As in `l1_forward`.

    Returns
    -------
    float32, of the shape of `x`
    """
    gradient, x, weights, geometry = _backward(gradient, x, weights, (stride, padding, dilation, groups))
    out, count = np.empty(x.shape, np.float32), check_threads(threads)
    if out.size:
        _core.l1_input_gradient(gradient, x, weights, out, _numbers(geometry, x, gradient), _kernels(), count)
    return out


def l1_sign_filter_gradient(
    gradient: Floats,
    x: Floats,
    weights: Floats,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    threads: int | None = None,
) -> Floats:
    """Gradient of `l1_forward` for the weights as it is, without the paper's full-precision form (arXiv 1912.13200, eq. 4).

    ``sum gradient * sign(x - w)`` over all windows. Arguments as in `l1_input_gradient`; the result has `weights`' shape.
    """
    gradient, x, weights, geometry = _backward(gradient, x, weights, (stride, padding, dilation, groups))
    out, count = np.zeros(weights.shape, np.float32), check_threads(threads)
    if gradient.size:
        _core.l1_sign_filter_gradient(gradient, x, weights, out, _numbers(geometry, x, gradient), _kernels(), count)
    return out


_kernels()  # a wrong ADDERSIM_KERNELS is told at import, not at the first layer
