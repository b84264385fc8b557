"""The slow twin of `addersim.kernels.softmax`: gemmlowp's fixed-point functions, one number at a time.

A raw number of ``n`` bits before the point stands for ``raw / 2**(31 - n)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.integer_softmax import softmax_constants
from addersim.kernels.checks import check_threads
from addersim.kernels.reference_requantisation import LEAST, MOST, rounding_divide_by_pot
from addersim.kernels.reference_requantisation import saturating_rounding_doubling_high_mul as high
from addersim.kernels.requantisation_checks import check_softmax

__all__ = ["exp_on_negative_values", "one_over_one_plus_x", "softmax"]

Array = npt.NDArray[Any]
_BARREL = ((-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242))
"""``exp(-2**k)`` as raw numbers of no bits before the point."""


def _times_power(value: int, places: int) -> int:
    return min(max(value << places, LEAST), MOST)


def exp_on_negative_values(raw: int) -> int:
    """exp of a number of 5 bits before the point that is not above zero, with none before it."""
    if raw == 0:
        return MOST
    quarter = 2**24
    part = raw % quarter - quarter
    result = _exp_near_zero(_times_power(part, 5))
    for exponent, factor in _BARREL:
        if (part - raw) & 2 ** (26 + exponent):
            result = high(result, factor)
    return result


def _exp_near_zero(raw: int) -> int:
    """exp between -1/4 and 0, by its series around -1/8."""
    x = raw + 2**28
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    series = high(rounding_divide_by_pot(x4, 2) + x3, 715827883) + x2
    return 1895147668 + high(1895147668, x + rounding_divide_by_pot(series, 1))


def one_over_one_plus_x(raw: int) -> int:
    """``1 / (1 + x)`` for x from 0 to 1, with no bits before the point."""
    half_denominator = (raw + MOST + 1) // 2
    x = 1515870810 + high(half_denominator, -1010580540)
    for _ in range(3):
        x += _times_power(high(x, 2**29 - high(half_denominator, x)), 2)
    return _times_power(x, 1)


def softmax(
    x: Array, given: FixedFormat, rule: str, *, output: FixedFormat, beta: float = 1.0, threads: int | None = None
) -> Array:
    """As `addersim.kernels.softmax`."""
    x = check_softmax(x, given, rule, output)
    constants = softmax_constants(given, beta)
    check_threads(threads)
    y = np.empty(x.shape, output.dtype)
    for row in np.ndindex(x.shape[:-1]):
        differences = [int(code) - int(x[row].max()) for code in x[row]] if x.shape[-1] else []
        exps = [
            exp_on_negative_values(high(d << constants.left, constants.multiplier)) if d >= -constants.most else 0
            for d in differences
        ]
        total = sum(rounding_divide_by_pot(one, 12) for one in exps)
        length = total.bit_length()
        scale = one_over_one_plus_x((total << (32 - length)) - 2**31)
        shares = [rounding_divide_by_pot(high(scale, one), 12 - (32 - length) + 31 - 8) for one in exps]
        y[row] = [min(share + output.minimum, output.maximum) for share in shares]
    return y
