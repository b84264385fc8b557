"""Prices: what a simulated network costs on an accelerator. Cheap, and done where the sweep was started."""

from __future__ import annotations

from addersim.exploration.sweeps.job_files import Failed, Priced, Simulated, attempt, with_circuit
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.estimate import estimate
from addersim.hardware.prices.table import EnergyTable
from addersim.quantization.rules import Circuit

__all__ = ["price"]


def price(
    simulated: Simulated, circuit: Circuit | None, accelerator: Accelerator, table: EnergyTable, batch: int
) -> Priced | Failed:
    """What a simulated network costs."""

    def run() -> Priced:
        cost = estimate(with_circuit(simulated.trace, circuit), accelerator, table, batch)
        return Priced(
            energy_pj=cost.energy_pj / batch,
            energy_pj_by_component={name: pj / batch for name, pj in cost.energy_by_component().items()},
            cycles=cost.cycles,
            latency_ms=cost.latency_ms,
            taps=simulated.trace.taps,
        )

    return attempt(run)
