"""Narrowing of exact sums and products to codes by one multiplier and one shift, the same for all channels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from addersim.arithmetic.fixed import FixedFormat, Overflow, Rounding
from addersim.arithmetic.ops import OpCounts
from addersim.layers.affine import fixed_multiplier
from addersim.layers.base import Array, Engine, Plan, Run, observe

__all__ = ["Factor", "factor_counts", "fixed_factor", "narrow", "planned_gain"]

Factor = tuple[int, int]
"""A real factor as integers ``m`` and ``s``: ``m / 2**s``."""


def planned_gain(gain: float, plan: Plan) -> float:
    """A factor that is billed as it would be after calibration.

    Arbitrary scales may differ by a power of two; those of a calibrated program do not.
    """
    return gain if plan.calibrated or plan.how.power_of_two else gain * 1.1


@lru_cache(maxsize=256)
def fixed_factor(real: float, bits: int, where: str) -> Factor:
    """`fixed_multiplier` of one number, once and not once a batch."""
    multiplier, shift = fixed_multiplier(np.array([real]), bits, np.zeros(1), where)
    return int(multiplier[0]), int(shift[0])


def narrow(
    engine: Engine,
    wide: Array,
    factor: Factor,
    output: FixedFormat,
    rounding: Rounding,
    overflow: Overflow = "saturate",
    threads: int | None = None,
) -> Run:
    """Codes ``round(wide * m / 2**s)`` and what was seen."""
    channels = wide.shape[-1]
    found = engine.affine(
        wide,
        np.full(channels, factor[0], np.int32),
        np.zeros(channels, np.int64),
        np.full(channels, factor[1], np.uint8),
        output=output,
        rounding=rounding,
        overflow=overflow,
        threads=threads,
    )
    return Run(found.values, observe(found.minimum, found.maximum, found.overflowed, found.values.size))


def factor_counts(factors: Iterable[Factor], bits: int, multiplier_bits: int, words: int) -> OpCounts:
    """What it costs to multiply words of a width by factors: each of both steps only where it does something to any."""
    counts, (multipliers, shifts) = OpCounts(), zip(*factors, strict=True)
    multiplies = any(multiplier != 1 for multiplier in multipliers)
    if multiplies:
        counts += OpCounts({("mul", max(bits, multiplier_bits)): words})
    if any(shifts):
        counts += OpCounts({("shift", bits + multiplier_bits * multiplies): words})
    return counts
