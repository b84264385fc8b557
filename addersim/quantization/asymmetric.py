"""Values whose zero need not be code 0: which may have a zero point, and which scale and zero point hold their range."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import get_args

import numpy as np

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import FixedFormat
from addersim.layers import AnyIntegerLayer, AveragePool, Layer, Window
from addersim.network import Network
from addersim.quantization.calibration import Member
from addersim.quantization.rules import Quantization

__all__ = ["asymmetric_scale", "may_have_zero_points", "readers_of_zero_points", "zero_point_of"]

WIDEST = 8
"""Bits of codes that may have zero points: what the kernels take of them."""
_TAKE_THEM: Mapping[str, bool] = MappingProxyType({one.kind(): one.TAKES_ZERO_POINTS for one in get_args(AnyIntegerLayer)})


def readers_of_zero_points(network: Network) -> dict[str, list[Layer]]:
    """By value, the layers around it that cannot take a zero point of it, and windows, which can as their widths allow."""
    found: dict[str, list[Layer]] = {}
    for layer in network.layers:
        takes = _TAKE_THEM[layer.kind()] and not isinstance(layer, AveragePool)
        if not takes or isinstance(layer, Window):
            for name in (*layer.inputs, *(() if isinstance(layer, Window) else (layer.name,))):
                found.setdefault(name, []).append(layer)
    return found


def may_have_zero_points(members: Mapping[str, Member], around: Mapping[str, list[Layer]], how: Quantization) -> bool:
    """Whether values that share a scale may have zero points: signed codes of a byte, whose neighbours all take them."""
    bits = {one.bits for one in members.values()}
    plain = all(one.signed for one in members.values()) and 1 < min(bits) == max(bits) <= WIDEST
    return plain and all(_takes(layer, max(bits), how) for name in members for layer in around.get(name, ()))


def _takes(layer: Layer, bits: int, how: Quantization) -> bool:
    if not isinstance(layer, Window):
        return False
    record, stored = ARITHMETICS[layer.arithmetic], layer.stored_bits(how)
    shares = not record.shared_scale or (stored == bits and how.clips(layer.arithmetic))
    return record.takes_zero_points and shares and stored <= WIDEST


def asymmetric_scale(members: Sequence[Member], how: Quantization) -> tuple[float, float]:
    """Step between codes that hold the whole range of values, zero included, and the least of them.

    A percentile is kept where the rules have one; else all that the calibration images show.
    """
    tails = (100.0 - how.percentile, how.percentile) if how.calibration == "percentile" else None
    ends = [
        (one.sample.minimum, one.sample.maximum) if tails is None else tuple(np.percentile(one.sample.values, tails))
        for one in members
    ]
    low, high = min(0.0, *(float(one[0]) for one in ends)), max(0.0, *(float(one[1]) for one in ends))
    return (high - low) / ((1 << members[0].bits) - 1) or 1.0, low


def zero_point_of(held: FixedFormat, low: float) -> int:
    """The code of zero where the smallest code is to stand for about the least value."""
    return min(max(held.minimum - math.floor(low / held.scale + 0.5), held.minimum), held.maximum)
