"""estimate: facts in, cost out."""

from __future__ import annotations

import os
from itertools import groupby

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator, Buffer, load_accelerator
from addersim.hardware.compute import operation_prices
from addersim.hardware.cost import Component, Cost, EnergyPart, LayerCost, PriceUsed, on_common_grain
from addersim.hardware.energy import EnergyTable, Price
from addersim.hardware.energy_file import load_table
from addersim.hardware.latency import Bound, LayerCycles, stage_cycles
from addersim.hardware.memory import Access, Moved, fold_layer, layer_accesses
from addersim.hardware.schedule import kept_on_chip, schedule
from addersim.trace import LayerTrace, Trace

__all__ = ["estimate"]

OpPrices = dict[tuple[str, int], Price]


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
        Images that are run together, layer by layer: weights are fetched once for all. The cost is that of the batch.

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
        idle = LayerCycles(0, 0, 0)
        layers = [_layer_cost(layer, _arithmetic(layer, prices, batch), (0, "none"), idle, (), 0.0) for layer in trace.layers]
    else:
        bits = _BitPrices(machine, energies)
        layers = _hardware_layers(trace, machine, prices, bits, batch)
        used += bits.used
    return Cost(
        network=trace.name,
        accelerator=machine.name,
        table=energies.name,
        convention=trace.convention,
        batch=batch,
        clock_mhz=machine.clock_mhz,
        elements=machine.array.elements,
        taps=trace.taps * batch,
        layers=on_common_grain(layers),
        prices=tuple(used),
    )


class _BitPrices:
    """Energy of accesses: whole words of the buffers, bits of DRAM."""

    def __init__(self, machine: Accelerator, table: EnergyTable) -> None:
        buffers, dram = machine.buffers, machine.dram
        self._buffers: dict[Moved, tuple[Buffer, float]] = {}
        self.used: list[PriceUsed] = []
        names: tuple[Moved, ...] = ("input", "weight", "output")
        for name, buffer in zip(names, (buffers.input, buffers.weight, buffers.output), strict=True):
            price = table.sram(buffer.capacity_kib)
            self._buffers[name] = buffer, price.energy_pj * buffer.word_bits
            self.used.append(PriceUsed(f"{name} buffer of {buffer.capacity_kib:g} KiB", "bit", price))
        self._buffers["partial_sum"] = self._buffers["output"]
        if dram.energy_pj_per_bit is None:
            price = table.dram(dram.kind)
        else:
            price = Price(dram.energy_pj_per_bit, "given by the accelerator", dram.source or "")
        self._dram_pj = price.energy_pj
        self.used.append(PriceUsed(f"DRAM {dram.kind}", "bit", price))

    def energy_pj(self, access: Access) -> float:
        """Energy of one access record; reads and writes cost the same."""
        if access.level == "dram":
            return access.size_bits * self._dram_pj
        buffer, word_pj = self._buffers[access.operand]
        return (buffer.words(access.reads, access.bits) + buffer.words(access.writes, access.bits)) * word_pj


def _hardware_layers(trace: Trace, machine: Accelerator, prices: OpPrices, bits: _BitPrices, batch: int) -> list[LayerCost]:
    order = schedule(trace)
    kept = kept_on_chip(order, trace, machine.buffers, batch)
    rows: list[tuple[LayerTrace, LayerCycles, tuple[Access, ...]]] = []
    for index, layer in enumerate(trace.layers):
        if index in order.views:
            rows.append((layer, LayerCycles(0, 0, 0), ()))
            continue
        folds = fold_layer(layer, machine, batch)
        inputs_kept = tuple(source in kept for source in order.sources[index])
        accesses = layer_accesses(layer, folds, machine, batch, inputs_kept, index not in kept)
        rows.append((layer, LayerCycles.of(layer, folds, accesses, machine, batch), accesses))
    found = []
    for _, stage in groupby(range(len(rows)), key=order.stages.__getitem__):
        members = [rows[index] for index in stage]
        passing = stage_cycles(own for _, own, _ in members)
        for layer, own, accesses in members:
            parts = _arithmetic(layer, prices, batch) + [
                EnergyPart(access.level, access.operand, bits.energy_pj(access)) for access in accesses
            ]
            found.append(_layer_cost(layer, parts, passing, own, accesses, _utilisation(layer, own, machine, batch)))
            passing = 0, "fused"
    return found


def _arithmetic(layer: LayerTrace, prices: OpPrices, batch: int) -> list[EnergyPart]:
    by_op: dict[str, float] = {}
    for (op, bits), number in layer.operations.items():
        by_op[op] = by_op.get(op, 0.0) + number * batch * prices[op, bits].energy_pj
    unit: Component = "vector" if layer.work is None else "array"
    return [EnergyPart(unit, op, energy) for op, energy in by_op.items()]


def _utilisation(layer: LayerTrace, own: LayerCycles, machine: Accelerator, batch: int) -> float:
    if layer.work is not None:
        return layer.work.taps * batch / (own.array * machine.array.elements)
    return layer.operations.total() * batch / (own.vector * machine.vector.lanes) if own.vector else 0.0


def _layer_cost(
    layer: LayerTrace,
    parts: list[EnergyPart],
    passing: tuple[int, Bound],
    own: LayerCycles,
    accesses: tuple[Access, ...],
    utilisation: float,
) -> LayerCost:
    return LayerCost(
        name=layer.name,
        kind=layer.kind,
        datapath=layer.datapath,
        cycles=passing[0],
        bound=passing[1],
        compute_cycles=own.array + own.vector,
        dram_cycles=own.dram,
        utilisation=utilisation,
        parts=tuple(parts),
        accesses=accesses,
    )
