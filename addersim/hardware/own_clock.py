"""The clock that a design's own circuits allow: that of the slowest of its processing elements.

Designs of equal clock leave out that an adder's way from register to register is shorter than a multiplier's. The delay of an
element comes from an energy table that knows elements (`EnergyTable.delay`), for every datapath of the array at the width that
the network needs; a table without one is refused, for nothing else tells it. Vector unit and memories are taken to keep up,
and DRAM keeps its bandwidth in bytes a second.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from addersim.errors import HardwareError, check_kind
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.area import inventory
from addersim.hardware.prices.csv_file import load_table, table_names
from addersim.hardware.prices.scratchpads import for_array
from addersim.hardware.prices.table import EnergyTable
from addersim.trace import Trace

__all__ = ["OwnClock", "at_own_clock"]


class OwnClock(NamedTuple):
    """A design at its own clock.

    Attributes
    ----------
    machine
        The accelerator with its clock changed, which its name says, and its source where it comes from.
    slowest
        What sets the clock: the element, in words.
    delay_ns, rule, source
        Its delay, the table's rule for it, and where that comes from.
    """

    machine: Accelerator
    slowest: str
    delay_ns: float
    rule: str
    source: str


def at_own_clock(trace: Trace, accelerator: Accelerator, table: EnergyTable) -> OwnClock:
    """The accelerator at the clock that the processing elements of a network allow.

    Raises
    ------
    HardwareError
        The table has no delay of one of them, the network needs none, or the array is one of adder trees.

    Examples
    --------
    >>> from addersim import count, load_accelerator, load_network, quantize
    >>> table = load_table("nangate45-gates")
    >>> for name in ("resnet20-adder", "resnet20-conv"):
    ...     own = at_own_clock(count(quantize(load_network(name), None)), load_accelerator("systolic-16x16"), table)
    ...     print(round(own.machine.clock_mhz), own.slowest)
    662 element mac of 8 bits
    662 element mac of 8 bits
    """
    check_kind(trace, Trace, "own clock: trace")
    check_kind(accelerator, Accelerator, "own clock: accelerator", "addersim.load_accelerator(name) gives one")
    check_kind(table, EnergyTable, "own clock: table", "addersim.hardware.load_table(name) gives one")
    if not table.knows_elements:
        with_delays = [name for name in table_names() if load_table(name).knows_elements]
        raise HardwareError(
            f"own clock: energy table {table.name!r} has no delays of processing elements; tables that have: "
            f"{', '.join(with_delays)}"
        )
    if accelerator.array.broadcast is not None:
        raise HardwareError(
            f"own clock: accelerator {accelerator.name!r} is a broadcast array, whose trees of adders are slower than "
            "the single elements that the table knows; give systolic or row stationary arrays, or clocks in files"
        )
    elements = [circuit for circuit in inventory(trace, accelerator, table) if circuit.component == "pe"]
    if not elements:
        raise HardwareError(f"own clock: network {trace.name}: no layer runs on the array, whose elements set it")
    own = for_array(table, accelerator.array)
    found = {one: own.delay(one.op, one.bits) for one in elements}
    slowest = max(found, key=lambda one: found[one].value)
    delay_ns, rule, source = found[slowest]
    clock_mhz = 1e3 / delay_ns
    named = f"{accelerator.name}, {clock_mhz:.4g} MHz by {slowest.op}"[:100]
    told = f"{accelerator.source}; clock: {delay_ns:.4g} ns of {slowest.what} ({rule}) in {table.name}: {source}"
    machine = msgspec.structs.replace(accelerator, name=named, clock_mhz=clock_mhz, source=told)
    return OwnClock(machine, slowest.what, delay_ns, rule, source)
