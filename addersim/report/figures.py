"""Figures: one function a question, from the tables of `frames`.

Bars lie flat, so that layer names stay legible on a phone and with a hundred layers. Layers are drawn by stage: a window with
what follows it in the pipeline. Figures of several networks share their axes. Names are escaped: plotly reads markup in texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from addersim.ops import OPERATIONS
from addersim.report.frames import kinds
from addersim.report.markup import escape
from addersim.report.style import COMPONENTS, NETWORKS, PALE, RESOURCES, SHADES, VERMILION, beside, finish, label, short
from addersim.report.units import ENERGY_UNITS, TIME_UNITS, best_unit, compact

__all__ = [
    "energy_by_layer",
    "energy_by_network",
    "energy_by_part",
    "errors_by_layer",
    "latency_by_layer",
    "operations_by_width",
    "ranges_by_layer",
]

WIDTHS: Mapping[int, str] = MappingProxyType({8: "1 to 8 bit", 16: "9 to 16", 24: "17 to 24", 32: "25 to 32", 64: "33 to 64"})
SMALL = 0.001
"""Share of a network's energy up to which parts are drawn as one."""
SPANS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "the format holds": (PALE, 0.8),
        "below zero, cut by ReLU": (RESOURCES["vector"], 0.2),
        "seen, fits": (RESOURCES["array"], 0.4),
        "seen, does not fit": (VERMILION, 0.4),
    }
)
"""Colour and width of the parts of a range."""


def energy_by_network(energy: pd.DataFrame) -> go.Figure:
    """Energy of one image, a bar a network, stacked by component."""
    sums = _by_component(energy, "network")
    totals = sums.sum(axis=1)
    size, unit = best_unit(totals.max(), ENERGY_UNITS)
    notes = [beside(row, f"{total / size:,.4g} {unit}") for row, total in enumerate(totals)]
    return finish(
        _stacked(sums / size, unit),
        [label(name) for name in sums.index],
        f"energy of one image, {unit}",
        mode="stack",
        limit=totals.max() / size,
        annotations=notes,
        right_px=80,
    )


def energy_by_layer(energy: pd.DataFrame, network: str) -> go.Figure:
    """Energy of one image in one network, a bar a stage, stacked by component. All networks share the axis."""
    largest = energy.groupby(["network", "stage"])["energy_pj"].sum().max()
    size, unit = best_unit(largest, ENERGY_UNITS)
    part = _of(energy, network)
    figure = _stacked(_by_component(part, "stage") / size, unit)
    return finish(figure, _stage_labels(part), f"energy of one image, {unit}", mode="stack", limit=largest / size)


def energy_by_part(energy: pd.DataFrame) -> go.Figure:
    """Energy of one image by what it is spent on, the largest first, networks side by side."""
    parts = (energy["component"].map(COMPONENTS) + " · " + energy["of"].str.replace("_", " ")).rename("part")
    sums = energy.groupby([parts, "network"], sort=False)["energy_pj"].sum().unstack(fill_value=0.0)
    large = (sums > SMALL * sums.sum()).any(axis=1)
    size, unit = best_unit(sums.to_numpy().max(), ENERGY_UNITS)
    order = sums[large].max(axis=1).sort_values(ascending=False, kind="stable").index
    table = sums.loc[order, list(energy["network"].unique())] / size
    if few := int((~large).sum()):
        table.loc["1 smaller part" if few == 1 else f"{few} smaller parts"] = sums[~large].sum() / size
    figure = go.Figure()
    for place, network in enumerate(table):
        figure.add_bar(
            name=escape(short(str(network), 40)),
            orientation="h",
            y=list(range(len(table))),
            x=table[network].tolist(),
            marker_color=NETWORKS[place % len(NETWORKS)],
            text=[compact(number) for number in table[network]],
            textposition="outside",
            cliponaxis=False,
            customdata=[escape(part) for part in table.index],
            hovertemplate=f"<b>%{{customdata}}</b><br>{escape(network)}: %{{x:,.4~g}} {unit}<extra></extra>",
        )
    rows = len(table) * (1 + 0.5 * (table.shape[1] - 1))
    labels = [escape(part) for part in table.index]
    return finish(figure, labels, f"energy of one image, {unit}", mode="group", rows=rows, right_px=56)


def operations_by_width(operations: pd.DataFrame, network: str) -> go.Figure:
    """Operations of one image in one network, a bar a kind, stacked by width. All networks share the axis."""
    widths = pd.cut(operations["bits"], [0, *WIDTHS], labels=list(WIDTHS.values()))
    names = [op for op in OPERATIONS if (operations["operation"] == op).any()]
    sums = operations.assign(width=widths).groupby(["network", "operation", "width"], observed=False)["number"].sum().unstack()
    table = sums.loc[network].reindex(names, fill_value=0)
    figure = go.Figure()
    for shade, width in zip(SHADES, WIDTHS.values(), strict=True):
        if sums[width].any():
            figure.add_bar(
                name=width,
                orientation="h",
                y=list(range(len(names))),
                x=table[width].tolist(),
                marker_color=shade,
                customdata=names,
                hovertemplate=f"<b>%{{customdata}}</b>, {width.removesuffix(' bit')} bit: %{{x:,}}<extra></extra>",
            )
    notes = [beside(row, compact(total)) for row, total in enumerate(table.sum(axis=1))]
    limit = sums.sum(axis=1).max()
    return finish(figure, names, "operations for one image", mode="stack", limit=limit, annotations=notes, right_px=52)


def latency_by_layer(layers: pd.DataFrame, network: str) -> go.Figure:
    """Time of one batch in one network, a bar a stage, coloured by the resource that sets it. All networks share the axis."""
    staged = layers[layers["stage"] != ""]
    stages = staged.groupby(["network", "stage"], sort=False)
    summed = stages[["latency_ms", "cycles", "compute_cycles", "dram_cycles"]].sum()
    largest = summed["latency_ms"].max()
    size, unit = best_unit(largest, TIME_UNITS)
    rows = summed.assign(bound=stages["bound"].first()).loc[network]
    figure = go.Figure()
    for bound, color in RESOURCES.items():
        part = rows[rows["bound"] == bound]
        if part.empty:
            continue
        figure.add_bar(
            name=f"set by {COMPONENTS[bound]}",
            orientation="h",
            y=rows.index.get_indexer(part.index).tolist(),
            x=(part["latency_ms"] / size).tolist(),
            width=0.7,
            marker_color=color,
            customdata=[
                (escape(stage), f"{row['cycles']:,}", f"{row['compute_cycles']:,}", f"{row['dram_cycles']:,}")
                for stage, row in part.iterrows()
            ],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{x:,.4~g}} {unit}, set by {COMPONENTS[bound]}<br>"
            "%{customdata[1]} cycles<br>"
            "array and vector unit: %{customdata[2]} cycles<br>DRAM: %{customdata[3]} cycles<extra></extra>",
        )
    return finish(figure, _stage_labels(_of(staged, network)), f"time, {unit}", mode="overlay", limit=largest / size)


def ranges_by_layer(ranges: pd.DataFrame, network: str) -> go.Figure:
    """What came out of each layer of one network against what its format holds, on an axis of bits to either side of zero."""
    rows = list(_of(ranges, network).itertuples(index=False))
    spans = [(name, place, low, high) for place, row in enumerate(rows) for name, low, high in _spans(row)]
    hovers = [_range_hover(row) for row in rows]
    figure = go.Figure()
    for name, (color, width) in SPANS.items():
        chosen = [span for span in spans if span[0] == name]
        if chosen:
            figure.add_bar(
                name=name,
                orientation="h",
                y=[place for _, place, _, _ in chosen],
                base=[_bits(low) for *_, low, _ in chosen],
                x=[_bits(high) - _bits(low) for *_, low, high in chosen],
                width=width,
                marker_color=color,
                customdata=[hovers[place] for _, place, _, _ in chosen],
                hovertemplate="%{customdata}<extra></extra>",
            )
    labels = [label(row.layer, row.datapath or row.kind) for row in rows]
    notes = [beside(place, _range_note(row)) for place, row in enumerate(rows)]
    finish(figure, labels, "codes, by powers of two", mode="overlay", annotations=notes, right_px=84)
    return _signed_powers(figure, ranges[["format_minimum", "format_maximum", "minimum", "maximum"]].abs().to_numpy().max())


def errors_by_layer(layers: pd.DataFrame, network: str, threshold: float | None = None) -> go.Figure:
    """Relative error of each stage of one network: that of its last layer that stands for a float layer."""
    known = layers[(layers["stage"] != "") & layers["relative_error"].notna()]
    last = known.groupby(["network", "stage"], sort=False)["relative_error"].last() * 100
    most = math.inf if threshold is None else 100 * threshold
    errors = last.loc[network]
    within = "relative error" if threshold is None else "within the threshold"
    figure = go.Figure()
    for name, color, chosen in (
        (within, RESOURCES["array"], errors <= most),
        ("beyond the threshold", VERMILION, errors > most),
    ):
        if chosen.any():
            figure.add_bar(
                name=name,
                orientation="h",
                y=errors.index.get_indexer(errors.index[chosen]).tolist(),
                x=errors[chosen].tolist(),
                width=0.6,
                marker_color=color,
                customdata=[escape(stage) for stage in errors.index[chosen]],
                hovertemplate="<b>%{customdata}</b><br>%{x:.4~g} % off float<extra></extra>",
            )
    limit = last.max()
    if threshold is not None:
        figure.add_vline(x=most, line={"color": VERMILION, "dash": "dot", "width": 1.5})
        limit = max(limit, most)
    labels = _stage_labels(layers[(layers["network"] == network) & layers["stage"].isin(errors.index)])
    return finish(figure, labels, "relative error, %", mode="overlay", limit=limit)


def _of(frame: pd.DataFrame, network: str) -> pd.DataFrame:
    return frame[frame["network"] == network]


def _stage_labels(frame: pd.DataFrame) -> list[str]:
    """Names of one network's stages, with the circuit or kind of the first layer."""
    first = frame.assign(kind=kinds(frame)).drop_duplicates("stage")
    return [label(stage, kind) for stage, kind in zip(first["stage"], first["kind"], strict=True)]


def _by_component(energy: pd.DataFrame, by: str) -> pd.DataFrame:
    """Energy in pJ, a row each of `by`, a column a component."""
    sums = energy.groupby([by, "component"], sort=False)["energy_pj"].sum().unstack(fill_value=0.0)
    return sums.loc[list(energy[by].unique()), [name for name in RESOURCES if name in sums]]


def _stacked(sums: pd.DataFrame, unit: str) -> go.Figure:
    figure = go.Figure()
    shares = sums.div(sums.sum(axis=1), axis=0).fillna(0.0) * 100
    for component in sums:
        title = COMPONENTS[str(component)]
        figure.add_bar(
            name=title,
            orientation="h",
            y=list(range(len(sums))),
            x=sums[component].tolist(),
            marker_color=RESOURCES[str(component)],
            customdata=[(escape(name), share) for name, share in shares[component].items()],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{title}: %{{x:,.4~g}} {unit}, %{{customdata[1]:.3~g}} %"
            "<extra></extra>",
        )
    return figure


def _spans(row: Any) -> list[tuple[str, int, int]]:
    """The parts of a layer's range, in codes: what the format holds, and what was seen inside, below and above it."""
    lowest, highest = row.format_minimum, row.format_maximum
    parts = [("the format holds", lowest, highest)]
    if row.minimum <= highest and row.maximum >= lowest:
        parts.append(("seen, fits", max(row.minimum, lowest), min(row.maximum, highest)))
    if row.minimum < lowest:
        parts.append(
            ("seen, does not fit" if row.signed else "below zero, cut by ReLU", row.minimum, min(row.maximum, lowest))
        )
    if row.maximum > highest:
        parts.append(("seen, does not fit", max(row.minimum, highest), row.maximum))
    return parts


def _range_note(row: Any) -> str:
    text = f"{row.bits_needed} of {row.bits} bit"
    return f"<b>{text}</b>" if row.bits_needed > row.bits else text


def _range_hover(row: Any) -> str:
    reason = "cut, ReLU's zeros included" if not row.signed and row.minimum < 0 else "saturated or wrapped"
    return (
        f"<b>{escape(row.layer)}</b>, {escape(row.datapath or row.kind)}, {escape(row.format)}<br>"
        f"holds {row.format_minimum:,} … {row.format_maximum:,}<br>seen {row.minimum:,} … {row.maximum:,}<br>"
        f"needs {row.bits_needed} bit, has {row.bits}<br>"
        f"{row.overflowed:,} of {row.outputs:,} outputs ({100 * row.overflowed_share:.3g} %) {reason}"
    )


def _bits(code: int) -> float:
    """Place of a code on an axis that is logarithmic to both sides of zero: a power of two is about one bit further out."""
    return math.copysign(math.log2(1 + abs(int(code))), code)


def _signed_powers(figure: go.Figure, largest: int) -> go.Figure:
    """Mark a horizontal axis of `_bits` with powers of two."""
    reach = _bits(largest)
    step = 4 * math.ceil(reach / 11)  # one or two a side: more would touch on a phone
    powers = list(range(step, math.ceil(reach) + 1, step))
    return figure.update_xaxes(
        range=[-reach - 0.5, reach + 0.5],
        tickvals=[*(-_bits(1 << power) for power in reversed(powers)), 0, *(_bits(1 << power) for power in powers)],
        ticktext=[
            *(f"\N{MINUS SIGN}2<sup>{power}</sup>" for power in reversed(powers)),
            "0",
            *(f"2<sup>{power}</sup>" for power in powers),
        ],
    )
