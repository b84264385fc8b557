"""Zeros among the words of an operand: how many, in how many runs, and how short a code of runs makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

from addersim import kernels
from addersim.kernels.zeros import RUN_BITS

__all__ = ["RUN_BITS", "Zeros", "count_zeros", "summed_zeros"]


class Zeros(NamedTuple):
    """Zeros among the words of one operand, as a run saw them over all its images.

    Attributes
    ----------
    words
        Words in all.
    zeros
        Words whose code is zero.
    runs
        Zeros in a row, channels first and images apart, count once: `zeros` over `runs` is their mean length.
    pairs
        For each width in `RUN_BITS` the pairs that code the words, images apart; empty where they are not known. A pair is a
        length of up to ``2**width - 1`` zeros and the word behind them, which is a zero where the run is longer or the image
        ends.
    """

    words: int
    zeros: int
    runs: int
    pairs: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        """Of all words, those that are zero."""
        return self.zeros / self.words if self.words else 0.0

    def pairs_per_word(self, run_bits: int) -> float:
        """Pairs of a run-length code over words: as counted, or expected as if each word were zero by chance, independently.

        Examples
        --------
        >>> Zeros(words=100, zeros=60, runs=2, pairs=(44, 42, 41, 41, 41)).pairs_per_word(5)
        0.42
        >>> round(Zeros(words=100, zeros=60, runs=0).pairs_per_word(5), 6)
        0.4
        """
        if self.pairs:
            return self.pairs[RUN_BITS.index(run_bits)] / self.words if self.words else 0.0
        longest: int = 2**run_bits
        return (1 - self.share) / (1 - self.share**longest) if self.share < 1 else 1 / longest


def count_zeros(codes: npt.NDArray[Any], zero_point: int = 0) -> Zeros:
    """Codes ``(images, ...)`` that stand for zero.

    Examples
    --------
    >>> import numpy as np
    >>> count_zeros(np.array([[0] * 40 + [1, 0, 2], [1] * 43]))
    Zeros(words=86, zeros=41, runs=2, pairs=(47, 46, 45, 45, 45))
    """
    return Zeros(codes.size, *kernels.zero_runs(codes, zero_point))


def summed_zeros(found: Sequence[Zeros]) -> Zeros:
    """What several batches saw."""
    words, zeros, runs, pairs = zip(*found, strict=True)
    return Zeros(sum(words), sum(zeros), sum(runs), tuple(map(sum, zip(*pairs, strict=True))))
