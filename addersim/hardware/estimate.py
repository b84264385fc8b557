"""estimate: facts in, cost out."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, pairwise, takewhile
from typing import NamedTuple, get_args

from addersim.arithmetic.ops import sum_by_key
from addersim.errors import HardwareError, PriceError
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.batches import Parts, added, best_parts
from addersim.hardware.cost import (
    Bound,
    ColdStart,
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
from addersim.hardware.dataflow.array_run import ArrayRun, Beside, Placement
from addersim.hardware.dataflow.dispatch import check_on_array, run_on_array
from addersim.hardware.dataflow.objective import objective_value
from addersim.hardware.latency import LayerCycles, dram_cycles, stage_cycles
from addersim.hardware.leakage import Leakage
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.missing import LayersNeeding
from addersim.hardware.prices.multipliers import check_energy_stated, with_multiplier
from addersim.hardware.prices.operations import operation_energies
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.residency import Residency, residencies
from addersim.hardware.scalesim.compat import scalesim_layer
from addersim.hardware.schedule import Schedule, kept_on_chip, schedule
from addersim.hardware.sparsity import skipping_zeros
from addersim.hardware.traffic import Access, output_traffic, stored_outputs, vector_traffic
from addersim.inputs.limits import BATCH
from addersim.trace import LayerTrace, Trace

__all__ = ["MOST_TAPS", "Cost", "CostWalk", "WindowInStage", "estimate", "one_of"]

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
    move to and from DRAM (rules: `traffic`, `schedule`, `residency`, `latency`); and leakage where the table has it (rules:
    `leakage`, `area`). Not included: registers, wires and control inside a systolic array, the clock tree. A trace in the
    ``paper`` convention has the energy of its arithmetic alone.

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
        fit to stay on chip; or in parts, one after another, where that is better (rules: `batches`). The cost is that of the
        batch. None: the accelerator's own.
    objective
        What the choice of tiles makes least, stage by stage: ``energy``, ``latency`` in cycles, bits to and
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
    one_of("objective", objective, get_args(Objective))
    one_of("compat", compat, get_args(Compat))
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
    energies = with_multiplier(table if isinstance(table, EnergyTable) else load_table(table), trace.layers)
    check_energy_stated(energies, trace.layers)
    per_operation = operation_energies(trace.layers, energies)
    used = [UnitEnergyUsed(f"{op} {bits} bit", "operation", energy) for (op, bits), energy in sorted(per_operation.items())]
    if trace.convention == "paper":
        arithmetic = [_Facts(None, _IDLE, (), _arithmetic(layer, per_operation, images)) for layer in trace.layers]
        rows = [_TimedLayer(layer, facts, 0, "none", 0.0) for layer, facts in zip(trace.layers, arithmetic, strict=True)]
        parts = on_common_grain([row.facts.parts for row in rows])
    else:
        runs = [_Runs(trace, machine, one, energies, per_operation, objective) for one in residencies(trace, machine)]
        best, batch_parts = _least(runs, images)
        layers = best.layers(batch_parts)
        cost = _cost(trace, machine, images, energies.name, layers, (*used, *best.used), None, batch_parts)
        return replace(cost, cold_start=best.cold_start())
    layers = tuple(_layer_cost(row, one, images) for row, one in zip(rows, parts, strict=True))
    return _cost(trace, machine, images, energies.name, layers, tuple(used), None)


def _least(ways: Sequence[_Runs], images: int) -> tuple[_Runs, Parts]:
    """Of the ways in which weights may lie on chip and a batch be cut, the one with the least value of the objective."""
    found: list[tuple[tuple[float, ...], _Runs, Parts]] = []
    for runs in ways:
        try:
            parts = runs.best_parts(images)
            found.append((runs.value(parts), runs, parts))
        except HardwareError as error:  # a unified memory that the weights fill may have no room for a tile
            if runs is ways[-1] and not found:
                if runs.residency.machine is runs.machine:
                    raise
                raise HardwareError(f"{error}; the rest holds the weights, which keep_weights wants to stay") from None
    _, best, parts = min(found, key=lambda one: one[0])
    return best, parts


def _cost(
    trace: Trace,
    machine: Accelerator,
    batch: int,
    table: str,
    layers: tuple[LayerCost, ...],
    unit_energies: tuple[UnitEnergyUsed, ...],
    compat: Compat | None,
    batch_parts: Parts | None = None,
) -> Cost:
    sizes = {batch: 1} if batch_parts is None else batch_parts
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
        batch_parts=tuple((size, number) for size, number in sizes.items()),
    )


def one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is none of those allowed, nor None."""
    if value is not None and value not in allowed:
        raise HardwareError(f"{name}: found {value!r}, needs one of {', '.join(allowed)}")


class _Facts(NamedTuple):
    """What layers of one shape share: their run on the array, their own cycles, words moved, and energy without leakage."""

    run: ArrayRun | None
    own: LayerCycles
    accesses: tuple[Access, ...]
    parts: list[EnergyPart]


class WindowInStage(NamedTuple):
    """A window layer and those after it in its stage, up to the next: all that their facts depend on, the layers of each
    place where they stand alike, and what the array is asked."""

    shape: tuple[object, ...]
    same: tuple[tuple[int, ...], ...]
    on_array: tuple[LayerTrace, Placement]
    beside: Beside


class _TimedLayer(NamedTuple):
    """A layer on its way to a LayerCost, with the cycles that pass, what sets them, and the array's use meanwhile."""

    layer: LayerTrace
    facts: _Facts
    cycles: int
    bound: Bound
    utilisation: float


_IDLE = LayerCycles()


class _Runs:
    """A trace on an accelerator for any number of images together, each number worked out once."""

    def __init__(
        self,
        trace: Trace,
        machine: Accelerator,
        residency: Residency,
        energies: EnergyTable,
        per_operation: Mapping[tuple[str, int], UnitEnergy],
        objective: Objective | None,
    ) -> None:
        self.trace, self.machine, self.residency, self.objective = trace, machine, residency, objective
        self.energies, self.per_operation = energies, per_operation
        self.order = schedule(trace)
        self.leakage = Leakage(trace, machine, energies)
        self.leaking_pj = sum(part.energy_pj for part in self.leakage.parts(1))
        self.found: dict[int, tuple[list[_TimedLayer], list[list[EnergyPart]]]] = {}
        self.movements: list[MovementEnergy] = []
        self.summed: dict[int, tuple[float, int, int]] = {}

    def together(self, images: int) -> tuple[list[_TimedLayer], list[list[EnergyPart]]]:
        """Layers of a number of images together, and their parts of energy, not rounded."""
        if images not in self.found:
            kept = kept_on_chip(self.order, self.trace, self.residency.machine.buffers, images)
            movement = MovementEnergy(self.machine, self.energies, LayersNeeding(self.trace.layers, self.order, kept))
            walk = CostWalk(
                self.trace.layers, self.order, kept, self.residency, images, self.per_operation, movement, self.objective,
                self.leaking_pj,
            )  # fmt: skip
            rows = walk.rows()
            parts = [row.facts.parts for row in rows]
            if self.leakage.power_uw:
                parts = [one + self.leakage.parts(row.cycles) for one, row in zip(parts, rows, strict=True)]
            self.movements.append(movement)
            self.found[images] = rows, parts
        return self.found[images]

    def best_parts(self, batch: int) -> Parts:
        """How to run a batch, by the value of the objective for the whole network."""
        few = self.machine.array.row_stationary is not None  # each number of images takes seconds there
        return {1: 1} if batch == 1 else best_parts(batch, self.value, few)

    def value(self, batch_parts: Parts) -> tuple[float, ...]:
        """What is to be least of a batch in parts, the most important first."""
        energy = cycles = bits = 0.0
        for images, number in batch_parts.items():
            one_energy, one_cycles, one_bits = self.totals(images)
            energy, cycles, bits = energy + number * one_energy, cycles + number * one_cycles, bits + number * one_bits
        return objective_value(self.objective or self.machine.array.usual_objective, energy, cycles, bits)

    def totals(self, images: int) -> tuple[float, int, int]:
        """Energy, cycles and bits of DRAM of a number of images together."""
        if images not in self.summed:
            rows, parts = self.together(images)
            energy = math.fsum(part.energy_pj for one in parts for part in one)
            accesses = (access for row in rows for access in row.facts.accesses if access.level == "dram")
            self.summed[images] = energy, sum(row.cycles for row in rows), sum(access.size_bits for access in accesses)
        return self.summed[images]

    def layers(self, batch_parts: Parts) -> tuple[LayerCost, ...]:
        """Layers of a batch in parts, with energies on a common grain."""
        whole = [self.together(images) for images in batch_parts]
        if list(batch_parts.values()) == [1]:
            (images,), ((rows, parts),) = batch_parts, whole
            return tuple(_layer_cost(row, one, images) for row, one in zip(rows, on_common_grain(parts), strict=True))
        costs = [
            [_layer_cost(row, tuple(one), images) for row, one in zip(rows, parts, strict=True)]
            for images, (rows, parts) in zip(batch_parts, whole, strict=True)
        ]
        layers = [added([*zip(same, batch_parts.values(), strict=True)]) for same in zip(*costs, strict=True)]
        rounded = on_common_grain([layer.parts for layer in layers])
        return tuple(replace(layer, parts=parts) for layer, parts in zip(layers, rounded, strict=True))

    def cold_start(self) -> ColdStart | None:
        """What is paid before the first image, where the weights then stay."""
        if not self.residency.weights_kept:
            return None
        bits = sum(access.size_bits for access in self.residency.loads if access.level == "dram")
        energy = sum(self.movements[0].energy_pj(access) for access in self.residency.loads)
        return ColdStart(energy, dram_cycles(bits, self.machine), bits / 8)

    @property
    def used(self) -> list[UnitEnergyUsed]:
        """Unit energies of all that moves and leaks, each once."""
        return [*dict.fromkeys(used for movement in self.movements for used in movement.used), *self.leakage.used]


@dataclass(frozen=True, slots=True)
class CostWalk:
    """A trace on an accelerator, layer by layer; of layers of one shape only the first is worked out."""

    layers: tuple[LayerTrace, ...]
    order: Schedule
    kept: frozenset[int]
    residency: Residency
    batch: int
    per_operation: Mapping[tuple[str, int], UnitEnergy]
    movement: MovementEnergy
    objective: Objective | None
    leakage_pj: float

    @property
    def machine(self) -> Accelerator:
        """The accelerator with what its memories have left."""
        return self.residency.machine

    def rows(self) -> list[_TimedLayer]:
        rows: list[_TimedLayer] = []
        facts = self.facts()
        for members in self.stages():
            cycles, bound = self.stage_cycles([facts[index] for index in members])
            works = [self.layers[index].work for index in members]
            taps = sum([work.taps for work in works if work is not None]) * self.batch
            used = utilisation(taps, cycles, self.machine.array.elements)
            for index in members:
                rows.append(_TimedLayer(self.layers[index], facts[index], cycles, bound, used))
                cycles, bound, used = 0, "fused", 0.0
        return rows

    def stages(self) -> list[tuple[int, ...]]:
        """Layers of each stage."""
        return [tuple(members) for _, members in groupby(range(len(self.layers)), key=self.order.stages.__getitem__)]

    def stage_cycles(self, stage: Sequence[_Facts]) -> tuple[int, Bound]:
        """Cycles that pass for a stage, and what sets them: window layers wait for their first and last tiles."""
        cycles, bound = stage_cycles([facts.own for facts in stage], self.machine.buffers.double_buffered)
        runs = [facts.run.stage_cycles for facts in stage if facts.run is not None]
        if not runs:
            return cycles, bound
        before = takewhile(lambda facts: facts.run is None, stage)
        return sum(runs) + stage_cycles([facts.own for facts in before], self.machine.buffers.double_buffered)[0], bound

    def facts(self) -> dict[int, _Facts]:
        windows, facts = self.windows()
        chosen, besides = [one.on_array for one in windows], [one.beside for one in windows]
        runs = run_on_array(chosen, self.machine, self.batch, self.movement, self.objective, besides)
        for one, run in zip(windows, runs, strict=True):
            facts |= dict.fromkeys([members[0] for members in one.same], self.facts_of(one.same[0][0], run))
        return facts

    def windows(self) -> tuple[list[WindowInStage], dict[int, _Facts]]:
        """Window layers with what follows them, and the facts of all other layers."""
        shapes = [self.shape(index) for index in range(len(self.layers))]
        together: dict[tuple[object, ...], list[tuple[int, ...]]] = {}
        for members in chain.from_iterable(map(self.by_window, self.stages())):
            together.setdefault(tuple([shapes[index] for index in members]), []).append(members)
        chosen = [(self.layers[same[0][0]], self.placement(same[0][0])) for same in together.values()]
        try:
            facts = self.facts_of_others(shapes)
        except PriceError:
            check_on_array(chosen, self.machine, self.batch)  # what runs under no table is said first
            raise
        besides = [self.beside(same[0], facts) for same in together.values()]
        found = zip(together.items(), chosen, besides, strict=True)
        return [WindowInStage(shape, tuple(same), one, beside) for (shape, same), one, beside in found], facts

    def facts_of_others(self, shapes: Sequence[tuple[object, ...]]) -> dict[int, _Facts]:
        """Facts of the layers that are no window layers."""
        others = [index for index, layer in enumerate(self.layers) if layer.work is None]
        by_shape = {shapes[index]: index for index in reversed(others)}
        found = {shape: self.facts_of(index, None) for shape, index in reversed(by_shape.items())}
        return {index: found[shapes[index]] for index in others}

    def by_window(self, stage: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Window layers of a stage, each with those after it up to the next."""
        windows = [at for at, index in enumerate(stage) if self.layers[index].work is not None]
        return [stage[start:end] for start, end in pairwise([*windows, len(stage)])]

    def beside(self, members: tuple[int, ...], facts: Mapping[int, _Facts]) -> Beside:
        """What shares a stage with a window layer, the first of the members."""
        others = members[1:]
        arithmetic = (_arithmetic(self.layers[one], self.per_operation, self.batch) for one in members)
        return Beside(
            accesses=tuple(access for one in others for access in facts[one].accesses),
            vector=sum(facts[one].own.vector for one in others),
            energy_pj=sum(part.energy_pj for parts in arithmetic for part in parts),
            leakage_pj=self.leakage_pj,
        )

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
        read = run.accesses if run else vector_traffic(layer, self.batch, self.inputs_kept(index), self.residency.weights_kept)
        stored = output_traffic(written, layer.output.bits, index in self.kept) if written else ()
        accesses, done = read + stored, layer.operations.total() * self.batch
        own = LayerCycles.of(run.cycles if run else 0, 0 if run else done, accesses, self.machine)
        return _Facts(run, own, accesses, parts + self.movement.parts(accesses))

    def placement(self, index: int) -> Placement:
        output_kept = index in self.kept or self.layers[index].fused
        return Placement(all(self.inputs_kept(index)), output_kept, self.residency.weights_kept)

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
