"""Sections on what runs: operations, value ranges, departure from float, layers and formats."""

from __future__ import annotations

from collections.abc import Sequence

from addersim.report import figures
from addersim.report.frames import Frames, kinds
from addersim.report.markup import Column, details, escape, percent, small_percent, table, whole
from addersim.report.modules import MOST_ROWS
from addersim.report.section import KIND, LAYER, Panel, Section, network_table, present
from addersim.results.result import Result

__all__ = ["errors", "layers", "operations", "ranges"]


def operations(results: Sequence[Result], frames: Frames) -> Section:
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
    by_layer = "".join(network_table(counts, name, columns, totals=("number",)) for name in names)
    rows = (tuple((name, figures.operations_by_width(counts, name)) for name in present(counts, results)),)
    tables = details("Numbers: operations of one image", whole_network, "numbers-operations") + details(
        "Numbers: operations by layer", by_layer
    )
    return Section("operations", "Operations", f"<p>{escape(text)}</p>", rows, tables)


def ranges(results: Sequence[Result], frames: Frames) -> Section:
    names = present(frames.ranges, results)
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
    tables = "".join(network_table(ranges, name, columns) for name in names)
    panels = [(name, figures.ranges_by_layer(frames.ranges, name)) for name in names]
    shown, inside = _legible(panels)
    numbers = details("Numbers: ranges and formats", note + tables)
    return Section("ranges", "Value ranges", f"<p>{escape(text)}</p>", (shown,), numbers, inside)


def _legible(panels: Sequence[Panel]) -> tuple[tuple[Panel, ...], tuple[Panel, ...]]:
    """Figures that are taken in at a glance, and those with more rows, which a reader opens."""
    tall = [len(figure.layout.yaxis.ticktext) > MOST_ROWS for _, figure in panels]
    return (
        tuple(panel for panel, one in zip(panels, tall, strict=True) if not one),
        tuple(panel for panel, one in zip(panels, tall, strict=True) if one),
    )


def errors(results: Sequence[Result], frames: Frames) -> Section | None:
    if not any(result.simulation for result in results):
        return None
    known = frames.layers[frames.layers["relative_error"].notna()]
    names = present(known, results)
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
    tables = "".join(network_table(known.assign(kind=kinds(known)), name, columns) for name in names)
    shown, inside = _legible([(name, figures.errors_by_layer(frames.layers, name, threshold)) for name in names])
    return Section(
        "errors",
        "Departure from float",
        f"<p>{escape(text)}</p><ul class='plain'>{items}</ul>",
        (shown,),
        details("Numbers: relative error by layer", tables),
        inside,
    )


def layers(results: Sequence[Result], frames: Frames) -> Section:
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
    tables = "".join(network_table(frame, result.name, columns, totals=("taps", "operations")) for result in results)
    text = (
        "Every layer of the integer programs, for one image. A format fx8.5 is 8 bits of which 5 are fraction; u8*0.0039 is 8 "
        "unsigned bits of which a step is worth 0.0039. Constants are weights, or the multipliers, addends and shifts of a "
        "batch norm."
    )
    return Section("layers", "Layers and formats", f"<p>{escape(text)}</p>", (), details("Numbers: layers", tables))
