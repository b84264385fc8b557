"""A Liberty library: cells with areas, leakage, functions, and tables of delays and of energies by slew and load.

Units are those of this package whatever the file's: ns, pF, pJ, nW, um2. What it leaves out are cells that a circuit of
gates and edge-triggered registers has no use for (`Library.hidden`): latches, tri-state drivers, scan registers, clock gates,
cells that are marked ``dont_use``, and those whose outputs are functions of nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from addersim.errors import ConfigError
from addersim.hardware.gates.cells import Arc, Cell, Flop, Library, Pin, WireModel
from addersim.hardware.gates.functions import MAX_INPUTS, names_in
from addersim.hardware.gates.liberty_syntax import Group, parse_groups, read_library_text
from addersim.hardware.gates.lookup import MOST_VALUE, Lookup, lookup_of
from addersim.inputs.limits import read_number, shown, shown_text
from addersim.inputs.opening import source

__all__ = ["load_library"]


class _Units(NamedTuple):
    ns: float
    pf: float
    nw: float
    pj: float


def load_library(path: str | os.PathLike[str], hide: str | None = None) -> Library:
    """Read a library, plain, .gz or .xz.

    Parameters
    ----------
    path
        The file.
    hide
        A regular expression; cells in whose name it is found are not used.

    Raises
    ------
    ConfigError
        The file cannot be read, is no library or a damaged one, is too large, or has no timing, no power tables or no
        register.
    """
    text, content = read_library_text(path)
    where = source(path)
    try:
        wanted = None if hide is None else re.compile(hide)
    except re.error as fault:
        raise ConfigError(f"hide: found {shown(hide)}, needs a regular expression: {fault}") from None
    group = parse_groups(text, where)
    units = _units(group, where)
    templates = {one.name: one for one in group.groups if one.kind in ("lu_table_template", "power_lut_template")}
    cells, hidden = {}, []
    for one in group.all("cell"):
        if _useless(one) or (wanted is not None and wanted.search(one.name)):
            hidden.append(one)
            continue
        cells[one.name] = _cell(one, templates, units, f"{where}: cell {shown(one.name)}")
    _check(cells, where)
    return Library(
        name=group.name,
        sha256=hashlib.sha256(content).hexdigest(),
        voltage_v=_positive(group, "nom_voltage", where),
        temperature_c=_temperature(group, where),
        cells=cells,
        hidden=tuple(one.name for one in hidden),
        wires=_wires(group, cells, units, where),
        text=_without(text, hidden),
    )


def _check(cells: Mapping[str, Cell], where: str) -> None:
    """Refuse a library that no circuit with registers can be made and priced from."""
    if not cells:
        raise ConfigError(f"{where}: holds no cell that can be used")
    if not any(cell.flop for cell in cells.values()):
        raise ConfigError(f"{where}: holds no register that its clock's rising edge loads; a processing element needs one")
    if not any(_buffers(cell) for cell in cells.values()):
        raise ConfigError(f"{where}: holds no buffer (a cell whose output is its one input); yosys maps to none without")
    if not any(pin.arcs for cell in cells.values() for pin in cell.outputs):
        raise ConfigError(f"{where}: holds no timing tables (cell_rise, cell_fall)")
    if not any(pin.energies for cell in cells.values() for pin in cell.pins.values()):
        raise ConfigError(f"{where}: holds no power tables (internal_power): energies cannot be told from it")


def _buffers(cell: Cell) -> bool:
    plain = [re.sub(r"[\s()]", "", pin.function) for pin in cell.outputs]
    return cell.flop is None and [pin.name for pin in cell.inputs] == plain


def _units(group: Group, where: str) -> _Units:
    """What the file's units are in ours."""
    ns = _unit(group.simple.get("time_unit", "1ns"), {"ns": 1.0, "ps": 1e-3}, f"{where}: time_unit")
    given = group.complex.get("capacitive_load_unit", [["1", "pf"]])[0]
    pf = _unit("".join(given).lower(), {"pf": 1.0, "ff": 1e-3}, f"{where}: capacitive_load_unit")
    nw = _unit(
        group.simple.get("leakage_power_unit", "1nW").lower(),
        {"mw": 1e6, "uw": 1e3, "nw": 1.0, "pw": 1e-3},
        f"{where}: leakage_power_unit",
    )
    volts = _unit(group.simple.get("voltage_unit", "1V").lower(), {"v": 1.0, "mv": 1e-3}, f"{where}: voltage_unit")
    return _Units(ns, pf, nw, pf * volts**2)  # energies in tables are in units of capacitance times voltage squared


def _unit(text: str, known: Mapping[str, float], where: str) -> float:
    match = re.fullmatch(r"([0-9.]+)\s*([a-zA-Z]+)", text.strip())
    if not match or match[2] not in known:
        raise ConfigError(f"{where}: found {shown(text)}, needs a number and one of {', '.join(known)}")
    value = read_number(match[1], where)
    if not 0 < value <= MOST_VALUE:
        raise ConfigError(
            f"{where}: found {shown(text)}, needs a number above 0 to {MOST_VALUE:g} and one of {', '.join(known)}"
        )
    return value * known[match[2]]


def _number(group: Group, key: str, where: str, otherwise: float | None = None) -> float:
    """An attribute that no cell has below zero."""
    text = group.simple.get(key)
    if text is None and otherwise is None:
        raise ConfigError(f"{where}: {group.kind} {shown(group.name)} has no {key}")
    value = read_number(text, f"{where}: {key}") if text is not None else float(otherwise or 0.0)
    if not 0 <= value <= MOST_VALUE:
        raise ConfigError(f"{where}: {key}: found {shown_text(str(text))}, needs a number in 0..{MOST_VALUE:g}")
    return value


def _temperature(group: Group, where: str) -> float:
    """In degrees Celsius, which may be below zero."""
    value = read_number(group.simple.get("nom_temperature", "25"), f"{where}: nom_temperature")
    if not -273 <= value <= 1000:
        raise ConfigError(f"{where}: nom_temperature: found {value:g}, needs degrees Celsius in -273..1,000")
    return value


def _positive(group: Group, key: str, where: str) -> float:
    value = _number(group, key, where)
    if value == 0:
        raise ConfigError(f"{where}: {key}: found 0, needs a number > 0")
    return value


def _useless(cell: Group) -> bool:
    """Whether a circuit of gates and edge-triggered registers has no use for a cell."""
    kinds = {group.kind for group in cell.groups}
    marks = ("clock_gating_integrated_cell", "is_level_shifter", "is_isolation_cell", "switch_cell_type", "retention_cell")
    if kinds & {"latch", "statetable", "test_cell", "bus", "bundle", "latch_bank", "ff_bank"}:
        return True
    if cell.simple.get("dont_use", "").lower() == "true" or any(mark in cell.simple for mark in marks):
        return True
    pins = cell.all("pin")
    outputs = [pin for pin in pins if pin.simple.get("direction") == "output"]
    if not outputs or len(pins) - len(outputs) not in range(1, MAX_INPUTS + 1):
        return True
    if any("three_state" in pin.simple or not names_in(pin.simple.get("function", "")) for pin in outputs):
        return True
    flops = cell.all("ff")
    return bool(flops) and (len(flops) > 1 or not _loads_on_rise(flops[0]))


def _loads_on_rise(flop: Group) -> bool:
    return bool(re.fullmatch(r"\(?\s*[A-Za-z_]\w*\s*\)?", flop.simple.get("clocked_on", "")))


def _cell(group: Group, templates: Mapping[str, Group], units: _Units, where: str) -> Cell:
    pins = {one.name: _pin(one, templates, units, f"{where}, pin {shown(one.name)}") for one in group.all("pin")}
    states = [_number(one, "value", where, 0.0) for one in group.all("leakage_power")]
    leakage = _number(group, "cell_leakage_power", where, float(np.mean(states)) if states else 0.0)
    flops = group.all("ff")
    return Cell(group.name, _number(group, "area", where, 0.0), leakage * units.nw, pins, _flop(flops[0]) if flops else None)


def _flop(group: Group) -> Flop:
    state, inverse = (*group.arguments, "", "")[:2]
    forcing = " ".join(group.simple.get(key, "") for key in ("clear", "preset"))
    (clock,) = names_in(group.simple["clocked_on"])
    return Flop(state, inverse, clock, group.simple.get("next_state", ""), tuple(names_in(forcing)))


def _pin(group: Group, templates: Mapping[str, Group], units: _Units, where: str) -> Pin:
    arcs: list[Arc] = []
    setups: list[Lookup] = []
    for timing in group.all("timing"):
        kind = timing.simple.get("timing_type", "combinational")
        tables = {one.kind: _scaled(one, templates, units, units.ns, where) for one in timing.groups}
        if "setup" in kind:
            setups += [tables[name] for name in ("rise_constraint", "fall_constraint") if name in tables]
        elif "cell_rise" in tables and "cell_fall" in tables and not kind.startswith(("three_state", "clear", "preset")):
            slews = tuple(tables.get(name) or _none() for name in ("rise_transition", "fall_transition"))
            sense = timing.simple.get("timing_sense", "non_unate")
            delays = tables["cell_rise"], tables["cell_fall"]
            related = timing.simple.get("related_pin", "").split()
            arcs += [Arc(name, sense, kind, delays, (slews[0], slews[1])) for name in related]
    energies = []
    for power in group.all("internal_power"):
        named = [one for one in power.groups if one.kind in ("rise_power", "fall_power", "power")]
        if tables := {one.kind: _scaled(one, templates, units, units.pj, where) for one in named}:
            energies.append((tuple(power.simple.get("related_pin", "").split()), tuple(tables.values())))
    is_input = group.simple.get("direction") == "input"
    return Pin(
        name=group.name,
        is_input=is_input,
        load_pf=_number(group, "capacitance", where, 0.0) * units.pf if is_input else 0.0,
        function=group.simple.get("function", ""),
        is_clock=group.simple.get("clock", "").lower() == "true",
        arcs=tuple(arcs),
        setups=tuple(setups),
        energies=tuple(energies),
    )


def _scaled(group: Group, templates: Mapping[str, Group], units: _Units, value: float, where: str) -> Lookup:
    """A table in our units. Axes of a setup are two slews, of which the second is none of loads; it is read at equal ones."""
    table = lookup_of(group, templates, f"{where}, {group.kind}")
    along = units.ns if group.kind.endswith("_constraint") else units.pf
    return Lookup(table.slews * units.ns, table.loads * along, table.values * value)


def _none() -> Lookup:
    return Lookup(np.zeros(1), np.zeros(1), np.zeros((1, 1)))


def _wires(group: Group, cells: Mapping[str, Cell], units: _Units, where: str) -> WireModel:
    """The library's default wire-load model; without one, an input of the smallest cell a fan-out."""
    name = group.simple.get("default_wire_load", "")
    for one in group.all("wire_load"):
        points = sorted((float(x), float(y)) for x, y, *_ in _points(one, where))
        if one.name == name and points:
            per_length = _number(one, "capacitance", where, 0.0) * units.pf
            fanouts, lengths = zip(*points, strict=True)
            slope = _number(one, "slope", where, 0.0) * per_length
            loads = tuple(length * per_length for length in lengths)
            return WireModel(fanouts, loads, slope, f"the library's wire-load model {name}")
    loads_of_inputs = [pin.load_pf for cell in cells.values() if not cell.flop for pin in cell.inputs if pin.load_pf > 0]
    least = min(loads_of_inputs, default=0.0)
    return WireModel(
        (1.0,), (least,), least, f"none in the library: {least * 1e3:.2g} fF a fan-out, its smallest input, chosen"
    )


def _points(group: Group, where: str) -> Iterable[tuple[float, ...]]:
    for point in group.complex.get("fanout_length", []):
        if len(point) < 2:
            raise ConfigError(f"{where}: wire_load {shown(group.name)}: fanout_length needs a fan-out and a length")
        yield tuple(read_number(one, f"{where}: wire_load {shown(group.name)}") for one in point[:2])


def _without(text: str, cells: Iterable[Group]) -> str:
    """Text without some groups."""
    kept, at = [], 0
    for cell in sorted(cells, key=lambda one: one.start):
        kept.append(text[at : cell.start])
        at = cell.end
    return "".join([*kept, text[at:]])
