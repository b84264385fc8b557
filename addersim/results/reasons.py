"""Reasons: what makes a design as slow or as costly as it is, in a sentence each, from its layers' facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.errors import check_kind
from addersim.format_quantity import how_many
from addersim.hardware.cost import Cost
from addersim.hardware.layer_cost import LayerCost
from addersim.hardware.scalesim.config import NEVER_STALLS_GB_S
from addersim.results.result import Result
from addersim.tabular import percent

__all__ = ["differing_reason", "reasons", "reasons_told"]

LOW = 0.5
"""Utilisation below which the array is called idle."""
MUCH = 0.1
"""Share of the time or of the taps from which a part of a network is worth a sentence."""


def reasons(result: Result) -> tuple[str, ...]:
    """Why a design takes what it takes: depthwise layers, an idle array, bandwidth that no machine has, mixed elements.

    Examples
    --------
    >>> from addersim import count, evaluate, load_network, quantize
    >>> found = evaluate(count(quantize(load_network("lenet5-adder"), None)), "systolic-16x16")
    >>> reasons(found)  # doctest: +ELLIPSIS
    ('the array is busy ... % of the time that it has: most of the rest is lost in ...',)
    """
    check_kind(result, Result, "reasons: result")
    if not result.cost.cycles:
        return ()
    return tuple(filter(None, (one(result) for one in _REASONS)))


def reasons_told(results: Sequence[Result]) -> dict[str, list[str]]:
    """Every sentence once, with the names of the results that it holds for."""
    found: dict[str, list[str]] = {}
    for result in results:
        for one in reasons(result):
            found.setdefault(one, []).append(result.name)
    return found


def differing_reason(first: Result, result: Result) -> str:
    """What makes two designs no equal rivals; empty where nothing does."""
    one, other = first.cost.elements, result.cost.elements
    if one == other:
        return ""
    return (
        f"the two have {one:,} and {other:,} processing elements: --pes compares at equal elements, --area-budget at equal "
        "silicon"
    )


def _depthwise(result: Result) -> str:
    cost = result.cost
    found = {
        layer.name
        for layer in result.trace.layers
        if layer.work and layer.work.groups > 1 and layer.work.filters == 1 and layer.work.geometry
    }
    layers = [layer for layer in cost.layers if layer.name in found]
    time, taps = (_share(getattr(one, what) for one in layers) for what in ("cycles", "taps"))
    time, taps = time / cost.cycles, taps / cost.taps if cost.taps else 0.0
    if time < MUCH or time < 1.5 * taps:
        return ""
    mean = sum(one.mapping_efficiency * one.taps for one in layers) / sum(one.taps for one in layers)
    return (
        f"{how_many(len(layers), 'depthwise layers')} take {percent(time)} of the time for {percent(taps)} of the taps: a "
        f"group has one filter, so that they fill {percent(mean)} of the array"
    )


def _idle(result: Result) -> str:
    cost = result.cost
    if cost.utilisation >= LOW:
        return ""
    worst = max(cost.layers, key=lambda layer: layer.cycles * cost.elements - layer.taps)
    return (
        f"the array is busy {percent(cost.utilisation)} of the time that it has: most of the rest is lost in {worst.name}, "
        f"{percent(worst.cycles / cost.cycles)} of the time, {_lost(worst, cost)}"
    )


def _lost(layer: LayerCost, cost: Cost) -> str:
    """Why the array is idle in a layer."""
    if layer.bound == "dram":
        return "where it waits for DRAM"
    if layer.bound == "buffer":
        return "where it waits for on-chip memories"
    if not layer.taps:
        return "where the vector unit works"
    if layer.mapping_efficiency < LOW:
        return f"where its folds fill {percent(layer.mapping_efficiency)} of the {cost.elements:,} elements"
    return "where folds are too short to fill and drain the array"


def _unlimited(result: Result) -> str:
    gb_s = result.cost.dram_bytes_per_cycle * result.cost.clock_mhz / 1000
    return "DRAM has no bandwidth that limits (InterfaceBandwidth CALC): no layer waits for it" if (
        gb_s >= NEVER_STALLS_GB_S
    ) else ""  # fmt: skip


def _mixed(result: Result) -> str:
    taps = {name: number for name, number in result.trace.taps_by_datapath().items() if number}
    arithmetics = {DATAPATHS[name].arithmetic for name in taps}
    if len(arithmetics) < 2:
        return ""
    total = sum(taps.values())
    shares = ", ".join(f"{name} {percent(number / total)}" for name, number in sorted(taps.items(), key=lambda one: -one[1]))
    return f"its layers run on several datapaths ({shares} of the taps), so that every element holds the circuits of all"


_REASONS: tuple[Callable[[Result], str], ...] = (_depthwise, _idle, _unlimited, _mixed)


def _share(numbers: Iterable[int]) -> float:
    return float(sum(numbers))
