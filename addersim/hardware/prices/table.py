"""Energy tables: the unit energy of an operation, an access or a bit of DRAM traffic, with its rule and its source.

The file format is described in `addersim.hardware.prices.csv_file`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from addersim.errors import PriceError
from addersim.hardware.layer_cost import UnitEnergy
from addersim.hardware.prices.consistency import check_rows, grid_gap
from addersim.hardware.prices.grid import Grid
from addersim.hardware.prices.row import (
    OF_TOGGLES,
    OPERAND_TOGGLES,
    QUANTITIES,
    REGISTERS,
    SCRATCHPADS,
    SIGNED,
    UNITS,
    ElementFigures,
    EnergyRow,
    Quantity,
    Size,
    device_of,
)  # fmt: skip
from addersim.hardware.prices.rules import SURFACES, DataPoint, PowerFit, Span, interpolate, points_needed, polynomial
from addersim.tabular import Listed

__all__ = ["EnergyTable", "Figure"]

_Key = tuple[str, str, str]


class Figure(NamedTuple):
    """The area in um2 or the leakage in uW of one component, the table's rule for it, and its source."""

    value: float
    rule: str
    source: str


@dataclass(frozen=True, slots=True, repr=False)
class EnergyTable(Listed):
    """Named unit energies, and the areas and leakages that come with them.

    Attributes
    ----------
    name
        The table's name, which every cost carries.
    rows
        The rows of the file, in its order.
    notes
        What is added to the rule of every figure that is not DRAM's, by quantity, or ``wire`` for wires: how it was scaled.

    Examples
    --------
    >>> from addersim.hardware import load_table
    >>> table = load_table("horowitz-45nm")
    >>> table.price("add", 8), table.price("mul", 32)
    (0.03, 3.1)
    >>> table.explain("mul", 16).rule
    'quadratic, between 8 and 32 bits'
    >>> table.sram(32, 64).energy_pj
    20.0
    """

    PARTS: ClassVar[str] = "rows"
    name: str
    rows: tuple[EnergyRow, ...]
    notes: Mapping[str, str] = field(default_factory=dict, hash=False)
    _by_key: Mapping[_Key, tuple[EnergyRow, ...]] = field(init=False, repr=False, compare=False)
    _devices: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _smallest: Mapping[str, float] = field(init=False, repr=False, compare=False)
    _lines: Mapping[tuple[_Key, bool, Quantity], list[DataPoint]] = field(init=False, repr=False, compare=False)
    _surfaces: Mapping[tuple[_Key, Quantity], Grid | PowerFit] = field(init=False, repr=False, compare=False)
    _asked: dict[tuple[str, str, Size, str | None], UnitEnergy] = field(init=False, repr=False, compare=False)
    """Unit energies that were asked for: designs by the thousand ask for the same ones."""

    def __post_init__(self) -> None:
        grouped: dict[_Key, list[EnergyRow]] = {}
        for row in self.rows:
            grouped.setdefault(row.key, []).append(row)
        ordered = {key: tuple(sorted(rows, key=_first)) for key, rows in grouped.items()}
        check_rows(self.name, self.rows, ordered)
        object.__setattr__(self, "_by_key", ordered)
        object.__setattr__(self, "_asked", {})
        object.__setattr__(self, "_devices", {row.component: row.device for row in reversed(self.rows)})
        spans = [(row.device, row.capacity_kib) for row in self.rows if row.component == "sram" and row.capacity_kib]
        smallest = {name: min(span[0] for device, span in spans if device == name) for name, _ in spans}
        object.__setattr__(self, "_smallest", smallest)
        object.__setattr__(self, "_lines", {key: line for rule in self.rows for key, line in self._drawn(rule)})
        surfaces = [row for row in self.rows if row.rule in SURFACES]
        object.__setattr__(self, "_surfaces", {key: surface for rule in surfaces for key, surface in self._spanned(rule)})

    def table(self) -> list[dict[str, Any]]:
        """One row a row of the file: what it is for, its sizes, its energy in pJ, and its source."""
        named = [(row, {"component": row.component, "op": row.op, "size": str(row)}) for row in self.rows]
        return [name | {"pJ": row.energy_pj, "rule": row.rule, "source": row.source} for row, name in named]

    def _title(self) -> str:
        return self.name

    def price(self, op: str, bits: int, component: str = "integer") -> float:
        """Energy of one operation, in pJ.

        Raises
        ------
        PriceError
            The table has no row for it. Never zero instead.
        """
        return self.explain(op, bits, component).energy_pj

    def explain(self, op: str, bits: int, component: str = "integer") -> UnitEnergy:
        """Energy of one operation with its rule and source."""
        return self._unit_energy(component, op, Size(bits), f"{component} {op} of {bits} bits")

    def sram(self, capacity_kib: float, word_bits: int = 1, op: str = "read", device: str | None = None) -> UnitEnergy:
        """Energy of reading (or, with `op` ``write``, writing) a word of an SRAM; by default one bit.

        `device` is one of `devices`, of which the first is the default.
        """
        what = f"sram of {capacity_kib:g} KiB, {op} of {_count(word_bits)}"
        return self._unit_energy("sram", op, Size(word_bits, capacity_kib), what, device)

    def register(self, op: str, bits: int, capacity_kib: float | None = None) -> UnitEnergy:
        """Energy of reading or writing a word of a register file (of a capacity, where the table's rows depend on it)."""
        what = "register" + (f" of {capacity_kib:g} KiB" if capacity_kib is not None else "") + f", {op} of {_count(bits)}"
        return self._unit_energy("register", op, Size(bits, capacity_kib), what)

    def network(self, bits: int, op: str = "hop") -> UnitEnergy:
        """Energy of moving a word from one processing element to the next, over the array's network."""
        return self._unit_energy("network", op, Size(bits), f"network {op} of {_count(bits)}")

    def wire(self, bits: int, device: str | None = None) -> UnitEnergy:
        """Energy of moving a word over one mm of chip; over wires that a `device` drives, where the table has them."""
        known = device if ("wire", "on-chip", device) in self._by_key else None
        return self._unit_energy("wire", "on-chip", Size(bits), f"wire, 1 mm of {_count(bits)}", known)

    def element(self, datapath: str, bits: int, style: str | None = None, signed: bool = False) -> ElementFigures:
        """Energy of a processing element: of a tap, and what zeros and rest take off it.

        `style` is one of ``styles(datapath)``, of which the first is the default. `signed` inputs have rows of their own where
        the table has such (`tells_signs`); else those without a sign are taken.

        Raises
        ------
        PriceError
            The table has no row for it.
        """
        chosen = (*self.styles(datapath), "")[0] if style is None else style
        device = device_of(chosen, signed and self.tells_signs(datapath, chosen))
        what = f"processing element {datapath} of {_count(bits)}" + (f", {device}" if device else "")
        return self._element(("pe", datapath, device), bits, what)

    def own_layer(self, name: str, bits: int) -> ElementFigures | None:
        """Energy of a tap of a layer with its own operands, by its row's name (`elements.row_of_layer`), or None."""
        key = "layer", name, ""
        return self._element(key, bits, name) if any(row.covers(Size(bits)) for row in self._by_key.get(key, ())) else None

    def delay(self, datapath: str, bits: int) -> Figure:
        """Longest way from register to register of a processing element, in ns, of its default style.

        Raises
        ------
        PriceError
            The table has no row that says so.
        """
        device = (*self.styles(datapath), "")[0]
        what = f"the delay of a processing element {datapath} of {_count(bits)}" + (f", {device}" if device else "")
        return self._find("delay_ns", ("pe", datapath, device), Size(bits), what)

    @property
    def knows_elements(self) -> bool:
        """Whether it prices whole processing elements: then the array is priced by these alone."""
        return any(row.component in ("pe", "layer") for row in self.rows)

    def styles(self, datapath: str) -> tuple[str, ...]:
        """Styles of a datapath's multiplier that it has rows for, the default first; the empty name where there is one."""
        devices = [row.device for row in self.rows if (row.component, row.op) == ("pe", datapath)]
        return tuple(dict.fromkeys(device for device in devices if not {SIGNED, SCRATCHPADS} & set(device.split())))

    def tells_signs(self, datapath: str, style: str | None = None) -> bool:
        """Whether it has rows of a processing element whose inputs have a sign; of the default style, or another."""
        chosen = (*self.styles(datapath), "")[0] if style is None else style
        return ("pe", datapath, device_of(chosen, True)) in self._by_key

    def dram(self, kind: str = "dram") -> UnitEnergy:
        """Energy of a bit that goes to or comes from DRAM."""
        return self._unit_energy("dram", kind, Size(1), f"dram of kind {kind!r}")

    def area(self, component: str, op: str, bits: int, capacity_kib: float | None = None, device: str | None = None) -> Figure:
        """Area of a component in um2: of one circuit for an operation, of one memory of a capacity.

        Raises
        ------
        PriceError
            No row says so.
        """
        return self._figure("area_um2", component, op, Size(bits, capacity_kib), device)

    def leakage(
        self, component: str, op: str, bits: int, capacity_kib: float | None = None, device: str | None = None
    ) -> Figure:
        """Leakage of a component in uW, as `area`."""
        return self._figure("leakage_uw", component, op, Size(bits, capacity_kib), device)

    def devices(self, component: str = "sram") -> tuple[str, ...]:
        """Kinds of transistors that a component has rows for, the default first; the empty name where the table names none."""
        return tuple(dict.fromkeys(row.device for row in self.rows if row.component == component))

    def smallest_kib(self, device: str | None = None) -> float:
        """The smallest capacity of an SRAM that some row holds for; infinite where there is none."""
        return self._smallest.get(self._devices.get("sram", "") if device is None else device, math.inf)

    def _key(self, component: str, op: str, device: str | None) -> _Key:
        key = component, op, self._devices.get(component, "") if device is None else device
        plain = component in ("sram", "register") and key not in self._by_key
        return (component, "access", key[2]) if plain else key

    def _unit_energy(self, component: str, op: str, size: Size, what: str, device: str | None = None) -> UnitEnergy:
        asked = component, op, size, device
        if asked not in self._asked:
            found = self._find("energy_pj", self._key(component, op, device), size, what + (f", {device}" if device else ""))
            self._asked[asked] = UnitEnergy(found.value, self._noted(found.rule, "energy_pj", component), found.source)
        return self._asked[asked]

    def _element(self, key: _Key, bits: int, what: str) -> ElementFigures:
        size = Size(bits)
        found = self._find("energy_pj", key, size, what)
        more = {name: self._optional(name, key, size) for name in ("zero_pj", "idle_pj", "accumulator_bits", "accumulator_pj")}
        contents = next((row.contains for row in self._by_key[key] if row.contains), ())
        note = f"; without {REGISTERS}" if contents and REGISTERS not in contents else ""
        rule, toggles = self._noted(found.rule, "energy_pj", "pe"), self._by_toggles(key, size)
        return ElementFigures(found.value, rule, found.source, **more, note=note, by_toggles=toggles)

    def _by_toggles(self, key: _Key, size: Size) -> tuple[float, ...]:
        """What an element takes by toggles, of the sum's where its rows have that; empty where they do not say."""
        try:
            found = tuple(self._find(quantity, key, size, "").value for quantity in OPERAND_TOGGLES)
        except PriceError:
            return ()
        try:
            return (*found, self._find("sum_toggle_pj", key, size, "").value)
        except PriceError:
            return found

    def _optional(self, quantity: Quantity, key: _Key, size: Size) -> float:
        """A figure of an element, 0 where its rows do not have it."""
        try:
            return self._find(quantity, key, size, "").value
        except PriceError:
            return 0.0

    def _figure(self, quantity: Quantity, component: str, op: str, size: Size, device: str | None) -> Figure:
        key = self._key(component, op, device)
        sizes = f"{size.bits:g} bits" + (f", {size.capacity_kib:g} KiB" if size.capacity_kib is not None else "")
        what = f"{quantity.split('_')[0]} of {component} {key[1]} of {sizes}" + (f", {device}" if device else "")
        found = self._find(quantity, key, size, what)
        return found._replace(rule=self._noted(found.rule, quantity, component))

    def _noted(self, rule: str, quantity: Quantity, component: str) -> str:
        scaled = self.notes.get("wire" if component == "wire" else quantity)
        text, semicolon, note = rule.partition("; ")
        return f"{text}, {scaled}{semicolon}{note}" if scaled and component != "dram" else rule

    def _find(self, quantity: Quantity, key: _Key, size: Size, what: str) -> Figure:
        covering = [row for row in self._by_key.get(key, ()) if row.covers(size)]
        rule = next((row for row in covering if not row.exact and self._serves(row, quantity)), None)
        exact = next((row for row in covering if row.exact and getattr(row, quantity) is not None), None)
        if exact is not None and (rule is None or rule.rule not in SURFACES):
            return Figure(getattr(exact, quantity) * _times(exact, quantity, size), "exact", exact.source)
        if rule is None:
            raise PriceError(f"energy table {self.name!r} has no row for {what}; it has {self._has(key)}")
        found = self._apply(rule, quantity, size, what)
        return found._replace(source=exact.source) if exact is not None and found.rule.startswith("exact") else found

    def _serves(self, rule: EnergyRow, quantity: Quantity) -> bool:
        """Whether a rule can tell a quantity: polynomials are of energies, interpolations need the rows' numbers."""
        if rule.rule == "fraction":
            return quantity in dict(rule.fractions)
        if quantity == "energy_pj" or rule.rule == "as":
            return True
        if rule.rule in SURFACES:
            return (rule.key, quantity) in self._surfaces
        return not rule.coefficients and len(self._points(rule, quantity)) >= points_needed(rule.rule)

    def _points(self, rule: EnergyRow, quantity: Quantity) -> list[EnergyRow]:
        found = [row for row in self._by_key[rule.key] if row.exact and getattr(row, quantity) is not None]
        return found if quantity in OF_TOGGLES else [row for row in found if getattr(row, quantity)]

    def _apply(self, rule: EnergyRow, quantity: Quantity, size: Size, what: str) -> Figure:
        if rule.like:
            found = self._find(quantity, (rule.component, rule.like, rule.device), size, what)
            share = dict(rule.fractions).get(quantity, 1.0)
            how = f"fraction {share:g} of {rule.like}" if rule.rule == "fraction" else f"as {rule.like}"
            return Figure(found.value * share, f"{how}: {found.rule}", f"{rule.source}; {found.source}")
        along = size.capacity_kib if rule.by_capacity else size.bits
        assert along is not None
        unit, evidence = "KiB" if rule.by_capacity else "bits", rule.evidence
        if rule.rule in SURFACES:
            surface = self._surfaces[rule.key, quantity]
            value, text = surface(along, size.bits), surface.describe(along, size.bits)
        elif points_needed(rule.rule):
            line = self._lines[rule.key, rule.by_capacity, quantity]
            value, text = interpolate(rule.rule, line, along)
            text += f" {unit}"
            evidence = (line[0][0], line[-1][0]) if points_needed(rule.rule) > 1 else None
        else:
            x = along * 8192 if rule.by_capacity else along
            value = polynomial(math.log2(x) if rule.rule == "polynomial-log2" else x, rule.coefficients)
            text = f"{rule.rule} {' '.join(f'{one:g}' for one in rule.coefficients)}"
        if evidence and (along < evidence[0] or (rule.by_capacity and along > evidence[1])):
            text += f"; outside the table's evidence of {evidence[0]:g}..{evidence[1]:g} {unit}"
        if not 0 <= value < math.inf:
            raise PriceError(
                f"energy table {self.name!r}: its {rule.rule} rule gives {value:g} {UNITS[quantity]} for {what}; "
                "needs 0 or more"
            )
        return Figure(value * _times(rule, quantity, size), text, rule.source)

    def _drawn(self, rule: EnergyRow) -> Iterator[tuple[tuple[_Key, bool, Quantity], list[DataPoint]]]:
        """For each quantity the exact rows along the axis of a rule that runs along them, by rising size."""
        for quantity in QUANTITIES if points_needed(rule.rule) else ():
            rows = self._points(rule, quantity)
            spans = [(row.capacity_kib if rule.by_capacity else row.bits) or (0.0, 0.0) for row in rows]
            line = sorted((span[0], getattr(row, quantity)) for span, row in zip(spans, rows, strict=True))
            yield (rule.key, rule.by_capacity, quantity), line

    def _spanned(self, rule: EnergyRow) -> Iterator[tuple[tuple[_Key, Quantity], Grid | PowerFit]]:
        """The grid or fit of each quantity that enough rows of a component, operation and device have."""
        for quantity in QUANTITIES:
            rows = [(row.capacity_kib, row.bits, getattr(row, quantity)) for row in self._points(rule, quantity)]
            points = [(capacity[0], bits[0], value) for capacity, bits, value in rows if capacity and bits]
            if rule.rule == "grid" and points and not grid_gap(points):
                yield (rule.key, quantity), Grid.of(points)
            elif rule.rule == "fit" and len(points) > 2:
                yield (rule.key, quantity), PowerFit.of(points)

    def _has(self, key: _Key) -> str:
        rows, (component, op, _) = self._by_key.get(key, ()), key
        if not rows or component == "dram":
            known = dict.fromkeys(f"{row.op} {row.device}".strip() for row in self.rows if row.component == component)
            return ", ".join(known) or f"no {component} rows"
        shown = [str(row) for row in rows if not row.exact] + [str(row) for row in rows if row.exact][:6]
        return f"{op} of {', '.join(shown)}{', ...' if len(shown) < len(rows) else ''}"


def _times(row: EnergyRow, quantity: Quantity, size: Size) -> float:
    """Bits that an energy is multiplied by: those of the word where the row's energy is that of a bit."""
    return size.bits if row.per_bit and quantity == "energy_pj" else 1


def _first(row: EnergyRow) -> tuple[Span, Span]:
    return row.capacity_kib or (0.0, 0.0), row.bits or (0.0, 0.0)


def _count(bits: int) -> str:
    return "1 bit" if bits == 1 else f"{bits} bits"
