"""The slow twin of `addersim.kernels.prepare_window_rescale`: one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from addersim.arithmetic.fixed import FixedFormat
from addersim.kernels.checks import FusedResult, WindowResult
from addersim.kernels.reference_requantisation import requantize

__all__ = ["prepare_window_rescale"]

Array = npt.NDArray[Any]


def prepare_window_rescale(
    layer: Callable[..., WindowResult],
    scales: npt.ArrayLike,
    bias: Array,
    rule: str,
    *,
    output: FixedFormat,
    low: int | None = None,
    high: int | None = None,
) -> Callable[..., FusedResult]:
    """See `addersim.kernels.prepare_window_rescale`."""

    def both(x: Array, *, threads: int | None = None) -> FusedResult:
        sums = layer(x, threads=threads)
        codes = requantize(sums.values, scales, bias, rule, output=output, low=low, high=high)
        seen = (sums.minimum, sums.maximum, sums.overflowed, codes.minimum, codes.maximum, codes.overflowed)
        return FusedResult(codes.values, *seen)

    return both
