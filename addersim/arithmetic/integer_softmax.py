"""Softmax in whole numbers: what is held to compute it on codes as TensorFlow Lite's reference kernel does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.ops import OpCounts
from addersim.arithmetic.requantisation import RULES
from addersim.errors import FormatError

__all__ = ["MOST_CLASSES", "SoftmaxConstants", "softmax_bill", "softmax_constants"]

_INTEGER_BITS = 5
"""Before the point of a scaled difference of codes."""
_SUM_BITS = 12
MOST_CLASSES = (1 << _SUM_BITS) - 1
"""Exponentials of at most one that a sum of 12 bits before the point holds."""
_NEWTON_STEPS, _EXP_PRODUCTS = 3, 13
"""Of a reciprocal; and of an exponential, six in its series and one a bit of the barrel shifter."""


@dataclass(frozen=True, slots=True)
class SoftmaxConstants:
    """A difference from the largest code, ``d <= 0``, is scaled to ``high(d * 2**left * multiplier)``.

    Attributes
    ----------
    multiplier, left
        Of 31 bits after the point, and places.
    most
        Differences below minus this count as no exponential at all.
    """

    multiplier: int
    left: int
    most: int


def softmax_constants(given: FixedFormat, beta: float = 1.0) -> SoftmaxConstants:
    """Constants for codes of a format.

    Source: TensorFlow Lite, kernels/internal/quantization_util.cc: PreprocessSoftmaxScaling and CalculateInputRadius.
    """
    real = min(beta * given.scale * 2.0 ** (31 - _INTEGER_BITS), 2.0**31 - 1)
    if not real > 1:
        raise FormatError(f"softmax: {given} and a factor of {beta:.4g}; their product must be above 2**-26")
    held = RULES["tflite"].constants(real, given)
    left = int(held.shift[0])
    radius = (2**_INTEGER_BITS - 1) * 2.0 ** (31 - _INTEGER_BITS) / 2.0**left
    return SoftmaxConstants(int(held.multiplier[0]), left, int(np.floor(radius)))


def softmax_bill(words: int, classes: int) -> OpCounts:
    """What the circuit costs that computes every exponential twice, as the kernel does, and a reciprocal once a row.

    Each product of 32 bits is rounded by an addition of 64; a word is compared for the largest code, subtracted from it,
    scaled, put through the exponential, added up, and multiplied by the reciprocal.
    """
    rows = words // classes
    products = 2 * words * (1 + _EXP_PRODUCTS) + words + rows * (1 + 2 * _NEWTON_STEPS)
    return OpCounts(
        {
            ("mul", 32): products,
            ("add", 64): products,
            ("cmp", 8): words - rows,
            ("mux", 8): words - rows,
            ("sub", 9): words,
            ("add", 32): words - rows,
            ("shift", 32): 2 * words + rows,
        }
    )
