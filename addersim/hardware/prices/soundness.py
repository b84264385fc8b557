"""Whether something larger or wider is cheaper under an energy table: in its rows, or by its rules between them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise

import numpy as np

from addersim.errors import ConfigError, PriceError
from addersim.hardware.prices.row import EnergyRow
from addersim.hardware.prices.table import EnergyTable

__all__ = ["check_sizes"]

_SIZED = ("integer", "float", "sram", "register")
_STEPS = 200
"""Sizes at which a rule's range is tried, evenly by their logarithms, beside the sizes of exact rows."""
_TOLERANCE = 1e-9


def check_sizes(table: EnergyTable, where: str) -> None:
    """Refuse a table under which something larger or wider costs less energy; `where` names its file.

    Raises
    ------
    ConfigError
        The two rows, or the rule and the two sizes.
    """
    for fault in (*_rows_that_fall(table), *_rules_that_fall(table)):
        raise ConfigError(
            f"{where}: {fault}: larger is cheaper; correct it, or lower the smaller one to what can stand in for it"
        )


def _rows_that_fall(table: EnergyTable) -> Iterator[str]:
    rows = [row for row in table.rows if row.exact and row.component in _SIZED]
    for one, other in combinations(rows, 2):
        if one.key != other.key or one.per_bit != other.per_bit:
            continue
        small, large = (one, other) if _within(one, other) else (other, one)
        if _within(small, large) and (large.energy_pj or 0.0) < (small.energy_pj or 0.0) * (1 - _TOLERANCE):
            unit = "pJ a bit" if large.per_bit else "pJ"
            what = f"lines {small.line} and {large.line}: {large.component} {large.op}"
            yield f"{what} of {large} costs {large.energy_pj:g} {unit}, that of {small} {small.energy_pj:g} {unit}"


def _within(small: EnergyRow, large: EnergyRow) -> bool:
    pairs = (small.capacity_kib, large.capacity_kib), (small.bits, large.bits)
    return all(one is None or other is None or one[0] <= other[0] for one, other in pairs)


def _rules_that_fall(table: EnergyTable) -> Iterator[str]:
    """Faults of rules along one size; a grid cannot fall, and a fit falls where its exponents are negative."""
    for rule in table.rows:
        if rule.exact or rule.component not in _SIZED or rule.rule in ("as", "fraction", "grid"):
            continue
        what = f"{rule.component} {rule.op}"
        for sizes in _lines(rule, table):
            priced = [(size, energy) for size in sizes if (energy := _price(rule, size, table)) is not None]
            for (small, less), (large, more) in pairwise(priced):
                if more < less * (1 - _TOLERANCE):
                    dearer = f"that of {_told(small)} {less:.6g} pJ"
                    yield f"line {rule.line}: the rule {rule.rule} gives {what} of {_told(large)} {more:.6g} pJ, {dearer}"


_Pair = tuple[float | None, int | None]


def _lines(rule: EnergyRow, table: EnergyTable) -> Iterator[list[_Pair]]:
    """Rising sizes within a rule's range: along its capacities, along its widths, or along each where it has both."""
    alike = [row for row in table.rows if row.exact and row.key == rule.key]
    widths = sorted({round(bits) for bits in _marks(rule.bits, [row.bits for row in alike])})
    capacities = _marks(rule.capacity_kib, [row.capacity_kib for row in alike])
    if capacities:
        yield [(capacity, widths[0] if widths else None) for capacity in capacities]
    if widths:
        yield [(capacities[0] if capacities else None, bits) for bits in widths]


def _marks(span: tuple[float, float] | None, rows: list[tuple[float, float] | None]) -> list[float]:
    if span is None:
        return []
    inner = {row[0] for row in rows if row is not None and span[0] <= row[0] <= span[1]}
    return sorted(inner | set(np.geomspace(*span, _STEPS).clip(*span).tolist()))


def _price(rule: EnergyRow, size: _Pair, table: EnergyTable) -> float | None:
    """Energy of a size, of a bit where the rule knows no width; None where the rule gives none, which is told on use."""
    capacity, bits = size
    try:
        if rule.component == "sram":
            return table.sram(capacity or 0.0, bits or 1, rule.op, rule.device).energy_pj
        if rule.component == "register":
            return table.register(rule.op, bits or 1, capacity).energy_pj
        return table.price(rule.op, bits or 1, rule.component)
    except PriceError:
        return None


def _told(size: _Pair) -> str:
    capacity, bits = size
    return " x ".join([*([f"{capacity:.6g} KiB"] if capacity is not None else []), *([f"{bits} bits"] if bits else [])])
