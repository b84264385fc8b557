"""Idle power: what an accelerator draws while it runs, whatever it does, as far as its file states it.

Clock tree, the refresh and background of DRAM, leakage that the energy table has no rows for: a power with its source, for the
whole accelerator, for its array or for its DRAM. Energy of a layer is power times the cycles that pass for it, and a line of
its own. Nothing is stated for the bundled accelerators, and a power stays what it is where an array is made larger or smaller.
"""

from __future__ import annotations

from addersim.hardware.accelerator import Accelerator, Dram, SystolicArray
from addersim.hardware.layer_cost import EnergyPart, UnitEnergy, UnitEnergyUsed

__all__ = ["IdlePower"]


class IdlePower:
    """Idle power of an accelerator.

    Attributes
    ----------
    power_mw
        Power by what draws it: ``accelerator``, ``array``, ``dram``; empty where the file states none.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._clock_mhz = accelerator.clock_mhz
        stated: dict[str, Accelerator | SystolicArray | Dram]
        stated = {"accelerator": accelerator, "array": accelerator.array, "dram": accelerator.dram}
        self._sources = {of: one.idle_source or "" for of, one in stated.items()}
        self.power_mw = {of: one.idle_power_mw for of, one in stated.items() if one.idle_power_mw is not None}

    def parts(self, cycles: int) -> list[EnergyPart]:
        """Energy that is drawn in a number of cycles, by what draws it."""
        return [EnergyPart("idle", of, self._cycle_pj(power) * cycles) for of, power in self.power_mw.items()]

    @property
    def used(self) -> list[UnitEnergyUsed]:
        """The energy of a cycle by what draws it, as unit energies of a cost."""
        return [
            UnitEnergyUsed(
                f"idle power of {'DRAM' if of == 'dram' else of}",
                "cycle",
                UnitEnergy(
                    self._cycle_pj(power),
                    f"given by the accelerator, {power:.4g} mW at {self._clock_mhz:g} MHz",
                    self._sources[of],
                ),
            )
            for of, power in self.power_mw.items()
        ]

    def _cycle_pj(self, power_mw: float) -> float:
        return power_mw * 1e3 / self._clock_mhz
