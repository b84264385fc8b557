"""Square roots of codes, and their reciprocals: tables, filled as TensorFlow Lite's kernels compute.

Reciprocals are taken in fixed point of 32 bits, step by step: gemmlowp, fixedpoint/fixedpoint.h, and
kernels/internal/common.h: GetInvSqrtQuantizedMultiplierExp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from addersim.arithmetic.requantisation import RULES
from addersim.frontends.tflite.call import RULE, Call
from addersim.frontends.tflite.functions import reals_of, table

__all__ = ["OPERATORS"]

_LARGEST = (1 << 31) - 1
_BITS = 20
"""Fraction bits of a root before it is scaled to codes."""
_THREE_HALVES = (1 << 28) + (1 << 27)
_HALF_ROOT_OF_TWO = 1_518_500_250
_STEPS = 5
"""Of Newton's method."""


def _square_root(call: Call) -> str:
    """Square roots in float32, rounded down; of codes below zero there are none."""
    _check_above_zero(call)
    given, output = call.format(), call.output_format
    steps = np.minimum(np.floor(np.sqrt(reals_of(given)) / np.float32(output.scale)), output.maximum - output.minimum)
    return table(call, steps.astype(np.int64) + output.zero_point)


def _reciprocal_root(call: Call) -> str:
    """In whole numbers of 32 bits (kernels/elementwise.cc: RsqrtEvalQuantized); of zero the largest code."""
    _check_above_zero(call)
    given, output = call.format(), call.output_format
    scale = float(1 / np.float64(np.sqrt(np.float32(given.scale)) * np.float32(output.scale)))
    held = RULES[RULE].constants([scale], output)
    constants = int(held.multiplier[0]), int(held.shift[0])
    steps = range(1, given.maximum - given.zero_point + 1)
    found = [_of_whole(one, *constants) + output.zero_point for one in steps]
    return table(call, np.array([output.maximum, *found]))


def _check_above_zero(call: Call) -> None:
    given = call.format()
    if given.zero_point != given.minimum:
        call.fail(f"of codes in {given}, of which some stand for less than zero and have no root")


def _of_whole(value: int, multiplier: int, places: int) -> int:
    """``multiplier * 2**(places - 31)`` over the root of a whole number of at least 1."""
    root = _scaled(1, *_root(value), _BITS)
    return _scaled(root, multiplier, places - _BITS)


def _scaled(value: int, multiplier: int, places: int, more: int = 0) -> int:
    """A product and its power of two, rounded twice (kernels/internal/common.h: MultiplyByQuantizedMultiplier)."""
    places += more
    return _divided(_high(value << max(places, 0), multiplier), max(-places, 0))


def _root(value: int) -> tuple[int, int]:
    """A multiplier and its power of two, for one over the root of a value below 2**29."""
    if value == 1:
        return _LARGEST, 0
    pairs = (31 - value.bit_length()) // 2 - 1
    half = (value << (2 * pairs)) >> 1
    return _high(_newton(half), _HALF_ROOT_OF_TWO), pairs - 11


def _newton(value: int) -> int:
    """One over the root of a number with three whole bits."""
    half, x = _divided(value, 1), 1 << 28
    for _ in range(_STEPS):
        cube = _clipped(_high(_high(x, x), x) << 6)  # of nine whole bits
        x = _clipped((_high(_THREE_HALVES, x) - _high(half, cube)) << 3)  # of six
    return x


def _high(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul: C divides towards zero."""
    product = a * b
    nudged = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    return nudged >> 31 if nudged >= 0 else -(-nudged >> 31)


def _divided(value: int, places: int) -> int:
    """RoundingDivideByPOT: ties away from zero."""
    half = (1 << places) >> 1
    return (value + half) >> places if value >= 0 else -((half - value) >> places)


def _clipped(value: int) -> int:
    return max(-_LARGEST - 1, min(_LARGEST, value))


OPERATORS: Mapping[str, Callable[[Call], str]] = MappingProxyType({"RSQRT": _reciprocal_root, "SQRT": _square_root})
