"""Characterisation: one circuit synthesised, checked bit by bit, timed, and its energy told for streams of operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.errors import HardwareError
from addersim.hardware.gates.activity import Simulator
from addersim.hardware.gates.element_operands import Element, Operands, made_up_operands, uniform_operands
from addersim.hardware.gates.liberty import Library
from addersim.hardware.gates.netlist import Netlist, read_netlist
from addersim.hardware.gates.power import CycleEnergy, cycle_energy
from addersim.hardware.gates.timing import Timing
from addersim.rtl.elements import LATENCY

__all__ = ["ZERO_SHARES", "Circuit", "Fit", "fit_elements"]

Array = npt.NDArray[Any]

ZERO_SHARES = (0.0, 0.25, 0.5, 0.75)
"""Shares of zero inputs at which energies are fitted."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """An element as gates: timed, and ready to be driven."""

    element: Element
    timing: Timing
    simulator: Simulator

    @classmethod
    def of(cls, element: Element, module: Mapping[str, Any], library: Library) -> Circuit:
        """The circuit of an element's netlist."""
        timing = Timing.of(read_netlist(module, library))
        return cls(element, timing, Simulator.of(timing))

    @property
    def netlist(self) -> Netlist:
        """Its cells."""
        return self.timing.netlist

    def energy(self, operands: Operands) -> CycleEnergy:
        """Energy of a step on operands; of all its lanes together.

        Raises
        ------
        HardwareError
            A sum differs from what the package's arithmetic gives: the netlist is wrong.
        """
        driven = self.simulator.drive(operands.words(self.element))
        found, wanted = driven.outputs["sum"][LATENCY:], operands.sums(self.element)[:-LATENCY]
        if (found != wanted).any():
            step = int(np.argmax(found != wanted))
            raise HardwareError(
                f"{self.element.module}: step {step}: the netlist sums {found[step]:x}, its arithmetic {wanted[step]:x}, in "
                f"{self.element.accumulator_bits} bits"
            )
        return cycle_energy(self.timing, driven.toggles.every)


class Fit(NamedTuple):
    """Energy of a tap, by the share of zero inputs: ``energy_pj - zero_pj * share``.

    Attributes
    ----------
    energy_pj, zero_pj
        Of the line.
    error
        Largest relative error of the line at the shares that it was fitted to.
    idle_pj
        Of a cycle in which nothing changes: the clock's.
    uniform_pj
        On operands of which every code is as likely as any other.
    """

    energy_pj: float
    zero_pj: float
    error: float
    idle_pj: float
    uniform_pj: float


def fit_elements(circuit: Circuit, steps: int, seed: int) -> Fit:
    """The line of a circuit through made-up operands of several shares of zeros, least squares of relative errors."""
    element = circuit.element
    lanes = element.lanes
    shares, energies = [], []
    for place, share in enumerate(ZERO_SHARES if lanes == 1 else (0.0,)):
        operands = made_up_operands(element, share, steps, seed + place)
        shares.append(operands.zeros)
        energies.append(circuit.energy(operands).total_pj / lanes)
    uniform = circuit.energy(uniform_operands(element, steps, seed))
    if lanes > 1:
        return Fit(energies[0], 0.0, 0.0, uniform.clock_pj / lanes, uniform.total_pj / lanes)
    energy, zero, error = _line(np.array(shares), np.array(energies))
    return Fit(energy, zero, error, uniform.clock_pj, uniform.total_pj)


def _line(shares: Array, energies: Array) -> tuple[float, float, float]:
    """Energy without zeros, what a share of them takes off, never less than nothing, and the largest relative error."""
    columns = np.stack([np.ones(len(shares)), -shares], axis=1) / energies[:, None]
    if np.linalg.lstsq(columns, np.ones(len(shares)), rcond=None)[0][1] < 0:
        columns[:, 1] = 0.0
    found = np.linalg.lstsq(columns, np.ones(len(shares)), rcond=None)[0]
    return float(found[0]), float(found[1]), float(np.abs(columns @ found - 1).max())
