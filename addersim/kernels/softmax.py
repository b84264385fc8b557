"""Softmax of codes in whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.integer_softmax import softmax_constants
from addersim.kernels.checks import check_threads
from addersim.kernels.core import core
from addersim.kernels.requantisation_checks import check_softmax

__all__ = ["softmax"]

Array = npt.NDArray[Any]


def softmax(
    x: Array, given: FixedFormat, rule: str, *, output: FixedFormat, beta: float = 1.0, threads: int | None = None
) -> Array:
    """Softmax over the last axis, as a rule has it.

    ``tflite`` is TensorFlow Lite's reference kernel (kernels/internal/reference/softmax.h): exponentials of differences from
    the largest code by gemmlowp's fixed-point series, their reciprocal by three steps of Newton's method.

    Parameters
    ----------
    x
        Codes of 8 bits ``(..., classes)``, at most 4095 classes.
    given, output
        Formats of x and of the result, whose scale is 1/256 and whose zero point is its smallest code.
    rule
        ``tflite``, the only one whose framework computes softmax of codes in whole numbers.
    beta
        Factor of the values.
    threads
        As in `window`.

    Examples
    --------
    >>> logits, shares = FixedFormat(8, scale=0.1), FixedFormat(8, scale=2**-8, zero_point=-128)
    >>> softmax(np.array([[0, 10, 20]], np.int8), logits, "tflite", output=shares).tolist()
    [[-105, -65, 42]]
    """
    x = check_softmax(x, given, rule, output)
    constants, count, y = softmax_constants(given, beta), check_threads(threads), np.empty(x.shape, output.dtype)
    if y.size:
        rows = (-1, x.shape[-1])
        codes, shares = (one.view(np.uint8).reshape(rows) for one in (x, y))
        core.softmax(codes, given.signed, constants.multiplier, constants.left, constants.most, shares, count)
    return y
