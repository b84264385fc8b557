"""Which codes a layer can give, place by place, from the ends of the codes that it reads.

The layers themselves are run on the smallest and on the largest codes: where more in is more out, nothing between gives
anything beyond. What no layer here is known to rule out, any code of the output's format, stays possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat, bits_for
from addersim.certificate.sums import Box, Sums
from addersim.kernels.checks import MAX_PRODUCT, largest_product
from addersim.layers import (
    IntegerAdd,
    IntegerAffine,
    IntegerAveragePool,
    IntegerClip,
    IntegerConcat,
    IntegerInterpolate,
    IntegerLayer,
    IntegerMaxPool,
    IntegerMove,
    IntegerProduct,
    IntegerRelu,
    IntegerWindow,
    Value,
)

__all__ = ["any_codes", "box_of", "codes_out", "sums_out"]

Ends = npt.NDArray[Any]
"""Smallest and largest codes of a value, channels last, with these two in place of images."""

_PASSING = (IntegerRelu, IntegerClip, IntegerMaxPool, IntegerMove, IntegerConcat)
"""What only chooses among codes, or bounds them."""
_RISING = (*_PASSING, IntegerAffine, IntegerAveragePool, IntegerAdd, IntegerInterpolate, IntegerProduct)
"""What has its extremes where each input has one of its own."""


def any_codes(value: Value) -> Ends:
    """The ends of all codes of a value's width."""
    top = 1 << (value.bits - value.signed)
    kind = np.int64 if value.is_sum else FixedFormat(value.bits, value.signed).dtype
    return _everywhere(np.array([[-top if value.signed else 0], [top - 1]], kind), value)


def box_of(ends: Ends) -> Box:
    """Codes of each channel, at whatever place."""
    places = tuple(range(ends.ndim - 2))
    return Box(ends[0].min(axis=places).astype(np.int64), ends[1].max(axis=places).astype(np.int64))


def codes_out(layer: IntegerLayer, output: Value, inputs: Sequence[Ends], reachable: bool) -> Ends:
    """What a layer, other than a window, gives.

    Parameters
    ----------
    layer, output
        The layer, and the format of what it gives.
    inputs
        The ends of what it reads.
    reachable
        Follow all kinds that more in gives more out of; otherwise those alone that choose among codes or bound them.
    """
    if not isinstance(layer, _RISING if reachable else _PASSING):
        return any_codes(output)
    if isinstance(layer, IntegerAffine):
        multiplier, addend, _ = layer.constants(output.shape[0])
        if largest_product(max(-int(inputs[0].min()), int(inputs[0].max())), multiplier, addend) >= MAX_PRODUCT:
            return any_codes(output)
    if isinstance(layer, IntegerAdd | IntegerProduct):  # either end of the one beside either of the other
        inputs = inputs[0][[0, 0, 1, 1]], inputs[1][[0, 1, 0, 1]]
    found = layer.run(kernels, *inputs)
    wraps = getattr(layer, "overflow", "saturate") == "wrap"
    if found.values is None or (wraps and found.observed is not None and found.observed.overflowed):
        return any_codes(output)
    return np.stack([found.values.min(axis=0), found.values.max(axis=0)])


def sums_out(layer: IntegerWindow, output: Value, sums: Sums) -> Ends:
    """What a window layer's register holds after the last tap: anything, where it overflows before."""
    register = layer.accumulator_bits()
    if bits_for(int(sums.minimum.min()), int(sums.maximum.max())) > register:
        return any_codes(output)
    return _everywhere(np.stack([sums.last_minimum, sums.last_maximum]), output)


def _everywhere(ends: Ends, value: Value) -> Ends:
    """The ends of each channel, or of all, at every place of a value."""
    channels, *places = value.shape
    return np.broadcast_to(ends.reshape(2, *(1 for _ in places), -1), (2, *places, channels))
