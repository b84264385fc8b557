"""Prices of multipliers that are tables: what is stated of their circuits, as rows of an energy table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from addersim.arithmetic.datapaths import TABLE_BITS
from addersim.arithmetic.multiplier import MultiplierPrice
from addersim.errors import PriceError
from addersim.format_quantity import first_of
from addersim.hardware.prices.row import EnergyRow, Quantity
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import LayerTrace

__all__ = ["check_energy_stated", "with_multiplier"]

OPERATION, EXACT = "amul", "mul"


def with_multiplier(table: EnergyTable, layers: Sequence[LayerTrace]) -> EnergyTable:
    """A table with the rows that the multiplier of some layers states of itself, in place of any of its own.

    Figures of another technology than the table's are left out.

    Raises
    ------
    PriceError
        For two multipliers that differ in what is stated, for they would be one operation; or fractions of what has no row.
    """
    stated: dict[MultiplierPrice, str] = {}
    for layer in layers:
        if layer.multiplier is not None:
            stated.setdefault(layer.multiplier, layer.name)
    if len(stated) > 1:
        (one, first), (other, second) = list(stated.items())[:2]
        raise PriceError(f"layers {first} and {second}: multipliers {one.name} and {other.name}; an estimate takes one")
    rows = [row for price in stated for row in _rows(price, table)]
    if not rows:
        return table
    others = [row for row in table.rows if (row.component, row.op) != ("integer", OPERATION)]
    return EnergyTable(table.name, (*others, *rows), table.notes)


def check_energy_stated(table: EnergyTable, layers: Sequence[LayerTrace]) -> None:
    """Refuse a multiplier of which neither its maker nor the table says what a product costs."""
    if any((row.component, row.op) == ("integer", OPERATION) for row in table.rows):
        return
    if needing := [layer for layer in layers if layer.multiplier is not None]:
        assert needing[0].multiplier is not None
        price = needing[0].multiplier
        if price.energy_pj is not None:
            raise PriceError(
                f"multiplier {price.name}: its energy is of {price.node_nm:g} nm, and energy table {table.name!r} is of "
                f"{', '.join(f'{node:g}' for node in _nodes(table))} nm; "
                "state relative_energy, a fraction of the exact multiplier's"
            )
        names = first_of([layer.name for layer in needing])
        raise PriceError(
            f"multiplier {price.name}: energy of a product is not known; state relative_energy, a fraction of the "
            f"exact multiplier's, or energy_pj and node_nm, in its TOML file, or give energy table {table.name!r} a row of "
            f"{OPERATION}; needed by layers {names}"
        )


def _rows(price: MultiplierPrice, table: EnergyTable) -> list[EnergyRow]:
    nodes = _nodes(table)
    given: dict[Quantity, float | None] = {"energy_pj": price.relative_energy, "area_um2": price.relative_area}
    fractions = tuple((quantity, one) for quantity, one in given.items() if one is not None)
    row = EnergyRow(
        component="integer",
        op=OPERATION,
        bits=(TABLE_BITS, TABLE_BITS),
        capacity_kib=None,
        energy_pj=price.energy_pj if price.node_nm in nodes else None,
        area_um2=price.area_um2 if price.node_nm in nodes else None,
        per_bit=False,
        node_nm=nodes[0],
        voltage_v=None,
        rule="exact",
        source=price.source or f"stated of multiplier {price.name}",
        line=0,
    )
    rows = [row] if row.energy_pj is not None or row.area_um2 is not None else []
    if fractions:
        if not any((one.component, one.op) == ("integer", EXACT) for one in table.rows):
            raise PriceError(
                f"multiplier {price.name}: a fraction of {EXACT}, of which energy table {table.name!r} has no row"
            )
        rows.append(replace(row, rule="fraction", like=EXACT, energy_pj=None, area_um2=None, fractions=fractions))
    return rows


def _nodes(table: EnergyTable) -> list[float]:
    return sorted({row.node_nm for row in table.rows if row.component == "integer"})
