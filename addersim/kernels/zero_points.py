"""Zero points of a window layer's codes: what they make of its weights, and what C is told of them.

A layer sums terms of ``x - zero_point`` and ``w - weight_zero_points[output]``. Arithmetics of one shared scale look at
differences only, so that all zero points move into the weights: ``(x - zx) - (w - zw) = x - (w - zw + zx)``. In products
those of x stay beside them, and so do those of weights, unless int8 holds the weights less their zero points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.errors import FormatError
from addersim.inputs.limits import Limit
from addersim.kernels.checks import CODE_ENDS, CODES, check_array

__all__ = ["ZeroPoints", "check_zero_points", "less_zero_points"]

Array = npt.NDArray[Any]


def check_zero_points(
    zero_point: int, weight_zero_points: object, arithmetic: str, kind: np.dtype[Any], weights: Array, products: object
) -> tuple[int, Array | None]:
    """Zero points of a layer of checked types and weights; those of weights are int32, one an output, or None for zeros.

    Raises
    ------
    FormatError
        For zero points that are no codes, of codes wider than a byte, of an arithmetic that needs code 0 for zero, or beside a
        multiplier's table.
    """
    least, most = CODE_ENDS[kind]
    zero_point = Limit(least, most).check(zero_point, "zero_point", FormatError)
    of_weights = None
    if weight_zero_points is not None:
        found = check_array("weight_zero_points", weight_zero_points, ("int32",))
        if found.shape != weights.shape[:1]:
            raise FormatError(f"weight_zero_points: shape {found.shape}; {len(weights)} outputs need one each")
        least, most = CODE_ENDS[weights.dtype]
        if not least <= found.min() <= found.max() <= most:
            raise FormatError(f"weight_zero_points: {found.min()}..{found.max()} are no codes of {weights.dtype}")
        of_weights = found if found.any() else None
    if zero_point or of_weights is not None:
        _check_use(arithmetic, kind, weights.dtype, products)
    return zero_point, of_weights


def _check_use(arithmetic: str, kind: np.dtype[Any], weights: np.dtype[Any], products: object) -> None:
    record = ARITHMETICS[arithmetic]
    if not record.takes_zero_points:
        raise FormatError(f"zero points: {arithmetic} takes code 0 for zero")
    if products is not None:
        raise FormatError("zero points: a multiplier's table takes code 0 for zero; leave out one of the two")
    if wide := [one for one in (kind, weights) if one.itemsize > 1]:
        raise FormatError(f"zero points: codes of int8 or uint8 have them, found {wide[0].name}")


def less_zero_points(weights: Array, of_weights: Array | None, less: int = 0) -> Array:
    """Weights less the zero point of their output and a number, in the smallest type of codes that holds them all."""
    taken = np.int32(less) if of_weights is None else of_weights[:, None, None, None] + np.int32(less)
    found = weights.astype(np.int32) - taken
    low, high = found.min(), found.max()
    kinds = (np.dtype(kind) for kind in CODES)
    return found.astype(next(kind for kind in kinds if CODE_ENDS[kind][0] <= low and high <= CODE_ENDS[kind][1]))


@dataclass(frozen=True, slots=True)
class ZeroPoints:
    """A layer as C takes it.

    Attributes
    ----------
    weights
        Codes that are compared with those of x, or multiplied.
    outside
        The code of a padded tap.
    zero_point, of_weights
        What is still taken from the codes of x, and from the weights of each output (int32, or None).
    """

    weights: Array
    outside: int = 0
    zero_point: int = 0
    of_weights: Array | None = None

    @classmethod
    def of(cls, weights: Array, arithmetic: str, zero_point: int, of_weights: Array | None) -> ZeroPoints:
        """From checked zero points."""
        if not zero_point and of_weights is None:
            return cls(weights)
        if ARITHMETICS[arithmetic].shared_scale:
            return cls(less_zero_points(weights, of_weights, -zero_point), zero_point)
        if of_weights is not None and (plain := less_zero_points(weights, of_weights)).dtype == np.int8:
            return cls(plain, zero_point, zero_point)
        return cls(weights, zero_point, zero_point, of_weights)

    def exact_weights(self) -> Array:
        """Weights as they enter a term."""
        return self.weights if self.of_weights is None else less_zero_points(self.weights, self.of_weights)

    def numbers(self) -> tuple[int, int, Array | None]:
        """In the order that C takes them."""
        return self.outside, self.zero_point, self.of_weights
