"""Cycles of a systolic layer that is cut into tiles, while DRAM moves what the tiles before and after need."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from addersim.hardware.arrays import AnyArray, FloatArray, IntArray
from addersim.hardware.dataflow.fold_times import FoldTimes
from addersim.hardware.dataflow.tile_pipeline import LoopNest, Tile, pipelined_steps
from addersim.hardware.dataflow.tiling_costs import INSIDE, LayerOnArray, TileSizes

__all__ = ["StageSteps", "Streams", "TiledStage"]

_GROUP, _M, _N, _K = range(4)
_SUMS = (_GROUP, _M, _N)


class Streams(NamedTuple):
    """Cycles of DRAM: before the first tile; for one sweep over the inputs; for a weight; for a partial sum one way; and
    for all
    that follows finished sums."""

    start: FloatArray
    input: FloatArray
    weight_word: FloatArray
    sum_word: FloatArray
    finished: FloatArray


class StageSteps(NamedTuple):
    """Steps of stages: cycles of DRAM that nothing hides, and in each step those of the array, its taps, cycles of DRAM, and
    how many steps it stands for."""

    first: AnyArray
    last: AnyArray
    array: AnyArray
    taps: AnyArray
    transfers: AnyArray
    number: AnyArray


class TiledStage(NamedTuple):
    """Stages whose window layer is cut into tiles; arrays of one length.

    A tile keeps vector unit and memories busy for its share of the taps.

    Attributes
    ----------
    layer, tiles
        The layers and how they are cut.
    streams
        Cycles of DRAM by what they are for.
    units
        Cycles of the busiest unit or memory beside the array.
    """

    layer: LayerOnArray
    tiles: TileSizes
    streams: Streams
    units: FloatArray

    def ends(self) -> FloatArray:
        """Cycles of the first load and the last store, which nothing hides."""
        (m, n, k), (last_m, last_n, _) = self.tiles[:3], self.tiles.rests(self.layer)
        load = self.streams.start + self._input_word * m * k + self.streams.weight_word * n * k
        return load + self._finished_sum * last_m * last_n

    def cycles(self, orders: IntArray) -> FloatArray:
        """Cycles in loop orders, by their places in `ORDERS`."""
        steps, work = self.steps(orders), self.layer.work
        units = self.units / (work.groups * work.m * work.n * work.k)
        passing = np.maximum(np.maximum(steps.array, units * steps.taps), steps.transfers) * steps.number
        cycles: FloatArray = steps.first + passing.sum(axis=tuple(range(passing.ndim - 1))) + steps.last
        return cycles

    def steps(self, orders: IntArray) -> StageSteps:
        """Steps in loop orders; `units` has no part in them."""
        layer, tiles, streams = self.layer, self.tiles, self.streams
        groups, trips, rests = layer.work.groups, tiles.trips(layer), tiles.rests(layer)
        one = np.ones_like(trips[0])
        inside = np.zeros((4, 4, len(one)), bool)
        inside[_GROUP, 1:] = True
        inside[1:, 1:] = INSIDE[orders].transpose(1, 2, 0)
        nest = LoopNest((groups * one, *trips), (one, *tiles[:3]), (one, *rests), inside)
        times = FoldTimes(layer.array, tiles[:3], rests, trips, tiles.stays, groups)
        input_word, finished_sum = self._input_word, self._finished_sum

        def load(tile: Tile) -> AnyArray:
            _, m, n, k = tile.size
            inputs = input_word * m * k * tile.any_moved((_GROUP, _M, _K))
            weights = streams.weight_word * n * k * tile.any_moved((_GROUP, _N, _K))
            return inputs + weights + streams.sum_word * m * n * (tile.any_moved(_SUMS) & ~tile.first[_K])

        def store(tile: Tile) -> AnyArray:
            _, m, n, _ = tile.size
            return np.where(tile.last[_K], finished_sum, streams.sum_word) * m * n * tile.any_moved(_SUMS)

        first, last, tile, transfers, number = pipelined_steps(nest, load, store)
        _, m, n, k = tile.size
        begins = tile.first[_GROUP] & tile.first[_M] & tile.first[_N] & tile.first[_K]
        array = times.tile_cycles((m, n, k), tile.first[1 + layer.time], begins, times.overlap())
        return StageSteps(streams.start + first, last, array, m * n * k, transfers, number)

    @property
    def _input_word(self) -> FloatArray:
        """Cycles of DRAM for one entry of the input matrix."""
        work = self.layer.work
        return self.streams.input / (work.groups * work.m * work.k)

    @property
    def _finished_sum(self) -> FloatArray:
        """Cycles of DRAM that follow one finished sum."""
        work = self.layer.work
        return self.streams.finished / (work.groups * work.m * work.n)
