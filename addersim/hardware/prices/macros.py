"""On-chip memories as the macros that they are built of: one a bank, and the wire to them.

A memory that serves n words a cycle is n macros of an nth of its capacity (`Buffer.banks`). An access costs that of one macro,
and moving the word from the memory's edge to it: half of the side of the square that all macros fill, at the table's energy of
a bit and mm. Areas and leakages are those of n macros. No macro is smaller than the smallest memory of the table.

A memory is priced as one macro of its whole capacity where it has no or one bank, where the accelerator says so
(``monolithic``), and where the table has no areas of memories or no energy of wires: the prices then say that.
"""

from __future__ import annotations

from typing import NamedTuple

from addersim.errors import PriceError
from addersim.hardware.accelerator import Buffer
from addersim.hardware.layer_cost import UnitEnergy
from addersim.hardware.prices.table import EnergyTable

__all__ = ["Macros", "access_energy", "macros_of"]


class Macros(NamedTuple):
    """Equal macros, the mm of wire to one of them, and why a memory of several banks is priced as one, if it is."""

    number: int
    capacity_kib: float
    wire_mm: float = 0.0
    note: str = ""


def macros_of(memory: Buffer, table: EnergyTable, monolithic: bool = False) -> Macros:
    """The macros that a memory is built of, as far as a table can price them."""
    banks, whole = memory.banks or 1, Macros(1, memory.capacity_kib)
    if banks == 1 or monolithic:
        return whole
    smallest = min(table.smallest_kib(memory.device), memory.capacity_kib)
    macro_kib = max(memory.capacity_kib / banks, smallest)
    try:
        one_um2 = table.area("sram", "read", memory.word_bits, macro_kib, memory.device).value
        table.wire(memory.word_bits, memory.device)
    except PriceError:
        return whole._replace(
            note="priced as one memory, not by banks: the table lacks areas of memories or the energy of wires"
        )
    return Macros(banks, macro_kib, (banks * one_um2) ** 0.5 * 1e-3 / 2)


def access_energy(memory: Buffer, macros: Macros, table: EnergyTable, op: str) -> UnitEnergy:
    """Energy of reading or writing a word of a memory, the wire to its macro included.

    Raises
    ------
    PriceError
        The table has no row for the macro.
    """
    one = table.sram(macros.capacity_kib, memory.word_bits, op, memory.device)
    rule, _, note = one.rule.partition("; ")
    notes = "; ".join(["", *filter(None, (note, macros.note, _transistors(memory, table)))])
    if macros.number == 1:
        return one._replace(rule=rule + notes)
    wire = table.wire(memory.word_bits, memory.device)
    wire_pj = wire.energy_pj * macros.wire_mm
    built = f"one of {macros.number} macros of {macros.capacity_kib:g} KiB: {one.energy_pj:.4g} pJ"
    way = f"{macros.wire_mm:.3g} mm of wire ({wire.rule}): {wire_pj:.3g} pJ"
    return UnitEnergy(one.energy_pj + wire_pj, f"{rule}, {built}, and {way}{notes}", f"{one.source}; {wire.source}")


def _transistors(memory: Buffer, table: EnergyTable) -> str:
    """The words which transistors a memory is made of, where the table names them and the accelerator does not."""
    first, *others = table.devices() or ("",)
    if memory.device is not None or not first:
        return ""
    return f"of transistors {first}" + (f", where the table has {' and '.join(others)} too" if others else "")
