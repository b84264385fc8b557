"""A netlist of library cells, as yosys writes it in JSON: which cell drives and reads which net, and what each net carries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from addersim.errors import HardwareError
from addersim.format_quantity import first_of
from addersim.hardware.gates.cells import Cell, Library

__all__ = ["Instance", "Netlist", "Port", "read_netlist"]

CONSTANTS = 2
"""Nets 0 and 1 are those constants."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A cell in its place: the net at each of its pins."""

    name: str
    cell: Cell
    nets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the whole, its lowest bit first."""

    name: str
    is_input: bool
    nets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Netlist:
    """Cells and nets.

    Attributes
    ----------
    library
        What its cells are of.
    gates
        Combinational cells, each behind those that it reads.
    flops
        Registers.
    ports
        By name.
    loads_pf
        Capacitance of each net: of the pins that read it, and of its wires.
    """

    library: Library
    gates: tuple[Instance, ...]
    flops: tuple[Instance, ...]
    ports: Mapping[str, Port]
    loads_pf: tuple[float, ...]

    @property
    def cells(self) -> tuple[Instance, ...]:
        """All cells."""
        return (*self.gates, *self.flops)

    @property
    def area_um2(self) -> float:
        """Area of all cells."""
        return sum(one.cell.area_um2 for one in self.cells)

    @property
    def leakage_nw(self) -> float:
        """Leakage of all cells, the mean over their states."""
        return sum(one.cell.leakage_nw for one in self.cells)

    def size(self, taps: int = 1) -> dict[str, float]:
        """Area and leakage of one of some taps at once, as columns of a table; without what the library tells of no cell."""
        told = {"area_um2": self.area_um2 / taps, "leakage_uw": self.leakage_nw * 1e-3 / taps}
        return {column: value for column, value in told.items() if value}

    @property
    def clock_nets(self) -> set[int]:
        """The nets at the clock pins of its registers."""
        return {one.nets[one.cell.flop.clock] for one in self.flops if one.cell.flop}


def read_netlist(module: Mapping[str, Any], library: Library, with_wires: bool = True) -> Netlist:
    """The netlist of one module of yosys' JSON.

    Parameters
    ----------
    module
        ``modules[NAME]`` of the file.
    library
        What it was mapped to.
    with_wires
        False: nets carry the pins that read them alone.

    Raises
    ------
    HardwareError
        It holds a cell that the library has not, a loop of gates, or registers that nothing keeps from being forced.
    """
    numbers: dict[object, int] = {"0": 0, "1": 1, "x": 0, "z": 0}

    def net(bit: object) -> int:
        return numbers.setdefault(bit, len(numbers) - 2)  # the four constants are two nets

    ports = {
        name: Port(name, port["direction"] == "input", tuple(net(bit) for bit in port["bits"]))
        for name, port in module["ports"].items()
    }
    instances = [
        Instance(name, _cell(cell["type"], name, library), {pin: net(bits[0]) for pin, bits in cell["connections"].items()})
        for name, cell in module["cells"].items()
        if cell["type"] != "$scopeinfo"
    ]
    flops = tuple(one for one in instances if one.cell.flop)
    for one in flops:
        _check_unforced(one)
    gates = _in_order([one for one in instances if not one.cell.flop])
    return Netlist(library, gates, flops, ports, _loads(instances, ports, len(numbers) - 2, library, with_wires))


def _cell(kind: str, name: str, library: Library) -> Cell:
    found = library.cells.get(kind)
    if found is None:
        raise HardwareError(f"netlist: {name} is a {kind}, which library {library.name} has not; synthesis left it unmapped")
    return found


def _check_unforced(one: Instance) -> None:
    """Refuse a register whose clear or preset something drives: what it then holds nobody here knows."""
    assert one.cell.flop is not None
    for pin in one.cell.flop.forced:
        if one.nets.get(pin, 0) >= CONSTANTS:
            raise HardwareError(f"netlist: {pin} of {one.name} is driven; only registers without clear and preset are run")


def _in_order(gates: list[Instance]) -> tuple[Instance, ...]:
    """Gates so that each stands behind those that it reads."""
    driver = {one.nets[pin.name]: one for one in gates for pin in one.cell.outputs if pin.name in one.nets}
    reads = {
        one.name: {driver[one.nets[pin.name]].name for pin in one.cell.inputs if one.nets.get(pin.name) in driver}
        for one in gates
    }
    readers: dict[str, list[str]] = {}
    for name, sources in reads.items():
        for source in sources:
            readers.setdefault(source, []).append(name)
    left = {name: len(sources) for name, sources in reads.items()}
    ready, ordered = [one.name for one in gates if not left[one.name]], []
    while ready:
        name = ready.pop()
        ordered.append(name)
        for reader in readers.get(name, ()):
            left[reader] -= 1
            if not left[reader]:
                ready.append(reader)
    if len(ordered) < len(gates):
        looped = [name for name, number in left.items() if number]
        raise HardwareError(f"netlist: gates read each other in a loop: {first_of(looped)}; a loop needs a register")
    by_name = {one.name: one for one in gates}
    return tuple(by_name[name] for name in ordered)


def _loads(
    instances: Iterable[Instance], ports: Mapping[str, Port], nets: int, library: Library, with_wires: bool
) -> tuple[float, ...]:
    pins, fanouts = [0.0] * nets, [0] * nets
    for one in instances:
        for pin in one.cell.inputs:
            if pin.name in one.nets:
                pins[one.nets[pin.name]] += pin.load_pf
                fanouts[one.nets[pin.name]] += 1
    for port in ports.values():
        for net in () if port.is_input else port.nets:
            fanouts[net] = max(1, fanouts[net])  # an output drives a wire at least
    wires = library.wires.load_pf if with_wires else lambda fanout: 0.0
    return tuple(pin + wires(fanout) for pin, fanout in zip(pins, fanouts, strict=True))
