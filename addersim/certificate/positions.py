"""Where a window can stand: which of its taps meet the image there, and which its padding."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.geometry import Geometry, Pair

__all__ = ["Position", "Side", "positions"]

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Side:
    """One axis of a window's place.

    Attributes
    ----------
    output
        Row or column of the output.
    first, end
        Taps from `first` up to `end` meet the image, the others its padding.
    pixels
        First pixel of the image under the window's reach, and the one after the last; a window that lies beyond the image
        altogether has one pixel beside it, as an image needs one.
    padding
        Rows or columns of padding that the window covers before and after these pixels.
    """

    output: int
    first: int
    end: int
    pixels: Pair
    padding: Pair

    @property
    def taps(self) -> slice:
        """Those that meet the image."""
        return slice(self.first, self.end)


@dataclass(frozen=True, slots=True)
class Position:
    """A window's place, row axis and column axis."""

    rows: Side
    columns: Side

    @property
    def output(self) -> Pair:
        """Row and column of the output."""
        return self.rows.output, self.columns.output

    def met(self, inside: Array, outside: Array) -> Array:
        """Values of taps ``(filters, kernel height, kernel width, channels)``: those inside where they meet the image."""
        height, width = inside.shape[1:3]
        if (self.rows.taps, self.columns.taps) == (slice(0, height), slice(0, width)):
            return inside
        found = outside.copy()
        here = (slice(None), self.rows.taps, self.columns.taps)
        found[here] = inside[here]
        return found


def positions(geometry: Geometry, image: Pair, largest: bool) -> tuple[Position, ...]:
    """The first window of each kind that differs in which taps meet the image.

    Parameters
    ----------
    geometry
        How the window moves.
    image
        Height and width.
    largest
        Leave out kinds whose taps in the image are some of those of another kind: where padding is a code like others they
        sum nothing that the other does not.

    Examples
    --------
    >>> around = Geometry((3, 3), padding=(1, 1))
    >>> len(positions(around, (8, 8), largest=False)), len(positions(around, (8, 8), largest=True))
    (9, 1)
    """
    sizes = geometry.output_size(*image)
    sides = (_sides(geometry, axis, sizes[axis], image[axis], largest) for axis in range(2))
    return tuple(Position(rows, columns) for rows, columns in product(*sides))


def _sides(geometry: Geometry, axis: int, outputs: int, size: int, largest: bool) -> list[Side]:
    taps, dilation = geometry.kernel[axis], geometry.dilation[axis]
    starts = np.arange(outputs) * geometry.stride[axis] - geometry.padding[axis]
    first = np.clip(-(starts // dilation), 0, taps)
    end = np.clip(-((starts - size) // dilation), 0, taps)
    first, end = np.where(first < end, (first, end), 0)
    _, places = np.unique(np.stack([first, end]), axis=1, return_index=True)  # by first tap, then by last
    if largest:
        order = places[np.lexsort((-end[places], first[places]))]
        before = np.maximum.accumulate(np.concatenate([[0], end[order][:-1]]))
        places = order[end[order] > before] if end.any() else order  # where all windows miss the image, they are of one kind
    reach = (taps - 1) * dilation + 1
    return [Side(int(one), int(first[one]), int(end[one]), *_pixels(int(starts[one]), reach, size)) for one in places]


def _pixels(start: int, reach: int, size: int) -> tuple[Pair, Pair]:
    """Pixels under a window's reach, and its padding before and after them."""
    if start >= size or start + reach <= 0:
        return (0, 1), (reach, 0)
    pixels = max(0, start), min(size, start + reach)
    return pixels, (pixels[0] - start, start + reach - pixels[1])
