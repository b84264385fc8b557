"""The slow twin of `addersim.kernels.requantisation`: the formulas of the rules, one number at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.geometry import Geometry, Pair
from addersim.arithmetic.requantisation import OF_REALS, QUANTS, RESULT_LIMIT, Constants, RequantisationRule
from addersim.arithmetic.rescaled_sums import (
    AdditionConstants,
    Mean,
    addition_constants,
    mean_constants,
    mean_format,
    sums_columns,
    takes_reals,
)
from addersim.kernels.checks import CodesResult, check_threads
from addersim.kernels.requantisation_checks import (
    Windows,
    check_addition,
    check_channels,
    check_mean,
    check_reach,
    check_requantisation,
    window_counts,
)

__all__ = [
    "apply_scale",
    "requantize",
    "rescaled_add",
    "rescaled_mean",
    "rounding_divide_by_pot",
    "saturating_rounding_doubling_high_mul",
]

Array = npt.NDArray[Any]
LEAST, MOST = -(2**31), 2**31 - 1


def saturating_rounding_doubling_high_mul(a: int, b: int) -> int:
    """The high word of twice a product of two numbers of 32 bits, ties towards plus infinity, saturated where it overflows.

    Of gemmlowp, fixedpoint/fixedpoint.h.
    """
    return min((a * b + 2**30) // 2**31, MOST)


def rounding_divide_by_pot(value: int, places: int) -> int:
    """A number over a power of two, ties away from zero; of gemmlowp, fixedpoint/fixedpoint.h."""
    return _divided_away(value, 1 << places)


def _divided_away(value: int, divisor: int) -> int:
    magnitude = (2 * abs(value) + divisor) // (2 * divisor)
    return -magnitude if value < 0 else magnitude


def multiply_by_quantized_multiplier(value: int, multiplier: int, shift: int) -> int:
    """Of TensorFlow Lite, kernels/internal/common.h, with double rounding."""
    moved = ((value << max(shift, 0)) - LEAST) % 2**32 + LEAST  # what C keeps in 32 bits
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(moved, multiplier), max(-shift, 0))


def apply_scale(value: int, multiplier: int, shift: int, double_round: bool) -> int:
    """apply_scale_32 of TOSA."""
    half = 1 << (shift - 1)
    if double_round and shift > 31:
        half += 2**30 if value >= 0 else -(2**30)
    return (value * multiplier + half) // (1 << shift)


def _half_even(value: int, places: int) -> int:
    unit = 1 << places
    floor, rest = divmod(value, unit)
    return floor + (2 * rest > unit or (2 * rest == unit and floor % 2 == 1))


_QUANT_ROUNDINGS: dict[str, Callable[[np.float32], np.float32]] = {
    "quant-round": np.rint,
    "quantize-linear": np.rint,
    "quant-ceil": np.ceil,
    "quant-floor": np.floor,
}


def _whole(real: np.floating[Any]) -> int:
    return int(np.clip(real, -RESULT_LIMIT, RESULT_LIMIT))


def _scaled(formula: str, value: int, multiplier: int, shift: int) -> int:
    """A formula of whole numbers."""
    match formula:
        case "half-even":
            return _half_even(value * multiplier, shift)
        case "doubling":
            return multiply_by_quantized_multiplier(value, multiplier, shift)
        case "single" | "double":
            return _bounded(apply_scale(value, multiplier, shift, formula == "double"))
        case _:
            return _divided_away(value, multiplier)


def _bounded(value: int) -> int:
    return min(max(value, -RESULT_LIMIT), RESULT_LIMIT)


def _code(value: int, channel: int, constants: Constants, zero_point: int) -> int:
    """The result of one value, zero point included, before it is clipped."""
    formula = constants.formula
    if formula in OF_REALS:
        return _real_code(np.float32(value) * constants.factor[channel], np.float32(constants.divisor), zero_point, formula)
    if formula == "float":
        return _whole(np.rint(np.float32(value) * constants.factor[channel])) + zero_point
    scaled = _scaled(formula, value, int(constants.multiplier[channel]), int(constants.shift[channel]))
    return scaled if formula == "divide-away" else _bounded(scaled) + zero_point


def _real_code(real: np.float32, scale: np.float32, zero_point: int, formula: str) -> int:
    """The result of a real value, to which the quant formulas add the zero point before they round it."""
    if formula in QUANTS:
        return _whole(_QUANT_ROUNDINGS[formula](real / scale + np.float32(zero_point)))
    return _whole(_QUANT_ROUNDINGS[formula](real / scale)) + zero_point


def _codes(results: Iterable[int], shape: tuple[int, ...], output: FixedFormat, low: int, high: int) -> CodesResult:
    """Results clipped, with their extremes and how many left the format where no activation ends before it does."""
    exact = np.array(list(results), np.int64).reshape(shape)
    below = (exact < output.minimum) & (low == output.minimum and not output.ends_at_zero)
    above = (exact > output.maximum) & (high == output.maximum)
    ends = (int(exact.min()), int(exact.max())) if exact.size else (0, 0)
    return CodesResult(np.clip(exact, low, high).astype(output.dtype), *ends, int(np.count_nonzero(below | above)))


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
    """As `addersim.kernels.requantize`."""
    found, values, bias, low, high = check_requantisation(values, bias, rule, output, low, high)
    check_threads(threads)
    scales = np.broadcast_to(np.asarray(scales, np.float64), bias.shape) if np.size(scales) == 1 else scales
    return _rescaled(values, found.constants(scales, output), bias, output, low, high)


def _rescaled(values: Array, constants: Constants, bias: Array, output: FixedFormat, low: int, high: int) -> CodesResult:
    check_channels(constants, bias)
    sums = check_reach(values, bias)
    with np.errstate(over="ignore"):
        results = [_code(int(sums[at]), at[-1], constants, output.zero_point) for at in np.ndindex(sums.shape)]
    return _codes(results, values.shape, output, low, high)


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
    """As `addersim.kernels.rescaled_add`."""
    found, a, b, low, high = check_addition(a, b, a_format, b_format, rule, output, low, high, product)
    check_threads(threads)
    constants = addition_constants(found, a_format, b_format, output)
    zeros = a_format.zero_point, b_format.zero_point, output.zero_point
    pairs = zip(a.ravel(), b.ravel(), strict=True)
    results = (_sum(int(one), int(other), constants, zeros, product) for one, other in pairs)
    return _codes(results, a.shape, output, low, high)


def _sum(a: int, b: int, constants: AdditionConstants, zeros: tuple[int, int, int], product: bool) -> int:
    formula, factor = constants.formula, constants.factor
    if formula == "float":
        return _whole(np.rint(_fused(a, factor[0], _fused(b, factor[1], factor[2]))))
    a, b = a - zeros[0], b - zeros[1]
    if formula in OF_REALS:
        first, second = np.float32(a) * factor[0], np.float32(b) * factor[1]
        return _real_code(first * second if product else first + second, factor[2], zeros[2], formula)
    m, s = constants.multiplier.tolist(), constants.shift.tolist()
    if formula == "half-even":
        return _bounded(_half_even(a * m[0] + b * m[1], s[2])) + zeros[2]
    left = 1 << constants.left
    both = _scaled(formula, a * left, m[0], s[0]) + _scaled(formula, b * left, m[1], s[1])
    return _bounded(_scaled(formula, both, m[2], s[2])) + zeros[2]


def _fused(value: int, factor: np.float32, addend: np.float32) -> np.float32:
    """A product of whole number and float32 plus a float32, rounded once: in float64 the product is exact, the sum not."""
    product = np.float64(value) * np.float64(factor)
    total = product + np.float64(addend)
    rest = (product - (total - np.float64(addend))) + (np.float64(addend) - (total - (total - np.float64(addend))))
    if rest != 0 and int(total.view(np.int64)) % 2 == 0:  # an odd last bit keeps the second rounding from a tie
        total = np.nextafter(total, np.inf if rest > 0 else -np.inf)
    return np.float32(total)


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
    """As `addersim.kernels.rescaled_mean`."""
    found, x, low, high, geometry = check_mean(x, given, rule, operator, output, low, high, kernel, windows)
    check_threads(threads)
    rows, columns = geometry.pooled_size(x.shape[1], x.shape[2])
    inside, divisors = window_counts(geometry, x, count_padding)
    reals = takes_reals(found, operator, given)
    constants, bias = mean_constants(found, operator, given, output, inside, divisors)
    shape, results = (x.shape[0], rows, columns, x.shape[3]), []
    for image, row, column, channel in np.ndindex(shape):
        met = list(_met(geometry, row, column, x.shape[1:3]))
        codes = [x[image, *at, channel] for at in met]
        place = (row * columns + column) % len(inside)
        if reals:
            parts = [one for _, one in met] if sums_columns(found) else [0] * len(met)
            real = _real_mean(codes, parts, given, int(divisors[place]))
            form = found.formula if found.formula in OF_REALS else "quant-round"
            results.append(_real_code(real, np.float32(output.scale), output.zero_point, form))
        else:
            zero = mean_format(found, operator, output).zero_point
            results.append(_code(sum(map(int, codes)) + int(bias[place]), place, constants, zero))
    return _codes(results, shape, output, low, high)


def _met(geometry: Geometry, row: int, column: int, sizes: tuple[int, ...]) -> Iterator[Pair]:
    """Pixels of the image under one window, in the order of the taps."""
    for tap in np.ndindex(*geometry.kernel):
        at = tuple(
            place * step - before + one
            for place, step, before, one in zip((row, column), geometry.stride, geometry.padding, tap, strict=True)
        )
        if all(0 <= one < size for one, size in zip(at, sizes, strict=True)):
            yield at[0], at[1]


def _real_mean(codes: list[Any], parts: list[int], given: FixedFormat, divisor: int) -> np.float32:
    """The mean of codes, of which those of one part are added first."""
    sums = dict.fromkeys(parts, np.float32(0))
    for code, part in zip(codes, parts, strict=True):
        sums[part] += np.float32(given.scale) * np.float32(int(code) - given.zero_point)
    total = np.float32(0)
    for one in sums.values():
        total += one
    return total / np.float32(divisor)
