"""Energy of a cycle from the toggles of its nets: inside the cells, in the loads that they drive, and of the clock.

- A gate's edge costs what the library's tables say at its load and the mean slew of its inputs, and half of C V^2 of its net.
- Cells of several outputs (full adders, registers with an inverse output) tell the energy of the whole cell at each output:
  it is charged once, for the output that changes most.
- The tables of some registers hold the energy of the load, which then counts twice: they are read at no load, and the load is
  half of C V^2 like all others.
- Every register's clock pin sees two edges a cycle, and so does the clock's net.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.hardware.gates.netlist import Instance
from addersim.hardware.gates.timing import Timing

__all__ = ["CycleEnergy", "cycle_energy"]


class CycleEnergy(NamedTuple):
    """Energy of a cycle in pJ: of gates and inputs, of registers that change, and of the clock, which always runs."""

    gates_pj: float
    registers_pj: float
    clock_pj: float

    @property
    def total_pj(self) -> float:
        """All of it."""
        return sum(self)


def cycle_energy(timing: Timing, toggles: npt.NDArray[Any]) -> CycleEnergy:
    """Energy of a cycle in which each net toggles so often, on average.

    Parameters
    ----------
    timing
        A netlist with slews and loads.
    toggles
        Changes a cycle, one number a net.
    """
    netlist = timing.netlist
    volts2 = netlist.library.voltage_v**2
    loads = np.array(netlist.loads_pf)
    switching = 0.5 * volts2 * loads * toggles
    clocks = netlist.clock_nets
    driven = {one.nets[pin.name] for one in netlist.flops for pin in one.cell.outputs if pin.name in one.nets}
    registers = sum(_of_register(one, timing, toggles) for one in netlist.flops) + sum(switching[net] for net in driven)
    gates = sum(_of_gate(one, timing, toggles) for one in netlist.gates)
    gates += float(switching.sum()) - sum(switching[net] for net in driven | clocks)
    clock = sum(_of_clock(one, timing) for one in netlist.flops) + volts2 * sum(loads[net] for net in clocks)
    return CycleEnergy(float(gates), float(registers), float(clock))


def _of_gate(one: Instance, timing: Timing, toggles: npt.NDArray[Any]) -> float:
    slews = [timing.slews[net].mean for pin in one.cell.inputs if (net := one.nets.get(pin.name, 0)) in timing.slews]
    slew = sum(slews) / len(slews) if slews else timing.slew_ns
    outputs = [
        (toggles[one.nets[pin.name]], pin.energy_pj(slew, timing.netlist.loads_pf[one.nets[pin.name]]))
        for pin in one.cell.outputs
        if pin.name in one.nets
    ]
    return _once(outputs) + _of_inputs(one, timing, toggles)


def _of_register(one: Instance, timing: Timing, toggles: npt.NDArray[Any]) -> float:
    assert one.cell.flop is not None
    clock = one.cell.flop.clock
    outputs = [
        (toggles[one.nets[pin.name]] if pin.name in one.nets else 0.0, pin.energy_pj(timing.slew_ns, 0.0, clock))
        for pin in one.cell.outputs
        if pin.energies
    ]
    return _once(outputs) + _of_inputs(one, timing, toggles, clock)


def _once(outputs: list[tuple[float, float]]) -> float:
    """Energy of the outputs of one cell, each of which tells that of the whole cell."""
    if not outputs:
        return 0.0
    times, energies = zip(*outputs, strict=True)
    return float(max(times) * sum(energies) / len(energies))


def _of_inputs(one: Instance, timing: Timing, toggles: npt.NDArray[Any], clock: str = "") -> float:
    """Energy that inputs take without any output changing, where the library tells it of them."""
    return sum(
        float(toggles[one.nets[pin.name]]) * pin.energy_pj(timing.slew_ns, 0.0)
        for pin in one.cell.inputs
        if pin.energies and pin.name in one.nets and pin.name != clock
    )


def _of_clock(one: Instance, timing: Timing) -> float:
    assert one.cell.flop is not None
    pin = one.cell.pins[one.cell.flop.clock]
    return 2 * pin.energy_pj(timing.slew_ns, 0.0)
