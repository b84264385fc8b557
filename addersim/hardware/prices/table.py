"""Energy tables: the unit energy of an operation, an access or a bit of DRAM traffic, with its rule and its source.

The file format is described in `addersim.hardware.prices.csv_file`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from addersim.errors import ConfigError, PriceError
from addersim.hardware.cost import UnitEnergy
from addersim.hardware.prices.rules import DataPoint, PowerFit, Span, interpolate, points_needed, polynomial

__all__ = ["EnergyRow", "EnergyTable", "Figure", "Quantity", "Size"]

Quantity = Literal["energy_pj", "area_um2", "leakage_uw"]

QUANTITIES: tuple[Quantity, ...] = ("energy_pj", "area_um2", "leakage_uw")


class Figure(NamedTuple):
    """The area in um2 or the leakage in uW of one component, the table's rule for it, and its source."""

    value: float
    rule: str
    source: str


class Size(NamedTuple):
    """The size of a component: a width, and the capacity of the memory where there is one."""

    bits: float
    capacity_kib: float | None = None


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """One row of a table.

    Attributes
    ----------
    component, op
        What the row is for.
    bits, capacity_kib
        Smallest and largest size for which the row holds, equal in an exact row; None where any size will do.
    energy_pj
        Energy of an exact row, of an operation, an access or (where `per_bit`) a bit; None in a rule.
    per_bit
        Whether the energy, or what a polynomial gives, is that of a bit.
    area_um2, leakage_uw
        Area and leakage of the component, where the row has them.
    rule, like, coefficients
        The rule's name, the operation that `as` or `fraction` names, and the coefficients of a polynomial.
    fractions
        What a row of the rule `fraction` has of that operation, by quantity.
    node_nm, voltage_v, source
        Technology, supply (None where the source does not say) and origin.
    line
        Where in the file.
    """

    component: str
    op: str
    bits: Span | None
    capacity_kib: Span | None
    energy_pj: float | None
    per_bit: bool
    node_nm: float
    voltage_v: float | None
    rule: str
    source: str
    line: int
    area_um2: float | None = None
    leakage_uw: float | None = None
    like: str = ""
    coefficients: tuple[float, ...] = ()
    fractions: tuple[tuple[Quantity, float], ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the row is a number, not a rule."""
        return self.rule == "exact"

    @property
    def by_capacity(self) -> bool:
        """Whether a rule runs along the capacity, not the width."""
        return self.capacity_kib is not None

    def covers(self, size: Size) -> bool:
        """Whether the row holds for a size."""
        return _within(size.bits, self.bits) and _within(size.capacity_kib, self.capacity_kib)

    def overlaps(self, other: EnergyRow) -> bool:
        """Whether some size is covered by both rows."""
        return _meet(self.bits, other.bits) and _meet(self.capacity_kib, other.capacity_kib)

    def __str__(self) -> str:
        units = ((self.capacity_kib, "KiB"), (self.bits, "bits"))
        return " x ".join(f"{_ends(span)} {unit}" for span, unit in units if span is not None) or "any size"


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """Named unit energies, and the areas and leakages that come with them.

    Attributes
    ----------
    name
        The table's name, which every cost carries.
    rows
        The rows of the file, in its order.
    notes
        What is added to the rule of every figure that is not DRAM's, by quantity: how a scaled table was scaled.

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

    name: str
    rows: tuple[EnergyRow, ...]
    notes: Mapping[Quantity, str] = field(default_factory=dict, hash=False)
    _by_op: Mapping[tuple[str, str], tuple[EnergyRow, ...]] = field(init=False, repr=False, compare=False)
    _lines: Mapping[tuple[str, str, bool, Quantity], list[DataPoint]] = field(init=False, repr=False, compare=False)
    _fits: Mapping[tuple[str, str, Quantity], PowerFit] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grouped: dict[tuple[str, str], list[EnergyRow]] = {}
        for row in self.rows:
            grouped.setdefault((row.component, row.op), []).append(row)
        ordered = {key: tuple(sorted(rows, key=_first)) for key, rows in grouped.items()}
        object.__setattr__(self, "_by_op", ordered)
        for row in self.rows:
            self._check(row)
        object.__setattr__(self, "_lines", {key: line for rule in self.rows for key, line in self._drawn(rule)})
        rules = [row for row in self.rows if row.rule == "fit"]
        object.__setattr__(self, "_fits", {key: fit for rule in rules for key, fit in self._fitted(rule)})

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

    def sram(self, capacity_kib: float, word_bits: int = 1, op: str = "read") -> UnitEnergy:
        """Energy of reading (or, with `op` ``write``, writing) a word of an SRAM; by default one bit."""
        what = f"sram of {capacity_kib:g} KiB, {op} of {_count(word_bits)}"
        return self._unit_energy("sram", self._access("sram", op), Size(word_bits, capacity_kib), what)

    def register(self, op: str, bits: int, capacity_kib: float | None = None) -> UnitEnergy:
        """Energy of reading or writing a word of a register file (of a capacity, where the table's rows depend on it)."""
        what = "register" + (f" of {capacity_kib:g} KiB" if capacity_kib is not None else "") + f", {op} of {_count(bits)}"
        return self._unit_energy("register", self._access("register", op), Size(bits, capacity_kib), what)

    def network(self, bits: int, op: str = "hop") -> UnitEnergy:
        """Energy of moving a word from one processing element to the next, over the array's network."""
        return self._unit_energy("network", op, Size(bits), f"network {op} of {_count(bits)}")

    def dram(self, kind: str = "dram") -> UnitEnergy:
        """Energy of a bit that goes to or comes from DRAM."""
        return self._unit_energy("dram", kind, Size(1), f"dram of kind {kind!r}")

    def area(self, component: str, op: str, bits: int, capacity_kib: float | None = None) -> Figure:
        """Area of a component in um2: of one circuit for an operation, of one memory of a capacity.

        Raises
        ------
        PriceError
            No row says so.
        """
        return self._figure("area_um2", component, op, Size(bits, capacity_kib))

    def leakage(self, component: str, op: str, bits: int, capacity_kib: float | None = None) -> Figure:
        """Leakage of a component in uW, as `area`."""
        return self._figure("leakage_uw", component, op, Size(bits, capacity_kib))

    def _access(self, component: str, op: str) -> str:
        return op if (component, op) in self._by_op else "access"

    def _unit_energy(self, component: str, op: str, size: Size, what: str) -> UnitEnergy:
        value, rule, source = self._find("energy_pj", component, op, size, what)
        return UnitEnergy(value, self._noted(rule, "energy_pj", component), source)

    def _figure(self, quantity: Quantity, component: str, op: str, size: Size) -> Figure:
        op = self._access(component, op) if component in ("sram", "register") else op
        sizes = f"{size.bits:g} bits" + (f", {size.capacity_kib:g} KiB" if size.capacity_kib is not None else "")
        what = f"{quantity.split('_')[0]} of {component} {op} of {sizes}"
        value, rule, source = self._find(quantity, component, op, size, what)
        return Figure(value, self._noted(rule, quantity, component), source)

    def _noted(self, rule: str, quantity: Quantity, component: str) -> str:
        return f"{rule}, {self.notes[quantity]}" if quantity in self.notes and component != "dram" else rule

    def _find(self, quantity: Quantity, component: str, op: str, size: Size, what: str) -> tuple[float, str, str]:
        covering = [row for row in self._by_op.get((component, op), ()) if row.covers(size)]
        for row in covering:
            if row.exact and (value := getattr(row, quantity)) is not None:
                times = size.bits if row.per_bit and quantity == "energy_pj" else 1
                return value * times, "exact", row.source
        rule = next((row for row in covering if not row.exact), None)
        if rule is None or not self._serves(rule, quantity):
            raise PriceError(f"energy table {self.name!r} has no row for {what}; it has {self._has(component, op)}")
        return self._apply(rule, quantity, size, what)

    def _serves(self, rule: EnergyRow, quantity: Quantity) -> bool:
        """Whether a rule can tell a quantity: polynomials are of energies, interpolations need the rows' numbers."""
        if rule.rule == "fraction":
            return quantity in dict(rule.fractions)
        if quantity == "energy_pj" or rule.rule == "as":
            return True
        if rule.rule == "fit":
            return (rule.component, rule.op, quantity) in self._fits
        return not rule.coefficients and len(self._points(rule, quantity)) >= points_needed(rule.rule)

    def _points(self, rule: EnergyRow, quantity: Quantity) -> list[EnergyRow]:
        rows = self._by_op[rule.component, rule.op]
        return [row for row in rows if row.exact and getattr(row, quantity)]

    def _apply(self, rule: EnergyRow, quantity: Quantity, size: Size, what: str) -> tuple[float, str, str]:
        if rule.like:
            value, text, source = self._find(quantity, rule.component, rule.like, size, what)
            share = dict(rule.fractions).get(quantity, 1.0)
            how = f"fraction {share:g} of {rule.like}" if rule.rule == "fraction" else f"as {rule.like}"
            return value * share, f"{how}: {text}", f"{rule.source}; {source}"
        along = size.capacity_kib if rule.by_capacity else size.bits
        assert along is not None
        if rule.rule == "fit":
            fit = self._fits[rule.component, rule.op, quantity]
            value, text = fit(along, size.bits), fit.describe(along, size.bits)
        elif points_needed(rule.rule):
            value, text = interpolate(rule.rule, self._lines[rule.component, rule.op, rule.by_capacity, quantity], along)
            text += " KiB" if rule.by_capacity else " bits"
        else:
            x = along * 8192 if rule.by_capacity else along
            value = polynomial(math.log2(x) if rule.rule == "polynomial-log2" else x, rule.coefficients)
            text = f"{rule.rule} {' '.join(f'{one:g}' for one in rule.coefficients)}"
        if not 0 <= value < math.inf:
            unit = {"energy_pj": "pJ", "area_um2": "um2", "leakage_uw": "uW"}[quantity]
            raise PriceError(
                f"energy table {self.name!r}: its {rule.rule} rule gives {value:g} {unit} for {what}; needs 0 or more"
            )
        return value * (size.bits if rule.per_bit and quantity == "energy_pj" else 1), text, rule.source

    def _drawn(self, rule: EnergyRow) -> Iterator[tuple[tuple[str, str, bool, Quantity], list[DataPoint]]]:
        """For each quantity the exact rows along the axis of a rule that runs along them, by rising size."""
        for quantity in QUANTITIES if points_needed(rule.rule) else ():
            rows = self._points(rule, quantity)
            spans = [(row.capacity_kib if rule.by_capacity else row.bits) or (0.0, 0.0) for row in rows]
            line = sorted((span[0], getattr(row, quantity)) for span, row in zip(spans, rows, strict=True))
            yield (rule.component, rule.op, rule.by_capacity, quantity), line

    def _fitted(self, rule: EnergyRow) -> Iterator[tuple[tuple[str, str, Quantity], PowerFit]]:
        """The fit of each quantity that enough rows of a component and operation have."""
        for quantity in QUANTITIES:
            rows = [(row.capacity_kib, row.bits, getattr(row, quantity)) for row in self._points(rule, quantity)]
            points = [(capacity[0], bits[0], value) for capacity, bits, value in rows if capacity and bits]
            if len(points) > 2:
                yield (rule.component, rule.op, quantity), PowerFit.of(points)

    def _has(self, component: str, op: str) -> str:
        rows = self._by_op.get((component, op), ())
        if not rows or component == "dram":
            known = dict.fromkeys(row.op for row in self.rows if row.component == component)
            return ", ".join(known) or f"no {component} rows"
        shown = [str(row) for row in rows if not row.exact] + [str(row) for row in rows if row.exact][:6]
        return f"{op} of {', '.join(shown)}{', ...' if len(shown) < len(rows) else ''}"

    def _check(self, row: EnergyRow) -> None:
        """Refuse rows that contradict each other, or that need another row that is not there."""
        rows = self._by_op[row.component, row.op]
        where = f"energy table {self.name!r}: line {row.line}"
        twins = [other for other in rows if other.exact == row.exact and other.overlaps(row)]
        if len(twins) > 1:
            lines = " and ".join(str(other.line) for other in sorted(twins, key=lambda one: one.line)[:2])
            raise ConfigError(
                f"energy table {self.name!r}: lines {lines} both price {row.component} {row.op} of the same size"
            )
        points = [other for other in rows if other.exact]
        positive = all(other.energy_pj for other in points)
        needed = points_needed(row.rule)
        if needed and (len(points) < needed or not positive):
            number = "two exact rows" if needed == 2 else "an exact row"
            raise ConfigError(f"{where}: rule {row.rule} needs {number} of {row.op}, above zero")
        if row.rule == "fit":
            capacities, widths = ({getattr(other, axis) for other in points} - {None} for axis in ("capacity_kib", "bits"))
            if min(len(capacities), len(widths)) < 2 or not positive:
                raise ConfigError(f"{where}: rule fit needs exact rows of {row.op}, two capacities and two widths, above zero")
        if row.like:
            target = self._by_op.get((row.component, row.like), ())
            if not target or any(other.like for other in target):
                raise ConfigError(f"{where}: {row.rule} {row.like}, which has no price of its own")


def _within(value: float | None, span: Span | None) -> bool:
    return span is None or (value is not None and span[0] <= value <= span[1])


def _meet(one: Span | None, other: Span | None) -> bool:
    return one is None or other is None or (one[0] <= other[1] and other[0] <= one[1])


def _first(row: EnergyRow) -> tuple[Span, Span]:
    return row.capacity_kib or (0.0, 0.0), row.bits or (0.0, 0.0)


def _count(bits: int) -> str:
    return "1 bit" if bits == 1 else f"{bits} bits"


def _ends(span: Span) -> str:
    return f"{span[0]:g}" if span[0] == span[1] else f"{span[0]:g}..{span[1]:g}"
