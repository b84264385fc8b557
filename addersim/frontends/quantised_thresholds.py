"""Thresholds of sums: where the code of a sum changes, found exactly.

Every function between sums and codes is evaluated in float32 as the file's framework does it. None of them falls and rises,
in float32 too, so that bisection over the whole numbers that a sum can be finds the very places.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from addersim.errors import LoweringError
from addersim.frontends.quantised_values import Sums
from addersim.frontends.quantisers import Quantiser

__all__ = ["thresholds_of"]

MOST_THRESHOLDS = 1 << 22

Array = np.ndarray[Any, Any]


def thresholds_of(value: Sums, how: Quantiser, channels: int) -> dict[str, Any]:
    """Fields of the layer that makes codes of sums.

    Signs of one bit are the codes -1 and 0; of two bits -1 and 1, whose one threshold counts twice.
    """
    if (how.high - how.low) * channels > MOST_THRESHOLDS:
        raise LoweringError(f"makes codes in {how.form} of {channels} functions of sums; make codes of 8 bits of them")
    first, levels = (-1, 1) if how.signs else (how.low, how.high - how.low)
    low, high = (np.broadcast_to(end, channels).astype(np.int64) for end in value.ends)

    def codes(sums: Array) -> Array:
        found = value.real(sums)
        found = found if value.low is None else np.maximum(found, np.float32(value.low))
        found = found if value.high is None else np.minimum(found, np.float32(value.high))
        reached = how.codes(found)
        return np.minimum(reached, 0) if how.signs else reached

    falls = codes(high[None])[0] < codes(low[None])[0]
    signs = np.where(falls, -1, 1).astype(np.int8)
    least, most = np.where(falls, -high, low), np.where(falls, -low, high)  # of the sum times its sign, which rises
    wanted = np.broadcast_to(first + 1 + np.arange(levels)[:, None], (levels, channels))
    below = np.broadcast_to(least - 1, wanted.shape).copy()
    above = np.broadcast_to(most + 1, wanted.shape).copy()
    while (above - below > 1).any():
        middle = (above + below) // 2
        reached = codes(np.clip(middle, least, most) * signs) >= wanted
        inside = above - below > 1
        above = np.where(inside & reached, middle, above)
        below = np.where(inside & ~reached, middle, below)
    found = np.repeat(above, 2, axis=0) if how.signs and how.form.bits > 1 else above
    return {"thresholds": found.astype(np.int64), "signs": signs, "first": first, "output": how.form}
