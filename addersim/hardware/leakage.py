"""Leakage: what the circuits of an accelerator draw while it runs, whether they work or not.

Power comes from the table's leakage column for everything in `area.inventory`; what has no figure is named, and a table
without any gives no leakage at all. Energy of a layer is power times the cycles that pass for it.
"""

from __future__ import annotations

from addersim.arithmetic.ops import sum_by_key
from addersim.errors import PriceError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.area import Unit, inventory
from addersim.hardware.layer_cost import EnergyPart, UnitEnergy, UnitEnergyUsed
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import Trace

__all__ = ["Leakage"]


class Leakage:
    """Leakage of an accelerator that is made for a network.

    Attributes
    ----------
    power_uw
        Power by unit; empty where the table has no leakage.
    missing
        What the table has no leakage for, though it has some.
    """

    def __init__(self, trace: Trace, accelerator: Accelerator, table: EnergyTable) -> None:
        self._clock_mhz = accelerator.clock_mhz
        powers: list[tuple[Unit, float]] = []
        missing, sources = [], dict[str, None]()
        has_any = any(row.leakage_uw is not None for row in table.rows)
        for circuit in inventory(trace, accelerator, table) if has_any else ():
            try:
                figure = table.leakage(circuit.component, circuit.op, circuit.bits, circuit.capacity_kib, circuit.device)
            except PriceError:
                missing.append(circuit.what)
                continue
            powers.append((circuit.unit, figure.value * circuit.number))
            sources[figure.source] = None
        self.power_uw = sum_by_key(powers)
        self.missing = tuple(dict.fromkeys(missing)) if self.power_uw else ()
        self._source = "; ".join(sources)

    def parts(self, cycles: int) -> list[EnergyPart]:
        """Energy that leaks in a number of cycles, by unit."""
        return [EnergyPart("leakage", unit, power / self._clock_mhz * cycles) for unit, power in self.power_uw.items()]

    @property
    def used(self) -> list[UnitEnergyUsed]:
        """The energy of a cycle by unit, as unit energies of a cost."""
        without = f"; no figure for {', '.join(self.missing)}" if self.missing else ""
        return [
            UnitEnergyUsed(
                f"leakage of {'memories' if unit == 'buffer' else unit}",
                "cycle",
                UnitEnergy(power / self._clock_mhz, f"{power:.4g} uW at {self._clock_mhz:g} MHz{without}", self._source),
            )
            for unit, power in self.power_uw.items()
        ]
