"""Figures that set designs beside each other: ratios, the range over energy tables, areas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import pandas as pd
import plotly.graph_objects as go

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.format_quantity import AREA_UNITS, ENERGY_UNITS, best_unit
from addersim.hardware.layer_cost import Component
from addersim.report.figures.rows import design_labels
from addersim.report.markup import escape
from addersim.report.style import QUIET, RESOURCES, beside, dotted, finish, network_colors, short
from addersim.results.contrast import COMPONENTS, Contrast
from addersim.results.result import Result

__all__ = ["area_by_unit", "energy_by_table", "ratio_by_scope", "ratio_by_table"]

FIRST_CHARACTERS = 16
RANGE = {"color": QUIET, "thickness": 1.5, "width": 5}


def ratio_by_scope(contrasts: Sequence[Contrast]) -> go.Figure:
    """Energy as a multiple of the first result's, counting the array alone, then ever more; a point a result."""
    found = [contrast.ratio_by_scope() for contrast in contrasts]
    scopes = [name for name in get_args(Component) if any(name in ratios for ratios in found)]
    labels = [f"+ {COMPONENTS[name]}" if place else COMPONENTS[name] for place, name in enumerate(scopes)]
    labels[-1] = "all" if len(scopes) == 1 else f"{labels[-1]} = all"
    figure = go.Figure()
    results = [contrasts[0].first, *(contrast.result for contrast in contrasts)]
    colors = network_colors({one.name: _arithmetics(one) for one in results})
    for contrast, ratios in zip(contrasts, found, strict=True):
        rows = [row for row, name in enumerate(scopes) if name in ratios]
        values = [ratios[scopes[row]] for row in rows]
        figure.add_bar(
            name=escape(short(contrast.result.name, 40)),
            orientation="h",
            base=1,
            x=[value - 1 for value in values],
            y=rows,
            text=[f"{value:.3g}" for value in values],
            textposition="outside",
            cliponaxis=False,
            marker_color=colors[contrast.result.name],
            customdata=[(labels[row], value) for row, value in zip(rows, values, strict=True)],
            hovertemplate=f"<b>{escape(contrast.result.name)}</b><br>counting %{{customdata[0]}}: "
            f"%{{customdata[1]:.4~g}} times {escape(contrast.first.name)}<extra></extra>",
        )
    title = _multiple_of(contrasts[0].first.name)
    rows_high = len(scopes) * (1 + 0.5 * (len(contrasts) - 1))
    finish(figure, labels, title, mode="group", rows=rows_high, right_px=40)
    values = [value for ratios in found for value in ratios.values()]
    return _marked(figure, min(values), max(values))


def energy_by_table(tables: pd.DataFrame) -> go.Figure:
    """Energy of one image under every energy table: a range a network, a dot a table, the chosen one filled."""
    names = list(tables["network"].unique())
    size, unit = best_unit(tables["energy_pj"].max(), ENERGY_UNITS)
    ends = tables.groupby("network")["energy_pj"].agg(["min", "max"]).loc[names] / size
    chosen = tables[tables["chosen"]].set_index("network").loc[names]
    value = chosen["energy_pj"] / size
    figure = go.Figure()
    figure.add_scatter(
        name="the table of this page",
        mode="markers",
        x=value.tolist(),
        y=list(range(len(names))),
        marker={"color": RESOURCES["array"], "size": 11},
        error_x=RANGE
        | {
            "type": "data",
            "symmetric": False,
            "array": (ends["max"] - value).tolist(),
            "arrayminus": (value - ends["min"]).tolist(),
        },
        customdata=[(escape(name), escape(table)) for name, table in chosen["table"].items()],
        hovertemplate=f"<b>%{{customdata[0]}}</b><br>%{{customdata[1]}}: %{{x:,.4~g}} {unit}<extra></extra>",
    )
    others = tables[~tables["chosen"]]
    _dots(
        figure,
        (others["energy_pj"] / size).tolist(),
        [names.index(name) for name in others["network"]],
        [
            f"<b>{escape(row.network)}</b><br>{escape(row.table)}: {row.energy_pj / size:,.4g} {unit}"
            for row in others.itertuples()
        ],
    )
    spread = [f"{row['max'] / row['min']:.2g} \N{MULTIPLICATION SIGN}" if row["min"] else "" for _, row in ends.iterrows()]
    labels, rows = design_labels(names)
    return finish(
        figure,
        labels,
        f"energy of one image, {unit}",
        mode="overlay",
        rows=max(rows, 1.4 * len(names)),
        limit=float(ends["max"].max()),
        annotations=[beside(row, text) for row, text in enumerate(spread)],
    )


def ratio_by_table(contrasts: Sequence[Contrast]) -> go.Figure:
    """Energy as a multiple of the first result's under every energy table that prices both; a range a result."""
    figure = go.Figure()
    ranges = [contrast.ratio_by_table() for contrast in contrasts]
    values = [contrast.energy_ratio or 0.0 for contrast in contrasts]
    lows = [min((*found.values(), value)) for found, value in zip(ranges, values, strict=True)]
    highs = [max((*found.values(), value)) for found, value in zip(ranges, values, strict=True)]
    figure.add_scatter(
        name="the table of this page",
        mode="markers",
        x=values,
        y=list(range(len(values))),
        marker={"color": RESOURCES["array"], "size": 11},
        error_x=RANGE
        | {
            "type": "data",
            "symmetric": False,
            "array": [high - value for high, value in zip(highs, values, strict=True)],
            "arrayminus": [value - low for low, value in zip(lows, values, strict=True)],
        },
        customdata=[escape(contrast.result.name) for contrast in contrasts],
        hovertemplate="<b>%{customdata}</b><br>%{x:.4~g} times the first<extra></extra>",
    )
    dots = [(row, table, ratio) for row, found in enumerate(ranges) for table, ratio in found.items()]
    dots = [one for one in dots if one[1] != contrasts[one[0]].result.cost.table]
    _dots(
        figure,
        [ratio for *_, ratio in dots],
        [row for row, *_ in dots],
        [f"<b>{escape(contrasts[row].result.name)}</b><br>{escape(table)}: {ratio:.4g} times" for row, table, ratio in dots],
    )
    title = _multiple_of(contrasts[0].first.name)
    texts = [f"{low:.3g} \N{EN DASH} {high:.3g}" for low, high in zip(lows, highs, strict=True)]
    labels, rows = design_labels([contrast.result.name for contrast in contrasts])
    finish(
        figure,
        labels,
        title,
        mode="overlay",
        rows=max(rows, 1.4 * len(contrasts)),
        annotations=[beside(row, text) for row, text in enumerate(texts)],
    )
    return _marked(figure, min(lows), max(highs))


def area_by_unit(areas: pd.DataFrame) -> go.Figure:
    """Area of each design, stacked by unit."""
    sums = areas.groupby(["network", "unit"], sort=False)["area_um2"].sum().unstack(fill_value=0.0)
    sums = sums.loc[list(areas["network"].unique()), [name for name in RESOURCES if name in sums]]
    totals = sums.sum(axis=1)
    size, unit = best_unit(totals.max(), AREA_UNITS)
    figure = go.Figure()
    for name in sums:
        title = COMPONENTS[str(name)]
        figure.add_bar(
            name=title,
            orientation="h",
            y=list(range(len(sums))),
            x=(sums[name] / size).tolist(),
            marker_color=RESOURCES[str(name)],
            customdata=[escape(network) for network in sums.index],
            hovertemplate=f"<b>%{{customdata}}</b><br>{title}: %{{x:,.4~g}} {unit}<extra></extra>",
        )
    labels, rows = design_labels(list(sums.index))
    return finish(
        figure,
        labels,
        f"area, {unit}",
        mode="stack",
        rows=rows,
        limit=totals.max() / size,
        annotations=[beside(row, f"{total / size:,.4g} {unit}") for row, total in enumerate(totals)],
    )


def _arithmetics(result: Result) -> str:
    lanes = {DATAPATHS[layer.datapath].arithmetic.name for layer in result.trace.layers if layer.datapath}
    return "+".join(sorted(lanes))


def _multiple_of(first: str) -> str:
    """Title of an axis, which is narrow on a phone and on paper: a long name stands in the page's head line already."""
    return f"energy as a multiple of {escape(first) if len(first) <= FIRST_CHARACTERS else 'the first design'}"


def _dots(figure: go.Figure, x: list[float], y: list[int], texts: list[str]) -> None:
    """Other tables, as rings."""
    figure.add_scatter(
        name="other tables",
        mode="markers",
        x=x,
        y=y,
        marker={"color": QUIET, "size": 8, "symbol": "circle-open", "line": {"width": 1.5}},
        customdata=texts,
        hovertemplate="%{customdata}<extra></extra>",
    )


def _marked(figure: go.Figure, low: float, high: float) -> go.Figure:
    """A line at 1, where nothing differs, and an axis that shows it and all that lies between two ratios."""
    low, high = min(low, 1.0), max(high, 1.0)
    margin = 0.2 * (high - low) or 0.1  # the number beside a bar has room in it on a phone, too
    figure.add_vline(x=1, line={"color": QUIET, "dash": "dot", "width": 1.5})
    dotted(figure, "the same", QUIET)
    return figure.update_xaxes(range=[max(low - margin, 0.0), high + margin], rangemode="normal")
