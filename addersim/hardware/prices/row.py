"""Rows of an energy table: what each is for, for which sizes it holds, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

from addersim.hardware.prices.rules import Span

__all__ = [
    "CONTENTS",
    "OF_ELEMENTS",
    "OF_TOGGLES",
    "OPERAND_TOGGLES",
    "QUANTITIES",
    "REGISTERS",
    "SCRATCHPADS",
    "SIGNED",
    "UNITS",
    "ElementFigures",
    "EnergyRow",
    "Quantity",
    "Size",
    "device_of",
]

Quantity = Literal[
    "energy_pj", "area_um2", "leakage_uw", "zero_pj", "idle_pj", "accumulator_pj", "accumulator_bits", "uniform_pj",
    "delay_ns", "fit_error",
    "still_pj", "still_zero_pj", "input_toggle_pj", "weight_toggle_pj", "product_toggle_pj", "sum_toggle_pj",
    "toggle_error",
]  # fmt: skip

OPERAND_TOGGLES: tuple[Quantity, ...] = (
    "still_pj", "still_zero_pj", "input_toggle_pj", "weight_toggle_pj", "product_toggle_pj",
)  # fmt: skip
"""Energy by toggles of both operands, in the order of `addersim.toggles.Toggles.terms`: times these they are a tap's."""
OF_TOGGLES: tuple[Quantity, ...] = (*OPERAND_TOGGLES, "sum_toggle_pj")
"""With those of the sum, which rows may have or not."""
OF_ELEMENTS: tuple[Quantity, ...] = (
    "zero_pj", "idle_pj", "accumulator_pj", "accumulator_bits", "uniform_pj", "delay_ns", "fit_error", *OF_TOGGLES,
    "toggle_error",
)  # fmt: skip
"""What rows of processing elements have beside energy, area and leakage: see `ElementFigures`."""
QUANTITIES: tuple[Quantity, ...] = ("energy_pj", "area_um2", "leakage_uw", *OF_ELEMENTS)
UNITS: Mapping[Quantity, str] = MappingProxyType(
    {
        **dict.fromkeys(QUANTITIES, "pJ"),
        "area_um2": "um2",
        "leakage_uw": "uW",
        "accumulator_bits": "bits",
        "delay_ns": "ns",
        "fit_error": "",
        "toggle_error": "",
    }
)
SIGNED = "signed"
"""What is behind the style of a processing element's multiplier where inputs have a sign."""
SCRATCHPADS = "row-stationary"
"""What is behind that where an element takes operands and sums from scratchpads, and gives sums back there."""
REGISTERS = "operand registers"
CONTENTS = ("dynamic", "clock", "static", REGISTERS)
"""What an energy may contain: switching of what it is named after, its share of the clock, leakage meanwhile, and, of a
processing element, its operand registers."""


def device_of(style: str, signed: bool, scratchpads: bool = False) -> str:
    """What column ``device`` of a processing element says: its multiplier's style, whether inputs have a sign, and the array.

    Examples
    --------
    >>> device_of("booth", True), device_of("", True), device_of("booth", False), device_of("", False, scratchpads=True)
    ('booth signed', 'signed', 'booth', 'row-stationary')
    """
    return " ".join(word for word in (style, SIGNED if signed else "", SCRATCHPADS if scratchpads else "") if word)


class Size(NamedTuple):
    """The size of a component: a width, and the capacity of the memory where there is one."""

    bits: float
    capacity_kib: float | None = None


class ElementFigures(NamedTuple):
    """Energy of a processing element.

    Attributes
    ----------
    energy_pj, rule, source
        Of a tap whose input is not zero, on average; how it was found, and where.
    zero_pj
        What a share of zero inputs takes off it, times the share.
    idle_pj
        Of a cycle in which the element rests: its clock's.
    accumulator_bits, accumulator_pj
        Width of its accumulator, and what a bit more of it takes; 0 where that is not known.
    note
        What must be known of it, behind a semicolon; empty where there is nothing.
    by_toggles
        Of a tap, times what its operands' bits do (`Toggles.terms`); empty where the table does not say.
    """

    energy_pj: float
    rule: str
    source: str
    zero_pj: float = 0.0
    idle_pj: float = 0.0
    accumulator_bits: float = 0.0
    accumulator_pj: float = 0.0
    note: str = ""
    by_toggles: tuple[float, ...] = ()


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
    zero_pj, idle_pj, accumulator_pj, accumulator_bits, uniform_pj, delay_ns, fit_error
        Of a processing element: what zeros save and rest takes (`ElementFigures`), the energy on operands of which every code
        is as likely, its longest way from register to register, and the largest relative error of its line.
    still_pj, still_zero_pj, input_toggle_pj, weight_toggle_pj, product_toggle_pj, sum_toggle_pj, toggle_error
        Of a processing element: a tap on which no bit of an operand changes, what zeros take off it, what each bit of input,
        weight, products of bits and the sum so far that changes adds, and the largest relative error of that.
    rule, like, coefficients
        The rule's name, the operation that `as` or `fraction` names, and the coefficients of a polynomial.
    fractions
        What a row of the rule `fraction` has of that operation, by quantity.
    node_nm, voltage_v, source
        Technology, supply (None where the source does not say) and origin.
    device, temperature_k, corner, contains
        Kind of transistors, temperature, and process corner or clock period of the row's number, and which of `CONTENTS` it
        holds; empty or None where the source does not say.
    evidence
        Smallest and largest size of what a polynomial was fitted to, where that is known.
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
    zero_pj: float | None = None
    idle_pj: float | None = None
    accumulator_pj: float | None = None
    accumulator_bits: float | None = None
    uniform_pj: float | None = None
    delay_ns: float | None = None
    fit_error: float | None = None
    still_pj: float | None = None
    still_zero_pj: float | None = None
    input_toggle_pj: float | None = None
    weight_toggle_pj: float | None = None
    product_toggle_pj: float | None = None
    sum_toggle_pj: float | None = None
    toggle_error: float | None = None
    like: str = ""
    coefficients: tuple[float, ...] = ()
    device: str = ""
    temperature_k: float | None = None
    corner: str = ""
    contains: tuple[str, ...] = ()
    evidence: Span | None = None
    fractions: tuple[tuple[Quantity, float], ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What rows have in common that one price may come from: component, operation and device."""
        return self.component, self.op, self.device

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


def _within(value: float | None, span: Span | None) -> bool:
    return span is None or (value is not None and span[0] <= value <= span[1])


def _meet(one: Span | None, other: Span | None) -> bool:
    return one is None or other is None or (one[0] <= other[1] and other[0] <= one[1])


def _ends(span: Span) -> str:
    return f"{span[0]:g}" if span[0] == span[1] else f"{span[0]:g}..{span[1]:g}"
