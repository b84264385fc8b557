"""Reading energy tables.

A table is a CSV file, one row a fact or a rule:

=============  ==========================================================================================================
component      ``integer``, ``float``, ``sram`` or ``dram``
op             operation of `addersim.ops.OPERATIONS`; ``add``, ``mul`` (float); ``access`` (sram); the kind (dram)
bits           width of an arithmetic row: one (``8``) of an exact row, a range (``1..64``) of a rule; else empty
capacity_kib   the same for the capacity of a memory, sram rows only
energy_pj      energy of an exact row; empty in a rule
unit           ``pJ`` an operation; ``pJ/bit`` or ``pJ/64bit`` (an access of so many bits) for memories
node_nm        technology, positive
voltage_v      supply, positive
rule           see `addersim.hardware.energy.RULES`
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
from types import MappingProxyType

from addersim.config import bundled_names, resolve_text
from addersim.errors import ConfigError
from addersim.hardware.energy import RULES, EnergyRow, EnergyTable
from addersim.ops import OPERATIONS

__all__ = ["COLUMNS", "load_table", "parse_table", "table_names"]

COLUMNS = ("component", "op", "bits", "capacity_kib", "energy_pj", "unit", "node_nm", "voltage_v", "rule", "source")
_UNIT = re.compile(r"pJ(?:/([1-9]\d{0,3})?bit)?")
_SIZE_COLUMN = MappingProxyType({"integer": "bits", "float": "bits", "sram": "capacity_kib", "dram": None})


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


def parse_table(text: str, name: str, where: str) -> EnergyTable:
    """Read CSV text as an energy table; `where` names the source in messages."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        if missing := [column for column in COLUMNS if column not in header]:
            raise ConfigError(f"{where}: column {missing[0]!r} is missing; needs {', '.join(COLUMNS)}")
        if unknown := [column for column in header if column not in COLUMNS or header.count(column) > 1]:
            raise ConfigError(f"{where}: unknown or repeated column {unknown[0]!r}; known: {', '.join(COLUMNS)}")
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
    cell = {column: value.strip() for column, value in zip(header, fields, strict=True)}
    component, op, (rule, *arguments) = cell["component"], cell["op"], cell["rule"].split() or [""]
    _one_of(component, _SIZE_COLUMN, f"{where}, column component")
    _one_of(rule, RULES, f"{where}, column rule")
    if component == "integer":
        _one_of(op, OPERATIONS, f"{where}, column op")
    if not op or not cell["source"]:
        raise ConfigError(f"{where}: column {'op' if not op else 'source'} is empty; every price needs one")
    low, high = _size(cell, _SIZE_COLUMN[component], rule, where)
    scale = _scale(cell["unit"], component, where)
    like, coefficients = _arguments(rule, arguments, scale, f"{where}, column rule")
    energy = None
    if rule == "exact":
        energy = _number(cell["energy_pj"], f"{where}, column energy_pj") * scale
    elif cell["energy_pj"]:
        raise ConfigError(f"{where}, column energy_pj: found {cell['energy_pj']!r}; empty in a row with the rule {rule}")
    node, voltage = (_number(cell[column], f"{where}, column {column}", positive=True) for column in ("node_nm", "voltage_v"))
    return EnergyRow(component, op, low, high, energy, node, voltage, rule, cell["source"], line, like, coefficients)


def _one_of(value: str, allowed: Mapping[str, object], where: str) -> None:
    if value not in allowed:
        raise ConfigError(f"{where}: found {value!r}, needs one of {', '.join(allowed)}")


def _number(text: str, where: str, positive: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 <= value < math.inf) or (positive and value == 0):
        raise ConfigError(f"{where}: found {text!r}, needs a number {'> 0' if positive else '>= 0'}")
    return value


def _size(cell: Mapping[str, str], column: str | None, rule: str, where: str) -> tuple[float, float]:
    for other in ("bits", "capacity_kib"):
        if other != column and cell[other]:
            raise ConfigError(
                f"{where}, column {other}: found {cell[other]!r}; empty in a row of component {cell['component']}"
            )
    if column is None:
        return 0.0, 0.0
    ends = cell[column].split("..") if rule != "exact" else [cell[column]] * 2
    if len(ends) != 2:
        raise ConfigError(f"{where}, column {column}: found {cell[column]!r}, needs a range such as 1..64")
    low, high = (_number(end, f"{where}, column {column}", positive=True) for end in ends)
    if low > high:
        raise ConfigError(f"{where}, column {column}: found {cell[column]!r}, whose ends are in the wrong order")
    return low, high


def _arguments(rule: str, arguments: list[str], scale: float, where: str) -> tuple[str, tuple[float, ...]]:
    """What follows a rule's name: the operation that `as` names, or the coefficients of a polynomial."""
    polynomial = rule.startswith("polynomial")
    if not (arguments if polynomial else len(arguments) == (rule == "as")):
        raise ConfigError(f"{where}: {rule} with {len(arguments)} arguments; {rule}: {RULES[rule]}")
    if not polynomial:
        return "".join(arguments), ()
    try:
        coefficients = tuple(float(one) for one in arguments)
    except ValueError:
        coefficients = (math.nan,)
    if not all(map(math.isfinite, coefficients)):
        raise ConfigError(f"{where}: coefficients {' '.join(arguments)!r} are not all numbers")
    return "", tuple(one * scale for one in coefficients)


def _scale(unit: str, component: str, where: str) -> float:
    """Factor from a row's unit to pJ an operation, or to pJ a bit."""
    match = _UNIT.fullmatch(unit)
    memory = component in ("sram", "dram")
    if not match or memory != ("/" in unit):
        needs = "pJ/bit or pJ/64bit (an access of so many bits)" if memory else "pJ (an operation)"
        raise ConfigError(f"{where}, column unit: found {unit!r}, needs {needs}")
    return 1 / int(match[1] or 1)
