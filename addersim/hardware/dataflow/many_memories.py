"""One window layer on one array with many memories: the tilings of least energy with each, all memories at once.

The answer is that of `systolic_mapper` for each memory alone, by another way. What tiles of the whole window cost does not
depend on the memories, so that it is found once; each memory only says which of them fit, and what a word costs. Of those, and
of tiles with a part of the window, only those are looked at closely whose energy may be the least: energy is nearly a straight
line of the words that move (`objective.EnergyLines`). All tilings that share the least energy are kept, for which of them is
soonest depends on the bandwidth (`many_bandwidths`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from addersim.hardware.arrays import AnyArray, FloatArray, IntArray
from addersim.hardware.dataflow.layer_on_array import LayerOnArray, LayersOnArray
from addersim.hardware.dataflow.objective import StageCosts, StageLoad
from addersim.hardware.dataflow.tile_candidates import (
    Sizes,
    all_sizes,
    largest_that_fit,
    pairs,
    whole_windows_fit,
    with_smaller_windows,
)
from addersim.hardware.dataflow.tiling_costs import ORDERS, TileSizes, tiling_costs
from addersim.hardware.traffic import ArrayTraffic

__all__ = ["LeastEnergy", "Tilings", "WholeWindows", "least_energies"]

_FIRST = 32
"""Pairs of tile sizes with parts of the window that are looked at first, for each memory."""
_AT_ONCE = 1 << 12
"""Pairs of all memories that are looked at once, where no more are left."""
_SLACK = 1e-9
"""Energies are sums of rounded parts: what a line promises is taken to be less by that."""
_PIXELS_OUTSIDE, _FILTERS_OUTSIDE = ORDERS.index((0, 1, 2)), ORDERS.index((1, 0, 2))
"""Where the window is not cut, an order only says which of the other two loops runs inside."""


class Tilings(NamedTuple):
    """Tilings of one layer, with the number of the memory that each is for (rising): arrays of one length.

    `array` are the cycles of the array, `swept` the inputs that one sweep over the tiles fetches; energy, bits of DRAM and
    cycles of the busiest unit beside the array are those of the whole stage.
    """

    memory: IntArray
    order: IntArray
    m: IntArray
    n: IntArray
    k: IntArray
    stays: AnyArray
    array: IntArray
    swept: IntArray
    energy_pj: FloatArray
    dram_bits: FloatArray
    units: FloatArray

    @property
    def tiles(self) -> TileSizes:
        """The sizes."""
        return TileSizes(self.m, self.n, self.k, self.stays)

    def at(self, places: AnyArray) -> Tilings:
        """Some of them."""
        columns: tuple[AnyArray, ...] = tuple(column[places] for column in self)
        return Tilings(*columns)

    def numbered_from(self, first: int) -> Tilings:
        """The same with larger numbers of memories."""
        return self._replace(memory=self.memory + first)

    @classmethod
    def joined(cls, several: Sequence[Tilings]) -> Tilings:
        """All of several, by memory."""
        columns: tuple[AnyArray, ...] = tuple(map(np.concatenate, zip(*several, strict=True)))
        one = cls(*columns)
        return one.at(np.argsort(one.memory, kind="stable"))


class LeastEnergy(NamedTuple):
    """The least energy of a layer's stage with each memory, infinite where no tile fits, and the tilings that have it."""

    energy_pj: FloatArray
    tilings: Tilings


class WholeWindows:
    """Tiles of the whole window of one layer on one array, and what they cost, whatever the memories."""

    def __init__(self, layers: LayersOnArray) -> None:
        self.layer = layers.at(np.array(0))
        (self.sizes,) = all_sizes([self.layer])
        _, self.m, self.n, self.stays = pairs(layers.take(np.array([0])), [self.sizes])
        self.window = np.full_like(self.m, self.layer.work.k)
        self.cost = tiling_costs(self.layer, TileSizes(self.m, self.n, self.window, self.stays))
        self.orders = np.array([_PIXELS_OUTSIDE, _FILTERS_OUTSIDE])
        self.words: tuple[AnyArray, ...] = _of_orders(self.cost.words, self.orders)
        both_cut = (self.m < self.layer.work.m) & (self.n < self.layer.work.n)
        inside = np.array([1, 0])[:, None]  # the loop that runs inside, as its place in LOOPS
        time = self.layer.time
        self.possible = np.where(both_cut, np.logical_not(self.stays) | (time == 2) | (inside == time), inside == 1)


def least_energies(layers: LayersOnArray, costs: StageCosts, tiles: WholeWindows) -> LeastEnergy:
    """Tilings of least energy of one layer on one array.

    Parameters
    ----------
    layers
        The layer, once for each memory: they differ in nothing but capacity.
    costs
        Of the same layers, where energy does not depend on cycles.
    tiles
        Of the same layer.
    """
    search = _Search(layers, costs, tiles)
    search.look_at_whole_windows()
    search.look_at_parts()
    return search.found()


class _Search:
    def __init__(self, layers: LayersOnArray, costs: StageCosts, tiles: WholeWindows) -> None:
        self.layers, self.costs, self.lines, self.tiles = layers, costs, costs.lines(), tiles
        self.layer, self.m, self.n, self.stays = tiles.layer, tiles.m, tiles.n, tiles.stays
        self.sizes: list[Sizes] = [tiles.sizes] * len(layers)
        capacities = layers.at(np.arange(len(layers))[:, None]).capacity
        fit = whole_windows_fit(replace(self.layer, capacity=capacities), self.m, self.n, self.stays)
        self.fit: AnyArray = np.broadcast_to(fit, (len(layers), len(self.m)))
        self.least = np.full(len(layers), np.inf)
        self.tilings: list[Tilings] = []

    def found(self) -> LeastEnergy:
        """What was found."""
        tilings = Tilings.joined(self.tilings)
        return LeastEnergy(self.least, tilings.at(tilings.energy_pj == self.least[tilings.memory]))

    def look_at_whole_windows(self) -> None:
        """Compare tiles of the whole window, all with all memories."""
        tiles = self.tiles
        promised = np.where(tiles.possible, self.promised(tiles.words), np.inf)
        self.floor = promised.min(axis=1)
        least = np.where(self.fit, self.floor, np.inf).min(axis=1)
        most = least + self.lines.at_most_more + _SLACK * np.abs(least)
        memory, order, place = np.nonzero(self.fit[:, None, :] & (promised <= most[:, None, None]) & (promised < np.inf))
        moved = ArrayTraffic(*(one[order, place] for one in tiles.words))
        columns = tiles.orders[order], self.m[place], self.n[place], tiles.window[place], self.stays[place]
        whole = np.asarray(tiles.cost.folds.cycles)[place], np.asarray(tiles.cost.swept)[place]
        self.keep(Tilings(memory, *columns, *whole, *_of_stage(self.costs.load(moved, memory))))

    def look_at_parts(self) -> None:
        """Compare tiles with the largest part of the window that fits, where the whole does not, and smaller ones."""
        todo = np.logical_not(self.fit) & self.may_be_least(self.floor)
        if not todo.any():
            return
        promised = np.full(todo.shape, np.inf)
        columns = np.flatnonzero(todo.any(axis=0))
        promised[:, columns] = self.promised_of_parts(columns)
        at_once = _FIRST
        while (todo := todo & self.may_be_least(promised)).any():
            now = todo
            if at_once < len(self.m) and todo.sum() > _AT_ONCE:
                ranked = np.argpartition(np.where(todo, promised, np.inf), at_once, axis=1)[:, :at_once]
                now = np.zeros_like(todo)
                np.put_along_axis(now, ranked, values=True, axis=1)
                now &= todo
            memory, place = np.nonzero(now)
            pair = self.m[place], self.n[place], self.stays[place]
            tiles, memory = largest_that_fit(self.layers, self.sizes, memory, *pair)
            self.look(tiles, memory)
            for more, numbers in with_smaller_windows(self.layers, self.sizes, tiles, memory, all_that_fit=False):
                self.look(more, numbers)
            todo, at_once = todo & ~now, 4 * at_once

    def may_be_least(self, promised: FloatArray) -> AnyArray:
        """Whether energies are not above the least so far of their memory, apart from rounding."""
        return (promised <= (self.least * (1 + _SLACK))[:, None]) & (promised < np.inf)

    def promised_of_parts(self, columns: IntArray) -> FloatArray:
        """Least energies by memory of some pairs of sizes, their windows cut as little as may be; infinite where they cannot
        be."""
        layer, window = self.layer, np.array(self.sizes[0][2][::-1])
        m, n, stays = self.m[columns], self.n[columns], self.stays[columns]
        most = np.full_like(m, window[-1] - 1)
        if layer.preloaded:
            most = np.minimum(most, np.where(stays, layer.fold_size[2], most))
        at = np.searchsorted(window, most, side="right") - 1
        cost = tiling_costs(layer, TileSizes(m, n, window[np.maximum(at, 0)], stays)).words
        words = _of_orders(cost, np.arange(len(ORDERS)))
        reads = [np.broadcast_to(one[0, columns], words[0].shape) for one in self.tiles.words[3:]]  # as if folds were fewest
        promised = np.where(_possible(layer, stays), self.promised((*words[:3], *reads)), np.inf)
        least: FloatArray = np.where(at >= 0, promised.min(axis=1), np.inf)
        return least

    def promised(self, words: Sequence[AnyArray]) -> FloatArray:
        """Energies by memory that are never above those of tilings: arrays of memories x orders x pairs of sizes."""
        counts = np.stack([np.asarray(one, np.float64).ravel() for one in words])
        energies: FloatArray = (self.lines.start[:, None] + self.lines.slopes @ counts).reshape(-1, *words[0].shape)
        return energies

    def look(self, tiles: TileSizes, memory: IntArray) -> None:
        """Compare tiles, each for one memory (rising), in all loop orders."""
        if not len(memory):
            return
        layer = self.layers.at(memory)
        cost = tiling_costs(layer, tiles)
        load = self.costs.load(cost.words, memory)
        energy = np.where(_possible(layer, tiles.stays), load.energy_pj, np.inf)
        np.minimum.at(self.least, memory, energy.min(axis=0))
        order, place = np.nonzero(energy == self.least[memory])
        columns = (np.asarray(one)[place] for one in (*tiles, cost.folds.cycles, cost.swept))
        of_stage = (np.broadcast_to(one, energy.shape)[order, place] for one in _of_stage(load))
        self.keep(Tilings(memory[place], order, *columns, *of_stage))

    def keep(self, tilings: Tilings) -> None:
        """Keep the best of some tilings."""
        np.minimum.at(self.least, tilings.memory, tilings.energy_pj)
        self.tilings.append(tilings.at(tilings.energy_pj == self.least[tilings.memory]))


def _of_orders(words: ArrayTraffic, orders: IntArray) -> tuple[AnyArray, ...]:
    """Words in some loop orders: arrays of orders x tile sizes."""
    return tuple(np.broadcast_to(one, (len(ORDERS), np.shape(one)[-1]))[orders] for one in words)


def _of_stage(load: StageLoad) -> tuple[FloatArray, FloatArray, FloatArray]:
    """What tilings keep of a load: DRAM moves one bit a cycle here, so that bits are its cycles."""
    return load.energy_pj, load.dram_bits, load.units


def _possible(layer: LayerOnArray, stays: AnyArray) -> AnyArray:
    """Whether tiles may run in each order: what stays in the array does so while the innermost loop runs."""
    innermost = np.array([order[-1] == layer.time for order in ORDERS])[:, None]
    return innermost | np.logical_not(stays)
