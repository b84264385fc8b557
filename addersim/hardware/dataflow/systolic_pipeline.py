"""Cycles of a systolic layer that is cut into tiles, while DRAM, and a second level, move what the tiles before and after
need."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from addersim.hardware.arrays import AnyArray, FloatArray, IntArray
from addersim.hardware.dataflow.channels import slowest
from addersim.hardware.dataflow.layer_on_array import LayerOnArray
from addersim.hardware.dataflow.tile_pipeline import LoopNest, Tile, pipelined_steps
from addersim.hardware.dataflow.tiling_costs import INSIDE, TileSizes

__all__ = ["StageSteps", "Streams", "TiledStage"]

_GROUP, _M, _N, _K = range(4)
_SUMS = (_GROUP, _M, _N)


class Streams(NamedTuple):
    """Cycles of one channel: before the first tile; for the first sweep over the inputs and for each other; for a weight the
    first time and each other; for a partial sum one way; and for all that follows finished sums."""

    start: FloatArray
    input: FloatArray
    input_again: FloatArray
    weight_word: FloatArray
    weight_again: FloatArray
    sum_word: FloatArray
    finished: FloatArray


class StageSteps(NamedTuple):
    """Steps of stages: cycles of transfers that nothing hides, and in each step those of the array, its taps, cycles of
    transfers, and how many steps it stands for."""

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
        Cycles of each channel by what they are for: tiles wait for the slowest.
    units
        Cycles of the busiest unit or memory beside the array.
    """

    layer: LayerOnArray
    tiles: TileSizes
    streams: tuple[Streams, ...]
    units: FloatArray

    def ends(self) -> AnyArray:
        """Cycles of the first load and the last store, which nothing hides."""
        (m, n, k), (last_m, last_n, _) = self.tiles[:3], self.tiles.rests(self.layer)
        inputs, finished = self._share_of_inputs, self._share_of_sums
        first = slowest(one.input * inputs * m * k + one.weight_word * n * k for one in self.streams)
        return self._begun + first + slowest(one.finished for one in self.streams) * finished * last_m * last_n

    def cycles(self, orders: IntArray) -> FloatArray:
        """Cycles in loop orders, by their places in `ORDERS`."""
        steps, work = self.steps(orders), self.layer.work
        units = self.units / (work.groups * work.m * work.n * work.k)
        passing = np.maximum(np.maximum(steps.array, units * steps.taps), steps.transfers) * steps.number
        cycles: FloatArray = steps.first + passing.sum(axis=tuple(range(passing.ndim - 1))) + steps.last
        return cycles

    def steps(self, orders: IntArray) -> StageSteps:
        """Steps in loop orders; `units` has no part in them."""
        layer, tiles = self.layer, self.tiles
        groups, trips, rests = layer.work.groups, tiles.trips(layer), tiles.rests(layer)
        one = np.ones_like(trips[0])
        inside = np.zeros((4, 4, len(one)), bool)
        inside[_GROUP, 1:] = True
        inside[1:, 1:] = INSIDE[orders].transpose(1, 2, 0)
        nest = LoopNest((groups * one, *trips), (one, *tiles[:3]), (one, *rests), inside)
        times = layer.times(tiles[:3], rests, trips, tiles.stays)
        of_inputs, of_sums = self._share_of_inputs, self._share_of_sums

        def load(tile: Tile) -> AnyArray:
            _, m, n, k = tile.size
            inputs = of_inputs * m * k * tile.any_moved((_GROUP, _M, _K))
            weights = n * k * tile.any_moved((_GROUP, _N, _K))
            sums = m * n * (tile.any_moved(_SUMS) & ~tile.first[_K])
            return slowest(
                _of_turn(tile.first[_N], one.input, one.input_again) * inputs
                + _of_turn(tile.first[_M], one.weight_word, one.weight_again) * weights
                + one.sum_word * sums
                for one in self.streams
            )

        def store(tile: Tile) -> AnyArray:
            _, m, n, _ = tile.size
            sums = m * n * tile.any_moved(_SUMS)
            return slowest(np.where(tile.last[_K], one.finished * of_sums, one.sum_word) * sums for one in self.streams)

        first, last, tile, transfers, number = pipelined_steps(nest, load, store)
        _, m, n, k = tile.size
        begins = tile.first[_GROUP] & tile.first[_M] & tile.first[_N] & tile.first[_K]
        array = times.tile_cycles((m, n, k), tile.first[1 + layer.time], begins, times.overlap())
        return StageSteps(self._begun + first, last, array, m * n * k, transfers, number)

    @property
    def _begun(self) -> AnyArray:
        return slowest(one.start for one in self.streams)

    @property
    def _share_of_inputs(self) -> AnyArray:
        """One entry of the input matrix, of all."""
        work = self.layer.work
        return 1.0 / (work.groups * work.m * work.k)

    @property
    def _share_of_sums(self) -> AnyArray:
        """One finished sum, of all."""
        work = self.layer.work
        return 1.0 / (work.groups * work.m * work.n)


def _of_turn(is_first: AnyArray, first: FloatArray, again: FloatArray) -> AnyArray:
    """What holds at the first turn of a loop, and at others."""
    return first if first is again else np.where(is_first, first, again)
