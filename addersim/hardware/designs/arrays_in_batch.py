"""One array with many memory systems at many bandwidths: energy, bits of DRAM and cycles of a network on each, all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from addersim.hardware.accelerator import Accelerator
from addersim.hardware.arrays import FloatArray, IntArray
from addersim.hardware.dataflow.many_bandwidths import soonest
from addersim.hardware.dataflow.many_memories import LeastEnergy, least_energies
from addersim.hardware.designs.memory_systems import MemoryWay, same_window_layers

__all__ = ["FoundInBatch", "MemorySystems"]

_CLOSE = 1e-12
"""Ways of a memory system whose energies differ by no more than this share are as good as equal: rounding decides there."""


class FoundInBatch(NamedTuple):
    """What pairs of memory system and bandwidth cost on an array: arrays of one length; not a number where the batch cannot
    tell, and the design is one for `estimate`."""

    energy_pj: FloatArray
    dram_pj: FloatArray
    dram_bits: FloatArray
    cycles: FloatArray


class MemorySystems:
    """Some memory systems, each with the ways in which weights may lie in it."""

    def __init__(self, systems: Sequence[Sequence[MemoryWay]]) -> None:
        self.ways = [way for ways in systems for way in ways]
        self.numbers = np.repeat(np.arange(len(systems)), [len(ways) for ways in systems])
        self.systems = len(systems)
        self.layers = same_window_layers(self.ways)

    def on_array(self, machine: Accelerator, system: IntArray, bits_per_cycle: FloatArray) -> FoundInBatch:
        """Costs on an array of pairs of memory system (rising) and bandwidth."""
        least = [least_energies(layer.on_array(machine), layer.costs) for layer in self.layers]
        energy = np.array([way.others.energy_pj for way in self.ways])
        for layer, found in zip(self.layers, least, strict=True):
            energy[list(layer.places)] += found.energy_pj * [case.times for case in layer.cases]
        chosen = self._chosen(energy)
        way = chosen[system]
        told = way >= 0
        spent, dram_pj, bits, cycles = (np.full(len(system), np.nan) for _ in range(4))
        spent[told] = energy[way[told]]
        bits[told], cycles[told] = self._waited(machine, least, way[told], bits_per_cycle[told])
        dram_pj[told] = bits[told] * np.array([one.dram_pj for one in self.ways])[way[told]]
        return FoundInBatch(spent, dram_pj, bits, cycles)

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
        self, machine: Accelerator, least: Sequence[LeastEnergy], way: IntArray, bits_per_cycle: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Bits of DRAM and cycles of pairs of way (rising) and bandwidth."""
        bits, cycles = np.zeros(len(way)), np.zeros(len(way))
        for number in np.unique(way):
            mine, others = way == number, self.ways[number].others
            bits[mine] += others.dram_bits
            cycles[mine] += others.cycles(bits_per_cycle[mine], self.ways[number].machine.buffers.double_buffered)
        used = np.unique(way)
        for layer, (_, tilings) in zip(self.layers, least, strict=True):
            places = np.array(layer.places)
            mine = np.flatnonzero(np.isin(way, places))
            if not len(mine):
                continue
            wanted = tilings.at(np.isin(places, used)[tilings.memory])
            memory = np.searchsorted(places, way[mine])
            found = soonest(layer.on_array(machine), layer.costs, wanted, memory, bits_per_cycle[mine])
            times = np.array([case.times for case in layer.cases])[memory]
            bits[mine] += found.dram_bits * times
            cycles[mine] += found.cycles * times
        return bits, cycles


