"""DesignCosts: what a network costs on many designs, a column a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

import numpy as np

from addersim.format_quantity import ENERGY_UNITS, TIME_UNITS, how_many, quantity
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.arrays import BoolArray, FloatArray, IntArray
from addersim.hardware.cost import Cost
from addersim.hardware.designs.arrays_in_batch import FoundInBatch
from addersim.hardware.layer_cost import Component
from addersim.tabular import Row, Tabular
from addersim.trace import Trace

__all__ = ["DesignCosts", "Figures"]

_COMPONENTS: tuple[Component, ...] = get_args(Component)


class Figures(NamedTuple):
    """What designs cost, as in `DesignCosts`."""

    energy_pj: FloatArray
    cycles: FloatArray
    dram_bytes: FloatArray
    cold_start_pj: FloatArray
    energy_pj_by_component: dict[Component, FloatArray]
    errors: dict[int, str]


@dataclass(frozen=True, slots=True, repr=False)
class DesignCosts(Tabular):
    """Costs of a network on many designs, each for its batch: arrays with an entry a design, NaN where it was refused.

    Attributes
    ----------
    network, table
        Names.
    designs
        The designs.
    batches
        Images that run together.
    energy_pj, cycles, dram_bytes, cold_start_pj
        As in `Cost`; the last is paid once, and is in no other figure.
    energy_pj_by_component
        By component, as in `Cost`.
    errors
        Why a design was refused, by its place.
    """

    network: str
    table: str
    designs: Sequence[Accelerator]
    batches: IntArray
    energy_pj: FloatArray
    cycles: FloatArray
    dram_bytes: FloatArray
    cold_start_pj: FloatArray
    energy_pj_by_component: dict[Component, FloatArray]
    errors: dict[int, str]

    @classmethod
    def empty(cls, trace: Trace, table: str, designs: Sequence[Accelerator], batch: int | None) -> DesignCosts:
        """Costs that are not known yet."""
        images = [one.batch if batch is None else batch for one in designs]
        energy, cycles, dram_bytes, cold_start = np.full((4, len(designs)), np.nan)
        by_component = {name: np.full(len(designs), np.nan) for name in _COMPONENTS}
        return cls(
            trace.name,
            table,
            tuple(designs),
            np.array(images, np.int64),
            energy,
            cycles,
            dram_bytes,
            cold_start,
            by_component,
            {},
        )

    def set_batch(self, places: IntArray, costs: FoundInBatch, arithmetic: Mapping[Component, float]) -> BoolArray:
        """Take what was found of some designs in batch; says for which of them it is known."""
        told: BoolArray = np.isfinite(costs.energy_pj)
        at = places[told]
        self.energy_pj[at], self.cycles[at] = costs.energy_pj[told], costs.cycles[told]
        self.dram_bytes[at], self.cold_start_pj[at] = costs.dram_bits[told] / 8, costs.cold_start_pj[told]
        parts = dict.fromkeys(_COMPONENTS, np.zeros(len(at))) | {"dram": costs.dram_pj[told]}
        parts |= {name: np.full(len(at), energy) for name, energy in arithmetic.items()}
        parts["buffer"] = np.maximum(self.energy_pj[at] - sum(parts.values()), 0)
        for name, energy in parts.items():
            self.energy_pj_by_component[name][at] = energy
        return told

    def set_alone(self, place: int, cost: Cost) -> None:
        """Take the cost of one design."""
        self.energy_pj[place], self.cycles[place], self.dram_bytes[place] = cost.energy_pj, cost.cycles, cost.dram_bytes
        self.cold_start_pj[place] = cost.cold_start_pj
        parts = cost.energy_by_component()
        for name in _COMPONENTS:
            self.energy_pj_by_component[name][place] = parts.get(name, 0.0)

    @property
    def figures(self) -> Figures:
        """All but what the designs are."""
        columns = self.energy_pj, self.cycles, self.dram_bytes, self.cold_start_pj
        return Figures(*columns, self.energy_pj_by_component, self.errors)

    def set_part(self, places: Sequence[int], figures: Figures) -> None:
        """Take the figures of some designs."""
        for column, part in zip(self.figures[:4], figures[:4], strict=True):
            column[places] = part
        for name, energies in figures.energy_pj_by_component.items():
            self.energy_pj_by_component[name][places] = energies
        self.errors.update({places[at]: error for at, error in figures.errors.items()})

    @property
    def latency_ms(self) -> FloatArray:
        """Time of the batch."""
        found: FloatArray = self.cycles / (np.array([one.clock_mhz for one in self.designs]) * 1e3)
        return found

    def pareto(self) -> IntArray:
        """Places of the designs that no other beats in energy or in latency without being worse in the other, the least energy
        first; of equal ones the first."""
        energy, latency = self.energy_pj / self.batches, self.latency_ms / self.batches
        ranked = np.lexsort((latency, energy))
        ranked = ranked[np.isfinite(energy[ranked])]
        best = np.minimum.accumulate(latency[ranked])
        return ranked[np.concatenate(([True], best[1:] < best[:-1]))] if len(ranked) else ranked

    def columns(self) -> dict[str, Any]:
        """A column a figure, with an entry a design: what the designs are, then what they cost."""
        designs = self.designs
        memories = [one.buffers.all_memories().values() for one in designs]
        return {
            "network": [self.network] * len(designs),
            "table": [self.table] * len(designs),
            "accelerator": [one.name for one in designs],
            "rows": [one.array.rows for one in designs],
            "columns": [one.array.columns for one in designs],
            "dataflow": [one.array.dataflow for one in designs],
            "memory_kib": [sum(memory.capacity_kib for memory in each) for each in memories],
            "bandwidth_gb_s": [one.dram.bandwidth_gb_s for one in designs],
            "clock_mhz": [one.clock_mhz for one in designs],
            "batch": self.batches,
            "energy_pj": self.energy_pj,
            **{f"energy_{name}_pj": energies for name, energies in self.energy_pj_by_component.items()},
            "cycles": self.cycles,
            "latency_ms": self.latency_ms,
            "dram_bytes": self.dram_bytes,
            "cold_start_pj": self.cold_start_pj,
            "error": [self.errors.get(place) for place in range(len(designs))],
        }

    def to_dict(self) -> Row:
        """Plain values, ready for JSON."""
        return {"network": self.network, "table": self.table, "designs": self.to_rows()}

    def to_rows(self) -> list[Row]:
        """One row a design; figures of refused ones are None."""
        columns = {name: _plain(name, values) for name, values in self.columns().items()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _title(self) -> str:
        return f"{self.network} on {how_many(len(self.designs), 'designs')}, prices of {self.table}"

    def _figures(self) -> dict[str, str]:
        best = self.pareto()
        if not len(best):
            return {"refused": f"{len(self.errors):,}"}
        energy = quantity(float(self.energy_pj[best[0]] / self.batches[best[0]]), ENERGY_UNITS)
        latency = quantity(float(self.latency_ms[best[-1]] / self.batches[best[-1]]), TIME_UNITS)
        return {"least energy": energy, "least latency": latency, "refused": f"{len(self.errors):,}"}

    def _lines(self) -> list[Row]:
        """The Pareto-optimal designs."""
        return [
            {
                "design": int(place) + 1,
                "array": f"{self.designs[place].array.rows}x{self.designs[place].array.columns}",
                "memory KiB": sum(one.capacity_kib for one in self.designs[place].buffers.all_memories().values()),
                "GB/s": self.designs[place].dram.bandwidth_gb_s,
                "energy nJ": float(self.energy_pj[place] / self.batches[place]) / 1e3,
                "latency ms": float(self.latency_ms[place] / self.batches[place]),
                "cold start nJ": float(self.cold_start_pj[place]) / 1e3,
            }
            for place in self.pareto()
        ]


def _plain(name: str, values: Any) -> list[Any]:
    plain = values.tolist() if isinstance(values, np.ndarray) else list(values)
    known = [None if isinstance(one, float) and math.isnan(one) else one for one in plain]
    return [None if one is None else int(one) for one in known] if name == "cycles" else known
