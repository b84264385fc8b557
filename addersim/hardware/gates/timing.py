"""Static timing of a netlist by the library's tables: arrivals and slews of both edges, and the delay of each gate.

Each net carries the load of its readers and wires; slews go on from gate to gate, the slowest of each edge. The inputs of the
whole change with the clock, at a given slew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from addersim.hardware.gates.functions import truth_table
from addersim.hardware.gates.liberty import Arc, Cell, Library, Pin
from addersim.hardware.gates.lookup import Lookup
from addersim.hardware.gates.netlist import Instance, Netlist

__all__ = ["Edges", "Timing", "usual_slew_ns"]

NEVER = -1e9


class Edges(NamedTuple):
    """Something of the rising and of the falling edge."""

    rise: float
    fall: float

    @property
    def mean(self) -> float:
        """Of both."""
        return (self.rise + self.fall) / 2


def usual_slew_ns(library: Library) -> float:
    """The slew of the clock and of the inputs: that of the smallest inverter which drives four of its like."""
    inverters = [one for one in library.cells.values() if not one.flop and len(one.inputs) == 1 and _inverts(one)]
    if not inverters:
        return 0.05
    least = min(inverters, key=lambda one: one.area_um2)
    (given,), (out,) = least.inputs, least.outputs
    slew = 0.0
    for _ in range(4):  # of a chain of them
        slew = _slowest([arc.slews for arc in out.arcs], slew, 4 * given.load_pf).mean
    return slew


def _inverts(cell: Cell) -> bool:
    return len(cell.outputs) == 1 and truth_table(cell.outputs[0].function, [cell.inputs[0].name], cell.name) == 1


@dataclass(frozen=True, slots=True)
class Timing:
    """Timing of a netlist.

    Attributes
    ----------
    netlist, slew_ns
        Of what, and the slew of clock and inputs.
    arrivals, slews
        Of each net, in ns behind the clock's edge.
    delays
        Of each output pin of a gate, by its inputs, in ns: the mean of both edges.
    """

    netlist: Netlist
    slew_ns: float
    arrivals: dict[int, Edges] = field(default_factory=dict)
    slews: dict[int, Edges] = field(default_factory=dict)
    delays: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, netlist: Netlist, slew_ns: float | None = None) -> Timing:
        """Timing of a netlist at a slew of clock and inputs; None for `usual_slew_ns`."""
        timing = cls(netlist, usual_slew_ns(netlist.library) if slew_ns is None else slew_ns)
        timing._start()
        for one in netlist.gates:
            for pin in one.cell.outputs:
                if pin.name in one.nets:
                    timing._follow(one, pin)
        return timing

    @property
    def delay_ns(self) -> float:
        """The longest way from register to register, or from inputs to outputs where there is none, setup included."""
        return max((self.arrivals[net][edge] + setup for net, setup, edge in self._ends()), default=0.0)

    def _start(self) -> None:
        usual = Edges(self.slew_ns, self.slew_ns)
        for port in self.netlist.ports.values():
            for net in port.nets if port.is_input else ():
                self.arrivals[net], self.slews[net] = Edges(0.0, 0.0), usual
        for one in self.netlist.flops:
            for pin in one.cell.outputs:
                if pin.name not in one.nets:
                    continue
                net = one.nets[pin.name]
                load, arcs = self.netlist.loads_pf[net], [arc for arc in pin.arcs if "edge" in arc.kind]
                self.arrivals[net] = _slowest([arc.delays for arc in arcs], self.slew_ns, load)
                self.slews[net] = _slowest([arc.slews for arc in arcs], self.slew_ns, load)

    def _follow(self, one: Instance, pin: Pin) -> None:
        """Arrival and slew at an output of a gate, the latest and the slowest of all its inputs."""
        net = one.nets[pin.name]
        load = self.netlist.loads_pf[net]
        latest, slowest = [NEVER, NEVER], [0.0, 0.0]
        delays: dict[str, list[float]] = {}
        for arc in pin.arcs:
            source = one.nets.get(arc.related, 0)
            if source not in self.arrivals:
                continue  # a constant
            for edges in _edges(arc):
                for out, given in enumerate(edges):
                    delay = arc.delays[out](self.slews[source][given], load)
                    delays.setdefault(arc.related, []).append(delay)
                    latest[out] = max(latest[out], self.arrivals[source][given] + delay)
                    slowest[out] = max(slowest[out], arc.slews[out](self.slews[source][given], load))
        if delays:
            self.arrivals[net], self.slews[net] = Edges(*latest), Edges(*slowest)
        self.delays[one.name, pin.name] = {name: sum(found) / len(found) for name, found in delays.items()}

    def _ends(self) -> Iterator[tuple[int, float, int]]:
        """Nets that something waits for, the setup that it asks for, and the edge."""
        for one in self.netlist.flops:
            assert one.cell.flop is not None
            for pin in one.cell.inputs:
                net = one.nets.get(pin.name, 0)
                if pin.name == one.cell.flop.clock or net not in self.arrivals or not pin.setups:
                    continue
                for edge in (0, 1):
                    table = pin.setups[edge % len(pin.setups)]
                    yield net, max(0.0, table(self.slew_ns, self.slews[net][edge])), edge
        for port in () if self.netlist.flops else self.netlist.ports.values():
            for net in () if port.is_input else port.nets:
                if net in self.arrivals:
                    yield from ((net, 0.0, edge) for edge in (0, 1))


def _slowest(tables: list[tuple[Lookup, Lookup]], slew: float, load: float) -> Edges:
    rise, fall = (max((pair[edge](slew, load) for pair in tables), default=0.0) for edge in (0, 1))
    return Edges(rise, fall)


def _edges(arc: Arc) -> tuple[tuple[int, int], ...]:
    """For the rising and the falling output the edge of the input that it follows: 0 rises, 1 falls."""
    same, other = (0, 1), (1, 0)
    return {"positive_unate": (same,), "negative_unate": (other,)}.get(arc.sense, (same, other))
