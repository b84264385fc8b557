"""Reading energy tables.

A table is a CSV file, one row a fact or a rule:

=============  ==========================================================================================================
component      ``integer``, ``float``, ``sram``, ``register`` (a register file), ``network`` (of the array), ``wire``,
               ``dram``; ``pe`` (a whole processing element), ``layer`` (one that ran a layer's own operands)
op             operation of `addersim.arithmetic.ops.OPERATIONS`; ``add``, ``mul`` (float); ``read``, ``write`` or, for both,
               ``access`` (sram, register); ``hop`` (network); ``on-chip`` (wire); the kind (dram); the datapath
               (pe); ``NETWORK/LAYER/DATAPATH`` (layer)
bits           width of an operation, or of a word whose access costs ``pJ``: one (``8``) of an exact row, a range
               (``1..64``) of a rule; empty where the energy is that of a bit
capacity_kib   the same for the capacity of a memory: needed for sram, free for register, else empty
energy_pj      energy of an exact row; empty in a rule
unit           ``pJ`` an operation or an access; ``pJ/bit`` or ``pJ/64bit`` (an access of 64 bits) for the energy of a bit;
               ``pJ/bit/mm`` (wire)
area_um2       area of the circuit, or of the memory; may be empty or missing
leakage_uw     leakage of the same; may be empty or missing
zero_pj        of pe and layer, as all columns down to fit_error, which may be empty or missing: what a tap whose input is
               zero takes less, so that taps of which a share z are zeros take ``energy_pj - zero_pj * z``
idle_pj        energy of a cycle in which the element rests
accumulator_pj what a bit more of the accumulator takes
accumulator_bits  width of the accumulator that the row is of
uniform_pj     energy on operands of which every code is as likely as any other
delay_ns       longest way from register to register
fit_error      largest relative error of the line at what it was fitted to
still_pj       of pe, as the four columns below, all of them or none: a tap on which no bit of an operand changes
still_zero_pj  what a share z of zero inputs takes off it, times z
input_toggle_pj  what each bit of the input that changes from tap to tap adds
weight_toggle_pj  the same of the weight
product_toggle_pj  the same of the products of each bit of one with each bit of the other (`Toggles.product_changes`)
sum_toggle_pj  of pe that has those, or empty: the same of the sum so far (`Toggles.sum_changes`)
toggle_error   largest relative error of these at what they were fitted to
device         kind of transistors (sram, wire), or style of multiplier (pe), where a table has several: the first is the
               default; may be empty or missing; of pe ``signed`` behind it where inputs have a sign
temperature_k  temperature; may be empty or missing, as the three columns below
corner         process corner, or the clock period that a circuit was made for
contains       what the energy holds, of ``dynamic``, ``clock`` and ``static``, joined by `` + ``
evidence       sizes that a polynomial was fitted to: ``8..32``
node_nm        technology, positive
voltage_v      supply, positive; empty where the source does not say
rule           see `addersim.hardware.prices.rules.RULES`; a rule holds for every quantity that its exact rows have
source         where the number or the rule comes from; never empty
=============  ==========================================================================================================
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.ops import OPERATIONS
from addersim.config import bundled_names, resolve_text
from addersim.errors import ConfigError
from addersim.hardware.prices.row import CONTENTS, OF_ELEMENTS, OF_TOGGLES, OPERAND_TOGGLES, EnergyRow, Quantity
from addersim.hardware.prices.rules import RULES, SURFACES, Span
from addersim.hardware.prices.table import EnergyTable
from addersim.inputs.limits import read_number
from addersim.inputs.text import did_you_mean

__all__ = ["TABLE_COLUMNS", "load_table", "parse_table", "table_names"]

TABLE_COLUMNS = ("component", "op", "bits", "capacity_kib", "energy_pj", "unit", "node_nm", "voltage_v", "rule", "source")
_FIGURES = ("area_um2", "leakage_uw")
OPTIONAL = (*_FIGURES, *OF_ELEMENTS, "device", "temperature_k", "corner", "contains", "evidence")
_UNIT = re.compile(r"pJ(?:/([1-9][0-9]{0,3})?bit(?:/mm)?)?")
_ACCESSES = MappingProxyType(dict.fromkeys(("read", "write", "access")))
_OPS: Mapping[str, Mapping[str, object] | None] = MappingProxyType(
    {
        "integer": OPERATIONS,
        "float": None,
        "sram": _ACCESSES,
        "register": _ACCESSES,
        "network": MappingProxyType({"hop": None}),
        "wire": MappingProxyType({"on-chip": None}),
        "dram": None,
        "pe": DATAPATHS,
        "layer": None,
    }
)
_ELEMENTS = ("pe", "layer")
_MEMORIES = ("sram", "register")
_WITH_DEVICES = ("sram", "wire", "pe")


def table_names() -> tuple[str, ...]:
    """Names of the bundled energy tables."""
    return bundled_names("energy", ".csv")


def load_table(name: str | os.PathLike[str]) -> EnergyTable:
    """An energy table by bundled name, or from a CSV file, whose stem becomes its name.

    Raises
    ------
    ConfigError
        No such name or file, or a file that does not hold a table.
    """
    short, where, text = resolve_text(name, "energy", ".csv", "energy table")
    return parse_table(text, short, where)


@lru_cache(maxsize=32)  # an estimate names its table, and thousands the same
def parse_table(text: str, name: str, where: str) -> EnergyTable:
    """Read CSV text as an energy table; `where` names the source in messages."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        if missing := [column for column in TABLE_COLUMNS if column not in header]:
            raise ConfigError(f"{where}: column {missing[0]!r} is missing; needs {', '.join(TABLE_COLUMNS)}")
        if unknown := [column for column in header if column not in TABLE_COLUMNS + OPTIONAL or header.count(column) > 1]:
            known = TABLE_COLUMNS + OPTIONAL
            near = did_you_mean(unknown[0], () if unknown[0] in known else known)
            raise ConfigError(f"{where}: unknown or repeated column {unknown[0]!r}; known: {', '.join(known)}{near}")
        rows = tuple(
            _row(fields, header, f"{where}: line {reader.line_num}", reader.line_num) for fields in reader if any(fields)
        )
    except csv.Error as error:
        raise ConfigError(f"{where}: line {reader.line_num}: not CSV: {error}") from None
    if not rows:
        raise ConfigError(f"{where}: holds no rows")
    return EnergyTable(name, rows)


def _row(fields: list[str], header: list[str], where: str, line: int) -> EnergyRow:
    if len(fields) != len(header):
        raise ConfigError(f"{where}: {len(fields)} fields, expected {len(header)}; quote a text that holds a comma")
    cell = dict.fromkeys(OPTIONAL, "") | {column: value.strip() for column, value in zip(header, fields, strict=True)}
    component, op, (rule, *arguments) = cell["component"], cell["op"], cell["rule"].split() or [""]
    _one_of(component, _OPS, f"{where}, column component")
    _one_of(rule, RULES, f"{where}, column rule")
    if (allowed := _OPS[component]) is not None:
        _one_of(op, allowed, f"{where}, column op")
    if not op or not cell["source"]:
        raise ConfigError(f"{where}: column {'op' if not op else 'source'} is empty; every price needs one")
    per_bit, scale = _scale(cell["unit"], component, where)
    bits, capacity = _sizes(cell, component, per_bit, rule, where)
    like, coefficients, fractions = _arguments(rule, arguments, scale, f"{where}, column rule")
    numbers: dict[str, Any] = dict.fromkeys(("energy_pj", *_FIGURES, *OF_ELEMENTS))
    for column in numbers:
        if cell[column] and column in OF_ELEMENTS and component not in _ELEMENTS:
            of = f"component {component}; only {' and '.join(_ELEMENTS)} have it"
            raise ConfigError(f"{where}, column {column}: found {cell[column]!r}; empty in a row of {of}")
        if rule != "exact" and cell[column]:
            raise ConfigError(f"{where}, column {column}: found {cell[column]!r}; empty in a row with the rule {rule}")
        if rule == "exact" and (cell[column] or column == "energy_pj"):
            numbers[column] = _number(cell[column], f"{where}, column {column}") * (scale if column == "energy_pj" else 1)
    _check_toggles(cell, component, where)
    node = _number(cell["node_nm"], f"{where}, column node_nm", positive=True)
    voltage = _number(cell["voltage_v"], f"{where}, column voltage_v", positive=True) if cell["voltage_v"] else None
    return EnergyRow(
        component=component,
        op=op,
        bits=bits,
        capacity_kib=capacity,
        per_bit=per_bit,
        node_nm=node,
        voltage_v=voltage,
        rule=rule,
        source=cell["source"],
        line=line,
        like=like,
        coefficients=coefficients,
        fractions=fractions,
        **numbers,
        **_circumstances(cell, rule, where),
    )


def _check_toggles(cell: Mapping[str, str], component: str, where: str) -> None:
    """Refuse a part of an energy by toggles, and one of a layer's own operands, which has their toggles in it."""
    given = [column for column in OF_TOGGLES if cell[column]]
    if given and component == "layer":
        raise ConfigError(f"{where}, column {given[0]}: found {cell[given[0]]!r}; empty in a row of component layer")
    if given and (missing := [column for column in OPERAND_TOGGLES if not cell[column]]):
        needed = ", ".join(OPERAND_TOGGLES)
        raise ConfigError(f"{where}: column {missing[0]} is empty beside {given[0]}; needs {needed}, or none")


def _circumstances(cell: Mapping[str, str], rule: str, where: str) -> dict[str, Any]:
    """What a row's figure holds for, as far as the file says it."""
    if cell["device"] and cell["component"] not in _WITH_DEVICES:
        raise ConfigError(
            f"{where}, column device: found {cell['device']!r}; empty in a row of component {cell['component']}: only "
            f"{', '.join(_WITH_DEVICES)} are chosen by it"
        )
    if cell["evidence"] and not rule.startswith("polynomial"):
        raise ConfigError(f"{where}, column evidence: found {cell['evidence']!r}; empty in a row with the rule {rule}")
    contains = tuple(cell["contains"].split(" + ")) if cell["contains"] else ()
    for one in contains:
        _one_of(one, dict.fromkeys(CONTENTS), f"{where}, column contains")
    kelvin, evidence = cell["temperature_k"], cell["evidence"]
    return {
        "device": cell["device"],
        "temperature_k": _number(kelvin, f"{where}, column temperature_k", positive=True) if kelvin else None,
        "corner": cell["corner"],
        "contains": contains,
        "evidence": _span(evidence, rule, f"{where}, column evidence") if evidence else None,
    }


def _one_of(value: str, allowed: Mapping[str, object], where: str) -> None:
    if value not in allowed:
        raise ConfigError(f"{where}: found {value!r}, needs one of {', '.join(allowed)}{did_you_mean(str(value), allowed)}")


def _number(text: str, where: str, positive: bool = False) -> float:
    try:
        value = read_number(text, where)
    except ConfigError:
        value = math.nan
    if not value >= 0 or (positive and value == 0):
        raise ConfigError(f"{where}: found {text!r}, needs a number {'> 0' if positive else '>= 0'}")
    return value


def _sizes(cell: Mapping[str, str], component: str, per_bit: bool, rule: str, where: str) -> tuple[Span | None, Span | None]:
    """The widths and the capacities for which a row holds."""
    with_capacity = component == "sram" or (component == "register" and cell["capacity_kib"] != "")
    needed = {"bits": not per_bit, "capacity_kib": with_capacity}
    spans = []
    for column, wanted in needed.items():
        if cell[column] and not wanted:
            why = f"component {component}" + (f" in {cell['unit']}" if column == "bits" and component in _MEMORIES else "")
            raise ConfigError(f"{where}, column {column}: found {cell[column]!r}; empty in a row of {why}")
        spans.append(_span(cell[column], rule, f"{where}, column {column}") if wanted else None)
    bits, capacity = spans
    both = bits is not None and capacity is not None
    if rule in SURFACES and not both:
        raise ConfigError(f"{where}: rule {rule} needs a range of bits and of capacity_kib, and the unit pJ; {RULES[rule]}")
    if both and rule not in (*SURFACES, "exact", "as", "fraction"):
        raise ConfigError(
            f"{where}: rule {rule} runs along bits or capacity_kib, not both; use grid, fit, or a price of a bit"
        )
    if rule not in ("exact", "as", "fraction") and bits is capacity is None:
        raise ConfigError(f"{where}: rule {rule} needs a range of bits or of capacity_kib")
    return bits, capacity


def _span(text: str, rule: str, where: str) -> Span:
    ends = text.split("..") if rule != "exact" else [text] * 2
    if len(ends) != 2:
        raise ConfigError(f"{where}: found {text!r}, needs a range such as 1..64")
    low, high = (_number(end, where, positive=True) for end in ends)
    if low > high:
        raise ConfigError(f"{where}: found {text!r}, whose limits are in the wrong order; the smaller limit comes first")
    return low, high


def _arguments(
    rule: str, arguments: list[str], scale: float, where: str
) -> tuple[str, tuple[float, ...], tuple[tuple[Quantity, float], ...]]:
    """What follows a rule's name: the operation that it names, the coefficients of a polynomial, a fraction of the energy."""
    polynomial = rule.startswith("polynomial")
    if not (arguments if polynomial else len(arguments) == {"as": 1, "fraction": 2}.get(rule, 0)):
        raise ConfigError(f"{where}: {rule} with {len(arguments)} arguments; {rule}: {RULES[rule]}")
    if polynomial:
        named = f"{where}, coefficients {' '.join(arguments)!r}"
        return "", tuple(read_number(one, named) * scale for one in arguments), ()
    like, *shares = arguments or [""]
    return like, (), tuple(("energy_pj", _number(one, f"{where}, fraction")) for one in shares)


def _scale(unit: str, component: str, where: str) -> tuple[bool, float]:
    """Whether a row's unit is that of a bit, and the factor from it to pJ."""
    match = _UNIT.fullmatch(unit)
    per_bit = "/" in unit
    by_length = component == "wire"
    mismatched = per_bit and component in ("integer", "float", *_ELEMENTS), not per_bit and component == "dram"
    if not match or any(mismatched) or by_length != unit.endswith("/mm"):
        of_a_bit = "pJ/bit or pJ/64bit (an access of 64 bits)"
        needs = dict.fromkeys(_ELEMENTS, "pJ (a tap)") | {
            "integer": "pJ (an operation)",
            "float": "pJ (an operation)",
            "dram": of_a_bit,
            "wire": "pJ/bit/mm",
        }
        raise ConfigError(f"{where}, column unit: found {unit!r}, needs {needs.get(component, f'pJ (an access), {of_a_bit}')}")
    return per_bit, 1 / int(match[1] or 1)
