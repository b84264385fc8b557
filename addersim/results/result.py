"""Result: what is known of a network on an accelerator, in one record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from addersim.errors import NetworkError, check_kind
from addersim.format_quantity import AREA_UNITS, quantity
from addersim.hardware.accelerator import Accelerator, Objective
from addersim.hardware.area import AREA_TABLE, Area, estimate_area
from addersim.hardware.cost import Cost
from addersim.hardware.estimate import estimate
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table, table_names
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.schedule import schedule
from addersim.hardware.table_range import EnergyRange, estimate_range
from addersim.program import Program
from addersim.simulation import Simulation
from addersim.tabular import Row, Tabular, percent
from addersim.trace import LayerTrace, Trace

__all__ = ["Result", "evaluate"]


@dataclass(frozen=True, slots=True, repr=False)
class Result(Tabular):
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

    def to_dict(self) -> Row:
        """Plain values, ready for JSON."""
        return {
            "name": self.name,
            "notes": dict(self.notes),
            "simulation": self.simulation and self.simulation.to_dict(),
            "count": self.trace.to_dict(),
            "cost": self.cost.to_dict(),
            "area": self.area and self.area.to_dict(),
            "energy_pj_per_image_by_table": self.energies_by_table(),
            "tables_without_a_price": dict(self.spread.refused) if self.spread else {},
        }

    def to_rows(self) -> list[Row]:
        """One row a layer: the cost's, for the whole batch, and the relative error where there was a simulation."""
        errors = self.errors
        return [{"name": self.name} | row | {"relative_error": errors.get(row["layer"])} for row in self.cost.to_rows()]

    def _title(self) -> str:
        return f"{self.name} on {self.cost.accelerator}, prices of {self.cost.table}"

    def _figures(self) -> dict[str, str]:
        accuracy = None if self.simulation is None else self.simulation.accuracy
        found = {} if accuracy is None else {"accuracy": percent(accuracy)}
        found |= self.cost._figures()
        return found | ({"area": quantity(self.area.area_um2, AREA_UNITS)} if self.area else {})

    def _lines(self) -> list[Row]:
        return self.cost._lines()


def evaluate(
    trace: Trace,
    accelerator: Accelerator | str | os.PathLike[str] = "systolic-16x16",
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
    check_kind(trace, Trace, "evaluate: trace")
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
