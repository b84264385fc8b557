"""estimate: facts in, cost out."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import NamedTuple, TypeAlias, get_args

from addersim.errors import HardwareError, check_kind
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.batches import Parts
from addersim.hardware.cost import Compat, Cost
from addersim.hardware.layer_cost import LayerCost, UnitEnergyUsed, on_common_grain
from addersim.hardware.layer_walk import IDLE, Facts, SharedWork, TimedLayer, alike_layers, layer_cost
from addersim.hardware.least_way import least
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.elements import ZeroShare, array_prices, element_notes
from addersim.hardware.prices.multipliers import check_energy_stated, with_multiplier
from addersim.hardware.prices.operations import ArithmeticEnergies
from addersim.hardware.prices.scratchpads import for_array, scratchpad_notes
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.residency import residencies
from addersim.hardware.runs import Runs
from addersim.hardware.scalesim.compat import check_modelled, not_modelled, scalesim_layer
from addersim.hardware.schedule import schedule
from addersim.hardware.sparsity import skipping_zeros
from addersim.hardware.tap_order import toggles_in_order
from addersim.hardware.zero_savings import using_zeros
from addersim.inputs.limits import BATCH, shown
from addersim.inputs.text import did_you_mean
from addersim.trace import Trace

__all__ = ["MOST_TAPS", "Cost", "Ways", "estimate", "one_of", "ways_to_run"]

_LOG = logging.getLogger(__name__)

Notes: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""What must be known of some layers, and their names."""

MOST_TAPS = 10**15
"""Taps of a layer in a batch: the mappers count bits of all operands, weighed by a level's cost, in 64-bit numbers."""


def estimate(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str] = "systolic-16x16",
    table: EnergyTable | str | os.PathLike[str] = "horowitz-45nm",
    batch: int | None = None,
    objective: Objective | None = None,
    compat: Compat | None = None,
) -> Cost:
    """Energy and latency of a network on an accelerator.

    Energy is that of the trace's operations, of words that move between buffers and array or vector unit, and of words that
    move to and from DRAM (rules: `traffic`, `schedule`, `residency`, `latency`); leakage where the table has it (rules:
    `leakage`, `area`), and idle power where the accelerator states it (`idle`). Not included: registers, wires and control
    inside a systolic array, the clock tree unless it is stated. What zeros save: `zero_savings`. A trace in the ``paper``
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
        fit to stay on chip; or in parts, one after another, where that is better (rules: `batches`). The cost is that of the
        batch. None: the accelerator's own.
    objective
        What the choice of tiles makes least, stage by stage: ``energy``, ``latency`` in cycles, bits to and
        from ``dram``, or ``energy-delay``, the product of the first two, of which tiles that are best for each of the others
        are tried too, for the product of the whole network; None for energy, or what a row stationary array says.
    compat
        ``scalesim`` gives what SCALE-Sim 3.0.0 prints, without energy or DRAM: see `compat`. None: with its faults corrected.

    Raises
    ------
    ConfigError
        An accelerator or table that does not exist or does not parse.
    HardwareError
        The table lacks a needed unit energy, a memory is too small, or the trace contradicts itself, or does not know the
        zeros that the accelerator makes use of.
    """
    check_kind(trace, Trace, "estimate: trace")
    one_of("objective", objective, get_args(Objective))
    one_of("compat", compat, get_args(Compat))
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    if compat is not None:
        check_modelled(machine)
    _LOG.info(
        "estimate: %s on %s, prices of %s",
        trace.name,
        machine.name,
        getattr(table, "name", table),
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
        cost = _cost(trace, machine, images, "none", layers, (), compat)
        return replace(cost, known=not_modelled(machine, objective))
    if trace.convention == "paper":
        return _arithmetic_alone(trace, machine, table, images)
    ways = ways_to_run(trace, machine, table, objective)
    best, batch_parts = least(ways.runs, images)
    layers, used = best.layers(batch_parts), (*best.arithmetic.used, *best.used)
    cost = _cost(best.trace, machine, images, best.energies.name, layers, used, None, batch_parts)
    known = ways.notes + best.notes(batch_parts) + element_notes(machine.array, best.trace.layers, best.energies)
    prices = array_prices(best.trace.name, best.trace.layers, best.energies, _stated_zeros(machine))
    return replace(cost, cold_start=best.cold_start(), known=known, array_prices=prices)


class Ways(NamedTuple):
    """The ways in which a network's weights may lie on chip, each with its runs, and what must be known of all."""

    runs: list[Runs]
    notes: Notes


def ways_to_run(
    trace: Trace, machine: Accelerator, table: EnergyTable | str | os.PathLike[str], objective: Objective | None
) -> Ways:
    """The ways to run a network in the ``hardware`` convention, skipped zeros left out, none of them worked out yet.

    Raises
    ------
    HardwareError
        What `estimate` raises of trace and table.
    """
    trace, notes = using_zeros(trace, machine)
    trace, energies, arithmetic, unused = _arithmetic(trace, machine, table)
    ways = residencies(trace, machine)
    order, shared = schedule(trace), SharedWork(alike_layers(trace.layers, arithmetic))
    runs = [Runs(trace, order, machine, one, energies, arithmetic, objective, shared) for one in ways]
    return Ways(runs, notes + unused)


def _arithmetic(
    trace: Trace, machine: Accelerator, table: EnergyTable | str | os.PathLike[str]
) -> tuple[Trace, EnergyTable, ArithmeticEnergies, Notes]:
    """The trace with its toggles in the machine's order, the table with all that the layers need, and what operations take."""
    stated = with_multiplier(table if isinstance(table, EnergyTable) else load_table(table), trace.layers)
    check_energy_stated(stated, trace.layers)
    energies, notes = for_array(stated, machine.array), scratchpad_notes(stated, machine.array, trace.layers)
    if energies.knows_elements:
        trace, unused = toggles_in_order(trace, machine)
        notes += unused
    return trace, energies, ArithmeticEnergies.of(trace, energies, _stated_zeros(machine)), notes


def _stated_zeros(machine: Accelerator) -> ZeroShare | None:
    return None if machine.zero_share is None else ZeroShare(machine.zero_share, machine.zero_share_source or "")


def _arithmetic_alone(trace: Trace, machine: Accelerator, table: EnergyTable | str | os.PathLike[str], images: int) -> Cost:
    """Cost of a trace in the ``paper`` convention."""
    trace, energies, arithmetic, _ = _arithmetic(trace, machine, table)
    alone = [Facts(None, IDLE, (), arithmetic.parts(layer, images)) for layer in trace.layers]
    rows = [TimedLayer(layer, facts, 0, "none", 0.0) for layer, facts in zip(trace.layers, alone, strict=True)]
    parts = on_common_grain([row.facts.parts for row in rows])
    layers = tuple(layer_cost(row, one, images) for row, one in zip(rows, parts, strict=True))
    return _cost(trace, machine, images, energies.name, layers, tuple(arithmetic.used), None)


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
        raise HardwareError(
            f"{name}: found {shown(value)}, needs one of {', '.join(allowed)}{did_you_mean(str(value), allowed)}"
        )
