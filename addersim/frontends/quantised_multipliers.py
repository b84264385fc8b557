"""Multipliers of sums to which reals are added, as exact as their width allows, and where they would miss a code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from addersim.layers.affine import fixed_multiplier

__all__ = ["MULTIPLIER_BITS", "has_ties", "multiplied"]

Array = np.ndarray[Any, Any]
MULTIPLIER_BITS = 32
"""Width of the multipliers: the rounding of codes is then all that there is."""
MAX_SHIFT = 62
MOST_ADDEND = 2.0**60


def multiplied(gains: Array, addends: Array, name: str) -> dict[str, Any]:
    """Multiplier, addend and shift of an affine layer, by channel, for real gains and what is added, in output codes.

    `fixed_multiplier` divides out common powers of two; as many places come back as the addend has.
    """
    multiplier, shift = fixed_multiplier(gains, MULTIPLIER_BITS, addends, name)
    factor, places = multiplier.astype(np.int64), shift.astype(np.int64)
    for _ in range(MULTIPLIER_BITS):
        added = np.ldexp(addends, places)
        longer = (added != np.rint(added)) & (2 * factor < 1 << MULTIPLIER_BITS - 1) & (places < MAX_SHIFT)
        longer &= np.abs(added) < MOST_ADDEND
        if not longer.any():
            break
        factor, places = factor << longer, places + longer
    addend = np.rint(np.ldexp(addends, places)).astype(np.int64)
    return {
        "multiplier": factor.astype(np.int32),
        "addend": addend,
        "shift": places.astype(np.uint8),
        "multiplier_bits": MULTIPLIER_BITS,
    }


def has_ties(fields: Mapping[str, Any], ends: tuple[Array, Array]) -> bool:
    """Whether a multiplier, addend and shift make of some sum between ends a number that lies between two codes exactly."""
    channels = len(fields["multiplier"])
    columns = (
        *(fields[name] for name in ("multiplier", "addend", "shift")),
        *(np.broadcast_to(end, channels) for end in ends),
    )
    return any(_has_tie(*(int(one) for one in channel)) for channel in zip(*columns, strict=True))


def _has_tie(multiplier: int, addend: int, shift: int, low: int, high: int) -> bool:
    """Whether ``multiplier * sum + addend`` is half of ``2**shift`` beyond a whole number of it, for a sum between ends."""
    if not shift or not multiplier:
        return False
    whole = 1 << shift
    step = min(multiplier & -multiplier, whole)
    apart = whole // 2 - addend
    if apart % step:
        return False
    period = whole // step  # sums that tie lie so far apart
    first = apart // step * pow(multiplier // step, -1, period) % period
    return low + (first - low) % period <= high
