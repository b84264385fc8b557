"""Tilings of one energy at many bandwidths: the cycles of the one that is soonest, all bandwidths at once.

As in `systolic_mapper` the tilings with the least bounds are looked at first, and those whose bound is above what was found
are not looked at. What a tiling's steps are (`tile_pipeline`) depends neither on memories nor on bandwidth: it is found once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np

from addersim.hardware.arrays import AnyArray, FloatArray, IntArray
from addersim.hardware.dataflow.array_run import whole_cycles
from addersim.hardware.dataflow.layer_on_array import LayerOnArray, LayersOnArray
from addersim.hardware.dataflow.many_memories import Tilings
from addersim.hardware.dataflow.objective import StageCosts
from addersim.hardware.dataflow.systolic_pipeline import TiledStage

__all__ = ["Soonest", "soonest"]

_THEN = (4, 32, 256)
"""Further tilings whose cycles are found at once, for each bandwidth: in the second round, the third, and later ones."""
_AT_ONCE = 1 << 18
"""Pairs of a tiling and a bandwidth that are compared at once, unless one bandwidth has more."""


class Soonest(NamedTuple):
    """Cycles of the soonest tiling, and the bits of DRAM that it moves: arrays of bandwidths."""

    cycles: FloatArray
    dram_bits: FloatArray


def soonest(
    layers: LayersOnArray, costs: StageCosts, tilings: Tilings, memory: IntArray, bits_per_cycle: FloatArray
) -> Soonest:
    """The least cycles, then the least bits, of the tilings for a memory at a bandwidth.

    Parameters
    ----------
    layers, costs
        Layers, and costs of their stages, for a DRAM that moves one bit a cycle.
    tilings
        Some for each memory.
    memory, bits_per_cycle
        Pairs of memory (rising) and bandwidth.
    """
    search = _Search(layers, costs, tilings, memory, 1 / bits_per_cycle)
    search.look_at_foremost()
    if search.pipelined:
        search.look_at_others()
    return Soonest(search.cycles, search.bits)


class _Search:
    def __init__(
        self, layers: LayersOnArray, costs: StageCosts, tilings: Tilings, memory: IntArray, cycles_per_bit: FloatArray
    ) -> None:
        self.layers, self.costs, self.tilings = layers, costs, tilings
        self.memory, self.cycles_per_bit = memory, cycles_per_bit
        self.pipelined = costs.pipelined
        self.ends = np.zeros(len(tilings.memory))
        if self.pipelined:
            streams = costs.streams(tilings.swept, tilings.memory)
            self.ends = TiledStage(self.layer_of(tilings), tilings.tiles, streams, tilings.units).ends()
        self.busy = np.maximum(tilings.array, tilings.units)
        kinds = costs.transfer_kinds * len(layers) + layers.kinds()
        sizes = tilings.m, tilings.n, tilings.k, tilings.order, tilings.stays.astype(np.int64)
        self.same = _segments(kinds[tilings.memory], *sizes)
        self.least, self.cycles, self.bits = (np.full(len(memory), np.inf) for _ in range(3))

    def look_at_foremost(self) -> None:
        """Look at the tiling with the least bound for each pair; where transfers do not overlap the bound is what it takes."""
        for pair, tiling in self.pairs_with(np.arange(len(self.memory)), self.foremost()):
            bounds = self.bounds(pair, tiling)
            ranked = np.lexsort((self.tilings.dram_bits[tiling], bounds, pair))
            best = ranked[np.flatnonzero(np.diff(pair, prepend=-1))]
            self.least[pair[best]] = bounds[best]
            self.settle(pair[best], tiling[best])

    def look_at_others(self) -> None:
        """Look at those with a bound below what was found, the least first."""
        every = np.arange(len(self.tilings.memory))
        for pair, tiling in self.pairs_with(np.flatnonzero(self.open()), every):
            self.look_at(pair, tiling, self.bounds(pair, tiling))

    def look_at(self, pair: IntArray, tiling: IntArray, bounds: FloatArray) -> None:
        """Look at pairs with their tilings, as long as bounds are below what was found."""
        for at_once in chain(_THEN, repeat(_THEN[-1])):
            less = self.better(pair, bounds, self.tilings.dram_bits[tiling])
            left = np.flatnonzero(less)
            if not len(left):
                return
            ranked = left[np.lexsort((bounds[left], pair[left]))]
            pair, tiling, bounds = pair[ranked], tiling[ranked], bounds[ranked]
            now = np.arange(len(pair)) - np.searchsorted(pair, pair) < at_once
            self.settle(pair[now], tiling[now])
            pair, tiling, bounds = pair[~now], tiling[~now], bounds[~now]

    def open(self) -> AnyArray:
        """Pairs where another tiling may be better than the foremost: it takes longer than its bound, or moves more bits."""
        starts = np.flatnonzero(np.diff(self.tilings.memory, prepend=-1))
        fewest = np.full(len(self.layers), np.inf)
        fewest[self.tilings.memory[starts]] = np.minimum.reduceat(self.tilings.dram_bits, starts)
        return (self.cycles > self.least) | (self.bits > fewest[self.memory])

    def foremost(self) -> IntArray:
        """Tilings of which one has the least bound at any bandwidth: no other of the memory is sooner in both parts of it."""
        segment, ends = _segments(self.tilings.memory, self.tilings.dram_bits), _segments(self.ends)
        ranked = np.lexsort((ends, self.busy, segment))
        falling = ends[ranked] - segment[ranked] * (ends.max() + 1)  # each segment starts below all before it
        chosen = ranked[np.diff(np.minimum.accumulate(falling), prepend=falling[0] + 1) < 0]
        return chosen[np.argsort(self.tilings.memory[chosen], kind="stable")]

    def pairs_with(self, pairs: IntArray, tilings: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
        """Pairs of memory and bandwidth, each with all of some tilings (by memory) that are for its memory."""
        of_memory = self.tilings.memory[tilings]
        start = np.searchsorted(of_memory, self.memory[pairs])
        number = np.searchsorted(of_memory, self.memory[pairs], side="right") - start
        ends = np.cumsum(number)
        begin = 0
        while begin < len(pairs):
            done = ends[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
            part = slice(begin, end)
            repeats = number[part]
            within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            yield np.repeat(pairs[part], repeats), tilings[np.repeat(start[part], repeats) + within]
            begin = end

    def bounds(self, pair: IntArray, tiling: IntArray) -> FloatArray:
        """Cycles that tilings take at least."""
        per_bit, busy = self.cycles_per_bit[pair], self.busy[tiling]
        ends, transfers = per_bit * self.ends[tiling], per_bit * self.tilings.dram_bits[tiling]
        return whole_cycles(ends + np.maximum(busy, transfers - ends) if self.pipelined else busy + transfers)

    def settle(self, pair: IntArray, tiling: IntArray) -> None:
        """Find the cycles of tilings, several for a pair (rising), and keep the best of each pair."""
        bits, cycles = self.tilings.dram_bits[tiling], self.bounds(pair, tiling)
        if self.pipelined:
            cycles = whole_cycles(self.step_cycles(tiling, self.cycles_per_bit[pair]))
        ranked = np.lexsort((bits, cycles, pair))
        best = ranked[np.flatnonzero(np.diff(pair, prepend=-1))]
        better = best[self.better(pair[best], cycles[best], bits[best])]
        self.cycles[pair[better]], self.bits[pair[better]] = cycles[better], bits[better]

    def better(self, pair: IntArray, cycles: FloatArray, bits: FloatArray) -> AnyArray:
        """Whether cycles and bits are better than the best of their pairs so far."""
        best = self.cycles[pair]
        return (cycles < best) | ((cycles == best) & (bits < self.bits[pair]))

    def layer_of(self, tilings: Tilings) -> LayerOnArray:
        """The layers of tilings, as arrays."""
        return self.layers.at(tilings.memory)

    def step_cycles(self, tiling: IntArray, cycles_per_bit: FloatArray) -> FloatArray:
        """Cycles of tilings, step by step; those of tilings that only differ in their memory have the same steps."""
        _, first, which = np.unique(self.same[tiling], return_index=True, return_inverse=True)
        one = self.tilings.at(tiling[first])
        streams = self.costs.streams(one.swept, one.memory)
        layer = self.layer_of(one)
        steps = TiledStage(layer, one.tiles, streams, one.units).steps(one.order)
        shape = steps.number.shape
        number, array, taps, transfers = (
            np.broadcast_to(of, shape).reshape(-1, shape[-1])
            for of in (steps.number, steps.array, steps.taps, steps.transfers)
        )
        ranked = np.argsort(number == 0, axis=0, kind="stable")
        number, array, taps, transfers = (np.take_along_axis(of, ranked, axis=0) for of in (number, array, taps, transfers))
        taps_of_all = np.asarray(layer.work.groups * layer.work.m * layer.work.n * layer.work.k)
        units = self.tilings.units[tiling] / taps_of_all[which]
        found: FloatArray = (steps.first + steps.last)[which] * cycles_per_bit
        for many, of_many in _by_number((number > 0).sum(axis=0)[which]):
            few = slice(many), which[of_many]
            on_chip = np.maximum(array[few], units[of_many] * taps[few])
            passing = np.maximum(on_chip, transfers[few] * cycles_per_bit[of_many]) * number[few]
            found[of_many] += passing.sum(axis=0)
        return found


def _by_number(numbers: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Places of small and of large numbers, each with a number that is not below them."""
    below = 0
    for most in (2, 4, 9, 27, int(numbers.max())):
        if len(found := np.flatnonzero((numbers > below) & (numbers <= most))):
            yield most, found
        below = max(below, most)


def _segments(*columns: AnyArray) -> IntArray:
    """For each row of some columns how many smaller ones there are, equal ones once; the first column counts most."""
    ranked = np.lexsort(columns[::-1])
    changed = np.zeros(len(ranked), bool)
    for column in columns:
        changed[1:] |= np.diff(column[ranked]) != 0
    found = np.empty(len(ranked), np.int64)
    found[ranked] = np.cumsum(changed)
    return found
