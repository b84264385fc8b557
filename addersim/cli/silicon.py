"""What `addersim estimate` prints of areas, of unit energies by rule, and of one design under every energy table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from addersim.cli.output import alone_on_output, print_json, print_table, say, say_fact
from addersim.format_quantity import first_of
from addersim.tabular import show

if TYPE_CHECKING:
    from addersim.hardware.area import Area
    from addersim.hardware.cost import Cost
    from addersim.hardware.table_range import EnergyRange
    from addersim.trace import Trace


def show_range(found: EnergyRange, area: Area, csv: Path | None, json: bool) -> None:
    """Print a range of costs, or its JSON; write its rows where a file is named."""
    from addersim.hardware.layer_cost import Component
    from addersim.storage import write_rows

    priced = {name for cost in found.costs for name in cost.energy_by_component()}
    rows = [_row(cost, [name for name in get_args(Component) if name in priced]) for cost in found.costs]
    if csv:
        write_rows(csv, rows)
    if alone_on_output(csv, json=json):
        return
    if json:
        tables = [_document(cost) for cost in found.costs]
        print_json({"tables": tables, "refused": found.refused, "area": area.to_dict()})
        return
    low, high = found.lowest, found.highest
    images = "one image" if low.batch == 1 else f"{low.batch} images"
    print_table(f"{low.network} on {low.accelerator}, {images}, under every energy table", rows)
    say()
    ends = f"{show(low.energy_pj / 1e6)} to {show(high.energy_pj / 1e6)} uJ ({low.table} to {high.table})"
    say_fact("energy", f"{ends}, a factor of {found.spread:.2g}")
    print_area(area)
    by_note: dict[str, list[str]] = {}
    for cost in found.costs:
        for note in cost.notes():
            by_note.setdefault(note, []).append(cost.table)
    for note, names in by_note.items():
        say(f"{note}: {', '.join(names)}")
    for name, reason in found.refused.items():
        say(f"not by {name}: {reason}")


def _row(cost: Cost, components: list[str]) -> dict[str, Any]:
    parts = cost.energy_by_component()
    shown = {f"{name} uJ": parts[name] / 1e6 if name in parts else None for name in components}
    return {"table": cost.table, "energy uJ": cost.energy_pj / 1e6} | shown | {"latency ms": cost.latency_ms}


def _document(cost: Cost) -> dict[str, Any]:
    energies = {"total": cost.energy_pj} | cost.energy_by_component()
    return {"table": cost.table, "energy_pj": energies, "cycles": cost.cycles, "latency_ms": cost.latency_ms}


def print_area(area: Area) -> None:
    """The lines on area: totals, the element, and what is not in."""
    from addersim.hardware.area import NOT_COUNTED

    if area.parts:
        units = ", ".join(f"{name} {show(um2 / 1e6)}" for name, um2 in area.by_unit().items())
        say_fact("area", f"{show(area.area_mm2)} mm2 at {area.node_nm:g} nm by {area.table} ({units})")
        some = f", {show(area.multiplying_elements)} of which multiply" if area.multiplying_elements < area.elements else ""
        say_fact("processing elements", f"{show(area.elements)} of {show(area.element_um2)} um2{some}")
    say(f"no area for: {', '.join((*area.missing, *NOT_COUNTED))}")


def print_priced(cost: Cost) -> None:
    """What is priced how, and what is not."""
    _print_array_prices(cost)
    say(f"not priced: {_unpriced(cost)}")
    print_notes(cost)


def _print_array_prices(cost: Cost) -> None:
    """What the array takes of each window layer under every way in which a table of processing elements prices it."""
    if not cost.array_prices:
        return
    ways = dict.fromkeys(way for one in cost.array_prices for way in one.energy_pj)
    rows = [
        {"layer": one.layer, "zeros": "" if one.zeros is None else f"{100 * one.zeros:.0f} %"}
        | {f"{way} nJ": pj / 1e3 if (pj := one.energy_pj.get(way)) is not None else None for way in ways}
        for one in cost.array_prices
    ]
    print_table(f"the array, one image, by each price of {cost.table}", rows)


def print_rules(cost: Cost, area: Area) -> None:
    """The lines on unit energies and areas that a rule of the table gives: each fit with its error, other rules by number."""
    rules = {used.what: used.energy.rule for used in cost.prices if not used.what.startswith("leakage")}
    fitted: dict[str, list[str]] = {}
    for what, rule in (*rules.items(), *((f"area of {part.circuit.what}", part.figure.rule) for part in area.parts)):
        if "fit " in rule:
            fitted.setdefault(rule, []).append(what)
    for rule, places in fitted.items():
        say(f"fitted: {'; '.join(dict.fromkeys(places))}: {rule}")
    kinds = Counter(re.split("[,; ]", re.sub(r"^as \S+: ", "", rule))[0] for rule in rules.values())
    others = [f"{number} {kind}" for kind, number in kinds.items() if kind not in ("exact", "fit", "given")]
    if others:
        say(f"unit energies computed by a rule of the table: {', '.join(others)}, of {len(rules)} (--json names each)")


def print_notes(cost: Cost) -> None:
    """A line for each thing that must be known of the unit energies, with the first of those it holds for."""
    for note, whats in cost.notes().items():
        say(f"{note}: {first_of(whats)}")


def print_packing(trace: Trace) -> None:
    """A line where the words of memories may hold less that is used than is taken."""
    works = [(layer.name, layer.work) for layer in trace.layers if layer.work is not None]
    spread = [name for name, work in works if work.groups > 1 or (work.geometry and max(work.geometry.stride) > 1)]
    if spread:
        say(
            "accesses of memories are taken to use full words; grouped and strided layers may use a part of each: "
            f"{first_of(spread)}"
        )


def _unpriced(cost: Cost) -> str:
    """What a cost holds no energy for, in words."""
    parts = cost.energy_by_component()
    within = "wires" if any(used.unit == "tap" for used in cost.prices) else "registers and wires"
    without = [] if "register" in parts else [f"{within} inside the array"]
    without += ["control", "clock tree" if "idle" not in parts else "clock tree beyond the stated idle power"]
    if "leakage" not in parts:
        return ", ".join((*without, "leakage (no rows for it)"))
    rule = next(used.energy.rule for used in cost.prices if used.what.startswith("leakage"))
    left_out = rule.partition("; no figure for ")[2]
    return ", ".join((*without, *([f"leakage of {left_out}"] if left_out else [])))
