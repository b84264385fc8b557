"""The tile loop of a window layer on a systolic array: an exhaustive search over all tilings that differ.

Which tile sizes are candidates stands in `tile_candidates`, what each costs in `tiling_costs`. Candidates are compared by what
the objective asks for, of the whole stage; those of several layers together, as arrays. Where transfers overlap with computing
the cycles of a tiling take longer to find (`systolic_pipeline`) than a bound that they are never below: waiting for the first
load and the last store, and between them for the busiest resource. So the candidates with the least bound are looked at first,
and those whose bound is above what was found are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from addersim.hardware.arrays import FloatArray, IntArray
from addersim.hardware.dataflow.array_run import whole_cycles
from addersim.hardware.dataflow.layer_on_array import LayerOnArray, LayersOnArray
from addersim.hardware.dataflow.objective import StageCosts, StageLoad
from addersim.hardware.dataflow.systolic_pipeline import TiledStage
from addersim.hardware.dataflow.tile_candidates import Sizes, all_sizes, pairs_that_fit, with_smaller_windows
from addersim.hardware.dataflow.tiling_costs import ORDERS, TileSizes, TilingCost, distinct_orders, tiling_costs
from addersim.hardware.traffic import ArrayTraffic

__all__ = ["ChosenTiling", "choose_tilings"]

Bools: TypeAlias = npt.NDArray[np.bool_]

_AT_ONCE = 1 << 14
"""Candidates that are compared at once, unless a single layer has more: arrays of this length stay in the cache."""
_SLACK = 1e-9
"""Energies are sums of rounded parts: what a line promises is taken to be less by that."""
_FIRST, _THEN = 2, 64
"""Candidates of a layer whose cycles are found at once: in the first round, and in later ones. A round takes as long for two
as for one, and the second is often the last that has to be looked at."""


class ChosenTiling(NamedTuple):
    """The best tiling of a layer: its loop order, tile sizes along m, n and k, whether the stationary operand stays in the
    array, cycles of the array and of the stage, and words that move."""

    order: tuple[int, ...]
    tile: tuple[int, int, int]
    stays: bool
    cycles: int
    stage_cycles: int
    words: ArrayTraffic


def choose_tilings(layers: Sequence[LayerOnArray], costs: StageCosts) -> list[ChosenTiling | None]:
    """For each layer, all on one array, the tiling with the least objective; None where no tile fits.

    Of equals it is the one with the largest tiles.
    """
    chosen: list[ChosenTiling | None] = []
    sizes = all_sizes(layers)
    candidates = [2 * len(m) * len(n) for m, n, _ in sizes]  # at most so many pairs
    while len(chosen) < len(layers):
        end = len(chosen) + 1
        together = candidates[end - 1]
        while end < len(layers) and together + candidates[end] <= _AT_ONCE:
            together, end = together + candidates[end], end + 1
        part = slice(len(chosen), end)
        chosen += _Search(layers[part], sizes[part], costs, len(chosen)).run()
    return chosen


class _Search:
    """The search for the best tiling of each of a few layers; `first` is the number that the costs know the first of them
    by."""

    def __init__(self, layers: Sequence[LayerOnArray], sizes: Sequence[Sizes], costs: StageCosts, first: int) -> None:
        self.many, self.sizes, self.costs, self.first = LayersOnArray.of(layers), sizes, costs, first
        self.lines = None if costs.has_l2 else costs.lines()
        self.values = np.full((4, len(layers)), np.inf)
        self.tilings: list[ChosenTiling | None] = [None] * len(layers)

    def run(self) -> list[ChosenTiling | None]:
        """Look at all candidates."""
        for tiles, index in pairs_that_fit(self.many, self.sizes):
            self.look(tiles, index)
            any_part = self.costs.counts_cycles
            open_ones = self.worth_cutting(tiles, index) if any_part else (tiles, index)
            smaller = with_smaller_windows(self.many, self.sizes, *open_ones, any_part)
            for more, numbers in smaller:
                self.look(more, numbers)
        return self.tilings

    def worth_cutting(self, tiles: TileSizes, index: IntArray) -> tuple[TileSizes, IntArray]:
        """Of tiles those that may be better than the best so far with a part of the window, and the numbers of their layers.

        No part has fewer folds than the whole window, or moves fewer words.
        """
        layer = self.many.at(index)
        cost = tiling_costs(layer, tiles._replace(k=layer.work.k))
        open_ones = self.least(cost, np.zeros(len(index)), index) <= self.values[0, index] * (1 + _SLACK)
        return TileSizes(*(np.asarray(one)[open_ones] for one in tiles)), index[open_ones]

    def look(self, tiles: TileSizes, index: IntArray) -> None:
        """Compare tiles, of the layers with the numbers `index` (rising), in all loop orders with the best so far."""
        costs, energy_alone = self.costs, self.costs.energy_alone and self.lines is not None
        if energy_alone:
            tiles, index, orders, places = self.of_little_energy(tiles, index)
        layer = self.many.at(index)
        cost, ends = tiling_costs(layer, tiles), np.zeros(len(index))
        if costs.pipelined:
            streams = costs.streams(cost.swept, self.first + index)
            ends = TiledStage(layer, tiles, streams, np.zeros(0)).ends()
        if not energy_alone:
            open_ones = np.flatnonzero(self.least(cost, ends, index) <= self.values[0, index] * (1 + _SLACK))
            orders, places = distinct_orders(layer, tiles, open_ones)
        if not len(places):
            return
        of_each, ends = index[places], ends[places]
        load = costs.load(cost.words_in(orders, places), self.first + of_each)
        busy, transfers = np.maximum(np.asarray(cost.folds.cycles)[places], load.units), load.transfers
        least = whole_cycles(ends + np.maximum(busy, transfers - ends) if costs.pipelined else busy + transfers)
        bounds = np.stack(np.broadcast_arrays(*costs.values(load, least, self.first + of_each)))
        possible = _less(bounds, self.values[:, of_each])
        starts = np.flatnonzero(np.diff(of_each, prepend=-1))
        counts = np.diff(starts, append=len(of_each))
        foremost = np.minimum.reduceat(bounds[0], starts)
        foremost_only = possible & (bounds[0] == np.repeat(foremost, counts))
        candidates = _Candidates(tiles, cost, orders, places, of_each, load, bounds)
        self.settle(candidates, foremost_only)
        if costs.counts_cycles and costs.pipelined:
            self.settle(candidates, possible & ~foremost_only & _less(bounds, self.values[:, of_each]))

    def of_little_energy(self, tiles: TileSizes, index: IntArray) -> tuple[TileSizes, IntArray, IntArray, IntArray]:
        """Of tiles those whose energy may be least, the numbers of their layers, orders in which it may, and the tiles of
        these."""
        lines, layer = self.lines, self.many.at(index)
        assert lines is not None
        orders, places = distinct_orders(layer, tiles, np.arange(len(index)))
        words = tiling_costs(layer, tiles, timed=False).words_in(orders, places)
        of_each = index[places]
        promised = lines.energies(words, self.first + of_each)
        starts = np.flatnonzero(np.diff(of_each, prepend=-1))
        least = np.full(len(self.many), np.inf)
        least[of_each[starts]] = np.minimum.reduceat(promised, starts)
        most = least + lines.at_most_more[self.first : self.first + len(self.many)]
        most = np.minimum(most + _SLACK * np.abs(least), self.values[0] * (1 + _SLACK))
        chosen = promised <= most[of_each]
        used, places = np.unique(places[chosen], return_inverse=True)
        return TileSizes(*(np.asarray(one)[used] for one in tiles)), index[used], orders[chosen], places

    def least(self, cost: TilingCost, ends: FloatArray, index: IntArray) -> FloatArray:
        """What the objective has at least of tiles, in whatever order: as if each operand were fetched once."""
        cycles = whole_cycles(ends + cost.folds.cycles)
        nothing = np.zeros(len(index))
        energy = nothing if self.lines is None else self.lines.energies(cost.fewest_words, self.first + index)
        load = StageLoad(energy, nothing, nothing, nothing)
        return np.asarray(self.costs.values(load, cycles, self.first + index)[0])

    def settle(self, candidates: _Candidates, which: Bools) -> None:
        """Find the values of candidates as far as they may be better than the best so far."""
        places = np.flatnonzero(which)
        at_once = _FIRST
        places = places[np.lexsort((*candidates.bounds[::-1, places], candidates.index[places]))]
        while len(places):
            numbers = candidates.index[places]
            now = np.arange(len(places)) - np.searchsorted(numbers, numbers) < at_once
            self.keep_best(candidates, places[now])
            places = places[~now]
            better = _less(candidates.bounds[:, places], self.values[:, candidates.index[places]])
            places, at_once = places[better], _THEN

    def keep_best(self, candidates: _Candidates, places: IntArray) -> None:
        """Find the values of some candidates, and keep the best of each layer; of equals the one with the largest tiles."""
        values, numbers = candidates.bounds[:, places], candidates.index[places]
        if self.costs.pipelined:
            layer = self.many.at(numbers)
            load = StageLoad(*(one[places] for one in candidates.load))
            streams = self.costs.streams(candidates.swept(places), self.first + numbers)
            stage = TiledStage(layer, candidates.sizes(places), streams, load.units)
            cycles = whole_cycles(stage.cycles(candidates.orders[places]))
            values = np.stack(np.broadcast_arrays(*self.costs.values(load, cycles, self.first + numbers)))
        ranked = np.lexsort((places, *values[::-1], numbers))
        best = ranked[np.flatnonzero(np.diff(numbers[ranked], prepend=-1))]
        best = best[_less(values[:, best], self.values[:, numbers[best]])]
        self.values[:, numbers[best]] = values[:, best]
        chosen = candidates.chosen(places[best], values[2, best])
        for number, tiling in zip(numbers[best].tolist(), chosen, strict=True):
            self.tilings[number] = tiling


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Tile sizes and what they cost; loop orders of the sizes at some `places`, for the layers with the numbers `index`, with
    their load and bounds of their values."""

    tiles: TileSizes
    cost: TilingCost
    orders: IntArray
    places: IntArray
    index: IntArray
    load: StageLoad
    bounds: FloatArray

    def sizes(self, some: IntArray) -> TileSizes:
        """Tile sizes of some candidates."""
        return TileSizes(*(np.asarray(one)[self.places[some]] for one in self.tiles))

    def swept(self, some: IntArray) -> IntArray:
        """Inputs that a sweep of some candidates fetches."""
        return np.asarray(self.cost.swept)[self.places[some]]

    def chosen(self, some: IntArray, stage_cycles: FloatArray) -> list[ChosenTiling]:
        """Some candidates, with the cycles of their stages."""
        places, orders = self.places[some], self.orders[some]
        of_each = *self.tiles, self.cost.folds.cycles
        columns = [*(np.asarray(one)[places] for one in of_each), stage_cycles.astype(np.int64)]
        moved = zip(*(np.asarray(one).tolist() for one in self.cost.words_in(orders, places)), strict=True)
        rows = zip(orders.tolist(), *(column.tolist() for column in columns), moved, strict=True)
        return [
            ChosenTiling(ORDERS[order], (m, n, k), stays, cycles, of_stage, ArrayTraffic(*words))
            for order, m, n, k, stays, cycles, of_stage, words in rows
        ]


def _less(values: FloatArray, others: FloatArray) -> Bools:
    """Whether rows of values are less than others, the first row before the second, and so on."""
    less: Bools = values[-1] < others[-1]
    for one, other in zip(values[-2::-1], others[-2::-1], strict=True):
        less = (one < other) | ((one == other) & less)
    return less
