"""estimate_designs: what a network costs on many designs, those of systolic arrays all at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import get_args

import numpy as np
from msgspec.structs import replace

from addersim.errors import HardwareError, check_kind
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.arrays import IntArray
from addersim.hardware.dataflow.dispatch import check_layer
from addersim.hardware.designs.arrays_in_batch import FoundInBatch, MemorySystems
from addersim.hardware.designs.design_costs import DesignCosts
from addersim.hardware.designs.in_batch import InBatch, trace_in_batch
from addersim.hardware.designs.memory_systems import MemoryWay, Priced, memory_ways, of_one_bit_a_cycle
from addersim.hardware.estimate import estimate, one_of
from addersim.hardware.layer_cost import Component
from addersim.hardware.layer_walk import alike_layers
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.multipliers import check_energy_stated, with_multiplier
from addersim.hardware.prices.operations import ArithmeticEnergies
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.schedule import schedule
from addersim.inputs.limits import BATCH
from addersim.trace import Trace

__all__ = ["Progress", "estimate_designs"]

Progress = Callable[[int, int], None]
"""Told how many designs are done, and of how many."""
_SYSTEMS_AT_ONCE = 48
"""Memory systems that are tried at once: with what is known of them, and their tilings, they take some ten megabytes."""


def estimate_designs(
    trace: Trace,
    designs: Iterable[Accelerator | str | os.PathLike[str]],
    table: EnergyTable | str | os.PathLike[str] = "horowitz-45nm",
    batch: int | None = None,
    objective: Objective | None = None,
    progress: Progress | None = None,
) -> DesignCosts:
    """Energy, cycles and DRAM traffic of a network on many designs: those that `estimate` gives, design by design.

    Designs of systolic arrays, one image at a time, with energy least under a table without leakage are worked out together:
    some hundred times as fast where many designs share arrays, memories or both. All others are estimated one by one.
    Cycles and bytes are those of `estimate` exactly, energies but for the rounding of sums: 1e-12 of the total.

    Parameters
    ----------
    trace, table, batch, objective
        As in `estimate`.
    designs
        Accelerators, such as those of `design_grid`.
    progress
        Called now and then with the number of designs that are done, and their number.

    Raises
    ------
    ConfigError, HardwareError
        An accelerator or table that does not exist, a batch or objective that there is not. What a design itself is refused
        for stands in its row (`DesignCosts.errors`).

    Examples
    --------
    >>> from addersim import count, design_grid, load_network, quantize
    >>> trace = count(quantize(load_network("lenet5-adder"), None))
    >>> found = estimate_designs(trace, design_grid("systolic-16x16", {"array.rows": [8, 16], "array.columns": [8, 16]}))
    >>> found.cycles.astype(int).tolist()
    [16179, 10684, 12886, 8279]
    """
    check_kind(trace, Trace, "estimate_designs: trace")
    one_of("objective", objective, get_args(Objective))
    if batch is not None:
        BATCH.check(batch, "batch", HardwareError)
    machines = [one if isinstance(one, Accelerator) else load_accelerator(one) for one in designs]
    prices = table if isinstance(table, EnergyTable) else load_table(table)
    found = DesignCosts.empty(trace, prices.name, machines, batch)
    alone = np.ones(len(machines), bool)
    done = 0
    known = InBatch(batch)
    together = [place for place, machine in enumerate(machines) if known.takes(machine)]
    if together and (priced := _priced(trace, prices, machines[together[0]], objective)) is not None:
        arithmetic = _arithmetic_pj(priced)
        for places, costs in _in_batch(priced, machines, together):
            alone[places[found.set_batch(places, costs, arithmetic)]] = False
            done += len(places)
            if progress is not None:
                progress(done, len(machines))
    refused: dict[Accelerator, str] = {}
    for number, place in enumerate(np.flatnonzero(alone).tolist()):
        machine = machines[place]
        same = replace(machine, clock_mhz=1.0, dram=replace(machine.dram, bandwidth_gb_s=1.0))
        if same not in refused:
            try:
                found.set_alone(place, estimate(trace, machine, prices, batch, objective))
            except HardwareError as error:  # whatever bandwidth and clock are
                refused[same] = str(error)
        if same in refused:
            found.errors[place] = refused[same]
        if progress is not None:
            progress(len(machines) - int(alone.sum()) + number + 1, len(machines))
    return found


def _priced(trace: Trace, prices: EnergyTable, machine: Accelerator, objective: Objective | None) -> Priced | None:
    """The network under the table, where designs run in batch for it."""
    if not trace_in_batch(trace, prices, objective):
        return None
    try:
        for layer in trace.layers:
            if layer.work is not None:
                check_layer(layer, machine)
        table = with_multiplier(prices, trace.layers)
        check_energy_stated(table, trace.layers)
        arithmetic = ArithmeticEnergies.of(trace, table)
        return Priced(trace, schedule(trace), table, arithmetic, alike_layers(trace.layers, arithmetic))
    except HardwareError:  # `estimate` says why
        return None


def _arithmetic_pj(priced: Priced) -> dict[Component, float]:
    """Energy of all operations, by the unit that runs them."""
    energies: dict[Component, float] = {"array": 0.0, "vector": 0.0}
    for layer in priced.trace.layers:
        for part in priced.arithmetic.parts(layer, 1):
            energies[part.component] += part.energy_pj
    return energies


def _in_batch(
    priced: Priced, machines: Sequence[Accelerator], together: Sequence[int]
) -> Iterator[tuple[IntArray, FoundInBatch]]:
    """Costs of designs that run in batch, with their places, array by array."""
    numbers, by_system = _Numbers(), dict[int, list[int]]()
    for place in together:
        machine, dram = machines[place], machines[place].dram
        system = numbers.of(numbers.of(machine.buffers), dram.kind, dram.energy_pj_per_bit, machine.vector.lanes)
        by_system.setdefault(system, []).append(place)
    systems = list(by_system.values())
    for start in range(0, len(systems), _SYSTEMS_AT_ONCE):
        yield from _on_systems(priced, machines, systems[start : start + _SYSTEMS_AT_ONCE], numbers)


def _on_systems(
    priced: Priced, machines: Sequence[Accelerator], systems: Sequence[Sequence[int]], numbers: _Numbers
) -> Iterator[tuple[IntArray, FoundInBatch]]:
    """Costs of the designs of some memory systems, array by array."""
    by_array: dict[int, list[tuple[int, float, int]]] = {}
    ways = [_ways(priced, machines[places[0]]) for places in systems]
    for system, places in enumerate(systems):
        for place in places if ways[system] else ():
            design = system, machines[place].dram_bits_per_cycle, place
            by_array.setdefault(numbers.of(machines[place].array), []).append(design)
    together: dict[tuple[int, ...], MemorySystems] = {}
    for designs in by_array.values():
        used, bandwidths, at = (np.array(column) for column in zip(*designs, strict=True))
        some = tuple(np.unique(used).tolist())
        if some not in together:
            together[some] = MemorySystems([ways[system] for system in some])
        pairs, which = np.unique(np.stack([np.searchsorted(some, used), bandwidths]), axis=1, return_inverse=True)
        costs = together[some].on_array(machines[at[0]], pairs[0].astype(np.int64), pairs[1])
        yield at, FoundInBatch(*(column[which.ravel()] for column in costs))


class _Numbers:
    """A number for each value: equal values have one. Records are looked up by themselves first, for hashing them is slow."""

    def __init__(self) -> None:
        self._by_value: dict[object, int] = {}
        self._by_record: dict[int, int] = {}

    def of(self, *value: object) -> int:
        """The number of a value; of a single record that lives as long as this does."""
        if len(value) > 1:
            return self._by_value.setdefault(value, len(self._by_value))
        key = id(value[0])
        if key not in self._by_record:
            self._by_record[key] = self._by_value.setdefault(value, len(self._by_value))
        return self._by_record[key]


def _ways(priced: Priced, machine: Accelerator) -> tuple[MemoryWay, ...]:
    """The ways of a memory system; none where `estimate` is to say why not."""
    try:
        return memory_ways(priced, of_one_bit_a_cycle(machine))
    except HardwareError:
        return ()
