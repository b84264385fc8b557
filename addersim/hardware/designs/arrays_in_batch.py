"""One array with many memory systems at many bandwidths: energy, bits of DRAM and cycles of a network on each, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator, SystolicArray
from addersim.hardware.arrays import FloatArray, IntArray
from addersim.hardware.dataflow.layer_on_array import LayersOnArray
from addersim.hardware.dataflow.many_bandwidths import soonest
from addersim.hardware.dataflow.many_memories import LeastEnergy, Tilings, WholeWindows, least_energies
from addersim.hardware.dataflow.objective import StageCosts
from addersim.hardware.designs.memory_systems import MemoryWay, WindowLayer, same_window_layers

__all__ = ["FoundInBatch", "MemorySystems"]

_SLACK = 1e-9
"""Energies are sums of rounded parts: a way whose bound is above another one by no more than that share may have less."""
_CLOSE = 1e-12
"""Ways of a memory system whose energies differ by no more than this share are as good as equal: rounding decides there."""


class FoundInBatch(NamedTuple):
    """What pairs of memory system and bandwidth cost on an array: arrays of one length; not a number where the batch cannot
    tell, and the design is one for `estimate`."""

    energy_pj: FloatArray
    dram_pj: FloatArray
    dram_bits: FloatArray
    cycles: FloatArray
    cold_start_pj: FloatArray


class MemorySystems:
    """Some memory systems, each with the ways in which weights may lie in it."""

    def __init__(self, systems: Sequence[Sequence[MemoryWay]]) -> None:
        self.ways = [way for ways in systems for way in ways]
        self.numbers = np.repeat(np.arange(len(systems)), [len(ways) for ways in systems])
        self.systems = len(systems)
        self.layers = same_window_layers(self.ways)
        together: dict[tuple[object, ...], list[int]] = {}
        for place, layer in enumerate(self.layers):
            together.setdefault((layer.cases.double_buffered, *layer.costs.memories), []).append(place)
        self.costs = [
            (
                same,
                LayersOnArray.joined([self.layers[at].cases for at in same]),
                StageCosts.joined([self.layers[at].costs for at in same]),
            )
            for same in together.values()
        ]

    def on_array(self, machine: Accelerator, system: IntArray, bits_per_cycle: FloatArray) -> FoundInBatch:
        """Costs on an array of pairs of memory system (rising) and bandwidth."""
        energy, least = self._least(machine.array)
        chosen = self._chosen(energy)
        way = chosen[system]
        told = way >= 0
        spent, dram_pj, bits, cycles, cold_start = (np.full(len(system), np.nan) for _ in range(5))
        spent[told] = energy[way[told]]
        bits[told], cycles[told] = self._waited(machine.array, least, way[told], bits_per_cycle[told])
        dram_pj[told] = bits[told] * np.array([one.dram_pj for one in self.ways])[way[told]]
        cold_start[told] = np.array([one.cold_start_pj for one in self.ways])[way[told]]
        return FoundInBatch(spent, dram_pj, bits, cycles, cold_start)

    def _least(self, array: SystolicArray) -> tuple[FloatArray, list[Tilings]]:
        """Energy of each way, infinite where it is surely not the least of its memory system, and tilings of those that may
        be: as in `least_way` ways are looked at by what they have with the whole memories."""
        others = np.array([way.others.energy_pj for way in self.ways], np.float64)
        bounds, energy = others.copy(), np.full(len(others), np.inf)
        found: list[list[Tilings]] = [[] for _ in self.layers]
        searches = [_LayerSearch(layer, array) for layer in self.layers]
        for layer, search in zip(self.layers, searches, strict=True):
            cases = np.flatnonzero(layer.places >= 0)
            whole = search.least(np.flatnonzero(layer.places < 0)).energy_pj
            np.add.at(bounds, layer.places[cases], whole[layer.whole[cases] - len(cases)] * layer.times[cases])
        looked_at = np.zeros(len(others), bool)
        while True:
            best = np.full(self.systems, np.inf)
            np.minimum.at(best, self.numbers, energy)
            open_ones = ~looked_at & np.isfinite(bounds) & (bounds <= (best * (1 + _SLACK))[self.numbers])
            if not open_ones.any():
                return energy, [Tilings.joined(several) for several in found]
            least = np.full(self.systems, np.inf)
            np.minimum.at(least, self.numbers[open_ones], bounds[open_ones])
            now = open_ones & (bounds <= least[self.numbers])
            looked_at |= now
            energy[now] = others[now]
            for layer, search, tilings in zip(self.layers, searches, found, strict=True):
                cases = np.flatnonzero((layer.places >= 0) & now[layer.places])
                if len(cases):
                    one = search.least(cases)
                    np.add.at(energy, layer.places[cases], one.energy_pj * layer.times[cases])
                    tilings.append(one.tilings._replace(memory=cases[one.tilings.memory]))

    def _chosen(self, energy: FloatArray) -> IntArray:
        """The way of least energy of each memory system; -1 where none works, or two are as good as equal."""
        chosen = np.full(self.systems, -1)
        order = np.lexsort((np.arange(len(energy)), energy, self.numbers))
        first = order[np.flatnonzero(np.diff(self.numbers[order], prepend=-1))]
        close = np.isfinite(energy) & (energy <= energy[first][self.numbers] * (1 + _CLOSE))
        alone = np.bincount(self.numbers[close], minlength=self.systems) == 1
        chosen[alone] = first[alone]
        return chosen

    def _waited(
        self, array: SystolicArray, least: Sequence[Tilings], way: IntArray, bits_per_cycle: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Bits of DRAM and cycles of pairs of way (rising) and bandwidth."""
        bits, cycles = np.zeros(len(way)), np.zeros(len(way))
        numbers, starts, counts = np.unique(way, return_index=True, return_counts=True)
        for number, start, count in zip(numbers.tolist(), starts.tolist(), counts.tolist(), strict=True):
            pairs, others = slice(start, start + count), self.ways[number].others
            bits[pairs] += others.dram_bits
            cycles[pairs] += others.cycles(bits_per_cycle[pairs], self.ways[number].machine.buffers.double_buffered)
        for same, cases, costs in self.costs:
            places, times = (
                np.concatenate([getattr(self.layers[place], name) for place in same]) for name in ("places", "times")
            )
            first = np.cumsum([0, *(len(self.layers[place].cases) for place in same[:-1])])
            tilings = Tilings.joined([least[place].numbered_from(int(at)) for place, at in zip(same, first, strict=True)])
            wanted = np.isin(places, numbers)
            start = np.searchsorted(way, places)
            count = np.where(wanted, np.searchsorted(way, places, side="right") - start, 0)
            case = np.repeat(np.arange(len(places)), count)
            pair = np.arange(len(case)) - np.repeat(np.cumsum(count) - count, count) + start[case]
            found = soonest(cases.on(array), costs, tilings.at(wanted[tilings.memory]), case, bits_per_cycle[pair])
            np.add.at(bits, pair, found.dram_bits * times[case])
            np.add.at(cycles, pair, found.cycles * times[case])
        return bits, cycles


class _LayerSearch:
    """Tilings of least energy of a layer on an array."""

    def __init__(self, layer: WindowLayer, array: SystolicArray) -> None:
        self._cases, self._costs = layer.cases.on(array), layer.costs
        self._tiles = WholeWindows(self._cases)

    def least(self, cases: IntArray) -> LeastEnergy:
        """Those of some cases, numbered from 0."""
        return least_energies(self._cases.take(cases), self._costs.at(cases), self._tiles)
