"""What a table knows of row stationary arrays: elements between scratchpads, and hops of the network between elements.

An element there takes the input, the weight and the sum so far of a tap from its scratchpads and gives the sum back: beside
the circuit of a systolic array's it has a register for the sum that comes. Tables have rows of their own for it
(`row.SCRATCHPADS`); where one has none, a systolic array's elements are taken, and a note says so. The scratchpads themselves
are memories, rows ``register``, and no part of an element's row.

A hop is as long as an element is wide: the side of the square that its scratchpads fill, which are most of it, at the table's
energy of wires, where no row says what a hop takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from addersim.errors import PriceError
from addersim.hardware.prices.csv_file import load_table, table_names
from addersim.hardware.prices.row import SCRATCHPADS, EnergyRow
from addersim.hardware.prices.table import EnergyTable
from addersim.hardware.processing_array import RowStationary, SystolicArray
from addersim.hardware.zero_savings import Notes
from addersim.trace import LayerTrace

__all__ = ["SYSTOLIC_ELEMENTS", "for_array", "scratchpad_notes", "tables_with_scratchpads"]

SYSTOLIC_ELEMENTS = "priced by a systolic array's elements, which lack a register of sums out of a scratchpad: no others known"


def for_array(table: EnergyTable, array: SystolicArray) -> EnergyTable:
    """The table as an array takes it: of a row stationary one with its elements, and with hops."""
    pads = array.row_stationary
    if pads is None:
        return table
    rows = _elements(table.rows) if _has_elements(table) else table.rows
    if not any(row.component == "network" for row in rows):
        rows = (*rows, *_hop(table, pads))
    return table if rows == table.rows else EnergyTable(table.name, rows, table.notes)


def tables_with_scratchpads(array: SystolicArray) -> list[str]:
    """Names of the bundled tables that have all that moves words inside a row stationary array: registers, and hops."""
    rows = {name: for_array(load_table(name), array).rows for name in table_names()}
    return [name for name, found in rows.items() if {"register", "network"} <= {row.component for row in found}]


def scratchpad_notes(table: EnergyTable, array: SystolicArray, layers: Sequence[LayerTrace]) -> Notes:
    """What must be known of a row stationary array's elements under a table that has none of them, and of which layers."""
    windows = tuple(layer.name for layer in layers if layer.work is not None)
    lacking = array.row_stationary is not None and table.knows_elements and not _has_elements(table)
    return ((SYSTOLIC_ELEMENTS, windows),) if lacking and windows else ()


def _has_elements(table: EnergyTable) -> bool:
    return any(SCRATCHPADS in row.device.split() for row in table.rows)


def _elements(rows: Sequence[EnergyRow]) -> tuple[EnergyRow, ...]:
    """Rows of elements between scratchpads in the place of a systolic array's, of elements and of layers on such.

    Styles of a multiplier stay in the order of the systolic array's, whose first one is usual.
    """
    own = [row for row in rows if SCRATCHPADS in row.device.split()]
    named = [replace(row, device=" ".join(word for word in row.device.split() if word != SCRATCHPADS)) for row in own]
    order = list(dict.fromkeys(row.device for row in rows if row.component == "pe" and row not in own))
    places = {device: place for place, device in enumerate(order)}
    named.sort(key=lambda row: places.get(row.device, len(places)))
    return (*named, *(row for row in rows if row.component not in ("pe", "layer")))


def _hop(table: EnergyTable, pads: RowStationary) -> Sequence[EnergyRow]:
    """A row for a hop of a bit, where the table has areas of registers and the energy of wires; else none."""
    words = pads.input_words + pads.weight_words + pads.sum_words
    try:
        area_um2 = words * table.area("register", "read", pads.word_bits).value
        wire = table.wire(1)
    except PriceError:
        return ()
    pitch_mm = area_um2**0.5 * 1e-3
    how = f"a hop of {pitch_mm:.3g} mm, the side of the square that {words} words of {pads.word_bits} bits fill"
    like = next(row for row in table.rows if row.component == "wire")
    return (replace(like, component="network", op="hop", device="", bits=None, energy_pj=wire.energy_pj * pitch_mm,
                    per_bit=True, rule="exact", source=f"chosen: {how}; {wire.source}"),)  # fmt: skip
