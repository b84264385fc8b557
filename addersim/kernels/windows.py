"""Window layers on codes, alone or with the affine that follows."""

from __future__ import annotations

from typing import Any, Unpack

import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding
from addersim.kernels.checks import (
    CODES,
    AccumulatorOverflow,
    FusedResult,
    Moves,
    WindowResult,
    check_arithmetic,
    check_array,
    check_constants,
    check_format,
)
from addersim.kernels.prepared import window_affine_of, window_of

__all__ = ["window", "window_affine"]

Array = npt.NDArray[Any]


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
    """Window layer on codes, bit for bit: a sum of terms such as ``-sum |x - w|`` (l1) or ``sum x * w`` (mac).

    The register starts at zero and takes the taps in the order kernel row, kernel column, input channel; padding is an
    operand that stands for zero.

    Parameters
    ----------
    x
        Codes ``(images, height, width, channels)``, of type int8, uint8, int16 or uint16.
    weights
        Codes ``(outputs, kernel_height, kernel_width, channels / groups)``, of any of these types, for l1 on x's scale.
    arithmetic
        A name in `addersim.arithmetic.arithmetics.ARITHMETICS`.
    products
        What a multiplier gives in place of ``x * w``, for ``mac`` on codes of one byte: int32 ``(256, 256)``, a row for each
        low byte of x (of -1 it is 255) and a column for each of w. None multiplies.
    zero_point, weight_zero_points
        Codes that stand for zero, of x, and of the weights of each output (int32, None: all zero): what enters a term is
        ``x - zero_point`` and ``w - weight_zero_points[output]``. For codes of one byte and arithmetics that multiply or
        subtract operands, without `products`.
    stride, padding, far_padding, dilation, groups
        See `addersim.arithmetic.geometry.Geometry`.
    accumulator_bits, overflow
        See `addersim.arithmetic.fixed.Accumulator`; ``exact`` with a width refuses a sum that leaves it.
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
    >>> import numpy as np
    >>> x, w = np.array([[[[100, -2]]]], np.int8), np.array([[[[-100, 1]]]], np.int8)
    >>> window(x, w, arithmetic="l1").values.item(), window(x, w, arithmetic="mac").values.item()
    (-203, -10002)
    >>> window(x, w, arithmetic="l1", accumulator_bits=8, overflow="saturate").values.item()
    -128
    >>> window(x, w, arithmetic="mac", zero_point=-2, weight_zero_points=np.array([1], np.int32)).values.item()
    -10302
    """
    register = check_arithmetic(arithmetic, accumulator_bits, overflow)
    x = check_array("x", x, CODES)
    zeros = zero_point, weight_zero_points
    return window_of(x.dtype, weights, arithmetic, moves, register, products, *zeros)(x, threads=threads)


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
    """`window` and then `affine` on its words, with the same results; where it can, the words never leave the cache.

    Parameters
    ----------
    x, weights, arithmetic, products, zero_point, weight_zero_points, accumulator_bits, overflow, threads
        As in `window`.
    stride, padding, far_padding, dilation, groups
        As in `window`.
    multiplier, addend, shift, output, rounding, then
        As in `affine`, one value an output of the window layer.
    output_overflow
        The affine's ``overflow``.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.array([[[[100, -2]]]], np.int8), np.array([[[[-100, 1]]]], np.int8)
    >>> one = window_affine(x, w, np.array([-3], np.int32), np.array([100]), np.array([3], np.uint8), arithmetic="l1",
    ...                     output=FixedFormat(8))
    >>> one.values.item(), one.sums_minimum, one.maximum
    (89, -203, 89)
    """
    register = check_arithmetic(arithmetic, accumulator_bits, overflow)
    x = check_array("x", x, CODES)
    layer = window_of(x.dtype, weights, arithmetic, moves, register, products, zero_point, weight_zero_points)
    x, shape, _ = layer.checked(x, threads)
    check_format(output, output_overflow, then)
    constants = check_constants(shape, multiplier, addend, shift, rounding)
    return window_affine_of(layer, constants, output, rounding, output_overflow, then)(x, threads=threads)
