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
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from addersim.hardware.arrays import FloatArray, IntArray
from addersim.hardware.dataflow.array_run import whole_cycles
from addersim.hardware.dataflow.objective import StageCosts, StageLoad
from addersim.hardware.dataflow.systolic_pipeline import TiledStage
from addersim.hardware.dataflow.tile_candidates import Sizes, all_sizes, pairs_that_fit, with_smaller_windows
from addersim.hardware.dataflow.tiling_costs import ORDERS, LayerOnArray, TileSizes, TilingCost, tiling_costs
from addersim.hardware.traffic import ArrayTraffic

__all__ = ["ChosenTiling", "choose_tilings"]

Bools: TypeAlias = npt.NDArray[np.bool_]

_AT_ONCE = 1 << 14
"""Candidates that are compared at once, unless a single layer has more: arrays of this length stay in the cache."""
_FIRST, _THEN = 1, 64
"""Candidates of a layer whose cycles are found at once: in the first round, and in later ones."""


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
        self.layers, self.sizes, self.costs, self.first = layers, sizes, costs, first
        self.values = np.full((4, len(layers)), np.inf)
        self.tilings: list[ChosenTiling | None] = [None] * len(layers)

    def run(self) -> list[ChosenTiling | None]:
        """Look at all candidates."""
        for tiles, index in pairs_that_fit(self.layers, self.sizes):
            self.look(tiles, index)
            smaller = with_smaller_windows(self.layers, self.sizes, tiles, index, self.costs.counts_cycles)
            for more, numbers in smaller:
                self.look(more, numbers)
        return self.tilings

    def look(self, tiles: TileSizes, index: IntArray) -> None:
        """Compare tiles, of the layers with the numbers `index` (rising), in all loop orders with the best so far."""
        if not len(index):
            return
        layer, costs, numbers = LayerOnArray.of_many(self.layers, index), self.costs, self.first + index
        cost = tiling_costs(layer, tiles)
        load = costs.load(cost.words, numbers)
        busy, transfers = np.maximum(cost.folds.cycles, load.units), load.transfers
        if costs.pipelined:
            ends = TiledStage(layer, tiles, costs.streams(cost.swept, numbers), load.units).ends()
            least = whole_cycles(ends + np.maximum(busy, transfers - ends))
        else:
            least = whole_cycles(busy + transfers)
        bounds = np.stack(np.broadcast_arrays(*costs.values(load, least, numbers)))
        innermost = np.array([order[-1] == layer.time for order in ORDERS])[:, None]
        possible = (innermost | np.logical_not(tiles.stays)) & _less(bounds, self.values[:, None, index])
        _, starts, counts = np.unique(index, return_index=True, return_counts=True)
        foremost = np.minimum.reduceat(np.where(possible, bounds[0], np.inf).min(axis=0), starts)
        foremost_only = possible & (bounds[0] == np.repeat(foremost, counts))
        candidates = _Candidates(tiles, index, cost, load, bounds)
        self.settle(candidates, foremost_only)
        if costs.counts_cycles and costs.pipelined:
            self.settle(candidates, possible & ~foremost_only & _less(bounds, self.values[:, None, index]))

    def settle(self, candidates: _Candidates, which: Bools) -> None:
        """Find the values of candidates as far as they may be better than the best so far."""
        orders, places = np.nonzero(which)
        at_once = _FIRST
        ranked = np.lexsort((orders, places, *candidates.bounds[::-1, orders, places], candidates.index[places]))
        orders, places = orders[ranked], places[ranked]
        while len(places):
            numbers = candidates.index[places]
            now = np.arange(len(places)) - np.searchsorted(numbers, numbers) < at_once
            self.keep_best(candidates, orders[now], places[now])
            orders, places = orders[~now], places[~now]
            better = _less(candidates.bounds[:, orders, places], self.values[:, candidates.index[places]])
            orders, places, at_once = orders[better], places[better], _THEN

    def keep_best(self, candidates: _Candidates, orders: IntArray, places: IntArray) -> None:
        """Find the values of some candidates, and keep the best of each layer."""
        values, numbers = candidates.bounds[:, orders, places], candidates.index[places]
        if self.costs.pipelined:
            layer = LayerOnArray.of_many(self.layers, numbers)
            load = StageLoad(*(_pick(one, orders, places) for one in candidates.load))
            streams = self.costs.streams(np.asarray(candidates.cost.swept)[places], self.first + numbers)
            stage = TiledStage(layer, candidates.sizes(places), streams, load.units)
            cycles = whole_cycles(stage.cycles(orders))
            values = np.stack(np.broadcast_arrays(*self.costs.values(load, cycles, self.first + numbers)))
        ranked = np.lexsort((orders, places, *values[::-1], numbers))
        found, best = np.unique(numbers[ranked], return_index=True)
        for number, at in zip(found.tolist(), ranked[best].tolist(), strict=True):
            if values[:, at].tolist() < self.values[:, number].tolist():
                self.values[:, number] = values[:, at]
                self.tilings[number] = candidates.chosen(orders[at : at + 1], places[at : at + 1], int(values[2, at]))


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Tile sizes of the layers with the numbers `index`, what they cost in every order, and bounds of their values."""

    tiles: TileSizes
    index: IntArray
    cost: TilingCost
    load: StageLoad
    bounds: FloatArray

    def sizes(self, places: IntArray) -> TileSizes:
        """Some of the tile sizes."""
        return TileSizes(*(np.asarray(one)[places] for one in self.tiles))

    def chosen(self, order: IntArray, place: IntArray, stage_cycles: int) -> ChosenTiling:
        """One candidate."""
        words = ArrayTraffic(*(int(_pick(one, order, place)[0]) for one in self.cost.words))
        m, n, k = (int(np.asarray(one)[place][0]) for one in self.tiles[:3])
        cycles = int(_pick(self.cost.folds.cycles, order, place)[0])
        stays = bool(np.asarray(self.tiles.stays)[place][0])
        return ChosenTiling(ORDERS[int(order[0])], (m, n, k), stays, cycles, stage_cycles, words)


def _pick(values: Any, orders: IntArray, places: IntArray) -> Any:
    """Of an array of tilings, or of orders x tilings, those of some."""
    array = np.asarray(values)
    return array[orders, places] if array.ndim == 2 else array[places]


def _less(values: FloatArray, others: FloatArray) -> Bools:
    """Whether rows of values are less than others, the first row before the second, and so on."""
    less: Bools = values[-1] < others[-1]
    for one, other in zip(values[-2::-1], others[-2::-1], strict=True):
        less = (one < other) | ((one == other) & less)
    return less
