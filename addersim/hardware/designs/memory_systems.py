"""Memory systems of designs: all of an accelerator but array, bandwidth and clock, and what a network costs on them so far.

A memory system decides which values stay on chip and what a word costs, so that all but the choice of tiles is found once for
all arrays, bandwidths and clocks. Cycles of DRAM are counted in bits here: those of a DRAM that moves one bit a cycle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from addersim.hardware.accelerator import Accelerator
from addersim.hardware.arrays import FloatArray, IntArray
from addersim.hardware.dataflow.array_run import Placement
from addersim.hardware.dataflow.capacity import BufferCapacity
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.layer_on_array import LayerOnArray, LayersOnArray
from addersim.hardware.dataflow.objective import StageCosts
from addersim.hardware.latency import LayerCycles
from addersim.hardware.layer_walk import LayerWalk, SharedWork
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.missing import LayersNeeding
from addersim.hardware.prices.operations import ArithmeticEnergies
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.residency import Residency, residencies
from addersim.hardware.schedule import Schedule, kept_on_chip
from addersim.hardware.second_level import SecondLevel
from addersim.hardware.traffic import Widths
from addersim.trace import LayerTrace, Trace

__all__ = ["Others", "Priced", "WindowCase", "WindowLayer", "memory_ways", "of_one_bit_a_cycle", "same_window_layers"]


class Priced(NamedTuple):
    """A network under an energy table."""

    trace: Trace
    order: Schedule
    table: EnergyTable
    arithmetic: ArithmeticEnergies
    alike: Sequence[int]


class Others(NamedTuple):
    """What a network costs beside its window layers and those fused to them.

    `waits` says how often layers run that keep units and memories busy for some cycles and move some bits, layer by layer.
    """

    energy_pj: float
    dram_bits: float
    waits: Mapping[tuple[int, tuple[int, ...]], int]

    def cycles(self, bits_per_cycle: FloatArray, overlapped: bool) -> FloatArray:
        """Cycles by bandwidth."""
        found = np.zeros(len(bits_per_cycle))
        for (busy, bits), number in self.waits.items():
            dram = sum((np.ceil(one / bits_per_cycle) for one in bits), np.zeros(len(bits_per_cycle)))
            found += number * (np.maximum(busy, dram) if overlapped else busy + dram)
        return found


class WindowCase(NamedTuple):
    """A window layer in a memory system, with what is fused to it, and how often it runs there.

    Cases of one `shape` have the same tiles, and memories of the same names; of one memory system those with the same `costs`
    differ in nothing but `capacity`, that for their tiles, and have one capacity, `whole`, if no weights took any of it.
    """

    shape: tuple[object, ...]
    times: int
    layer: LayerTrace
    placement: Placement
    capacity: BufferCapacity
    whole: BufferCapacity
    costs: StageCosts


class MemoryWay(NamedTuple):
    """A network in a memory system, its weights fetched for each image or resident."""

    machine: Accelerator
    windows: tuple[WindowCase, ...]
    others: Others
    dram_pj: float
    cold_start_pj: float


def of_one_bit_a_cycle(machine: Accelerator) -> Accelerator:
    """An accelerator with the same memory system whose DRAM moves a bit a cycle: the same one for all arrays and clocks."""
    array = replace(machine.array, rows=1, columns=1, dataflow="output", overlapped_folds=False)
    return replace(machine, name="design", array=array, clock_mhz=8000.0, dram=replace(machine.dram, bandwidth_gb_s=1.0))


def memory_ways(priced: Priced, machine: Accelerator) -> tuple[MemoryWay, ...]:
    """The ways in which weights may lie in a memory system, the usual one first.

    Raises
    ------
    HardwareError
        The table lacks a unit energy, or weights that are to stay do not fit.
    """
    shared, costs = SharedWork(priced.alike), dict[Hashable, StageCosts]()
    return tuple(_way(priced, machine, one, shared, costs) for one in residencies(priced.trace, machine))


def _way(
    priced: Priced, machine: Accelerator, residency: Residency, shared: SharedWork, costs: dict[Hashable, StageCosts]
) -> MemoryWay:
    layers = priced.trace.layers
    kept = kept_on_chip(priced.order, priced.trace, residency.machine.buffers, 1)
    second = SecondLevel(priced.trace, priced.order, machine, residency, kept, 1)  # designs in batch have none
    movement = MovementEnergy(machine, priced.table, LayersNeeding(layers, priced.order, kept))
    walk = LayerWalk(layers, priced.order, kept, second, residency, 1, priced.arithmetic, movement, "energy", 0.0, shared)
    windows, facts = walk.windows()
    buffers, structure = residency.machine.buffers, _structure(residency.machine)
    cases, fused, waits = [], set[int](), Counter[tuple[int, tuple[int, ...]]]()
    for one in windows:
        layer, placement = one.on_array
        fused.update(index for members in one.same for index in members)
        kind = Widths.of(layer), placement.input_kept, placement.weights_kept
        capacity, whole = (BufferCapacity.of(each, *kind) for each in (buffers, machine.buffers))
        if one.shape not in costs:
            costs[one.shape] = StageCosts([one.on_array], [one.beside], machine, 1, movement, "energy")
        shape = structure, layer.work, layer.inputs[0]
        cases.append(WindowCase(shape, len(one.same), layer, placement, capacity, whole, costs[one.shape]))
    for stage in walk.stages():
        alone = [facts[index].own for index in stage if index not in fused]
        if wait := _wait(alone):
            waits[wait] += 1
    alone_parts = [part for index in facts if index not in fused for part in facts[index].parts]
    accesses = [access for index in facts if index not in fused for access in facts[index].accesses]
    bits = sum(access.size_bits for access in accesses if access.level == "dram")
    others = Others(sum(part.energy_pj for part in alone_parts), bits, waits)
    cold_start_pj = residency.cold_start_pj(movement.energy_pj)
    return MemoryWay(residency.machine, tuple(cases), others, movement.per_operand("dram", "input", 1)[0], cold_start_pj)


def _structure(machine: Accelerator) -> tuple[object, ...]:
    """What decides which memories there are, and how tiles take turns in them."""
    return tuple(machine.buffers.memories()), machine.buffers.double_buffered


def _wait(layers: Sequence[LayerCycles]) -> tuple[int, tuple[int, ...]] | None:
    """Cycles of the busiest of unit and memories of layers that run together, and the bits of DRAM of each."""
    memories = Counter[str]()
    for layer in layers:
        memories.update(layer.buffers)
    busy = max(sum(layer.vector for layer in layers), *memories.values(), 0)
    bits = tuple(layer.dram for layer in layers if layer.dram)
    return (busy, bits) if busy or bits else None


@dataclass(frozen=True, slots=True)
class WindowLayer:
    """A window layer as it stands in several memory systems, for any array.

    Attributes
    ----------
    cases
        The layer in each system, several times where it lies there in several ways, and once more for each of its `costs`
        there, with the whole memories; on whatever array.
    places, times
        For each case the number of its way of a memory system (rising), and how often it runs there; -1 and 0 for those with
        the whole memories.
    whole
        For each case that of the same system with the whole memories.
    costs
        Of the stages of all cases.
    """

    cases: LayersOnArray
    places: IntArray
    times: IntArray
    whole: IntArray
    costs: StageCosts


def same_window_layers(ways: Sequence[MemoryWay]) -> list[WindowLayer]:
    """Window layers of several ways, those of one shape together."""
    together: dict[tuple[object, ...], list[tuple[int, WindowCase]]] = {}
    for place, way in enumerate(ways):
        for case in way.windows:
            together.setdefault(case.shape, []).append((place, case))
    found = []
    for same in together.values():
        places, cases = zip(*same, strict=True)
        layer, machine = cases[0].layer, ways[places[0]].machine
        assert layer.work is not None
        unlike = {id(case.costs): case for case in cases}
        number = {key: len(cases) + at for at, key in enumerate(unlike)}
        whole = [*(number[id(case.costs)] for case in cases), *number.values()]
        capacities = [*(case.capacity for case in cases), *(case.whole for case in unlike.values())]
        times = [*(case.times for case in cases), *[0] * len(unlike)]
        footprint, doubled = Footprint.of(layer.work, layer.inputs[0], 1), machine.buffers.double_buffered
        on_array = [LayerOnArray(layer.work, machine.array, footprint, one, doubled) for one in capacities]
        costs = StageCosts.joined([case.costs for case in (*cases, *unlike.values())])
        numbers = np.array([*places, *[-1] * len(unlike)])
        found.append(WindowLayer(LayersOnArray.of(on_array), numbers, np.array(times), np.array(whole), costs))
    return found
