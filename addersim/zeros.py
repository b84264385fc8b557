"""Zeros among the words of an operand: how many, in how many runs, and how short a code of runs makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["RUN_BITS", "Zeros", "count_zeros", "summed_zeros"]

RUN_BITS = (4, 5, 6, 7, 8)
"""Widths of a run's length for which the pairs of a run-length code are counted: any 16 zeros fill a byte of places."""


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


_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
_LOW = np.cumprod(_BITS, axis=1).sum(axis=1, dtype=np.int64)
"""Of a byte, the ones below its lowest zero."""
_HIGH = np.cumprod(_BITS[:, ::-1], axis=1).sum(axis=1, dtype=np.int64)
"""Of a byte, the ones above its highest zero."""
_FEW = 64
"""Words at the end of an image that are looked at first."""


def count_zeros(codes: npt.NDArray[Any], zero_point: int = 0) -> Zeros:
    """Codes ``(images, ...)`` that stand for zero.

    Their places are packed, a bit a word, so that all that is counted costs little beside the comparison with zero. A run that
    may be longer than a pair holds fills a byte of them.

    Examples
    --------
    >>> count_zeros(np.array([[0] * 40 + [1, 0, 2], [1] * 43]))
    Zeros(words=86, zeros=41, runs=2, pairs=(47, 46, 45, 45, 45))
    """
    zero = (codes == zero_point).reshape(len(codes), -1)
    places = _packed(zero)
    words, zeros = zero.size, _ones(places)
    before = np.left_shift(places, 1)
    before[1:] |= np.right_shift(places[:-1], 63)
    lengths, at_end = _long_runs(places), _zeros_at_the_end(zero)
    pairs = tuple(
        words - zeros + int((lengths >> width).sum() + np.count_nonzero(at_end & (2**width - 1))) for width in RUN_BITS
    )
    return Zeros(words, zeros, _ones(places & ~before), pairs)


def summed_zeros(found: Sequence[Zeros]) -> Zeros:
    """What several batches saw."""
    words, zeros, runs, pairs = zip(*found, strict=True)
    return Zeros(sum(words), sum(zeros), sum(runs), tuple(map(sum, zip(*pairs, strict=True))))


def _packed(zero: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Places of zeros, the first in the lowest bit; a bit or more that is 0 parts images, and a whole word is in front."""
    images, words = zero.shape
    packed = np.zeros(8 + images * (words // 64 + 1) * 8, np.uint8)
    packed[8:].reshape(images, -1)[:, : -(-words // 8)] = np.packbits(zero, axis=1, bitorder="little")
    return packed.view("<u8")


def _ones(bits: npt.NDArray[np.uint64]) -> int:
    """Bits that are 1."""
    return int(np.bitwise_count(bits).sum())


def _long_runs(places: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Lengths of all runs of 16 zeros and more, and of some shorter ones."""
    packed = places.view(np.uint8)
    full = packed == 255
    changes = np.flatnonzero(full[1:] != full[:-1]) + 1
    starts, ends = changes[::2], changes[1::2]
    lengths: npt.NDArray[np.int64] = 8 * (ends - starts) + _HIGH[packed[starts - 1]] + _LOW[packed[ends]]
    return lengths


def _zeros_at_the_end(zero: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Zeros behind the last other word of each image, of which few end in many."""
    found = _zeros_in_front(zero[:, -_FEW:][:, ::-1])
    for image in np.flatnonzero(found == min(_FEW, zero.shape[1])):
        found[image] = _zeros_in_front(zero[image : image + 1, ::-1])[0]
    return found


def _zeros_in_front(zero: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    first = zero.argmin(axis=1)
    found: npt.NDArray[np.int64] = np.where(zero[np.arange(len(zero)), first], zero.shape[1], first)
    return found
