"""Summary: what is known of a network on an accelerator, in one record, and as plain values ready for JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, get_args

from addersim.errors import NetworkError
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.area import AREA_TABLE, NOT_COUNTED, Area, estimate_area
from addersim.hardware.cost import Component, Cost
from addersim.hardware.estimate import estimate
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table, table_names
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.schedule import schedule
from addersim.hardware.table_range import EnergyRange, estimate_range
from addersim.program import Program
from addersim.simulation import Simulation
from addersim.trace import LayerTrace, Trace

__all__ = [
    "Result",
    "area_document",
    "cost_document",
    "cost_rows",
    "evaluate",
    "simulation_document",
    "to_json",
    "trace_document",
]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one network on one accelerator.

    Attributes
    ----------
    name
        What readers call it; need not be the network's own name, such as ``lenet5-adder, 4 bits``.
    trace
        Facts of the network.
    cost
        What they cost.
    simulation
        What a run on images found, or None.
    program
        The integers behind the trace, for the formats of its weights, or None.
    notes
        What is special about this result, in words, by key.
    area
        Area of the accelerator made for this network, or None.
    spread
        Costs of the same design under several energy tables, or None.

    Raises
    ------
    NetworkError
        Where trace, cost and simulation are not of the same layers.
    """

    name: str
    trace: Trace
    cost: Cost
    simulation: Simulation | None = None
    program: Program | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    area: Area | None = None
    spread: EnergyRange | None = None

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.trace.layers]
        others: dict[str, Sequence[Any]] = {"cost": self.cost.layers}
        if self.simulation is not None:
            others["simulation"] = self.simulation.trace.layers
        if self.program is not None:
            others["program"] = self.program.layers
        for what, layers in others.items():
            if [layer.name for layer in layers] != names:
                raise NetworkError(f"result {self.name}: {what} and trace have different layers; give those of one program")

    @property
    def observed(self) -> tuple[LayerTrace, ...]:
        """The layers with what a run saw in them, where there was a run."""
        return (self.trace if self.simulation is None else self.simulation.trace).layers

    @property
    def errors(self) -> dict[str, float]:
        """Relative error by layer; empty without a simulation beside the float network."""
        return {} if self.simulation is None else {one.name: one.relative_error for one in self.simulation.errors}

    def energies_by_table(self) -> dict[str, float]:
        """Energy of one image in pJ under each energy table that was tried, the result's own always among them."""
        costs = (*(self.spread.costs if self.spread else ()), self.cost)
        return {cost.table: cost.energy_pj_per_image for cost in costs}

    def stages(self) -> list[tuple[str, tuple[int, ...]]]:
        """Layers that run as one pipeline, as indices, under the name that readers know: a window with what follows it.

        Layers that only rename a value are no stage.
        """
        order = schedule(self.trace)
        found = []
        for _, members in groupby(range(len(order.stages)), key=order.stages.__getitem__):
            stage = tuple(members)
            if not order.views.issuperset(stage):
                head = next((index for index in stage if self.trace.layers[index].work), stage[0])
                found.append((self.trace.layers[head].name, stage))
        return found


def evaluate(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str],
    table: EnergyTable | str | os.PathLike[str] = "horowitz-45nm",
    batch: int | None = None,
    *,
    name: str | None = None,
    simulation: Simulation | None = None,
    program: Program | None = None,
    notes: Mapping[str, str] | None = None,
    area_table: EnergyTable | str | os.PathLike[str] = AREA_TABLE,
    objective: Objective | None = None,
) -> Result:
    """All that is known of a network on an accelerator: its cost, its area, and the range of its energy over all tables.

    Parameters
    ----------
    trace, accelerator, table, batch, objective
        As in `estimate`. The range is over this table and every bundled one that can price the design.
    name, simulation, program, notes
        As in `Result`; without a name, the trace's own.
    area_table
        As in `estimate_area`.

    Raises
    ------
    HardwareError, ConfigError
        As `estimate`.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> found = evaluate(count(quantize(load_network("lenet5-adder"), None)), "systolic-16x16")
    >>> found.name, found.cost.table, found.area.elements
    ('lenet5-adder', 'horowitz-45nm', 256)
    """
    machine = accelerator if isinstance(accelerator, Accelerator) else load_accelerator(accelerator)
    prices = table if isinstance(table, EnergyTable) else load_table(table)
    others = (name for name in table_names() if name != prices.name)
    return Result(
        name=trace.name if name is None else name,
        trace=trace,
        cost=estimate(trace, machine, prices, batch, objective),
        simulation=simulation,
        program=program,
        notes=notes or {},
        area=None if trace.convention == "paper" else estimate_area(trace, machine, area_table),
        spread=estimate_range(trace, machine, [prices, *others], batch, objective),
    )


def trace_document(trace: Trace) -> Row:
    """A trace's counts as plain values."""
    return {
        "network": trace.name,
        "convention": trace.convention,
        "images": 1,
        "operations": trace.operations.by_operation(),
        "operations_by_bits": {f"{op}{bits}": number for (op, bits), number in trace.operations.items()},
        "taps": trace.taps,
        "taps_by_datapath": trace.taps_by_datapath(),
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "datapath": layer.datapath,
                "taps": layer.work.taps if layer.work else 0,
                "operations": layer.operations.by_operation(),
                "operations_by_bits": {f"{op}{bits}": number for (op, bits), number in layer.operations.items()},
                "output_format": layer.output_format,
                "accumulator_bits": layer.accumulator_bits,
                "weight_words": layer.weights.words,
                "weight_bits": layer.weights.bits,
            }
            for layer in trace.layers
        ],
    }


def simulation_document(simulation: Simulation) -> Row:
    """A simulation as plain values, without the choice for each image."""
    errors = {error.name: error.relative_error for error in simulation.errors}
    return {
        "network": simulation.network,
        "images": simulation.images,
        "accuracy_float": simulation.accuracy_float,
        "accuracy": simulation.accuracy,
        "agreement": simulation.agreement,
        "threshold": simulation.threshold,
        "departure": simulation.departure and asdict(simulation.departure),
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "datapath": layer.datapath,
                "output_format": layer.output_format,
                "accumulator_bits": layer.accumulator_bits,
                "observed": layer.observed and asdict(layer.observed),
                "relative_error": errors.get(layer.name),
            }
            for layer in simulation.trace.layers
        ],
    }


def cost_document(cost: Cost) -> Row:
    """A cost as plain values, for the whole batch."""
    return {
        "network": cost.network,
        "accelerator": cost.accelerator,
        "table": cost.table,
        "convention": cost.convention,
        "batch": cost.batch,
        "compat": cost.compat,
        "clock_mhz": cost.clock_mhz,
        "energy_pj": {"total": cost.energy_pj} | cost.energy_by_component(),
        "energy_pj_by_part": {f"{component} {of}": pj for (component, of), pj in cost.energy_by_part().items()},
        "cycles": cost.cycles,
        "latency_ms": cost.latency_ms,
        "images_per_second": cost.images_per_second,
        "utilisation": cost.utilisation,
        "taps": cost.taps,
        "peak_taps_per_cycle": cost.elements,
        "dram_bytes": cost.dram_bytes,
        "dram_bytes_per_cycle": cost.dram_bytes_per_cycle,
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "datapath": layer.datapath,
                "cycles": layer.cycles,
                "bound": layer.bound,
                "compute_cycles": layer.compute_cycles,
                "buffer_cycles": layer.buffer_cycles,
                "dram_cycles": layer.dram_cycles,
                "taps": layer.taps,
                "utilisation": layer.utilisation,
                "mapping_efficiency": layer.mapping_efficiency,
                "tiling": [loop._asdict() for loop in layer.tiling.loops] if layer.tiling else None,
                "accesses": [access._asdict() for access in layer.accesses],
                "energy_pj": {"total": layer.energy_pj} | layer.energy_by_component(),
            }
            for layer in cost.layers
        ],
        "prices": [{"what": used.what, "unit": used.unit, **used.energy._asdict()} for used in cost.prices],
    }


def area_document(area: Area) -> Row:
    """An area as plain values."""
    return {
        "table": area.table,
        "node_nm": area.node_nm,
        "elements": area.elements,
        "element_um2": area.element_um2,
        "area_um2": {"total": area.area_um2} | area.by_unit(),
        "parts": [
            {
                "unit": part.circuit.unit,
                "what": part.circuit.what,
                "number": part.circuit.number,
                "area_um2": part.area_um2,
                "rule": part.figure.rule,
                "source": part.figure.source,
            }
            for part in area.parts
        ],
        "missing": [*area.missing, *NOT_COUNTED],
    }


def cost_rows(cost: Cost) -> list[Row]:
    """A cost as a tidy table, one row a layer, for the whole batch; energy by component in columns of their own."""
    same = {"network": cost.network, "accelerator": cost.accelerator, "table": cost.table, "batch": cost.batch}
    rows = []
    for layer in cost_document(cost)["layers"]:
        energies = layer.pop("energy_pj")
        parts = {f"{name}_pj": energies.get(name, 0.0) for name in get_args(Component)}
        layer["layer"] = layer.pop("name")
        plain = {key: value for key, value in layer.items() if key != "layer" and not isinstance(value, dict | list)}
        rows.append({**same, "layer": layer["layer"], **plain, "energy_pj": energies["total"], **parts})
    return rows


def to_json(result: Result) -> Row:
    """A result as plain values: numbers, strings, lists and dicts by string."""
    return {
        "name": result.name,
        "notes": dict(result.notes),
        "simulation": result.simulation and simulation_document(result.simulation),
        "count": trace_document(result.trace),
        "cost": cost_document(result.cost),
        "area": result.area and area_document(result.area),
        "energy_pj_per_image_by_table": result.energies_by_table(),
        "tables_without_a_price": dict(result.spread.refused) if result.spread else {},
    }
