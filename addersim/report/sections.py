"""Sections: the questions that the page answers, each with its words, figures and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from addersim.report import figures
from addersim.report.frames import Frames, kinds
from addersim.report.markup import Column, details, escape, number, percent, small_percent, table, thousandths, whole
from addersim.report.style import COMPONENTS, RESOURCES
from addersim.summary import Result

__all__ = ["Panel", "Section", "sections"]

Panel = tuple[str, go.Figure]
"""A caption and its figure."""

LAYER = Column("layer")
KIND = Column("kind")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page; `text` and `tables` are HTML, `rows` are figures that stand side by side where there is room."""

    key: str
    heading: str
    text: str
    rows: tuple[tuple[Panel, ...], ...] = ()
    tables: str = ""


def sections(results: Sequence[Result], frames: Frames) -> list[Section]:
    """All sections, in reading order."""
    return [one(results, frames) for one in (_energy, _latency, _operations, _ranges, _errors, _layers, _prices)]


def _energy(results: Sequence[Result], frames: Frames) -> Section:
    priced = [result.name for result in results if result.cost.energy_pj]
    energy = frames.energy
    inside, leaks = (name in set(energy["component"]) for name in ("register", "leakage"))
    text = (
        "Priced are the operations of the array and the vector unit, words that move in and out of "
        f"{'registers and over the network of the array, of ' if inside else ''}the on-chip buffers, and "
        "bits that move to and from DRAM. Not priced, because no energy table has a row for them: "
        f"{'' if inside else 'registers, wires and '}control inside the array, the clock tree{'' if leaks else ', leakage'}. "
        "A bar is a window layer (convolution or linear) with what follows it in the pipeline: batch norm, ReLU, residual "
        "addition."
    )
    if any(result.cost.convention == "paper" for result in results):
        text += " A result in the paper convention holds arithmetic alone: no memory, and everything but the taps is free."
    named = energy.assign(component=energy["component"].map(COMPONENTS))
    wide = named.pivot_table(index=["network", "layer"], columns="component", values="energy_pj", aggfunc="sum", sort=False)
    wide = (wide.fillna(0.0) / 1e3).assign(total=lambda sums: sums.sum(axis=1)).reset_index()
    columns = {"layer": LAYER} | {
        name: Column(f"{name}, nJ", thousandths)
        for name in (*map(COMPONENTS.__getitem__, RESOURCES), "total")
        if name in wide.columns
    }
    tables = "".join(_table(wide, name, columns, totals=True) for name in priced)
    parts = named.assign(of=named["of"].str.replace("_", " "))
    parts = parts.groupby(["network", "component", "of"], sort=False)["energy_pj"].sum().div(1e3).reset_index()
    part_columns = {
        "component": Column("component"),
        "of": Column("operation or operand"),
        "energy_pj": Column("energy, nJ", thousandths),
    }
    by_part = "".join(_table(parts, name, part_columns, totals=True) for name in priced)
    return Section(
        "energy",
        "Energy",
        f"<p>{escape(text)}</p>",
        (
            (
                ("By component", figures.energy_by_network(energy)),
                ("By operation and operand", figures.energy_by_part(energy)),
            ),
            tuple((f"{name}, by layer", figures.energy_by_layer(energy, name)) for name in priced),
        )
        if priced
        else (),
        details("Numbers: energy of one image by layer and component", tables)
        + details("Numbers: energy of one image by operation and operand", by_part),
    )


def _latency(results: Sequence[Result], frames: Frames) -> Section:
    timed = [result.name for result in results if result.cost.cycles]
    if not timed:
        return Section("latency", "Latency", "<p>The paper convention counts arithmetic alone; it has no cycles.</p>")
    text = (
        "Layers that are joined in a pipeline form a stage, which lasts as long as its busiest resource: the array, the "
        "vector unit or DRAM. Stages run one after another. Colours say which resource sets the time."
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
        "dram_cycles": Column("DRAM busy, cycles", whole),
        "utilisation": Column("unit in use", percent),
    }
    tables = "".join(_table(frame, name, columns, totals=("latency_us", "cycles")) for name in timed)
    note = "<p class='note'>A stage's time stands at its first layer; the layers fused to it add none.</p>"
    panels = tuple((_batched(results, name), figures.latency_by_layer(frames.layers, name)) for name in timed)
    return Section("latency", "Latency", f"<p>{escape(text)}</p>", (panels,), details("Numbers: time by layer", note + tables))


def _operations(results: Sequence[Result], frames: Frames) -> Section:
    text = "What runs for one image, padded taps included, by kind and operand width. A tap is one term of a window's sum."
    if any(result.trace.convention == "paper" for result in results):
        text += " In the paper convention a tap is two additions, or a multiplication and an addition, and all else is free."
    counts = frames.operations
    names = [result.name for result in results]
    sums = (
        counts.groupby(["operation", "bits", "network"])["number"]
        .sum()
        .unstack(fill_value=0)
        .reindex(columns=names, fill_value=0)
    )
    whole_network = table(
        sums.reset_index(),
        {"operation": Column("operation"), "bits": Column("bits", whole)} | {name: Column(name, whole) for name in names},
        total={name: int(sums[name].sum()) for name in names},
    )
    columns = {
        "layer": LAYER,
        "operation": Column("operation"),
        "bits": Column("bits", whole),
        "number": Column("operations", whole),
    }
    by_layer = "".join(_table(counts, name, columns, totals=("number",)) for name in names)
    rows = (tuple((name, figures.operations_by_width(counts, name)) for name in _present(counts, results)),)
    tables = details("Numbers: operations of one image", whole_network) + details("Numbers: operations by layer", by_layer)
    return Section("operations", "Operations", f"<p>{escape(text)}</p>", rows, tables)


def _ranges(results: Sequence[Result], frames: Frames) -> Section:
    names = _present(frames.ranges, results)
    if not names:
        return Section("ranges", "Value ranges", "<p>Only shapes were walked; a simulation would show the values.</p>")
    text = (
        "What every layer computed before anything was cut, against the codes that its output can hold; for a window layer "
        "that is its accumulator. The axis counts powers of two: where the pale bar reaches further than the blue one, bits "
        "were not used; what is red did not fit. At the right: bits that these images needed, of the bits that there are. "
        "Other images may need more. Negative results that an unsigned output sets to zero are the network's ReLU, not a loss."
    )
    columns = {
        "layer": LAYER,
        "kind": KIND,
        "format": Column("format"),
        "format_minimum": Column("holds from", whole),
        "format_maximum": Column("to", whole),
        "minimum": Column("seen from", whole),
        "maximum": Column("to", whole),
        "bits": Column("bits", whole),
        "bits_needed": Column("needed", whole),
        "overflowed": Column("cut, outputs", whole),
        "outputs": Column("outputs", whole),
        "overflowed_share": Column("cut, share", small_percent),
    }
    note = "<p class='note'>Codes of the output format. Where it is unsigned, “cut” includes what ReLU sets to zero.</p>"
    ranges = frames.ranges.assign(kind=kinds(frames.ranges))
    tables = "".join(_table(ranges, name, columns) for name in names)
    panels = tuple((name, figures.ranges_by_layer(frames.ranges, name)) for name in names)
    return Section(
        "ranges", "Value ranges", f"<p>{escape(text)}</p>", (panels,), details("Numbers: ranges and formats", note + tables)
    )


def _errors(results: Sequence[Result], frames: Frames) -> Section:
    known = frames.layers[frames.layers["relative_error"].notna()]
    names = _present(known, results)
    if not names:
        return Section("errors", "Departure from float", "<p>No float network ran beside the fixed-point one.</p>")
    simulations = {result.name: result.simulation for result in results if result.simulation}
    departures = {name: one.departure for name, one in simulations.items()}
    threshold = next(iter(simulations.values())).threshold
    text = (
        "Root of the mean square difference between fixed point and float, over the root of the mean square of float, at the "
        f"last layer of each stage that stands for a layer of the float network. The dotted line is the threshold, "
        f"{percent(threshold)}."
    )
    items = "".join(
        f"<li>{escape(name)}: "
        + (
            f"{escape(one.name)} is the first layer beyond it, {small_percent(one.relative_error)} off"
            if one
            else "no layer departs"
        )
        + ".</li>"
        for name, one in departures.items()
        if name in names
    )
    columns = {"layer": LAYER, "kind": KIND, "relative_error": Column("relative error", small_percent)}
    tables = "".join(_table(known.assign(kind=kinds(known)), name, columns) for name in names)
    panels = tuple((name, figures.errors_by_layer(frames.layers, name, threshold)) for name in names)
    return Section(
        "errors",
        "Departure from float",
        f"<p>{escape(text)}</p><ul class='plain'>{items}</ul>",
        (panels,),
        details("Numbers: relative error by layer", tables),
    )


def _layers(results: Sequence[Result], frames: Frames) -> Section:
    columns = {
        "layer": LAYER,
        "kind": KIND,
        "taps": Column("taps", whole),
        "operations": Column("operations", whole),
        "weight_words": Column("constants", whole),
        "weight_bits": Column("bits each", whole),
        "weight_format": Column("weight format"),
        "output_words": Column("outputs", whole),
        "output_bits": Column("bits each", whole),
        "output_format": Column("output format"),
    }
    frame = frames.layers.assign(kind=kinds(frames.layers))
    tables = "".join(_table(frame, result.name, columns, totals=("taps", "operations")) for result in results)
    text = (
        "Every layer of the integer programs, for one image. A format fx8.5 is 8 bits of which 5 are fraction; u8*0.0039 is 8 "
        "unsigned bits of which a step is worth 0.0039. Constants are weights, or the multipliers, addends and shifts of a "
        "batch norm."
    )
    return Section("layers", "Layers and formats", f"<p>{escape(text)}</p>", (), details("Numbers: layers", tables))


def _prices(results: Sequence[Result], frames: Frames) -> Section:
    columns = {
        "what": Column("what"),
        "energy_pj": Column("price, pJ", number),
        "unit": Column("for one"),
        "rule": Column("rule"),
        "source": Column("source"),
    }
    prices = frames.prices
    texts = []
    for name in prices["table"].unique():
        used = prices[prices["table"] == name].drop_duplicates(["what", "unit", "energy_pj", "rule", "source"])
        texts.append(table(used.sort_values(["unit", "what"], kind="stable"), columns, f"energy table {name}"))
    text = "Every unit price behind the energies, the rule of the table that gave it, and where that comes from."
    return Section(
        "prices", "Prices", f"<p>{escape(text)}</p>", (), details("Numbers: prices, rules and sources", "".join(texts))
    )


def _table(frame: pd.DataFrame, network: str, columns: dict[str, Column], totals: Sequence[str] | bool = ()) -> str:
    """One network's part of a table, under its name; `totals` names the columns to add up, or says all numbers."""
    part = frame[frame["network"] == network]
    keys = [key for key, one in columns.items() if one.form] if totals is True else list(totals or ())
    return table(part, columns, network, {key: float(part[key].sum()) for key in keys} if keys else None)


def _present(frame: pd.DataFrame, results: Sequence[Result]) -> list[str]:
    there = set(frame["network"])
    return [result.name for result in results if result.name in there]


def _batched(results: Sequence[Result], name: str) -> str:
    batch = next(result.cost.batch for result in results if result.name == name)
    return f"{name}, one image" if batch == 1 else f"{name}, a batch of {batch} images"
