"""estimate: facts in, cost out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, get_args

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Objective, load_accelerator
from addersim.hardware.array import run_on_array
from addersim.hardware.compat import scalesim_layer
from addersim.hardware.compute import operation_prices
from addersim.hardware.cost import Compat, Component, Cost, EnergyPart, LayerCost, PriceUsed, on_common_grain
from addersim.hardware.energy import EnergyTable, Price
from addersim.hardware.energy_file import load_table
from addersim.hardware.latency import Bound, LayerCycles, stage_cycles
from addersim.hardware.leakage import Leakage
from addersim.hardware.mapping import ArrayRun, Placement
from addersim.hardware.memory import Access, output_accesses, vector_accesses
from addersim.hardware.movement import MovementPrices
from addersim.hardware.schedule import Schedule, kept_on_chip, schedule
from addersim.trace import LayerTrace, Trace

__all__ = ["Cost", "estimate"]


def estimate(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    table: EnergyTable | str | os.PathLike[str] = "horowitz-45nm",
    batch: int | None = None,
    objective: Objective | None = None,
    compat: Compat | None = None,
) -> Cost:
    """Energy and latency of a network on an accelerator.

    Priced are the operations of the trace, words that move between buffers and array or vector unit, and words that move to
    and from DRAM (rules: `memory`, `schedule`, `latency`); and leakage, where the table has it (rules: `leakage`, `area`). Not
    priced: registers, wires and control inside a systolic array, the clock tree. A trace in the ``paper`` convention is priced
    as arithmetic alone.

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
        The table lacks a needed price, a memory is too small, or the trace contradicts itself.
    """
    _one_of("objective", objective, get_args(Objective))
    _one_of("compat", compat, get_args(Compat))
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    images = machine.batch if batch is None else batch
    if isinstance(images, bool) or not isinstance(images, int) or images < 1:
        raise HardwareError(f"batch: found {images!r}, needs a whole number >= 1")
    if compat == "scalesim":
        layers = tuple(scalesim_layer(layer, machine, images) for layer in trace.layers)
        return _cost(trace, machine, images, "none", layers, (), compat)
    energies = table if isinstance(table, EnergyTable) else load_table(table)
    prices = operation_prices(trace.layers, energies)
    used = [PriceUsed(f"{op} {bits} bit", "operation", price) for (op, bits), price in sorted(prices.items())]
    if trace.convention == "paper":
        rows = [_Row(layer, None, 0, "none", _IDLE, ()) for layer in trace.layers]
        moved: list[list[EnergyPart]] = [[] for _ in rows]
    else:
        movement = MovementPrices(machine, energies)
        order = schedule(trace)
        kept = kept_on_chip(order, trace, machine.buffers, images)
        rows = _Walk(trace.layers, order, kept, machine, images, movement, objective).rows()
        moved = [movement.parts(row.accesses) for row in rows]
        leakage = Leakage(trace, machine, energies)
        moved = [one + leakage.parts(row.cycles) for one, row in zip(moved, rows, strict=True)]
        used += movement.used + leakage.used
    parts = on_common_grain([_arithmetic(row.layer, prices, images) + one for row, one in zip(rows, moved, strict=True)])
    layers = tuple(_layer_cost(row, one, machine, images) for row, one in zip(rows, parts, strict=True))
    return _cost(trace, machine, images, energies.name, layers, tuple(used), None)


def _cost(
    trace: Trace,
    machine: Accelerator,
    batch: int,
    table: str,
    layers: tuple[LayerCost, ...],
    prices: tuple[PriceUsed, ...],
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
        prices=prices,
        compat=compat,
    )


def _one_of(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise HardwareError(f"{name}: found {value!r}, needs one of {', '.join(allowed)}")


class _Row(NamedTuple):
    """A layer on its way to a LayerCost: its run on the array, the cycles that pass, what sets them, its own cycles."""

    layer: LayerTrace
    run: ArrayRun | None
    cycles: int
    bound: Bound
    own: LayerCycles
    accesses: tuple[Access, ...]


_IDLE = LayerCycles()


class _Facts(NamedTuple):
    layer: LayerTrace
    run: ArrayRun | None
    own: LayerCycles
    accesses: tuple[Access, ...]


@dataclass(frozen=True, slots=True)
class _Walk:
    """A trace on an accelerator, layer by layer."""

    layers: tuple[LayerTrace, ...]
    order: Schedule
    kept: frozenset[int]
    machine: Accelerator
    batch: int
    prices: MovementPrices
    objective: Objective | None

    def rows(self) -> list[_Row]:
        rows: list[_Row] = []
        facts = self.array_facts()
        for _, stage in groupby(range(len(self.layers)), key=self.order.stages.__getitem__):
            members = [facts[index] if index in facts else self.vector_facts(index) for index in stage]
            cycles, bound = stage_cycles((member.own for member in members), self.machine.buffers.double_buffered)
            for layer, run, own, accesses in members:
                rows.append(_Row(layer, run, cycles, bound, own, accesses))
                cycles, bound = 0, "fused"
        return rows

    def vector_facts(self, index: int) -> _Facts:
        layer = self.layers[index]
        if index in self.order.views:
            return _Facts(layer, None, _IDLE, ())
        accesses = vector_accesses(layer, self.batch, self.inputs_kept(index)) + self.outputs(index)
        done = layer.operations.total() * self.batch
        return _Facts(layer, None, LayerCycles.of(0, done, accesses, self.machine), accesses)

    def array_facts(self) -> dict[int, _Facts]:
        """Those of the window layers; layers of one shape run on the array in one way."""
        alike: dict[tuple[object, ...], list[int]] = {}
        chosen: list[tuple[LayerTrace, Placement]] = []
        for index, layer in enumerate(self.layers):
            if layer.work is None:
                continue
            placement = Placement(all(self.inputs_kept(index)), index in self.kept or layer.fused)
            operands = layer.inputs, layer.weights, layer.output, layer.accumulator_bits
            members = alike.setdefault((layer.work, *operands, layer.fused, layer.datapath, placement), [])
            if not members:
                chosen.append((layer, placement))
            members.append(index)
        found: dict[int, _Facts] = {}
        runs = run_on_array(chosen, self.machine, self.batch, self.prices, self.objective)
        for members, run in zip(alike.values(), runs, strict=True):
            accesses = run.accesses + self.outputs(members[0])
            own = LayerCycles.of(run.cycles, 0, accesses, self.machine)
            found |= {index: _Facts(self.layers[index], run, own, accesses) for index in members}
        return found

    def inputs_kept(self, index: int) -> tuple[bool, ...]:
        return tuple(source in self.kept for source in self.order.sources[index])

    def outputs(self, index: int) -> tuple[Access, ...]:
        layer = self.layers[index]
        words = 0 if layer.fused else layer.output.words * self.batch
        return output_accesses(words, layer.output.bits, index in self.kept) if words else ()


def _arithmetic(layer: LayerTrace, prices: Mapping[tuple[str, int], Price], batch: int) -> list[EnergyPart]:
    by_op: dict[str, float] = {}
    for (op, bits), number in layer.operations.items():
        by_op[op] = by_op.get(op, 0.0) + number * batch * prices[op, bits].energy_pj
    unit: Component = "vector" if layer.work is None else "array"
    return [EnergyPart(unit, op, energy) for op, energy in by_op.items()]


def _layer_cost(row: _Row, parts: tuple[EnergyPart, ...], machine: Accelerator, batch: int) -> LayerCost:
    layer, own = row.layer, row.own
    done, places = layer.operations.total(), own.vector * machine.vector.lanes
    if layer.work is not None:
        done, places = layer.work.taps, own.array * machine.array.elements
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
        utilisation=done * batch / places if places else 0.0,
        mapping_efficiency=row.run.mapping_efficiency if row.run else 0.0,
        tiling=row.run.tiling if row.run else None,
        parts=parts,
        accesses=row.accesses,
    )
