"""Prices: what a simulated network costs on an accelerator. Cheap, and done where the sweep was started."""

from __future__ import annotations

from functools import lru_cache

from addersim.exploration.sweeps.job_files import Failed, Priced, Simulated, attempt, with_circuit
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.area import AREA_TABLE, estimate_area
from addersim.hardware.estimate import estimate
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.table import EnergyTable
from addersim.quantization.rules import Circuit
from addersim.trace import Trace

__all__ = ["price"]


def price(
    simulated: Simulated, circuit: Circuit | None, accelerator: Accelerator, table: EnergyTable, batch: int
) -> Priced | Failed:
    """What a simulated network costs."""

    def run() -> Priced:
        trace = with_circuit(simulated.trace, circuit)
        cost = estimate(trace, accelerator, table, batch)
        return Priced(
            energy_pj=cost.energy_pj / batch,
            energy_pj_by_component={name: pj / batch for name, pj in cost.energy_by_component().items()},
            cycles=cost.cycles,
            latency_ms=cost.latency_ms,
            taps=trace.taps,
            area_mm2=_area_mm2(trace, accelerator),
        )

    return attempt(run)


@lru_cache(maxsize=1)
def _area_table() -> EnergyTable:
    """Read once: every point asks for it."""
    return load_table(AREA_TABLE)


def _area_mm2(trace: Trace, accelerator: Accelerator) -> float | None:
    """Area of the accelerator made for a network at its widths; None where the table lacks a circuit."""
    found = estimate_area(trace, accelerator, _area_table())
    return None if found.missing else found.area_mm2
