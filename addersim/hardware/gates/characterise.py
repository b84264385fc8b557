"""Characterisation: one circuit synthesised, checked bit by bit, timed, and its energy told for streams of operands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.errors import HardwareError
from addersim.hardware.gates.activity import Simulator
from addersim.hardware.gates.cells import Library
from addersim.hardware.gates.element_operands import Element, Operands, made_up_operands, uniform_operands
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
    by_toggles, toggle_error
        Energy of a tap by what its operands' bits do, times `Toggles.terms`, and its largest relative error; empty and 0 for
        elements that take several taps at once.
    """

    energy_pj: float
    zero_pj: float
    error: float
    idle_pj: float
    uniform_pj: float
    by_toggles: tuple[float, ...] = ()
    toggle_error: float = 0.0


def fit_elements(circuit: Circuit, steps: int, seed: int) -> Fit:
    """The lines of a circuit through made-up operands of several shares of zeros, least squares of relative errors.

    Energy by toggles is fitted to the same, and to those of two shares whose weights, or whose inputs, are held for a while.
    The line of an element of a row stationary array is through operands of which each input stays while filters take turns.
    Energy by toggles, the sum's among them, is fitted to those, to free ones, and to short sums that do not take turns.
    """
    element = circuit.element
    uniform = circuit.energy(uniform_operands(element, steps, seed))
    if element.lanes > 1:
        one = circuit.energy(made_up_operands(element, 0.0, steps, seed)).total_pj / element.lanes
        return Fit(one, 0.0, 0.0, uniform.clock_pj / element.lanes, uniform.total_pj / element.lanes)
    free = [made_up_operands(element, share, steps, seed + place) for place, share in enumerate(ZERO_SHARES)]
    held = [operands.held(x) for operands in free[::2] for x in (False, True)]
    if element.scratchpads:
        short = [one.alone() for one in free[::2]]
        free, held = [one.held(x=True, steps=one.turn) for one in free], [*free[::2], *held[::2], *short]
    energies = [circuit.energy(operands).total_pj for operands in (*free, *held)]
    (energy, zero), error = _fitted(np.array([(1.0, -one.zeros) for one in free]), np.array(energies[: len(free)]))
    terms = np.array([one.toggles(element).terms for one in (*free, *held)])
    by_toggles, toggle_error = _fitted(terms, np.array(energies))
    return Fit(energy, zero, error, uniform.clock_pj, uniform.total_pj, by_toggles, toggle_error)


def _fitted(terms: Array, energies: Array) -> tuple[tuple[float, ...], float]:
    """Factors of terms, none below nothing but the first's, of the least sum of squared relative errors; the largest of these.

    Of all choices of terms that count the best is taken whose factors are all positive: few terms allow that. The first alone
    counts always: tables that make no sense give an energy that makes none, which is told.
    """
    rows, best = terms / energies[:, None], (np.inf, np.zeros(terms.shape[1]))
    for chosen in product((False, True), repeat=terms.shape[1] - 1):
        places = np.flatnonzero((True, *chosen))
        factors = np.linalg.lstsq(rows[:, places], np.ones(len(rows)), rcond=None)[0]
        squares = float(((rows[:, places] @ factors - 1) ** 2).sum())
        if (factors[1:] >= 0).all() and squares < best[0]:
            whole = np.zeros(terms.shape[1])
            whole[places] = factors
            best = squares, whole
    return tuple(best[1].tolist()), float(np.abs(rows @ best[1] - 1).max())
