"""A netlist driven by operands: its gates as arrays for the engine of events, and the toggles of every net."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from addersim.errors import HardwareError
from addersim.hardware.gates.cells import Cell, Pin
from addersim.hardware.gates.functions import names_in, truth_table
from addersim.hardware.gates.netlist import Instance, Netlist
from addersim.hardware.gates.timing import Timing
from addersim.kernels.gates import GATE_INPUTS, Activity, GateNetlist, run_gates

__all__ = ["Driven", "Simulator", "Toggles"]

Array = npt.NDArray[Any]
Engine = Callable[[GateNetlist, Array, Array], Activity]

STEPS = 4096
"""Steps in which the longest way is cut: delays are told to less than a thousandth of it."""


class Toggles(NamedTuple):
    """Changes of each net a cycle: all of them, and those that are left when glitches are."""

    every: Array
    settled: Array


class Driven(NamedTuple):
    """What a netlist did: the words of its outputs, one a cycle (of that cycle's operands and state), and its toggles."""

    outputs: Mapping[str, Array]
    toggles: Toggles


@dataclass(frozen=True, slots=True)
class Simulator:
    """A netlist as the engine takes it.

    Attributes
    ----------
    netlist
        The cells.
    gates
        The same, as arrays.
    inputs
        Names of the ports that are driven, with their first place in the stimulus and their width.
    """

    netlist: Netlist
    gates: GateNetlist
    inputs: Mapping[str, tuple[int, int]]

    @classmethod
    def of(cls, timing: Timing, steps: int = STEPS) -> Simulator:
        """The gates of a netlist, with the delays that its timing gives."""
        netlist, clocks = timing.netlist, timing.netlist.clock_nets
        step = max(timing.delay_ns, 1e-6) / steps
        inputs: dict[str, tuple[int, int]] = {}
        sources: list[tuple[int, int, int, int]] = []
        place = 0
        for port in netlist.ports.values():
            if not port.is_input or clocks.intersection(port.nets):
                continue
            inputs[port.name] = place, len(port.nets)
            sources += [(net, 1, place + k, 0) for k, net in enumerate(port.nets)]
            place += len(port.nets)
        for number, one in enumerate(netlist.flops):
            for pin in one.cell.outputs:
                if pin.name in one.nets:
                    delay = _in_steps(timing.arrivals[one.nets[pin.name]].mean, step)
                    sources.append((one.nets[pin.name], delay, place + number, _is_inverse(one.cell, pin)))
        driven = np.array(sources, np.int64).reshape(-1, 4)
        outputs = [(one, pin) for one in netlist.gates for pin in one.cell.outputs if pin.name in one.nets]
        pins = [[one for one in each.cell.inputs if one.name in names_in(out.function)] for each, out in outputs]
        rows = list(zip(outputs, pins, strict=True))
        flops = [_next_state(one) for one in netlist.flops]
        gates = GateNetlist(
            nets=len(netlist.loads_pf),
            gate_table=np.array([_table(out.function, used, each) for (each, out), used in rows], np.uint64),
            gate_pins=_padded([[each.nets.get(pin.name, 0) for pin in used] for (each, _), used in rows], 0),
            gate_delay=_padded([_delays(timing, each, out, used, step) for (each, out), used in rows], 1),
            gate_net=np.array([each.nets[out.name] for each, out in outputs], np.int64),
            flop_table=np.array([table for table, _ in flops], np.uint64),
            flop_pins=_padded([nets for _, nets in flops], 0),
            source_net=driven[:, 0],
            source_delay=driven[:, 1],
            source_of=driven[:, 2],
            source_inverted=driven[:, 3],
            inputs=place,
        )
        return cls(netlist, gates, inputs)

    def drive(self, words: Mapping[str, Array], engine: Engine = run_gates) -> Driven:
        """Drive the inputs with words, one a cycle; registers begin at zero.

        Parameters
        ----------
        words
            Of each input port; negative ones in two's complement. Ports that are not named hold 0.
        engine
            `addersim.kernels.gates.run_gates`, or its slow twin.

        Raises
        ------
        HardwareError
            A port that is none, or words of unequal number.
        """
        if unknown := sorted(set(words) - set(self.inputs)):
            raise HardwareError(f"netlist: it has no input {unknown[0]}; inputs: {', '.join(self.inputs)}")
        lengths = {len(one) for one in words.values()}
        if len(lengths) != 1 or min(lengths) < 2:
            raise HardwareError(f"netlist: {sorted(lengths)} words at its inputs; needs as many at each, two or more")
        cycles = lengths.pop()
        stimulus = np.zeros((cycles, self.gates.inputs), np.uint8)
        for name, given in words.items():
            first, width = self.inputs[name]
            stimulus[:, first : first + width] = np.asarray(given, np.int64)[:, None] >> np.arange(width) & 1
        outputs = [port for port in self.netlist.ports.values() if not port.is_input]
        probes = np.array([net for port in outputs for net in port.nets], np.int64)
        seen = engine(self.gates, stimulus, probes)
        found, at = {}, 0
        for port in outputs:
            bits = seen.probed[:, at : at + len(port.nets)].astype(np.int64)
            found[port.name] = (bits << np.arange(len(port.nets))).sum(axis=1)
            at += len(port.nets)
        return Driven(found, Toggles(seen.toggles / (cycles - 1), seen.settled / (cycles - 1)))


def _in_steps(delay_ns: float, step_ns: float) -> int:
    if not math.isfinite(delay_ns / step_ns):
        raise HardwareError("netlist: a delay comes out as no finite number; the library's tables cannot be right")
    return max(1, round(delay_ns / step_ns))


def _table(function: str, pins: list[Pin], one: Instance) -> int:
    """Truth table of an output over all pins that the engine gives a gate; those that it has not are 0."""
    return _spread(truth_table(function, [pin.name for pin in pins], f"cell {one.cell.name}"), len(pins))


def _spread(table: int, inputs: int) -> int:
    """A truth table of some inputs as one of `GATE_INPUTS`, of which the others do not count."""
    for place in range(inputs, GATE_INPUTS):
        table |= table << (1 << place)
    return table


def _delays(timing: Timing, one: Instance, out: Pin, pins: list[Pin], step: float) -> list[int]:
    delays = timing.delays[one.name, out.name]
    least = min(delays.values(), default=step)
    return [_in_steps(delays.get(pin.name, least), step) for pin in pins]


def _padded(rows: list[list[int]], fill: int) -> Array:
    whole = [[*row, *[fill] * (GATE_INPUTS - len(row))] for row in rows]
    return np.array(whole, np.int64).reshape(-1, GATE_INPUTS)


def _is_inverse(cell: Cell, pin: Pin) -> int:
    """Whether an output of a register shows the inverse of what it holds."""
    assert cell.flop is not None
    plain = re.sub(r"[\s()]", "", pin.function)
    if plain not in (cell.flop.state, cell.flop.inverse):
        raise HardwareError(f"cell {cell.name}: its output {pin.name} is {plain}, neither its state nor the inverse")
    return int(plain == cell.flop.inverse)


def _next_state(one: Instance) -> tuple[int, list[int]]:
    """What a register takes at the next edge: a table, and the nets that it reads."""
    assert one.cell.flop is not None
    names = names_in(one.cell.flop.next_state)
    held = {one.cell.flop.state: 0, one.cell.flop.inverse: 1}
    if shown := [name for name in names if name in held]:
        raise HardwareError(f"cell {one.cell.name}: its next state reads {shown[0]}, its own; hide such registers")
    table = truth_table(one.cell.flop.next_state, names, f"cell {one.cell.name}")
    return _spread(table, len(names)), [one.nets.get(name, 0) for name in names]
