"""The tile loop of a window layer on a systolic array: a search over all that differ, without chance.

Between DRAM and the on-chip memories a layer is cut into tiles along pixels (M), filters (N) and window (K), group after
group. A cut is a number of parts as even as can be: of whole folds along the two dimensions that lie on the sides of the
array, of any size along the one that streams. The three loops run in any order.

- An operand is fetched again in each trip of the loop that does not index it, unless nothing moves inside that loop.
- So too a tile of sums: where it has to leave before its last taps, its partial sums go to DRAM and come back.
- The array takes what is stationary anew for each tile, unless that is one fold and only streaming goes on inside. Sums that
  several folds add to wait in the output memory, where their tile must fit.

Of two cuts into equal tiles the one with fewer is never worse, and for each cut of M and N the largest tile of K that fits is
the best, so that few are left to compare: by the energy of all that moves, at the prices of the accelerator and its table; by
cycles; or by bits of DRAM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from addersim.hardware.accelerator import SystolicArray
from addersim.hardware.footprint import Footprint
from addersim.hardware.memory import ArrayWords
from addersim.hardware.room import Room
from addersim.hardware.systolic import Folds, Whole, fold
from addersim.trace import MatrixWork

__all__ = ["DIMENSIONS", "ORDERS", "Cut", "Problem", "Score", "Step", "best_cut", "smallest_tile", "steps"]

DIMENSIONS = ("pixels", "filters", "window")
ORDERS: tuple[tuple[int, ...], ...] = tuple(permutations(range(3)))
"""Loop orders, outermost first, as places in `DIMENSIONS`."""

_INSIDE = np.array([[[b in order[order.index(a) + 1 :] for b in range(3)] for a in range(3)] for order in ORDERS])
"""Whether, in an order, dimension b runs inside dimension a."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A window layer, batch included, on an array, and the room for its tiles."""

    work: MatrixWork
    array: SystolicArray
    footprint: Footprint
    room: Room

    @property
    def units(self) -> tuple[int, int, int]:
        """Pixels, filters and taps of one fold; 1 along the streamed dimension."""
        rows, columns = self.array.rows, self.array.columns
        return {"output": (rows, columns, 1), "weight": (1, columns, rows), "input": (columns, 1, rows)}[self.array.systolic]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Pixels, filters and taps."""
        return self.work.pixels, self.work.filters, self.work.window

    @property
    def streamed(self) -> int:
        """Place in `DIMENSIONS` of the one that streams."""
        return {"output": 2, "weight": 0, "input": 1}[self.array.systolic]

    @property
    def folds(self) -> tuple[int, int, int]:
        """Units along each dimension."""
        pixels, filters, window = (-(-size // unit) for size, unit in zip(self.sizes, self.units, strict=True))
        return pixels, filters, window

    @property
    def adds_up(self) -> bool:
        """Whether folds along the window add to sums that wait outside the array, even where no tile is cut."""
        return self.streamed != 2 and self.folds[2] > 1


class Cut(NamedTuple):
    """Units of each dimension in the largest tile, and whether what is stationary stays in the array; numbers or arrays."""

    pixels: Whole
    filters: Whole
    window: Whole
    stays: Whole

    def trips(self, problem: Problem) -> tuple[Whole, Whole, Whole]:
        """Tiles along each dimension."""
        pixels, filters, window = (-(-folds // units) for folds, units in zip(problem.folds, self, strict=False))
        return pixels, filters, window


class Step(NamedTuple):
    """What a cut and a loop order make of a layer: its folds, words fetched, and sums that go to DRAM and come back."""

    folds: Folds
    inputs: Whole
    weights: Whole
    spilled: Whole

    @property
    def words(self) -> ArrayWords:
        """All that moves."""
        folds = self.folds
        return ArrayWords(*self[1:], folds.input_reads, folds.weight_reads, folds.partial_sums)


Score = Callable[[Step], tuple[Any, ...]]


def best_cut(problem: Problem, score: Score) -> tuple[Cut, tuple[int, ...], Step] | None:
    """The cut and the loop order with the least score, of equals the one with the largest tiles; None where no tile fits.

    Parameters
    ----------
    problem
        What runs where.
    score
        Arrays to be made least, the first one first; a step that fetches more, or folds more often, must never score less.
    """
    cut = _candidates(problem)
    if not len(cut.pixels):
        return None
    step = steps(problem, cut)
    shape = len(ORDERS), len(cut.pixels)
    allowed = np.flatnonzero(_streams_inside(problem)[:, None] | ~cut.stays)
    values = [np.broadcast_to(value, shape).ravel()[allowed] for value in score(step)]
    for number in range(len(values)):
        least = np.flatnonzero(values[number] == values[number].min())
        allowed, values = allowed[least], [value[least] for value in values]
    place, order = min((int(one) % shape[1], int(one) // shape[1]) for one in allowed)
    found = Cut(*(one[place].item() for one in cut))
    parts = 1 if found.stays else found.trips(problem)[problem.streamed]
    inputs, weights, spilled = (int(words[order, place]) for words in step[1:])
    return found, ORDERS[order], Step(_folded(problem, parts), inputs, weights, spilled)


def smallest_tile(problem: Problem) -> tuple[int, int, int]:
    """Inputs, weights and waiting sums of the smallest tile: one fold, as little as can be streamed."""
    pixels, filters, window = (min(unit, size) for unit, size in zip(problem.units, problem.sizes, strict=True))
    return int(problem.footprint.of_tile(pixels, window)), window * filters, pixels * filters * problem.adds_up


def steps(problem: Problem, cut: Cut) -> Step:
    """What cuts make of a layer in each of `ORDERS`: arrays of orders x cuts."""
    work, trips = problem.work, np.stack(cut.trips(problem))
    again = (_INSIDE[:, :, :, None] & (trips > 1)).any(axis=2)
    pixel_passes, filter_passes, window_passes = np.where(again, trips, 1).transpose(1, 0, 2)
    inputs = problem.footprint.fetched(trips[0], trips[2]) * filter_passes * work.groups
    weights = pixel_passes * (work.window * work.filters * work.groups)
    spilled = (window_passes - 1) * (work.pixels * work.filters * work.groups)
    return Step(_folded(problem, np.where(cut.stays, 1, trips[problem.streamed])), inputs, weights, spilled)


def _folded(problem: Problem, parts: Whole) -> Folds:
    array = problem.array
    return fold(problem.work, array.rows, array.columns, array.systolic, parts, array.overlapped_folds)


def _streams_inside(problem: Problem) -> Any:
    return np.array([order[-1] == problem.streamed for order in ORDERS])


def _candidates(problem: Problem) -> Cut:
    """Cuts worth a look: for each of pixels and filters the most of the window that fits, and what may stay in the array."""
    pixels, filters = _cuts(problem.folds[0]), _cuts(problem.folds[1])
    window = np.broadcast_to(_most_units(problem, pixels[:, None], filters), (len(pixels), len(filters)))
    rows, columns = np.nonzero(window > 0)
    grid = pixels[rows], filters[columns], window[rows, columns]
    lone = _lone(problem, pixels, filters)
    joined = [np.concatenate(pair) for pair in zip(grid, lone, strict=True)]
    return Cut(joined[0], joined[1], joined[2], np.arange(len(joined[0])) >= len(rows))


def _lone(problem: Problem, pixels: Any, filters: Any) -> tuple[Any, Any, Any]:
    """Cuts into single folds, whose stationary operand may stay in the array while all else streams."""
    one = np.ones(1, np.int64)
    if problem.streamed == 2:
        found = one, one, np.atleast_1d(_most_units(problem, one, one, waiting=False))
        fitting = found[2] > 0
    else:
        streamed = (pixels, filters)[problem.streamed]
        found = tuple(streamed if place == problem.streamed else np.ones_like(streamed) for place in range(3))
        tile = [
            np.minimum(number * unit, size) for number, unit, size in zip(found, problem.units, problem.sizes, strict=True)
        ]
        sums = tile[0] * tile[1] * problem.adds_up
        fitting = problem.room.fits(problem.footprint.of_tile(tile[0], tile[2]), tile[1] * tile[2], sums)
    return found[0][fitting], found[1][fitting], found[2][fitting]


def _most_units(problem: Problem, pixels: Any, filters: Any, waiting: bool = True) -> Any:
    """For each cut of pixels and filters the most units of the window that fit, beside sums if these are `waiting`."""
    whole, (_, _, most) = problem.work.window, problem.folds
    sizes = np.minimum(pixels * problem.units[0], problem.sizes[0]), np.minimum(filters * problem.units[1], problem.sizes[1])

    def units(sums: Any) -> Any:
        taps = problem.room.most_window(problem.footprint, whole, *sizes, sums)
        return np.where(taps >= whole, most, taps // problem.units[2])

    if problem.streamed != 2:
        return units(sizes[0] * sizes[1] if problem.adds_up else 0)
    uncut = units(0)
    if not waiting or (uncut == most).all():
        return uncut
    return np.where(uncut == most, most, units(sizes[0] * sizes[1]))


def _cuts(folds: int) -> Any:
    """Sizes of the largest part for every number of parts, each once, from one part on."""
    few = np.arange(1, isqrt(folds) + 2)
    return np.unique(np.concatenate([few[few <= folds], -(-folds // few)]))[::-1]
