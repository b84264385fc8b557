"""Figures of time: latency, and the roofline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from addersim.format_quantity import TIME_UNITS, best_unit
from addersim.report.figures.rows import of_network, stage_labels
from addersim.report.markup import escape
from addersim.report.style import INK, QUIET, RESOURCES, finish, finish_plane, labels_apart, short
from addersim.results.contrast import COMPONENTS

__all__ = ["latency_by_layer", "roofline"]

NAMED = 8
"""Most points of a roofline that carry their names; more would cover each other."""
LONGEST_LINE = 32
"""Letters of the names beside a point that are all written."""
NARROW_PX, HIGH_PX, LETTER_PX, LINE_PX = 300, 250, 6, 13
"""Plane of a roofline on a narrow screen, and letters of its names."""


def latency_by_layer(layers: pd.DataFrame, network: str, modules: pd.DataFrame | None = None) -> go.Figure:
    """Time of one batch in one network, a bar a stage, coloured by the resource that sets it. All networks share the axis.

    Parameters
    ----------
    layers
        The table of layers.
    network
        Which network.
    modules
        The same rows with modules in place of stages (`by_module`): a bar each, a part of it for each resource.
    """
    staged = layers[layers["stage"] != ""]
    rows_of = staged if modules is None else modules[modules["stage"] != ""]
    bounds = staged.groupby(["network", "stage"], sort=False)["bound"].transform("first")
    known = rows_of.assign(bound=bounds)
    largest = known.groupby(["network", "stage"], sort=False)["latency_ms"].sum().max()
    size, unit = best_unit(largest, TIME_UNITS)
    mine = known[known["network"] == network]
    order = mine["stage"].unique().tolist()
    columns = ["latency_ms", "cycles", "compute_cycles", "buffer_cycles", "dram_cycles"]
    sums = mine.groupby(["stage", "bound"], sort=False)[columns].sum().reset_index("bound")
    figure = go.Figure()
    for bound, color in RESOURCES.items():
        part = sums[sums["bound"] == bound]
        if part.empty:
            continue
        figure.add_bar(
            name=f"set by {COMPONENTS[bound]}",
            orientation="h",
            y=[order.index(stage) for stage in part.index],
            x=(part["latency_ms"] / size).tolist(),
            width=0.7,
            marker_color=color,
            customdata=[
                (escape(stage), *(f"{row[f'{what}cycles']:,}" for what in ("", "compute_", "buffer_", "dram_")))
                for stage, row in part.iterrows()
            ],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{x:,.4~g}} {unit}, set by {COMPONENTS[bound]}<br>"
            "%{customdata[1]} cycles<br>"
            "array and vector unit: %{customdata[2]} cycles<br>buffers: %{customdata[3]} cycles<br>"
            "DRAM: %{customdata[4]} cycles<extra></extra>",
        )
    return finish(figure, stage_labels(mine), f"time, {unit}", mode="stack", limit=largest / size)


def roofline(layers: pd.DataFrame, design: Any, network: str) -> go.Figure:
    """Taps a cycle of each window layer against taps a byte of DRAM traffic, under the roof of the accelerator.

    Parameters
    ----------
    layers
        The table of layers.
    design
        The network's row of the table of designs: the roof is the smaller of ``elements`` and intensity times
        ``dram_bytes_per_cycle``.
    network
        Which network. A layer is a window with what follows it in the pipeline; those that cause no DRAM traffic stand at
        the right edge, as triangles.
    """
    rows = _stages(of_network(layers, network))
    finite = rows[rows["dram_bytes"] > 0]
    ridge = design.elements / design.dram_bytes_per_cycle
    intensities = (finite["taps"] / finite["dram_bytes"]).tolist()
    left, right = min((ridge, *intensities)) / 2, max((ridge, *intensities)) * 4
    middle = math.sqrt(left * right)
    figure = go.Figure()
    figure.add_scatter(
        name="roof",
        showlegend=False,
        mode="lines",
        x=[left, ridge, right],
        y=[left * design.dram_bytes_per_cycle, design.elements, design.elements],
        line={"color": INK, "width": 2},
        marker={"color": INK},
        hovertemplate="roof: %{y:.4~g} taps a cycle at %{x:.4~g} taps a byte<extra></extra>",
    )
    slowest = min((*(rows["taps"] / rows["cycles"]), left * design.dram_bytes_per_cycle, design.elements))
    across, up = [math.log10(left), math.log10(right * 1.3)], [math.log10(slowest / 2), math.log10(design.elements * 1.8)]
    called = dict(zip(rows.index, labels_apart(list(rows.index)), strict=True))
    places = {
        called[name]: (math.log10(row.taps / row.dram_bytes if row.dram_bytes else right), math.log10(row.taps / row.cycles))
        for name, row in zip(rows.index, rows.itertuples(), strict=True)
    }
    told = _told_apart(places, NARROW_PX / (across[1] - across[0]), HIGH_PX / (up[1] - up[0]))
    for bound, color in RESOURCES.items():
        part = rows[rows["bound"] == bound]
        if part.empty:
            continue
        known = (part["dram_bytes"] > 0).tolist()
        x = [taps / size if size else right for taps, size in zip(part["taps"], part["dram_bytes"], strict=True)]
        figure.add_scatter(
            name=f"set by {COMPONENTS[bound]}",
            mode="markers+text" if len(rows) <= NAMED else "markers",
            x=x,
            y=(part["taps"] / part["cycles"]).tolist(),
            text=[escape(told[called[name]]) for name in part.index],
            textposition=["middle right" if one < middle else "middle left" for one in x],
            textfont={"size": 10, "color": QUIET},
            marker={
                "color": color,
                "size": 10,
                "symbol": ["circle" if one else "triangle-right" for one in known],
                "line": {"color": QUIET, "width": 1},
            },
            customdata=[_point(row, design) for row in part.itertuples()],
            hovertemplate="%{customdata}<extra></extra>",
        )
    finish_plane(figure, "taps a byte of DRAM traffic", "taps a cycle")
    figure.update_xaxes(type="log", range=across, dtick=1)
    return figure.update_yaxes(type="log", range=up, dtick=1)


def _told_apart(places: Mapping[str, tuple[float, float]], across_px: float, up_px: float) -> dict[str, str]:
    """What stands beside each point: its name, or at the first of points whose names would cover each other all of them.

    Of many, or of long ones, the first and how many more stand there.

    Examples
    --------
    >>> _told_apart({"fc1": (2, 1), "fc2": (2, 1.01), "conv": (0, 1)}, 100, 100)
    {'fc1': 'fc1, fc2', 'fc2': '', 'conv': 'conv'}
    """
    groups: list[list[str]] = []
    for name, (x, y) in places.items():
        for group in groups:
            first_x, first_y = places[group[0]]
            wide = LETTER_PX * len(_together((*group, name)))
            if abs(x - first_x) * across_px < wide and abs(y - first_y) * up_px < LINE_PX:
                group.append(name)
                break
        else:
            groups.append([name])
    return dict.fromkeys(places, "") | {group[0]: _together(group) for group in groups}


def _together(names: Sequence[str]) -> str:
    """Names of points that lie together, within a line."""
    line = ", ".join(names)
    if len(line) <= LONGEST_LINE or len(names) == 1:
        return short(line, LONGEST_LINE)
    return f"{short(names[0])} and {len(names) - 1} more"


def _stages(layers: pd.DataFrame) -> pd.DataFrame:
    """Window layers with what follows them in the pipeline, for a batch: taps, cycles, bytes, and what sets the time."""
    staged = layers[layers["stage"] != ""]
    stages = staged.assign(taps=staged["taps"] * staged["batch"]).groupby("stage", sort=False)
    sums = stages[["taps", "cycles", "dram_bytes", "compute_cycles", "buffer_cycles", "dram_cycles", "energy_pj"]].sum()
    found = sums.assign(bound=stages["bound"].first())
    return found[(found["taps"] > 0) & (found["cycles"] > 0)]


def _point(row: Any, design: Any) -> str:
    rate = row.taps / row.cycles
    intensity = row.taps / row.dram_bytes if row.dram_bytes else math.inf
    roof = min(float(design.elements), intensity * design.dram_bytes_per_cycle)
    traffic = f"{row.dram_bytes:,.0f} bytes of DRAM, {intensity:,.4g} taps a byte" if row.dram_bytes else "no DRAM traffic"
    return (
        f"<b>{escape(row.Index)}</b><br>{rate:,.4g} taps a cycle, {100 * rate / roof:.3g} % of its roof of {roof:,.4g}<br>"
        f"{row.taps:,.0f} taps, {traffic}<br>{row.cycles:,} cycles, set by {COMPONENTS[row.bound]}<br>"
        f"array and vector unit {row.compute_cycles:,}, buffers {row.buffer_cycles:,}, DRAM {row.dram_cycles:,} cycles"
    )
