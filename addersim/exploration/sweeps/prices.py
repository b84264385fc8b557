"""Prices: what a simulated network costs on an accelerator. Cheap, and done where the sweep was started."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from addersim.exploration.sweeps.job_files import Failed, Priced, Simulated, attempt, with_circuit
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.area import AREA_TABLE, estimate_area
from addersim.hardware.designs.estimate_designs import estimate_designs
from addersim.hardware.estimate import estimate
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.table import EnergyTable
from addersim.quantization.rules import Circuit
from addersim.trace import Trace

__all__ = ["price", "price_designs"]


def price(
    simulated: Simulated, circuit: Circuit | None, accelerator: Accelerator, table: EnergyTable, batch: int
) -> Priced | Failed:
    """What a simulated network costs."""

    def run() -> Priced:
        trace = _billed(simulated, circuit)
        cost = estimate(trace, accelerator, table, batch)
        return Priced(
            energy_pj=cost.energy_pj / batch,
            energy_pj_by_component={name: pj / batch for name, pj in cost.energy_by_component().items()},
            cycles=cost.cycles,
            latency_ms=cost.latency_ms,
            taps=trace.taps,
            area_mm2=_area_mm2(trace, accelerator),
            cold_start_pj=cost.cold_start_pj,
        )

    return attempt(run)


def price_designs(
    simulated: Simulated, circuit: Circuit | None, designs: Sequence[Accelerator], table: EnergyTable, batch: int
) -> list[Priced | Failed]:
    """What a simulated network costs on many designs, all at once."""

    def run() -> list[Priced | Failed]:
        trace = _billed(simulated, circuit)
        found = estimate_designs(trace, designs, table, batch)
        latency_ms, areas = found.latency_ms, dict[Accelerator, float | None]()
        priced: list[Priced | Failed] = []
        for place, design in enumerate(designs):
            if place in found.errors:
                priced.append(Failed(error=" ".join(found.errors[place].split())))
                continue
            alike = replace(design, clock_mhz=1.0, dram=replace(design.dram, bandwidth_gb_s=1.0))  # neither takes area
            if alike not in areas:
                areas[alike] = _area_mm2(trace, alike)
            parts: dict[str, float] = {name: float(pj[place]) / batch for name, pj in found.energy_pj_by_component.items()}
            priced.append(
                Priced(
                    energy_pj=float(found.energy_pj[place]) / batch,
                    energy_pj_by_component=parts,
                    cycles=int(found.cycles[place]),
                    latency_ms=float(latency_ms[place]),
                    taps=trace.taps,
                    area_mm2=areas[alike],
                    cold_start_pj=float(found.cold_start_pj[place]),
                )
            )
        return priced

    outcome = attempt(run)
    return [outcome] * len(designs) if isinstance(outcome, Failed) else outcome


def _billed(simulated: Simulated, circuit: Circuit | None) -> Trace:
    return with_circuit(simulated.trace, circuit)


@lru_cache(maxsize=1)
def _area_table() -> EnergyTable:
    """Read once: every point asks for it."""
    return load_table(AREA_TABLE)


def _area_mm2(trace: Trace, accelerator: Accelerator) -> float | None:
    """Area of the accelerator made for a network at its widths; None where the table lacks a circuit."""
    found = estimate_area(trace, accelerator, _area_table())
    return None if found.missing else found.area_mm2
