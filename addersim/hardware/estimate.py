"""estimate: facts in, cost out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Buffer, load_accelerator
from addersim.hardware.compute import operation_prices
from addersim.hardware.cost import Component, Cost, EnergyPart, LayerCost, PriceUsed, on_common_grain
from addersim.hardware.energy import EnergyTable, Price
from addersim.hardware.energy_file import load_table
from addersim.hardware.latency import Bound, LayerCycles, stage_cycles
from addersim.hardware.memory import Access, Moved, fold_layer, layer_accesses
from addersim.hardware.schedule import Schedule, kept_on_chip, schedule
from addersim.trace import LayerTrace, Trace

__all__ = ["Cost", "estimate"]


def estimate(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    table: EnergyTable | str | os.PathLike[str] = "horowitz-45nm",
    batch: int = 1,
) -> Cost:
    """Energy and latency of a network on an accelerator.

    Priced are the operations of the trace, words that move between buffers and array or vector unit, and words that move to
    and from DRAM (rules: `memory`, `schedule`, `latency`). Not priced, because no bundled table has a row for them: registers,
    wires and control inside the array, the clock tree, leakage. A trace in the ``paper`` convention is priced as arithmetic
    alone.

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
        fit to stay on chip. The cost is that of the batch.

    Raises
    ------
    ConfigError
        An accelerator or table that does not exist or does not parse.
    HardwareError
        The table lacks a needed price, a buffer is too small, or the trace contradicts itself.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise HardwareError(f"batch: found {batch!r}, needs a whole number >= 1")
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    energies = table if isinstance(table, EnergyTable) else load_table(table)
    prices = operation_prices(trace.layers, energies)
    used = [PriceUsed(f"{op} {bits} bit", "operation", price) for (op, bits), price in sorted(prices.items())]
    if trace.convention == "paper":
        rows = [_Row(layer, 0, "none", _IDLE, ()) for layer in trace.layers]
        moved: list[list[EnergyPart]] = [[] for _ in rows]
    else:
        bits = _BitPrices(machine, energies)
        rows = _hardware_rows(trace, machine, batch)
        moved = [bits.parts(row.accesses) for row in rows]
        used += bits.used
    parts = on_common_grain([_arithmetic(row.layer, prices, batch) + one for row, one in zip(rows, moved, strict=True)])
    return Cost(
        network=trace.name,
        accelerator=machine.name,
        table=energies.name,
        convention=trace.convention,
        batch=batch,
        clock_mhz=machine.clock_mhz,
        elements=machine.array.elements,
        taps=trace.taps * batch,
        layers=tuple(_layer_cost(row, one, machine, batch) for row, one in zip(rows, parts, strict=True)),
        prices=tuple(used),
    )


class _BitPrices:
    """Energy of accesses: whole words of the buffers, bits of DRAM."""

    def __init__(self, machine: Accelerator, table: EnergyTable) -> None:
        buffers, dram = machine.buffers, machine.dram
        self._buffers: dict[Moved, tuple[Buffer, float, float]] = {}
        self.used: list[PriceUsed] = []
        names: tuple[Moved, ...] = ("input", "weight", "output")
        for name, buffer in zip(names, (buffers.input, buffers.weight, buffers.output), strict=True):
            read, write = (table.sram(buffer.capacity_kib, buffer.word_bits, op) for op in ("read", "write"))
            self._buffers[name] = buffer, read.energy_pj, write.energy_pj
            of = f"{name} buffer of {buffer.capacity_kib:g} KiB"
            self.used += [
                PriceUsed(f"{of}, {op}", f"access of {buffer.word_bits} bit", price)
                for op, price in (("read", read), ("write", write))
            ]
        self._buffers["partial_sum"] = self._buffers["output"]
        if dram.energy_pj_per_bit is None:
            price = table.dram(dram.kind)
        else:
            price = Price(dram.energy_pj_per_bit, "given by the accelerator", dram.source or "")
        self._dram_pj = price.energy_pj
        self.used.append(PriceUsed(f"DRAM {dram.kind}", "bit", price))

    def parts(self, accesses: Iterable[Access]) -> list[EnergyPart]:
        """Energy of accesses."""
        return [EnergyPart(access.level, access.operand, self._energy_pj(access)) for access in accesses]

    def _energy_pj(self, access: Access) -> float:
        if access.level == "dram":
            return access.size_bits * self._dram_pj
        buffer, read_pj, write_pj = self._buffers[access.operand]
        return buffer.words(access.reads, access.bits) * read_pj + buffer.words(access.writes, access.bits) * write_pj


class _Row(NamedTuple):
    """A layer on its way to a LayerCost: the cycles that pass, what sets them, its own cycles and accesses."""

    layer: LayerTrace
    cycles: int
    bound: Bound
    own: LayerCycles
    accesses: tuple[Access, ...]


_IDLE = LayerCycles(0, 0, 0)


def _hardware_rows(trace: Trace, machine: Accelerator, batch: int) -> list[_Row]:
    order = schedule(trace)
    kept = kept_on_chip(order, trace, machine.buffers, batch)
    rows: list[_Row] = []
    for _, stage in groupby(range(len(trace.layers)), key=order.stages.__getitem__):
        members = [_layer_facts(trace.layers[index], index, order, kept, machine, batch) for index in stage]
        cycles, bound = stage_cycles(own for _, own, _ in members)
        for layer, own, accesses in members:
            rows.append(_Row(layer, cycles, bound, own, accesses))
            cycles, bound = 0, "fused"
    return rows


def _layer_facts(
    layer: LayerTrace, index: int, order: Schedule, kept: frozenset[int], machine: Accelerator, batch: int
) -> tuple[LayerTrace, LayerCycles, tuple[Access, ...]]:
    if index in order.views:
        return layer, _IDLE, ()
    folds = fold_layer(layer, machine, batch)
    inputs_kept = tuple(source in kept for source in order.sources[index])
    accesses = layer_accesses(layer, folds, machine, batch, inputs_kept, index not in kept)
    return layer, LayerCycles.of(layer, folds, accesses, machine, batch), accesses


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
        dram_cycles=own.dram,
        utilisation=done * batch / places if places else 0.0,
        parts=parts,
        accesses=row.accesses,
    )
