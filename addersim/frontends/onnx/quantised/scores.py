"""Scores that a file leaves real, such as those of a dense layer with a bias of reals: the one thing that is rounded here.

A network ends in codes or in sums. Where each score is the sum times a step of its own, plus a bias of its own, the sums alone
do not keep the order of scores; they become codes of 16 bits instead, at the finest power of two that holds whatever sums the
weights allow.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from addersim.arithmetic.fixed import FixedFormat
from addersim.frontends.quantised_values import Sums
from addersim.frontends.quantisers import Quantiser

__all__ = ["rounded_scores", "stacked_ends"]

SCORE_BITS = 16
"""The widest codes that there are."""
_TRIED = 64
_NEAR = 1 / 16
"""How far, in steps of the scores, a straight line may be from the function at the sums that are tried."""


def stacked_ends(value: Sums) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Least and largest sum of each channel, ``(2, channels)``."""
    return np.stack([np.broadcast_to(end, len(value.bias)) for end in value.ends])


def rounded_scores(value: Sums) -> tuple[Sums, Quantiser] | None:
    """Sums that are to become codes of 16 bits, and what makes these; None where scores are no straight lines of sums."""
    low, high = stacked_ends(value).astype(np.int64)
    reals = value.real(np.stack([low, high])).astype(np.float64)
    largest = float(np.abs(reals).max())
    if not math.isfinite(largest) or largest == 0 or (low >= high).any():
        return None
    form = FixedFormat(SCORE_BITS, scale=2.0 ** math.ceil(math.log2(largest / ((1 << SCORE_BITS - 1) - 1))))
    step = (reals[1] - reals[0]) / (high - low)
    addend = reals[0] - step * low
    tried = np.rint(np.linspace(low, high, _TRIED)).astype(np.int64)
    if np.abs(value.real(tried) - (tried * step + addend)).max() > _NEAR * form.scale:
        return None
    line = replace(value, step=step, bias=np.zeros(len(value.bias), np.int64), functions=(), addend=addend)
    return line, Quantiser(form, form.minimum, form.maximum)
