"""The tile loop of a window layer on a systolic array: a search over all that differ, without chance.

Between DRAM and the on-chip memories a layer is cut into tiles along pixels (M), filters (N) and window (K), group after
group. A cut is a number of parts as even as can be: of whole folds along the two dimensions that lie on the sides of the
array, of any size along the one that streams. The three loops run in any order.

- An operand is fetched again in each trip of the loop that does not index it, unless nothing moves inside that loop.
- So too a tile of sums: where it has to leave before its last taps, its partial sums go to DRAM and come back.
- The array takes what is stationary anew for each tile, unless that is one fold and only streaming goes on inside. Sums that
  several folds add to wait in the output memory, where their tile must fit.

Of two cuts into equal tiles the one with fewer is never worse, and for each cut of M and N the largest tile of K that fits is
the best, so that few are left to compare: by the energy of all that moves; by cycles; or by bits of DRAM. Those of all layers
are compared in one go, as arrays of candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, permutations
from math import isqrt
from typing import Any, NamedTuple

import numpy as np

from addersim.hardware.accelerator import SystolicArray
from addersim.hardware.dataflow.capacity import Room, gathered
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.stationary import GEMM_DIMENSIONS, systolic_dataflow
from addersim.hardware.dataflow.systolic import Folds, fold
from addersim.hardware.traffic import ArrayWords, Whole
from addersim.trace import MatrixWork

__all__ = ["DIMENSIONS", "ORDERS", "Cut", "Found", "Problem", "Score", "Step", "best_cuts", "smallest_tile", "steps"]

DIMENSIONS = ("pixels", "filters", "window")
ORDERS: tuple[tuple[int, ...], ...] = tuple(permutations(range(3)))
"""Loop orders, outermost first, as places in `DIMENSIONS`."""

_AT_ONCE = 1 << 14
"""Cuts that are compared at once, unless a single problem has more: arrays of so many stay in the cache."""
_MOST_AT_ONCE = 1 << 17
"""Cuts of a single problem that are compared at once: a large batch has millions, whose arrays would take gigabytes."""

_INSIDE = np.array([[[b in order[order.index(a) + 1 :] for b in range(3)] for a in range(3)] for order in ORDERS])
"""Whether, in an order, dimension b runs inside dimension a."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A window layer, batch included, on an array, and the room for its tiles; or many, with arrays for numbers."""

    work: MatrixWork
    array: SystolicArray
    footprint: Footprint
    room: Room

    @classmethod
    def of_many(cls, problems: Sequence[Problem], index: Whole) -> Problem:
        """The problems at an index as one, all on the array of the first."""
        works = [problem.work for problem in problems]
        products = gathered([(work.pixels, work.window, work.filters, work.groups) for work in works], index)
        footprint = Footprint(*gathered([problem.footprint for problem in problems], index))
        room = Room.of_many([problem.room for problem in problems], index)
        return cls(MatrixWork(*products), problems[0].array, footprint, room)

    @property
    def units(self) -> tuple[int, int, int]:
        """Pixels, filters and taps of one fold; 1 along the streamed dimension."""
        return systolic_dataflow(self.array.systolic).fold_size(self.array.rows, self.array.columns)

    @property
    def sizes(self) -> tuple[Whole, Whole, Whole]:
        """Pixels, filters and taps."""
        return self.work.pixels, self.work.filters, self.work.window

    @property
    def streamed(self) -> int:
        """Place in `DIMENSIONS` of the one that streams."""
        return GEMM_DIMENSIONS.index(systolic_dataflow(self.array.systolic).time)

    @property
    def folds(self) -> tuple[Whole, Whole, Whole]:
        """Units along each dimension."""
        pixels, filters, window = (-(-size // unit) for size, unit in zip(self.sizes, self.units, strict=True))
        return pixels, filters, window

    @property
    def adds_up(self) -> Whole:
        """Whether folds along the window add to sums that wait outside the array, even where no tile is cut."""
        return systolic_dataflow(self.array.systolic).preloaded & (self.folds[2] > 1)


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


Score = Callable[[Step, Whole], tuple[Whole, ...]]
"""From steps of many problems, and for each cut its problem's number, to arrays that are to be made least, first things first.

A step that fetches more, or folds more often, must never score less.
"""


class Found(NamedTuple):
    """The best cut of a problem: its loop order, tiles along each dimension, cycles of the array and words that move."""

    order: tuple[int, ...]
    trips: tuple[int, ...]
    cycles: int
    words: ArrayWords


def best_cuts(problems: Sequence[Problem], score: Score) -> list[Found | None]:
    """For each problem, all on one array, the cut and loop order with the least score; None where no tile fits.

    Of equals it is the one with the largest tiles. The cuts of many problems are looked at together, as arrays.
    """
    found: list[Found | None] = []
    most = [_most_cuts(problem) for problem in problems]
    while len(found) < len(problems):
        number = len(found) + 1
        many = most[number - 1]
        while number < len(problems) and many + most[number] <= _AT_ONCE:
            many, number = many + most[number], number + 1
        found += _best_cuts(problems[len(found) : number], score, len(found))
    return found


def _best_cuts(problems: Sequence[Problem], score: Score, first: int) -> list[Found | None]:
    """Those of some problems, the first of which has a number."""
    best: list[tuple[tuple[float, ...], Found] | None] = [None] * len(problems)
    for cut, index in _candidates(problems):
        if len(index):
            for number, rank, one in _ranked(problems, score, first, cut, index):
                known = best[number]
                best[number] = (rank, one) if known is None or rank < known[0] else known
    return [None if one is None else one[1] for one in best]


def _ranked(
    problems: Sequence[Problem], score: Score, first: int, cut: Cut, index: Whole
) -> Iterator[tuple[int, tuple[float, ...], Found]]:
    """The numbers of some problems, each with the best of some of its cuts and what that scores."""
    problem = Problem.of_many(problems, index)
    step = steps(problem, cut)
    left = _streams_inside(problem)[:, None] | ~cut.stays
    _, starts, counts = np.unique(index, return_index=True, return_counts=True)
    foremost, *others = score(step, first + index)
    least: Whole = np.where(left, foremost, np.inf).min(axis=0)
    left &= foremost == np.repeat(np.minimum.reduceat(least, starts), counts)
    orders, places = np.nonzero(left)
    ranked = np.lexsort((orders, places, *(one[orders, places] for one in reversed(others)), index[places]))
    orders, places = orders[ranked], places[ranked]
    numbers, best = np.unique(index[places], return_index=True)
    orders, places = orders[best], places[best]

    def chosen(*arrays: Whole) -> list[list[Any]]:
        return [np.broadcast_to(one, left.shape)[orders, places].tolist() for one in arrays]

    ranks = zip(*chosen(foremost, *others), strict=True)
    trips = np.stack(cut.trips(problem))[:, places].T.tolist()
    moved = chosen(step.folds.cycles, *step.words)
    for number, rank, order, tiles, cycles, *words in zip(numbers, ranks, orders, trips, *moved, strict=True):
        yield number, rank, Found(ORDERS[order], tuple(tiles), cycles, ArrayWords(*words))


def smallest_tile(problem: Problem) -> tuple[int, int, int]:
    """Inputs, weights and waiting sums of the smallest tile: one fold, as little as can be streamed."""
    pixels, filters, window = (min(unit, size) for unit, size in zip(problem.units, problem.sizes, strict=True))
    return int(problem.footprint.of_tile(pixels, window)), window * filters, pixels * filters * int(problem.adds_up)


def steps(problem: Problem, cut: Cut) -> Step:
    """What cuts make of a layer in each of `ORDERS`: arrays of orders x cuts."""
    work, array, trips = problem.work, problem.array, np.stack(cut.trips(problem))
    again = (_INSIDE[:, :, :, None] & (trips > 1)).any(axis=2)
    pixel_passes, filter_passes, window_passes = np.where(again, trips, 1).transpose(1, 0, 2)
    inputs = problem.footprint.fetched(trips[0], trips[2]) * filter_passes * work.groups
    weights = pixel_passes * (work.window * work.filters * work.groups)
    spilled = (window_passes - 1) * (work.pixels * work.filters * work.groups)
    parts = np.where(cut.stays, 1, trips[problem.streamed])
    folds = fold(work, array.rows, array.columns, array.systolic, parts, array.overlapped_folds)
    return Step(folds, inputs, weights, spilled)


def _streams_inside(problem: Problem) -> Whole:
    return np.array([order[-1] == problem.streamed for order in ORDERS])


def _candidates(problems: Sequence[Problem]) -> Iterator[tuple[Cut, Whole]]:
    """Cuts worth a look, and the number of each one's problem, some at a time.

    For each of pixels and filters the most of the window that fits; then single folds, beside which the stationary operand
    may stay in the array while all else streams.
    """
    pixels: list[int] = []
    filters: list[int] = []
    beside: list[int] = []
    counts: list[int] = []
    streamed = problems[0].streamed
    folds = [problem.folds[:2] for problem in problems]
    cuts = {number: _cuts(number) for number in set(chain.from_iterable(folds))}
    for first_folds, second_folds in folds:
        both = cuts[first_folds], cuts[second_folds]
        lone = both[0] if streamed == 0 else [1], both[1] if streamed == 1 else [1]
        for first, second in (both, lone):
            pixels += first
            filters += second * len(first)
            beside += [len(second)] * len(first)
            counts.append(len(first) * len(second))
    index, stays = np.divmod(np.repeat(np.arange(len(counts)), counts), 2)
    every = np.repeat(pixels, beside), np.array(filters), np.zeros_like(index), stays > 0
    for start in range(0, len(index), _MOST_AT_ONCE):
        part = slice(start, start + _MOST_AT_ONCE)
        cut, number = Cut(*(one[part] for one in every)), index[part]
        window = _most_units(Problem.of_many(problems, number), cut)
        cut = cut._replace(window=np.where(cut.stays & (streamed != 2), 1, window))
        fits = window > 0
        yield Cut(*(one[fits] for one in cut)), number[fits]


def _most_units(problem: Problem, cut: Cut) -> Whole:
    """For each cut of pixels and filters the most units of the window that fit, sums beside them where these have to wait."""
    whole, most = problem.sizes[2], problem.folds[2]
    pixels, filters = (np.minimum(cut[place] * problem.units[place], problem.sizes[place]) for place in (0, 1))

    def units(sums: Whole) -> Whole:
        taps = problem.room.most_window(problem.footprint, whole, pixels, filters, sums)
        return np.where(taps >= whole, most, taps // problem.units[2])

    if problem.streamed != 2:
        return units(pixels * filters * problem.adds_up)
    uncut = units(0)
    return np.where((uncut == most) | cut.stays, uncut, units(pixels * filters))


def _most_cuts(problem: Problem) -> int:
    """Upper bound of the pairs of cuts of pixels and filters."""
    pixels, filters, _ = problem.folds
    return 4 * (isqrt(pixels) + 1) * (isqrt(filters) + 1)


def _cuts(folds: int) -> list[int]:
    """Sizes of the largest part for every number of parts, each once, from one part on."""
    few = range(1, min(isqrt(folds) + 1, folds) + 1)
    return sorted({*few, *(-(-folds // parts) for parts in few)}, reverse=True)
