"""The order in which an array's elements take taps, and whether toggles that a run saw in one hold for a machine."""

from __future__ import annotations

from dataclasses import replace

from addersim.errors import HardwareError
from addersim.hardware.accelerator import Accelerator
from addersim.hardware.zero_savings import Notes
from addersim.trace import LayerTrace, Trace

__all__ = ["ORDERS", "tap_order", "toggles_in_order"]

ORDERS = ("output", "weight", "input", "row")
"""Orders that are told: what is held, or that rows of kernels pass along rows of the image."""


def tap_order(machine: Accelerator) -> str:
    """One of `ORDERS`, that of a machine's elements.

    Raises
    ------
    HardwareError
        A broadcast array, whose elements take many taps at once.
    """
    order = machine.array.dataflow
    if order not in ORDERS:
        raise HardwareError(
            f"activity: accelerator {machine.name!r} is a broadcast array, whose lanes take taps side by side; the order is "
            f"known of arrays whose dataflow is {', '.join(ORDERS)}"
        )
    return order


def toggles_in_order(trace: Trace, machine: Accelerator) -> tuple[Trace, Notes]:
    """The trace with toggles where they are what the machine's elements see, and of which layers they are not, and why.

    They are not where they were measured in another order, or where elements rest on some of the taps or leave them out.
    """
    found = [(layer, _why_not(layer, machine)) for layer in trace.layers]
    if not any(why for _, why in found):
        return trace, ()
    layers = tuple(replace(layer, toggles=None) if why else layer for layer, why in found)
    whys = dict.fromkeys(why for _, why in found if why)
    notes = tuple((why, tuple(layer.name for layer, one in found if one == why)) for why in whys)
    return replace(trace, layers=layers), notes


def _why_not(layer: LayerTrace, machine: Accelerator) -> str:
    """Why the toggles of a layer say nothing of a machine; empty where they do, or where there are none."""
    if layer.toggles is None or layer.work is None:
        return ""
    if layer.toggles.order != machine.array.dataflow:
        return f"toggles unused: seen in the order {layer.toggles.order!r}, this array's is {machine.array.dataflow!r}"
    if layer.gated_taps or layer.work.kept is not None:
        return "toggles unused: seen of all taps, some of which do not run here"
    return ""
