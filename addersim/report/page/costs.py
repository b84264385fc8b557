"""Sections on energy and time."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from addersim.format_quantity import ENERGY_UNITS, first_of, quantity
from addersim.hardware.traffic import PACKING
from addersim.report import figures
from addersim.report.frames import Frames, kinds, price_group
from addersim.report.markup import Column, details, escape, percent, thousandths, whole
from addersim.report.modules import by_module, large
from addersim.report.page.prices import price_anchors
from addersim.report.section import KIND, LAYER, Panel, Section, batched, network_table, present
from addersim.report.style import RESOURCES
from addersim.results.comparison import compare
from addersim.results.contrast import COMPONENTS, array_alone
from addersim.results.result import Result

__all__ = ["energy", "latency", "movement", "rooflines"]


def energy(results: Sequence[Result], frames: Frames) -> Section:
    """Energy by component and layer, and what is left of a saving when ever more is counted."""
    priced = [result.name for result in results if result.cost.energy_pj]
    found = set(frames.energy["component"])
    inner, leaks, idles = "register" in found, "leakage" in found, "idle" in found
    wires = "wires and " if all(result.cost.array_prices for result in results) else "registers, wires and "
    text = (
        "Priced are the operations of the array and the vector unit, words that move in and out of "
        f"{'registers and over the network of the array, of ' if inner else ''}the on-chip buffers, and bits that move to "
        f"and from DRAM{', and leakage where the table has rows for it' if leaks else ''}"
        f"{', and idle power as accelerators state it' if idles else ''}. Not priced: "
        f"{'' if inner else wires}control inside the array, the clock tree{' beyond that' if idles else ''}"
        f"{'' if leaks else ', and leakage, for which the table has no rows'}. "
        "A bar is a window layer (convolution or linear) with what follows it in the pipeline: batch norm, ReLU, residual "
        "addition."
    )
    if any(result.cost.convention == "paper" for result in results):
        text += " A result in the paper convention holds arithmetic alone: no memory, and everything but the taps is free."
    text += (
        f" The array's share is a convention: {array_alone(*(result.cost for result in results))}. In the memories {PACKING}."
    )
    known = dict.fromkeys(
        f"{note} ({first_of(layers)} of {result.name})" for result in results for note, layers in result.cost.known
    )
    text += "".join(f" Note: {one}." for one in known)
    loaded = [
        f"{quantity(one.cost.cold_start.energy_pj, ENERGY_UNITS)} for {one.name}, {one.cost.cold_start.of_weights}"
        for one in results
        if one.cost.cold_start
    ]
    if loaded:
        text += f" Weights stay on chip; fetching them once, before the first image, is in no bar: {'; '.join(loaded)}."
    rows: tuple[tuple[Panel, ...], ...] = ()
    inside: tuple[Panel, ...] = ()
    if priced:
        top: list[Panel] = [("By component", figures.energy_by_network(frames.energy))]
        contrasts = [one for one in compare(results).contrasts if one.energy_ratio and one.ratio_by_scope()]
        if contrasts:
            top.append(("What is left of the difference, counting ever more", figures.ratio_by_scope(contrasts)))
        modules = by_module(frames.energy)
        by_layer = tuple((_titled(frames.energy, name), figures.energy_by_layer(modules, name)) for name in priced)
        rows = (tuple(top), by_layer)
        inside = tuple(
            (f"{name}, by layer", figures.energy_by_layer(frames.energy, name))
            for name in priced
            if large(frames.energy, name)
        )
    sums = frames.energy.pivot_table(
        index=["network", "layer"], columns="component", values="energy_pj", aggfunc="sum", sort=False
    )
    wide = (sums.fillna(0.0) / 1e3).assign(total=lambda one: one.sum(axis=1)).add_suffix("_nj").reset_index()
    columns = {"layer": LAYER} | {
        f"{name}_nj": Column(f"{COMPONENTS.get(name, name)}, nJ", thousandths)
        for name in (*RESOURCES, "total")
        if f"{name}_nj" in wide
    }
    tables = "".join(network_table(wide, name, columns, totals=True) for name in priced)
    return Section(
        "energy",
        "Energy",
        f"<p>{escape(text)}</p>",
        rows,
        details("Numbers: energy of one image by layer and component", tables) if priced else "",
        inside,
    )


def _titled(frame: pd.DataFrame, name: str) -> str:
    return f"{name}, by {'module' if large(frame, name) else 'layer'}"


def movement(results: Sequence[Result], frames: Frames) -> Section | None:
    """Energy by operation, and by level and operand."""
    priced = [result.name for result in results if result.cost.energy_pj]
    if not priced:
        return None
    moved = present(frames.accesses, results)
    rows: tuple[tuple[Panel, ...], ...] = (
        (("By operation and operand", figures.energy_by_part(frames.energy)),),
        tuple((f"{name}, words that move", figures.energy_by_level(frames.energy, name)) for name in moved),
    )
    anchors = price_anchors(frames)
    groups = map(price_group, frames.energy["component"], frames.energy["of"])
    parts = frames.energy.assign(
        component=frames.energy["component"].map(COMPONENTS),
        of=frames.energy["of"].str.replace("_", " "),
        price=[f"#{anchors[name, group]}" for name, group in zip(frames.energy["network"], groups, strict=True)],
    )
    parts = parts.groupby(["network", "component", "of", "price"], sort=False)["energy_pj"].sum().div(1e3).reset_index()
    columns = {
        "component": Column("component"),
        "of": Column("operation or operand, to its prices", link="price"),
        "energy_pj": Column("energy, nJ", thousandths),
    }
    by_part = "".join(network_table(parts, name, columns, totals=True) for name in priced)
    words = frames.accesses.assign(
        level=frames.accesses["level"].map(COMPONENTS), operand=frames.accesses["operand"].str.replace("_", " ")
    )
    keys = ["network", "level", "operand", "bits"]
    words = words.groupby(keys, sort=False)[["reads", "writes", "kib"]].sum().reset_index()
    word_columns = {
        "level": Column("level"),
        "operand": Column("operand"),
        "bits": Column("bits each", whole),
        "reads": Column("words read", whole),
        "writes": Column("words written", whole),
        "kib": Column("KiB", thousandths),
    }
    by_word = "".join(network_table(words, name, word_columns, totals=("kib",)) for name in moved)
    text = "What the energy is spent on: each operation, and each operand at each level of the memory hierarchy."
    tables = details(
        "Numbers: energy of one image by operation and operand, with links to the prices", by_part, "numbers-parts"
    )
    if moved:
        tables += details("Numbers: words that move, by level, operand and width", by_word)
    return Section("movement", "What it is spent on", f"<p>{escape(text)}</p>", tuple(filter(None, rows)), tables)


def latency(results: Sequence[Result], frames: Frames) -> Section:
    """Time by layer and what sets it."""
    timed = [result.name for result in results if result.cost.cycles]
    if not timed:
        return Section("latency", "Latency", "<p>The paper convention counts arithmetic alone; it has no cycles.</p>")
    text = (
        "Layers that are joined in a pipeline form a stage, which lasts as long as its busiest resource: the array, the "
        "vector unit, an on-chip memory or DRAM. Stages run one after another. Colours say which resource sets the time. "
        "Utilisation is the taps of a stage over those that the whole array could compute in its time."
    )
    layers = frames.layers
    bounds = layers["bound"].map({**COMPONENTS, "fused": "fused", "none": ""})
    frame = layers.assign(latency_us=layers["latency_ms"] * 1e3, kind=kinds(layers), bound=bounds)
    columns = {
        "layer": LAYER,
        "kind": KIND,
        "latency_us": Column("time, µs", thousandths),
        "cycles": Column("cycles", whole),
        "bound": Column("set by"),
        "compute_cycles": Column("unit busy, cycles", whole),
        "buffer_cycles": Column("buffers busy, cycles", whole),
        "dram_cycles": Column("DRAM busy, cycles", whole),
        "utilisation": Column("utilisation", percent),
    }
    tables = "".join(network_table(frame, name, columns, totals=("latency_us", "cycles")) for name in timed)
    note = "<p class='note'>A stage's time stands at its first layer; the layers fused to it add none.</p>"
    staged = frames.layers[frames.layers["stage"] != ""]
    modules = by_module(staged)
    panels = tuple((batched(results, name), figures.latency_by_layer(staged, name, modules)) for name in timed)
    inside = tuple((batched(results, name), figures.latency_by_layer(staged, name)) for name in timed if large(staged, name))
    return Section(
        "latency",
        "Latency",
        f"<p>{escape(text)}</p>",
        (panels,),
        details("Numbers: time by layer", note + tables, "numbers-latency"),
        inside,
    )


def rooflines(results: Sequence[Result], frames: Frames) -> Section | None:
    """Where each window layer stands under the roof of its accelerator."""
    timed = [result.name for result in results if result.cost.cycles and result.cost.taps]
    if not timed:
        return None
    text = (
        "Taps a cycle that each window layer reaches with what follows it, against its taps a byte of DRAM traffic. The line "
        "is the most that is possible: the slope is the bandwidth of DRAM, the flat roof one tap a cycle in every processing "
        "element. Triangles at the right edge cause no DRAM traffic. Both axes are logarithmic."
    )
    designs = {row.network: row for row in frames.designs.itertuples()}
    panels = tuple((batched(results, name), figures.roofline(frames.layers, designs[name], name)) for name in timed)
    layers = frames.layers[(frames.layers["taps"] > 0) & (frames.layers["compute_cycles"] > 0)]
    taps = layers["taps"] * layers["batch"]
    layers = layers.assign(batch_taps=taps, rate=taps / layers["compute_cycles"], intensity=taps / layers["dram_bytes"])
    columns = {
        "layer": LAYER,
        "batch_taps": Column("taps", whole),
        "dram_bytes": Column("DRAM, bytes", whole),
        "intensity": Column("taps a byte", thousandths),
        "rate": Column("taps a cycle in the array", thousandths),
    }
    tables = "".join(network_table(layers, name, columns, totals=("batch_taps", "dram_bytes")) for name in timed)
    return Section("roofline", "Roofline", f"<p>{escape(text)}</p>", (panels,), details("Numbers: roofline by layer", tables))
