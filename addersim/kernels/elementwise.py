"""Affine, addition, saturation and tables on codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding
from addersim.kernels.checks import (
    CODE_ENDS,
    CODES,
    INTEGERS,
    CodesResult,
    check_affine_products,
    check_array,
    check_constants,
    check_format,
    check_levels,
    check_product,
    check_shapes,
    check_threads,
    largest_product,
)
from addersim.kernels.core import ROUNDINGS, chosen_set, codes_numbers, core, flat, type_number

__all__ = ["add", "affine", "clamp", "look_up", "multiply"]

Array = npt.NDArray[Any]

_INT32_MAX = (1 << 31) - 1
_EXACT_DOUBLES = 1 << 52


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
        As in `addersim.arithmetic.fixed.shift_right`.
    overflow
        ``saturate`` or ``wrap``.
    then
        Format of the same scale that the codes saturate to next, as for a ReLU; this is not counted as overflow.
    threads
        As in `window`.

    Examples
    --------
    >>> one = affine(np.array([[5], [300]], np.int32), np.array([3], np.int32), np.array([1]), np.array([1], np.uint8),
    ...              output=FixedFormat(8))
    >>> one.values.ravel().tolist(), one.maximum, one.overflowed
    ([8, 127], 450, 1)
    """
    x = check_array("x", x, INTEGERS)
    check_format(output, overflow, then)
    multiplier, addend, shift = check_constants(x.shape, multiplier, addend, shift, rounding)
    check_affine_products(x, multiplier, addend)
    count, y = check_threads(threads), np.empty(x.shape, (then or output).dtype)
    if not y.size:
        return CodesResult(y, 0, 0, 0)
    low, high = CODE_ENDS[x.dtype]
    quick = overflow == "saturate" and x.dtype != np.int64
    if quick and not fits_doubles(max(-low, high), multiplier, addend, shift, rounding):
        quick = fits_doubles(max(-int(x.min()), int(x.max())), multiplier, addend, shift, rounding)
    form = codes_numbers(output, overflow, then)
    seen = core.affine(
        flat(x),
        type_number(x),
        x.size,
        multiplier,
        addend,
        shift,
        ROUNDINGS[rounding],
        quick,
        form,
        flat(y),
        chosen_set(),
        count,
    )
    return CodesResult(y, *seen)


def fits_doubles(x: int, multiplier: Array, addend: Array, shift: Array, rounding: Rounding) -> bool:
    """Whether, for one largest ``|x|``, doubles hold every step exactly and 32 bits every result."""
    half = (1 << int(shift.max())) // 2 if rounding == "half-up" else 0
    worst = largest_product(x, multiplier, addend) + half
    return worst < _EXACT_DOUBLES and worst >> int(shift.min()) < _INT32_MAX


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
    """Sum, or difference, of two arrays of codes (int8, uint8, int16 or uint16) into a format; `then` as in `affine`.

    Both have one shape and scale.

    Examples
    --------
    >>> add(np.array([100], np.int8), np.array([200], np.uint8), output=FixedFormat(9)).values.item()
    255
    """
    a, b, count = check_array("a", a, CODES), check_array("b", b, CODES), check_threads(threads)
    check_format(output, overflow, then)
    check_shapes("add", a, b)
    y = np.empty(a.shape, (then or output).dtype)
    if not y.size:
        return CodesResult(y, 0, 0, 0)
    form = codes_numbers(output, overflow, then)
    if subtract:
        difference = np.subtract(a, b, dtype=np.int32)
        kind = type_number(difference)
        return CodesResult(y, *core.add(flat(difference), kind, None, kind, a.size, form, flat(y), chosen_set(), count))
    seen = core.add(flat(a), type_number(a), flat(b), type_number(b), a.size, form, flat(y), chosen_set(), count)
    return CodesResult(y, *seen)


def multiply(a: Array, b: Array, *, threads: int | None = None) -> Array:
    """Exact products of two arrays of codes of one shape: int32, or int64 where their types could leave 32 bits.

    Examples
    --------
    >>> multiply(np.array([-3, 5], np.int8), np.array([200, 2], np.uint8)).tolist()
    [-600, 10]
    """
    a, b = check_array("a", a, CODES), check_array("b", b, CODES)
    check_threads(threads)
    return np.multiply(a, b, dtype=check_product(a, b))


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
    kind, form = type_number(x), codes_numbers(output, "saturate", None)
    return CodesResult(y, *core.add(flat(x), kind, None, kind, x.size, form, flat(y), chosen_set(), count))


def look_up(pixels: Array, levels: Array, *, threads: int | None = None) -> Array:
    """Pixels, channels last, each exchanged for its channel's entry in a table.

    Parameters
    ----------
    pixels
        uint8, shape ``(images, channels, height, width)``.
    levels
        Codes (int8, uint8, int16 or uint16) or float32, shape ``(256, channels)``.
    threads
        As in `window`.

    Examples
    --------
    >>> look_up(np.array([[[[0, 255]]]], np.uint8), np.arange(256, dtype=np.float32)[:, None] / 255).ravel().tolist()
    [0.0, 1.0]
    """
    pixels, levels = check_levels(pixels, levels)
    images, channels, height, width = pixels.shape
    count, y = check_threads(threads), np.empty((images, height, width, channels), levels.dtype)
    if y.size:
        table = flat(np.ascontiguousarray(levels.T))
        core.look_up(pixels.reshape(images, channels, -1), table, levels.itemsize, flat(y), count)
    return y
