"""Correction: the affine after a window gives each channel the float network's statistics back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from addersim.layers import Affine
from addersim.quantization.rules import Correction

__all__ = ["MOST_CORRECTION", "corrected"]

Array = npt.NDArray[Any]

MOST_CORRECTION = 2.0
"""Largest factor by which a channel's spread is restored: beyond it rounding left too little to learn from."""


def corrected(affine: Affine, sums: Array, mean: Array, std: Array, correction: Correction) -> Affine:
    """An affine whose outputs have a mean (and with ``mean-variance`` a spread) on given sums.

    Parameters
    ----------
    affine
        As trained.
    sums
        What it reads, in real units, shape ``(outputs, channels)``.
    mean, std
        What its outputs should have, shape ``(channels,)``.
    """
    multiplier = np.broadcast_to(affine.multiplier, sums.shape[-1:])
    if correction == "mean-variance":
        spread = sums.std(axis=0) * np.abs(multiplier)
        ratio = np.divide(std, spread, out=np.ones_like(spread), where=spread > 0)
        multiplier = multiplier * np.clip(ratio, 1 / MOST_CORRECTION, MOST_CORRECTION)
    return replace(affine, multiplier=multiplier.copy(), addend=mean - multiplier * sums.mean(axis=0))
