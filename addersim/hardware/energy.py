"""Energy tables: the price of an operation, of a bit in SRAM and of a bit in DRAM, each with its rule and its source.

The file format is described in `addersim.hardware.energy_file`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from addersim.errors import ConfigError, HardwareError

__all__ = ["INTERPOLATIONS", "RULES", "EnergyRow", "EnergyTable", "Price"]

Point = tuple[float, float]

RULES: Mapping[str, str] = MappingProxyType(
    {
        "exact": "the row's own number",
        "linear": "straight line between the two nearest exact rows",
        "quadratic": "parabola through zero and the two nearest exact rows",
        "power": "power law between the two nearest exact rows",
        "polynomial": "coefficients of x^0, x^1, ..., x the bits or the capacity in bits",
        "polynomial-log2": "the same with x the base-2 logarithm of them",
        "as": "priced as another operation of the same width: as add",
    }
)


def _linear(x: float, low: Point, high: Point) -> float:
    """Ordinate at x of the straight line through two points."""
    (x0, y0), (x1, y1) = low, high
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def _quadratic(x: float, low: Point, high: Point) -> float:
    """Parabola through zero and two points: y / x is a straight line."""
    (x0, y0), (x1, y1) = low, high
    return x * _linear(x, (x0, y0 / x0), (x1, y1 / x1))


def _power(x: float, low: Point, high: Point) -> float:
    """Power law through two points with positive ordinates: a straight line between logarithms."""
    (x0, y0), (x1, y1) = low, high
    return y0 * math.pow(x / x0, math.log(y1 / y0) / math.log(x1 / x0))


INTERPOLATIONS: Mapping[str, Callable[[float, Point, Point], float]] = MappingProxyType(
    {"linear": _linear, "quadratic": _quadratic, "power": _power}
)


class Price(NamedTuple):
    """A unit price in picojoules (an operation, or a bit of memory traffic), how it was found, and where it comes from."""

    energy_pj: float
    rule: str
    source: str


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """One row of a table.

    Attributes
    ----------
    component, op
        What is priced.
    low, high
        Bits, or KiB for SRAM: the ends of the range in which the row holds, equal in an exact row.
    energy_pj
        Energy of an exact row, of an operation or of a bit; None in a rule.
    rule, like, coefficients
        The rule's name, the operation that `as` names, and the coefficients of a polynomial (pJ an operation or a bit).
    node_nm, voltage_v, source
        Technology, supply and origin.
    line
        Where in the file.
    """

    component: str
    op: str
    low: float
    high: float
    energy_pj: float | None
    node_nm: float
    voltage_v: float
    rule: str
    source: str
    line: int
    like: str = ""
    coefficients: tuple[float, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the row is a number, not a rule."""
        return self.rule == "exact"


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """Named unit energies.

    Attributes
    ----------
    name
        The table's name, which every cost carries.
    rows
        The rows of the file, in its order.

    Examples
    --------
    >>> from addersim.hardware import load_table
    >>> table = load_table("horowitz-45nm")
    >>> table.price("add", 8), table.price("mul", 32)
    (0.03, 3.1)
    >>> table.explain("mul", 16).rule
    'quadratic, between 8 and 32 bits'
    """

    name: str
    rows: tuple[EnergyRow, ...]
    _by_op: Mapping[tuple[str, str], tuple[EnergyRow, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grouped: dict[tuple[str, str], list[EnergyRow]] = {}
        for row in self.rows:
            grouped.setdefault((row.component, row.op), []).append(row)
        object.__setattr__(
            self, "_by_op", {key: tuple(sorted(rows, key=lambda row: row.low)) for key, rows in grouped.items()}
        )
        for row in self.rows:
            self._check(row)

    def price(self, op: str, bits: int, component: str = "integer") -> float:
        """Energy of one operation, in pJ.

        Raises
        ------
        HardwareError
            The table has no row for it. Never zero instead.
        """
        return self.explain(op, bits, component).energy_pj

    def explain(self, op: str, bits: int, component: str = "integer") -> Price:
        """Energy of one operation with its rule and source."""
        return self._find(component, op, bits, f"{component} {op} of {bits} bits")

    def sram(self, capacity_kib: float) -> Price:
        """Energy of a bit that is read from, or written to, an SRAM of a capacity."""
        return self._find("sram", "access", capacity_kib, f"sram of {capacity_kib:g} KiB")

    def dram(self, kind: str = "dram") -> Price:
        """Energy of a bit that goes to or comes from DRAM."""
        return self._find("dram", kind, 0, f"dram of kind {kind!r}")

    def _find(self, component: str, op: str, size: float, what: str) -> Price:
        rows = self._by_op.get((component, op), ())
        for row in rows:
            if row.energy_pj is not None and row.low == size:
                return Price(row.energy_pj, "exact", row.source)
        rule = next((row for row in rows if not row.exact and row.low <= size <= row.high), None)
        if rule is None:
            raise HardwareError(f"energy table {self.name!r} has no row for {what}; it has {self._has(component, op)}")
        return self._apply(rule, rows, size, what)

    def _apply(self, rule: EnergyRow, rows: tuple[EnergyRow, ...], size: float, what: str) -> Price:
        if rule.rule == "as":
            other = self._find(rule.component, rule.like, size, what)
            return Price(other.energy_pj, f"as {rule.like}: {other.rule}", f"{rule.source}; {other.source}")
        if rule.rule in INTERPOLATIONS:
            energy, text = _interpolate(rule.rule, [row for row in rows if row.exact], size)
            text += " KiB" if rule.component == "sram" else " bits"
        else:
            x = size * 8192 if rule.component == "sram" else size
            energy = _polynomial(math.log2(x) if rule.rule == "polynomial-log2" else x, rule.coefficients)
            text = f"{rule.rule} {' '.join(f'{one:g}' for one in rule.coefficients)}"
        if not 0 <= energy < math.inf:
            raise HardwareError(
                f"energy table {self.name!r}: its {rule.rule} rule gives {energy:g} pJ for {what}; needs 0 or more"
            )
        return Price(energy, text, rule.source)

    def _has(self, component: str, op: str) -> str:
        rows = self._by_op.get((component, op), ())
        if rows and component != "dram":
            ranges = ", ".join(f"{row.low:g}" if row.exact else f"{row.low:g}..{row.high:g}" for row in rows)
            return f"{op} of {ranges} {'KiB' if component == 'sram' else 'bits'}"
        return ", ".join(dict.fromkeys(row.op for row in self.rows if row.component == component)) or f"no {component} rows"

    def _check(self, row: EnergyRow) -> None:
        """Refuse rows that contradict each other, or that need another row that is not there."""
        rows = self._by_op[row.component, row.op]
        where = f"energy table {self.name!r}: line {row.line}"
        twins = [other for other in rows if other.exact == row.exact and other.low <= row.high and row.low <= other.high]
        if len(twins) > 1:
            lines = " and ".join(str(other.line) for other in sorted(twins, key=lambda one: one.line)[:2])
            raise ConfigError(
                f"energy table {self.name!r}: lines {lines} both price {row.component} {row.op} of the same size"
            )
        points = [other for other in rows if other.exact]
        if row.rule in INTERPOLATIONS and (len(points) < 2 or not all(other.energy_pj for other in points)):
            raise ConfigError(f"{where}: rule {row.rule} needs two exact rows of {row.op}, above zero")
        if row.rule == "as":
            target = self._by_op.get((row.component, row.like), ())
            if not target or any(other.rule == "as" for other in target):
                raise ConfigError(f"{where}: as {row.like}, which has no price of its own")


def _interpolate(rule: str, points: list[EnergyRow], size: float) -> tuple[float, str]:
    """Energy by the two exact rows around a size, or by the outermost two on its side, and the rule in words."""
    last = max(next((index for index, row in enumerate(points) if row.low >= size), len(points) - 1), 1)
    low, high = ((row.low, row.energy_pj or 0.0) for row in points[last - 1 : last + 1])
    where = "between" if low[0] < size < high[0] else "continued from"
    try:
        energy = INTERPOLATIONS[rule](size, low, high)
    except OverflowError:
        energy = math.inf
    return energy, f"{rule}, {where} {low[0]:g} and {high[0]:g}"


def _polynomial(x: float, coefficients: tuple[float, ...]) -> float:
    """Value of a polynomial by Horner's rule; coefficients from the constant up."""
    value = 0.0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value
