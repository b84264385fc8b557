"""Cells of a library: pins, tables of delays and energies, registers, wires. Units are ns, pF, pJ, nW, um2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from addersim.hardware.gates.lookup import Lookup

__all__ = ["Arc", "Cell", "Flop", "Library", "Pin", "WireModel"]


class Arc(NamedTuple):
    """How an output follows an input, or a clock: delays and slews of its rising and falling edges."""

    related: str
    sense: str
    kind: str
    delays: tuple[Lookup, Lookup]
    slews: tuple[Lookup, Lookup]


@dataclass(frozen=True, slots=True)
class Pin:
    """A pin of a cell.

    Attributes
    ----------
    name, is_input
        Its name, and its direction.
    load_pf
        Capacitance of an input.
    function
        Of an output, its boolean function; empty where it has none.
    is_clock
        Whether the library marks it as a clock.
    arcs, setups
        Timing: of an output how it follows, of an input how long before the clock it must be there.
    energies
        Energy of one edge inside the cell: the inputs that it is of (none: of all), and its tables, of which the mean counts.
    """

    name: str
    is_input: bool
    load_pf: float
    function: str
    is_clock: bool
    arcs: tuple[Arc, ...]
    setups: tuple[Lookup, ...]
    energies: tuple[tuple[tuple[str, ...], tuple[Lookup, ...]], ...]

    def energy_pj(self, slew_ns: float, load_pf: float, related: str | None = None) -> float:
        """Energy inside the cell of an edge of this pin, the mean over what the tables tell apart; 0 where there are none."""
        found = [
            float(np.mean([table(slew_ns, load_pf) for table in tables]))
            for of, tables in self.energies
            if related is None or not of or related in of
        ]
        return float(np.mean(found)) if found else 0.0


class Flop(NamedTuple):
    """What makes a cell a register: the names of its state and the state's inverse, the clock pin, what comes next."""

    state: str
    inverse: str
    clock: str
    next_state: str
    forced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell; `flop` where it is a register that its clock's rising edge loads."""

    name: str
    area_um2: float
    leakage_nw: float
    pins: Mapping[str, Pin]
    flop: Flop | None

    @property
    def inputs(self) -> list[Pin]:
        """Its input pins."""
        return [pin for pin in self.pins.values() if pin.is_input]

    @property
    def outputs(self) -> list[Pin]:
        """Its output pins."""
        return [pin for pin in self.pins.values() if not pin.is_input]


class WireModel(NamedTuple):
    """Capacitance of a net's wires by its fan-out: points, between which it is interpolated, and a slope beyond."""

    fanouts: tuple[float, ...]
    loads_pf: tuple[float, ...]
    slope_pf: float
    about: str

    def load_pf(self, fanout: int) -> float:
        """Capacitance in pF; 0 of a net that nothing reads."""
        beyond = max(0.0, fanout - self.fanouts[-1])
        return float(np.interp(fanout, (0.0, *self.fanouts), (0.0, *self.loads_pf))) + self.slope_pf * beyond


@dataclass(frozen=True, slots=True)
class Library:
    """A library in one corner.

    Attributes
    ----------
    name, sha256
        Its name, and the hash of its file.
    voltage_v, temperature_c
        The corner.
    cells
        Those that may be used, by name.
    hidden
        Names of the others.
    wires
        Model of wires before layout.
    text
        The library without its hidden cells, as synthesis reads it.
    """

    name: str
    sha256: str
    voltage_v: float
    temperature_c: float
    cells: Mapping[str, Cell]
    hidden: tuple[str, ...]
    wires: WireModel
    text: str
