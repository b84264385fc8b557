"""estimate: facts in, cost out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, get_args

from addersim.arithmetic.ops import sum_by_key
from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.cost import (
    Bound,
    Compat,
    Component,
    Cost,
    EnergyPart,
    LayerCost,
    UnitEnergy,
    UnitEnergyUsed,
    on_common_grain,
    utilisation,
)
from addersim.hardware.dataflow.array_run import ArrayRun, Placement
from addersim.hardware.dataflow.dispatch import run_on_array
from addersim.hardware.latency import LayerCycles, stage_cycles
from addersim.hardware.leakage import Leakage
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.missing import LayersNeeding
from addersim.hardware.prices.operations import operation_energies
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.scalesim.compat import scalesim_layer
from addersim.hardware.schedule import Schedule, kept_on_chip, schedule
from addersim.hardware.sparsity import skipping_zeros
from addersim.hardware.traffic import Access, output_traffic, stored_outputs, vector_traffic
from addersim.inputs.limits import BATCH
from addersim.trace import LayerTrace, Trace

__all__ = ["MOST_TAPS", "Cost", "estimate"]

MOST_TAPS = 10**15
"""Taps of a layer in a batch: the mappers count bits of all operands, weighed by a level's cost, in 64-bit numbers."""


def estimate(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    table: EnergyTable | str | os.PathLike[str] = "horowitz-45nm",
    batch: int | None = None,
    objective: Objective | None = None,
    compat: Compat | None = None,
) -> Cost:
    """Energy and latency of a network on an accelerator.

    Energy is that of the trace's operations, of words that move between buffers and array or vector unit, and of words that
    move to and from DRAM (rules: `traffic`, `schedule`, `latency`); and leakage where the table has it (rules: `leakage`,
    `area`). Not included: registers, wires and control inside a systolic array, the clock tree. A trace in the ``paper``
    convention has the energy of its arithmetic alone.

    Parameters
    ----------
    trace
        Facts of the network, for one image.
    accelerator
        A record, a bundled name or a TOML file.
    table
        An energy table, a bundled name or a CSV file.
    batch
        Images that are run together, layer by layer: weights are fetched once for all, but the activations of all have to
        fit to stay on chip. The cost is that of the batch. None: the accelerator's own.
    objective
        What the choice of tiles makes least, layer by layer: ``energy`` of all that moves, ``latency`` in cycles, bits to and
        from ``dram``, or ``energy-delay``, the product of the first two; None for energy, or what a row stationary array says.
    compat
        ``scalesim`` gives what SCALE-Sim 3.0.0 prints, without energy or DRAM: see `compat`. None: with its faults corrected.

    Raises
    ------
    ConfigError
        An accelerator or table that does not exist or does not parse.
    HardwareError
        The table lacks a needed unit energy, a memory is too small, or the trace contradicts itself.
    """
    _one_of("objective", objective, get_args(Objective))
    _one_of("compat", compat, get_args(Compat))
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    if machine.array.sparsity is not None and compat is not None:
        raise HardwareError(
            f"compat {compat}: accelerator {machine.name!r} skips zeros {machine.array.sparsity}, which it does not model"
        )
    trace = skipping_zeros(trace, machine.array)
    images = BATCH.check(machine.batch if batch is None else batch, "batch", HardwareError)
    for layer in trace.layers:
        if layer.work and layer.work.taps * images > MOST_TAPS:
            raise HardwareError(
                f"layer {layer.name}: {layer.work.taps * images:,} taps in a batch of {images:,}; at most {MOST_TAPS:,}: "
                "take a smaller batch"
            )
    if compat == "scalesim":
        layers = tuple(scalesim_layer(layer, machine, images) for layer in trace.layers)
        return _cost(trace, machine, images, "none", layers, (), compat)
    energies = table if isinstance(table, EnergyTable) else load_table(table)
    per_operation = operation_energies(trace.layers, energies)
    used = [UnitEnergyUsed(f"{op} {bits} bit", "operation", energy) for (op, bits), energy in sorted(per_operation.items())]
    if trace.convention == "paper":
        arithmetic = [_Facts(None, _IDLE, (), _arithmetic(layer, per_operation, images)) for layer in trace.layers]
        rows = [_TimedLayer(layer, facts, 0, "none", 0.0) for layer, facts in zip(trace.layers, arithmetic, strict=True)]
        parts = on_common_grain([row.facts.parts for row in rows])
    else:
        order = schedule(trace)
        kept = kept_on_chip(order, trace, machine.buffers, images)
        movement = MovementEnergy(machine, energies, LayersNeeding(trace.layers, order, kept))
        rows = _CostWalk(trace.layers, order, kept, machine, images, per_operation, movement, objective).rows()
        leakage = Leakage(trace, machine, energies)
        own = [row.facts.parts for row in rows]
        if leakage.power_uw:
            own = [one + leakage.parts(row.cycles) for one, row in zip(own, rows, strict=True)]
        parts = on_common_grain(own)
        used += movement.used + leakage.used
    layers = tuple(_layer_cost(row, one, images) for row, one in zip(rows, parts, strict=True))
    return _cost(trace, machine, images, energies.name, layers, tuple(used), None)


def _cost(
    trace: Trace,
    machine: Accelerator,
    batch: int,
    table: str,
    layers: tuple[LayerCost, ...],
    unit_energies: tuple[UnitEnergyUsed, ...],
    compat: Compat | None,
) -> Cost:
    return Cost(
        network=trace.name,
        accelerator=machine.name,
        table=table,
        convention=trace.convention,
        batch=batch,
        clock_mhz=machine.clock_mhz,
        elements=machine.array.elements,
        dram_bytes_per_cycle=machine.dram_bits_per_cycle / 8,
        taps=trace.taps * batch,
        layers=layers,
        prices=unit_energies,
        compat=compat,
    )


def _one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise HardwareError(f"{name}: found {value!r}, needs one of {', '.join(allowed)}")


class _Facts(NamedTuple):
    """What layers of one shape share: their run on the array, their own cycles, words moved, and energy without leakage."""

    run: ArrayRun | None
    own: LayerCycles
    accesses: tuple[Access, ...]
    parts: list[EnergyPart]


class _TimedLayer(NamedTuple):
    """A layer on its way to a LayerCost, with the cycles that pass, what sets them, and the array's use meanwhile."""

    layer: LayerTrace
    facts: _Facts
    cycles: int
    bound: Bound
    utilisation: float


_IDLE = LayerCycles()


@dataclass(frozen=True, slots=True)
class _CostWalk:
    """A trace on an accelerator, layer by layer; of layers of one shape only the first is worked out."""

    layers: tuple[LayerTrace, ...]
    order: Schedule
    kept: frozenset[int]
    machine: Accelerator
    batch: int
    per_operation: Mapping[tuple[str, int], UnitEnergy]
    movement: MovementEnergy
    objective: Objective | None

    def rows(self) -> list[_TimedLayer]:
        rows: list[_TimedLayer] = []
        facts = self.facts()
        for _, stage in groupby(range(len(self.layers)), key=self.order.stages.__getitem__):
            members = tuple(stage)
            cycles, bound = stage_cycles((facts[index].own for index in members), self.machine.buffers.double_buffered)
            works = [self.layers[index].work for index in members]
            taps = sum([work.taps for work in works if work is not None]) * self.batch
            used = utilisation(taps, cycles, self.machine.array.elements)
            for index in members:
                rows.append(_TimedLayer(self.layers[index], facts[index], cycles, bound, used))
                cycles, bound, used = 0, "fused", 0.0
        return rows

    def facts(self) -> dict[int, _Facts]:
        by_shape: dict[tuple[object, ...], list[int]] = {}
        for index in range(len(self.layers)):
            by_shape.setdefault(self.shape(index), []).append(index)
        windows = [members[0] for members in by_shape.values() if self.layers[members[0]].work is not None]
        chosen = [(self.layers[index], self.placement(index)) for index in windows]
        runs = run_on_array(chosen, self.machine, self.batch, self.movement, self.objective)
        run_of = dict(zip(windows, runs, strict=True))
        facts: dict[int, _Facts] = {}
        for members in by_shape.values():
            facts |= dict.fromkeys(members, self.facts_of(members[0], run_of.get(members[0])))
        return facts

    def shape(self, index: int) -> tuple[object, ...]:
        """All of a layer that its facts depend on."""
        layer = self.layers[index]
        operands = layer.inputs, layer.weights, layer.output, layer.accumulator_bits, layer.fused
        placed = self.inputs_kept(index), index in self.kept, index in self.order.views
        return layer.work, layer.datapath, *operands, *placed, *layer.operations.items()

    def facts_of(self, index: int, run: ArrayRun | None) -> _Facts:
        layer, parts = self.layers[index], _arithmetic(self.layers[index], self.per_operation, self.batch)
        if index in self.order.views:
            return _Facts(None, _IDLE, (), parts)
        written = stored_outputs(layer, self.batch)
        read = vector_traffic(layer, self.batch, self.inputs_kept(index)) if run is None else run.accesses
        stored = output_traffic(written, layer.output.bits, index in self.kept) if written else ()
        accesses, done = read + stored, layer.operations.total() * self.batch
        own = LayerCycles.of(run.cycles if run else 0, 0 if run else done, accesses, self.machine)
        return _Facts(run, own, accesses, parts + self.movement.parts(accesses))

    def placement(self, index: int) -> Placement:
        return Placement(all(self.inputs_kept(index)), index in self.kept or self.layers[index].fused)

    def inputs_kept(self, index: int) -> tuple[bool, ...]:
        return tuple([source in self.kept for source in self.order.sources[index]])


def _arithmetic(layer: LayerTrace, per_operation: Mapping[tuple[str, int], UnitEnergy], batch: int) -> list[EnergyPart]:
    by_op = sum_by_key(
        (op, number * batch * per_operation[op, bits].energy_pj) for (op, bits), number in layer.operations.items()
    )
    unit: Component = "vector" if layer.work is None else "array"
    return [EnergyPart(unit, op, energy) for op, energy in by_op.items()]


def _layer_cost(row: _TimedLayer, parts: tuple[EnergyPart, ...], batch: int) -> LayerCost:
    layer, (run, own, accesses, _) = row.layer, row.facts
    return LayerCost(
        name=layer.name,
        kind=layer.kind,
        datapath=layer.datapath,
        cycles=row.cycles,
        bound=row.bound,
        compute_cycles=own.array + own.vector,
        buffer_cycles=own.buffer,
        dram_cycles=own.dram,
        taps=layer.work.taps * batch if layer.work else 0,
        utilisation=row.utilisation,
        mapping_efficiency=run.mapping_efficiency if run else 0.0,
        tiling=run.tiling if run else None,
        parts=parts,
        accesses=accesses,
    )
