"""What rows of an energy table must have to stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from addersim.errors import ConfigError
from addersim.hardware.prices.grid import axes
from addersim.hardware.prices.row import EnergyRow
from addersim.hardware.prices.rules import SURFACES, points_needed

__all__ = ["check_rows", "grid_gap"]


def check_rows(name: str, rows: Sequence[EnergyRow], by_key: Mapping[tuple[str, str, str], Sequence[EnergyRow]]) -> None:
    """Refuse rows that contradict each other, or that need another row that is not there.

    Raises
    ------
    ConfigError
        The first such row, by its line; `name` is the table's.
    """
    for row in rows:
        alike = by_key[row.key]
        twins = [other for other in alike if other.exact == row.exact and other.overlaps(row)]
        if len(twins) > 1:
            lines = " and ".join(str(other.line) for other in sorted(twins, key=lambda one: one.line)[:2])
            raise ConfigError(f"energy table {name!r}: lines {lines} both price {row.component} {row.op} of the same size")
        if fault := _lacking(row, [other for other in alike if other.exact], by_key):
            raise ConfigError(f"energy table {name!r}: line {row.line}: {fault}")


def _lacking(row: EnergyRow, exact: Sequence[EnergyRow], by_key: Mapping[tuple[str, str, str], Sequence[EnergyRow]]) -> str:
    """What a rule's row needs and does not find; empty where it lacks nothing."""
    positive = all(other.energy_pj for other in exact)
    needed = points_needed(row.rule)
    if needed and (len(exact) < needed or not positive):
        number = "two exact rows" if needed == 2 else "an exact row"
        return f"rule {row.rule} needs {number} of {row.op}, above zero"
    if row.rule in SURFACES:
        nodes = [(other.capacity_kib[0], other.bits[0]) for other in exact if other.capacity_kib and other.bits]
        if not nodes or min(map(len, axes(nodes))) < 2 or not positive:
            return f"rule {row.rule} needs exact rows of {row.op}, two capacities and two widths, above zero"
        if row.rule == "grid" and (gap := grid_gap([(*node, 1.0) for node in nodes])):
            return f"rule grid needs an exact row of {row.op} for every capacity at every width; {gap} is missing"
    if row.like:
        target = by_key.get((row.component, row.like, row.device), ())
        if not target or any(other.like for other in target):
            return f"{row.rule} {row.like}, which has no price of its own"
    return ""


def grid_gap(points: Sequence[tuple[float, float, float]]) -> str:
    """The first size that a grid of (capacity, width, y) lacks, in words; empty where it has all."""
    nodes = {(capacity, width) for capacity, width, _ in points}
    missing = next((node for node in product(*axes(nodes)) if node not in nodes), None)
    return f"{missing[0]:g} KiB x {missing[1]:g} bits" if missing else ""
