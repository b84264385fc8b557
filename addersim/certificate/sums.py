"""Every running sum of a window over a box of inputs, exactly.

Taps of one window read different codes, so that a sum is least where each of its terms is: the smallest and largest value of
every running sum, in the order kernel row, kernel column, input channel, follow tap by tap. A tap in the padding adds its own
fixed term, such as -|0 - f|. All windows are looked at that differ in which taps meet the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.certificate.positions import Position, positions
from addersim.layers import IntegerWindow

__all__ = ["Box", "End", "Path", "Sums", "extreme_path", "padding_code", "window_sums"]

Array = npt.NDArray[Any]
End = Literal["minimum", "maximum"]

_TOGETHER = 1 << 18
"""Terms that are held at once, unless one filter has more."""


class Box(NamedTuple):
    """Smallest and largest code of each input channel, int64 ``(channels,)``; any code between may stand at any place."""

    low: Array
    high: Array

    def holds(self, padding: Array) -> bool:
        """Whether padding is a code like others, so that a tap in the image can do all that one in the padding does."""
        return bool((self.low <= padding).all() and (self.high >= padding).all())

    def of(self, channels: Array) -> Box:
        """The same for some channels."""
        return Box(self.low[channels], self.high[channels])


@dataclass(frozen=True, slots=True)
class Sums:
    """What the sums of a window layer reach over a box of inputs, an entry a filter, int64.

    Attributes
    ----------
    minimum, maximum
        Of all running sums, the register's zero at the start included.
    minimum_at, maximum_at
        The window that reaches it, as a place in `positions`.
    last_minimum, last_maximum
        Of the sums after the last tap.
    positions
        The windows that were looked at.
    """

    minimum: Array
    maximum: Array
    minimum_at: Array
    maximum_at: Array
    last_minimum: Array
    last_maximum: Array
    positions: tuple[Position, ...]


class Path(NamedTuple):
    """Inputs that lead one filter's sum to an extreme.

    Attributes
    ----------
    codes
        Of each tap, ``(kernel height, kernel width, channels / groups)``; `padding_code` in the padding.
    sums
        Running sums, int64 ``(taps,)``.
    """

    codes: Array
    sums: Array


def padding_code(layer: IntegerWindow) -> Array:
    """The code that a layer meets where its image is padded: that of zero."""
    return layer.input_format.encode(0.0).astype(np.int64)


def window_sums(layer: IntegerWindow, box: Box, image: tuple[int, ...]) -> Sums:
    """Extremes of every running sum of a layer.

    Parameters
    ----------
    layer
        The window layer.
    box
        Codes of its input.
    image
        Rows and columns of its input; none of features, which are one pixel.
    """
    filters, taps = len(layer.weights), layer.weights[0].size
    padding = padding_code(layer)
    height, width = (*image, 1, 1)[:2]
    where = positions(layer.geometry, (height, width), largest=box.holds(padding))
    ends_of = _TermEnds(layer, box)
    found = np.empty((2, 3, filters), np.int64)
    step = max(1, _TOGETHER // taps)
    for first in range(0, filters, step):
        some = np.arange(first, min(first + step, filters))
        outside = layer.terms(padding, layer.operand_weights(some))
        for end, (inside, sign) in enumerate(zip(ends_of(some), (1, -1), strict=True)):
            met = (position.met(inside, outside).reshape(len(some), taps) for position in where)
            ends = np.array([_least(sign * terms) for terms in met])
            least, last = ends.min(axis=0)
            found[end, :, some] = np.stack([sign * np.minimum(0, least), ends[:, 0].argmin(axis=0), sign * last], axis=1)
    (minimum, minimum_at, last_minimum), (maximum, maximum_at, last_maximum) = found
    return Sums(minimum, maximum, minimum_at, maximum_at, last_minimum, last_maximum, where)


def _least(terms: Array) -> tuple[Array, Array]:
    """The smallest running sum of each row, and the last."""
    sums = np.cumsum(terms, axis=1)
    return sums.min(axis=1), sums[:, -1]


def extreme_path(layer: IntegerWindow, box: Box, position: Position, filter_: int, end: End) -> Path:
    """The inputs of one filter's window whose every running sum is as far to one end as any input takes it."""
    weights, padding = layer.operand_weights(np.array([filter_])), padding_code(layer)
    sign = 1 if end == "minimum" else -1
    first, *others = _candidates(layer, *box.of(_channels(layer, np.array([filter_]))), weights)
    found, best = np.broadcast_to(first, weights.shape), sign * layer.terms(first, weights)
    for codes in others:
        terms = sign * layer.terms(codes, weights)
        found, best = np.where(terms < best, codes, found), np.minimum(terms, best)
    met = position.met(found, np.broadcast_to(padding, weights.shape))
    return Path(met[0], np.cumsum(layer.terms(met, weights)))


class _TermEnds:
    """Smallest and largest term of each tap of some filters, ``(filters, kernel height, kernel width, channels)``."""

    def __init__(self, layer: IntegerWindow, box: Box) -> None:
        self._layer, self._box = layer, box
        if layer.multiplier is not None:  # of any code: found once for each weight and each range of codes
            ranges, self._range = np.unique(np.stack(box), axis=1, return_inverse=True)
            weights = np.arange(layer.weight_format.minimum, layer.weight_format.maximum + 1)[:, None]
            self._tables = _term_ends(layer, ranges[0], ranges[1], weights)

    def __call__(self, filters: Array) -> tuple[Array, Array]:
        weights, channels = self._layer.operand_weights(filters), _channels(self._layer, filters)
        if self._layer.multiplier is None:
            return _term_ends(self._layer, *self._box.of(channels), weights)
        row, column = weights - self._layer.weight_format.minimum, self._range.reshape(-1)[channels]
        return self._tables[0][row, column], self._tables[1][row, column]


def _term_ends(layer: IntegerWindow, low: Array, high: Array, weights: Array) -> tuple[Array, Array]:
    first, *others = _candidates(layer, low, high, weights)
    least = most = layer.terms(first, weights)
    for codes in others:
        terms = layer.terms(codes, weights)
        least, most = np.minimum(least, terms), np.maximum(most, terms)
    return least, most


def _candidates(layer: IntegerWindow, low: Array, high: Array, weights: Array) -> Iterator[Array]:
    """Codes between two ends among which a term has both of its extremes.

    A table of products may have them anywhere. Other terms have the smallest at an end, and the largest, too, unless they are
    of a difference, which is least at the code next to the weight.
    """
    if layer.multiplier is not None:
        codes = np.arange(layer.input_format.minimum, layer.input_format.maximum + 1)
        yield from (np.asarray(np.clip(code, low, high)) for code in codes)
        return
    yield from (low, high)
    if DATAPATHS[layer.datapath].arithmetic.falls:
        yield np.clip(layer.input_format.encode(layer.weight_format.decode(weights)).astype(np.int64), low, high)


def _channels(layer: IntegerWindow, filters: Array) -> Array:
    """Input channels that some filters read, ``(filters, 1, 1, channels / groups)``."""
    channels = layer.weights.shape[3]
    group = filters // (len(layer.weights) // layer.groups)
    found: Array = (group * channels)[:, None, None, None] + np.arange(channels)
    return found
