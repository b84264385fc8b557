"""Values to codes of another scale, sums of codes of two scales, and means, each by a named rule."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry, Pair
from addersim.arithmetic.requantisation import RESULT_LIMIT, Constants, RequantisationRule
from addersim.arithmetic.rescaled_sums import (
    Mean,
    addition_constants,
    dequantised,
    mean_constants,
    mean_format,
    sums_columns,
    takes_reals,
    unscaled,
)
from addersim.kernels.checks import CodesResult, check_threads
from addersim.kernels.core import FORMULA_NUMBERS, NO_LEAST, chosen_set, core, flat, geometry_numbers, type_number
from addersim.kernels.pooling import sum_pool
from addersim.kernels.requantisation_checks import (
    INT32,
    Windows,
    check_addition,
    check_channels,
    check_mean,
    check_reach,
    check_requantisation,
    window_counts,
)

__all__ = ["requantize", "rescaled_add", "rescaled_mean"]

Array = npt.NDArray[Any]
_NO_MOST = 2**31 - 1


def requantize(
    values: Array,
    scales: npt.ArrayLike,
    bias: Array,
    rule: str | RequantisationRule,
    *,
    output: FixedFormat,
    low: int | None = None,
    high: int | None = None,
    threads: int | None = None,
) -> CodesResult:
    """Values plus a bias, scaled and rounded as a rule says, plus the output's zero point, as codes.

    Parameters
    ----------
    values
        Sums (int32, or int64 that fit it) or codes, of any shape ``(..., channels)``.
    scales
        Output codes a step of a value, reals, one a channel or one for all.
    bias
        int64, shape ``(channels,)``, added first: the bias of a layer, or minus the zero point of codes. Value plus bias must
        fit 32 bits.
    rule
        A name in `addersim.arithmetic.requantisation.RULES`, or the rule.
    output
        Format of the codes.
    low, high
        Ends of a fused activation, codes; None: the format's.
    threads
        As in `window`.

    Returns
    -------
    CodesResult
        Extremes are those of the results before they are clipped. Results beyond the format count as overflows, where not an
        activation ends before the format does, and not below a format that ends at zero.

    Examples
    --------
    >>> found = requantize(np.array([[5], [-6]], np.int32), [0.25], np.array([1]), "tflite", output=FixedFormat(8))
    >>> found.values.ravel().tolist()
    [2, -1]
    """
    found, values, bias, low, high = check_requantisation(values, bias, rule, output, low, high)
    scales = np.broadcast_to(np.asarray(scales, np.float64), bias.shape) if np.size(scales) == 1 else scales
    constants = found.constants(scales, output)
    return rescale(values, constants, bias, output, low, high, check_threads(threads))


RescaleNumbers = tuple[int, Array, Array, float, int, tuple[int, ...]]
"""A rescaling as C takes it."""


def rescale_numbers(constants: Constants, bias: Array, output: FixedFormat, low: int, high: int) -> RescaleNumbers:
    """Formula, constants of each channel, factors, divisor, zero point and codes."""
    integers = np.stack([bias, constants.multiplier, constants.shift])
    clipped = _clipped(output, low, high)
    return FORMULA_NUMBERS[constants.formula], integers, constants.factor, constants.divisor, output.zero_point, clipped


def fits_registers(constants: Constants, reach: Array) -> bool:
    """Whether no step of a formula leaves 32 bits or the limit of results, and larger values never give smaller results.

    `reach` is the largest magnitude of a value, bias included, in each channel: int64 of 32 bits.
    """
    m, s, f = constants.multiplier.astype(np.int64), constants.shift.astype(np.int64), constants.factor.astype(np.float64)
    match constants.formula:
        case "doubling":
            left, right = np.maximum(s, 0), np.maximum(-s, 0)
            wide = reach << left
            high = (wide * m >> 31) + 1 + ((1 << right) >> 1)  # ready for the second shift
            fits = (m == 0) | ((wide <= INT32[1]) & (high <= INT32[1]) & (high >> right < RESULT_LIMIT))
            return bool(((m >= 0) & fits).all())
        case "single":
            return bool(((m >= 0) & (np.ldexp((m * reach).astype(np.float64), -s) < RESULT_LIMIT - 1)).all())
        case "float":
            return bool(((f >= 0) & (f * reach < RESULT_LIMIT * (1 - 2**-20))).all())
        case "quant-round" | "quantize-linear":
            most = RESULT_LIMIT * (1 - 2**-10)  # beside a zero point
            return bool((f >= 0).all() and (f * reach / constants.divisor < most).all())
        case _:
            return False


def rescale(
    values: Array, constants: Constants, bias: Array, output: FixedFormat, low: int, high: int, threads: int
) -> CodesResult:
    """`requantize` by constants; values are codes or int32."""
    check_channels(constants, bias)
    y = np.empty(values.shape, output.dtype)
    if not y.size:
        return CodesResult(y, 0, 0, 0)
    numbers = rescale_numbers(constants, bias, output, low, high)
    seen, beyond = core.rescale(flat(values), type_number(values), values.size, *numbers, flat(y), chosen_set(), threads)
    if beyond:
        check_reach(values, bias)
    return CodesResult(y, *seen)


def _clipped(output: FixedFormat, low: int, high: int) -> tuple[int, ...]:
    """The format and the activation's ends in the order of the C struct: what the first clip changes is counted."""
    least = NO_LEAST if output.ends_at_zero or low > output.minimum else output.minimum
    most = _NO_MOST if high < output.maximum else output.maximum
    return type_number(np.empty(0, output.dtype)), 2, output.bits, int(output.signed), least, most, low, high


def rescaled_add(
    a: Array,
    b: Array,
    a_format: FixedFormat,
    b_format: FixedFormat,
    rule: str | RequantisationRule,
    *,
    output: FixedFormat,
    low: int | None = None,
    high: int | None = None,
    product: bool = False,
    threads: int | None = None,
) -> CodesResult:
    """The sum of two arrays of codes of different scales and zero points, as a rule has it: see `addition_constants`.

    Parameters
    ----------
    a, b
        Codes of one shape.
    a_format, b_format
        Their formats.
    rule, output, low, high, threads
        As in `requantize`, and so is what is returned.
    product
        Their product instead, of what they stand for: by a rule whose formula is in `OF_REALS`, FormatError otherwise.

    Examples
    --------
    >>> half, whole = FixedFormat(8, scale=0.5), FixedFormat(8, scale=1.0, zero_point=-3)
    >>> rescaled_add(np.array([3], np.int8), np.array([4], np.int8), half, whole, "tflite", output=whole).values.item()
    6
    """
    found, a, b, low, high = check_addition(a, b, a_format, b_format, rule, output, low, high, product)
    count, y = check_threads(threads), np.empty(a.shape, output.dtype)
    if not y.size:
        return CodesResult(y, 0, 0, 0)
    numbers = _addition_numbers(found, a_format, b_format, output, low, high, product)
    operands = flat(a), type_number(a), flat(b), type_number(b)
    return CodesResult(y, *core.rescaled_add(*operands, a.size, numbers, flat(y), chosen_set(), count))


AdditionNumbers = tuple[int, tuple[int, int, int], int, Array, Array, bool, tuple[int, ...]]
"""A sum of codes of two scales as C takes it: formula, zero points, places, constants of both and of the sum, whether it is a
product, and codes."""


def rescaled_add_numbers(
    a_format: FixedFormat, b_format: FixedFormat, rule: str, output: FixedFormat, low: int | None, high: int | None
) -> AdditionNumbers:
    """What `rescaled_add` of codes of two formats gives to C."""
    codes = np.empty(0, a_format.dtype), np.empty(0, b_format.dtype)
    found, _, _, least, most = check_addition(*codes, a_format, b_format, rule, output, low, high, product=False)
    return _addition_numbers(found, a_format, b_format, output, least, most, product=False)


def _addition_numbers(
    rule: RequantisationRule,
    a_format: FixedFormat,
    b_format: FixedFormat,
    output: FixedFormat,
    low: int,
    high: int,
    product: bool,
) -> AdditionNumbers:
    constants = addition_constants(rule, a_format, b_format, output)
    raw = constants.formula == "float"  # its constant has the zero points
    zeros = (0, 0, 0) if raw else (a_format.zero_point, b_format.zero_point, output.zero_point)
    integers = np.stack([constants.multiplier, constants.shift])
    formula = FORMULA_NUMBERS[constants.formula]
    return formula, zeros, constants.left, integers, constants.factor, product, _clipped(output, low, high)


def rescaled_mean(
    x: Array,
    given: FixedFormat,
    rule: str | RequantisationRule,
    kernel: Pair,
    *,
    output: FixedFormat,
    operator: Mean = "pool",
    count_padding: bool = False,
    low: int | None = None,
    high: int | None = None,
    threads: int | None = None,
    **windows: Unpack[Windows],
) -> CodesResult:
    """Means of the codes under each window, a channel, as a rule has them: see `mean_constants`.

    Parameters
    ----------
    x
        Codes ``(images, height, width, channels)``.
    given
        Their format.
    kernel, stride, padding, far_padding, ceil_mode
        See `addersim.arithmetic.geometry.Geometry`.
    operator
        ``pool``, or ``reduction`` for the mean over the whole image.
    count_padding
        Whether a sum is divided by the taps in the padding too, which stand for zero.
    rule, output, low, high, threads
        As in `requantize`, and so is what is returned.
    """
    found, x, low, high, geometry = check_mean(x, given, rule, operator, output, low, high, kernel, windows)
    count = check_threads(threads)
    inside, divisors = window_counts(geometry, x, count_padding)
    if takes_reals(found, operator, given):
        after = output.zero_point if found.formula == "quantize-linear" else 0
        ends = output.scale, output.zero_point - after
        results = _real_means(x, given, geometry, divisors, ends, sums_columns(found), count)
        return rescale(results, *unscaled(x.shape[3], after), output, low, high, count)
    sums = sum_pool(x, kernel, threads=threads, stride=geometry.stride, **_rest(windows))
    constants, bias = mean_constants(found, operator, given, output, inside, divisors)
    images, rows, columns, channels = sums.shape
    places = len(inside)  # with their channels they are the channels of one pixel
    flat_sums = sums.reshape(images, rows * columns // places, places * channels)
    form = mean_format(found, operator, output)
    means = rescale(flat_sums, _each(constants, channels), np.repeat(bias, channels), form, low, high, count)
    return CodesResult(means.values.reshape(sums.shape), means.minimum, means.maximum, means.overflowed)


def _real_means(
    x: Array,
    given: FixedFormat,
    geometry: Geometry,
    divisors: Array,
    ends: tuple[float, int],
    by_columns: bool,
    threads: int,
) -> Array:
    """Means of reals over a scale, rounded with a zero point added; `ends` are these two; int32."""
    shape = (x.shape[0], *geometry.pooled_size(x.shape[1], x.shape[2]), x.shape[3])
    y = np.empty(shape, np.int32)
    if y.size:
        reals = dequantised(np.arange(256, dtype=np.uint8).view(given.dtype), given)
        numbers, parts = geometry_numbers(geometry, x.shape, y.shape), divisors.astype(np.float32)
        core.real_means(flat(x), numbers, reals, parts, *ends, by_columns, y.reshape(-1), threads)
    return y


def _rest(windows: Windows) -> dict[str, Any]:
    return {name: value for name, value in windows.items() if name != "stride"}


def _each(constants: Constants, channels: int) -> Constants:
    """Constants of places, for each of whose channels they are the same."""
    m, s, f = (np.repeat(one, channels) for one in (constants.multiplier, constants.shift, constants.factor))
    return Constants(constants.formula, m, s, f, constants.divisor)
