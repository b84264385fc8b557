"""Figures of a sweep: one function a question. Each mark carries its point's number, which a click opens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import pandas as pd
import plotly.graph_objects as go

from addersim.arithmetic.fixed import Accumulator
from addersim.format_quantity import ENERGY_UNITS, TIME_UNITS, best_unit, quantity
from addersim.report.markup import escape, percent
from addersim.report.style import (
    PALE,
    QUIET,
    RESOURCES,
    SERIES,
    SHADES,
    beside,
    dotted,
    finish,
    finish_plane,
    label,
    labels_apart,
    short,
)
from addersim.report.sweep.points import AXES, Points
from addersim.results.contrast import COMPONENTS
from addersim.results.pareto import pareto

__all__ = [
    "accuracy_by_bits",
    "accuracy_by_register",
    "energy_by_bits",
    "energy_by_design",
    "front",
    "hover",
    "sensitivity",
    "widths",
]

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down", "x", "star")
CLOSE_POINTS = 6.0
"""Points below the best float accuracy that the nearer view shows. Chosen: the range in which designs are told apart."""


_LOGARITHMIC = [digit * 10.0**power for power in range(-6, 13) for digit in (1, 2, 5)]
"""Ticks of an axis of energies, so that one of less than a decade has some, too."""


def hover(points: Points, row: pd.Series) -> str:
    """All that places a point and what came out, as plotly's markup."""
    lines = [f"<b>{escape(points.words(row))}</b>"]
    lines += [f"accuracy {percent(row['accuracy'])}, float {percent(row['accuracy_float'])}"]
    parts = (("energy", row["energy_pj"]), ("array", row["energy_array_pj"]))
    lines += [", ".join(f"{what} {quantity(float(value), ENERGY_UNITS)}" for what, value in parts)]
    lines += [f"{row['cycles']:,} cycles, {quantity(float(row['latency_ms']), TIME_UNITS)}"]
    rest = [
        f"{AXES[axis]} {_plain(row[axis])}"
        for axis in AXES
        if axis not in points.axes and axis not in ("network", "weight_bits", "activation_bits") and _plain(row[axis])
    ]
    lines += [escape(", ".join(rest[place : place + 2])) for place in range(0, len(rest), 2)]
    return "<br>".join([*lines, "click: this point's report"])


def _plain(value: object) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    return "" if pd.isna(value) else str(value)


def front(points: Points, table: str, cost: str = "energy_pj", *, close: bool = False) -> go.Figure:
    """Accuracy against a cost: every point, those that none beats filled and joined; only those near float if `close`."""
    rows = points.done[points.done["table"] == table]
    size, unit = best_unit(rows[cost].max(), ENERGY_UNITS if cost == "energy_pj" else TIME_UNITS)
    best = pareto(rows[cost].tolist(), rows["accuracy"].tolist())
    rows = rows.assign(best=best)
    low = 100 * max(points.floats().values()) - CLOSE_POINTS
    if close:
        rows = rows[100 * rows["accuracy"] >= low]
    steps = rows[rows["best"]].sort_values(cost)
    figure = go.Figure()
    figure.add_scatter(
        name="Pareto front",
        mode="lines",
        x=(steps[cost] / size).tolist(),
        y=(100 * steps["accuracy"]).tolist(),
        line={"color": QUIET, "width": 1.5, "shape": "hv"},
        marker={"color": QUIET, "symbol": "line-ew"},
        hoverinfo="skip",
    )
    machines = dict(zip(points.frame["accelerator"].unique(), cycle(SYMBOLS), strict=False))
    for (name, machine), mine in rows.groupby(["series", "accelerator"], sort=False):
        colour = points.series[str(name)]
        figure.add_scatter(
            name=escape(name),
            showlegend=False,
            mode="markers",
            opacity=1,
            x=(mine[cost] / size).tolist(),
            y=(100 * mine["accuracy"]).tolist(),
            marker={
                "color": [colour if one else "white" for one in mine["best"]],
                "symbol": machines[machine],
                "size": [11 if one else 9 for one in mine["best"]],
                "opacity": 1,
                "line": {"color": colour, "width": 1.75},
            },
            customdata=_custom(points, mine),
            hovertemplate="%{customdata[1]}<extra></extra>",
        )
    _keys(figure, points.series, machines if len(machines) > 1 else {})
    title = {"energy_pj": "energy of one image", "latency_ms": "latency"}[cost]
    finish_plane(figure, f"{title}, {unit}", "accuracy, %", height=400)
    spread = rows[cost].max() / rows[cost].min() if len(rows) and rows[cost].min() > 0 else 1.0
    if spread > 20:
        figure.update_xaxes(type="log", tickvals=_LOGARITHMIC)
    return _float_lines(figure, points, rows)


def _custom(points: Points, rows: pd.DataFrame) -> list[tuple[int, str]]:
    return [(int(row["point"]), hover(points, row)) for _, row in rows.iterrows()]


def _keys(figure: go.Figure, colours: dict[str, str], machines: dict[str, str]) -> None:
    """Empty traces that say what a colour, and what a shape, stands for."""
    for name, colour in colours.items():
        figure.add_scatter(name=escape(short(name, 40)), mode="markers", x=[None], y=[None], marker={"color": colour})
    for name, symbol in machines.items():
        marker = {"color": QUIET, "symbol": symbol}
        figure.add_scatter(name=escape(short(name, 40)), mode="markers", x=[None], y=[None], marker=marker)


def _float_lines(figure: go.Figure, points: Points, rows: pd.DataFrame) -> go.Figure:
    """What each float network reaches, as a dotted line in its colour; the key says so, for texts would stand on points."""
    for name, value in points.floats().items():
        mine = rows[rows["network"] == name]
        if len(mine):
            line = {"color": points.series[mine["series"].iloc[0]], "dash": "dot", "width": 1.25}
            figure.add_hline(y=100 * value, line=line)
    return figure.add_scatter(
        name="in float", mode="lines", x=[None], y=[None], marker={"color": QUIET, "symbol": "line-ew-open"}
    )


def _best_by(rows: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Of the points that are equal on some axes the most accurate, of those the cheapest."""
    order = rows.sort_values(["accuracy", "energy_pj", "point"], ascending=[False, True, True])
    return order.drop_duplicates(list(keys)).sort_values(list(keys))


def accuracy_by_bits(points: Points, *, close: bool = False) -> go.Figure:
    """Accuracy against the width of weights and activations; the best of other axes; lost points if `close`."""
    figure = go.Figure()
    rows = _best_by(points.done, ("network", "weight_bits"))
    for name, mine in rows.groupby("network", sort=False):
        colour = points.series[mine["series"].iloc[0]]
        figure.add_scatter(
            name=escape(name),
            mode="lines+markers",
            x=mine["weight_bits"].tolist(),
            y=mine["loss_points"].tolist() if close else (100 * mine["accuracy"]).tolist(),
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 8},
            customdata=_custom(points, mine),
            hovertemplate="%{customdata[1]}<extra></extra>",
        )
    finish_plane(figure, "bits of weights and activations", "points lost against float" if close else "accuracy, %")
    figure.update_xaxes(tickvals=sorted(rows["weight_bits"].unique().tolist()))
    if not close:
        return _float_lines(figure, points, rows)
    figure.add_hline(y=0, line={"color": QUIET, "width": 1})
    for value in (0.5, 1):
        figure.add_hline(y=value, line={"color": QUIET, "dash": "dot", "width": 1})
    dotted(figure, "half a point, and one", QUIET)
    most = min(float(rows["loss_points"].max()), CLOSE_POINTS)
    return figure.update_yaxes(range=[most + 0.3, min(float(rows["loss_points"].min()), 0.0) - 0.3])


def energy_by_bits(points: Points) -> go.Figure:
    """Energy of one image against width, all of it and the array alone; of the cheapest circuit and accelerator."""
    figure = go.Figure()
    order = points.done.sort_values(["energy_pj", "point"]).drop_duplicates(["network", "weight_bits"])
    rows = order.sort_values(["network", "weight_bits"])
    for name, mine in rows.groupby("network", sort=False):
        colour = points.series[mine["series"].iloc[0]]
        for column, dash, what in (("energy_pj", "solid", ""), ("energy_array_pj", "dot", ", array alone")):
            figure.add_scatter(
                name=escape(f"{name}{what}"),
                mode="lines+markers",
                x=mine["weight_bits"].tolist(),
                y=(mine[column] / 1e3).tolist(),
                line={"color": colour, "width": 2, "dash": dash},
                marker={"color": colour, "size": 6},
                customdata=_custom(points, mine),
                hovertemplate="%{customdata[1]}<extra></extra>",
                showlegend=not what,
            )
    dotted(figure, "array alone", QUIET)
    finish_plane(figure, "bits of weights and activations", "energy of one image, nJ")
    figure.update_xaxes(tickvals=sorted(rows["weight_bits"].unique().tolist()))
    return figure.update_yaxes(type="log", tickvals=_LOGARITHMIC)


def widths(points: Points, network: str) -> go.Figure:
    """Accuracy of one network for every width of weights with every width of activations; the best of other axes."""
    rows = _best_by(points.done[points.done["network"] == network], ("weight_bits", "activation_bits"))
    across, up = (sorted(rows[key].unique().tolist()) for key in ("activation_bits", "weight_bits"))
    grid = rows.set_index(["weight_bits", "activation_bits"], drop=False)
    cells = [[grid.loc[(y, x)] if (y, x) in grid.index else None for x in across] for y in up]
    top = 100 * points.floats()[network]
    figure = go.Figure()
    figure.add_heatmap(
        x=list(map(str, across)),
        y=list(map(str, up)),
        z=[[None if cell is None else max(100 * cell["accuracy"], top - 10) for cell in line] for line in cells],
        zmin=top - 10,
        zmax=top,
        colorscale=[[0, "#f7fbff"], [0.5, SHADES[0]], [1, SHADES[1]]],  # pale enough for black in every cell
        textfont={"color": "black"},
        showscale=False,
        showlegend=False,
        xgap=2,
        ygap=2,
        text=[["" if cell is None else _cell(cell) for cell in line] for line in cells],
        texttemplate="%{text}",
        customdata=[
            [(-1, "") if cell is None else (int(cell["point"]), hover(points, cell)) for cell in line] for line in cells
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
    )
    finish_plane(figure, "activation bits", "weight bits", height=110 + 38 * len(up))
    return figure.update_xaxes(type="category", showgrid=False).update_yaxes(type="category", showgrid=False)


def _cell(row: pd.Series) -> str:
    text = f"{100 * row['accuracy']:.1f}"
    return f"<b>{text}</b>" if row["loss_points"] <= 1 else text


def accuracy_by_register(points: Points, network: str) -> go.Figure:
    """Accuracy of one network against the width of its accumulators, and the width that its sums need."""
    rows = points.done[points.done["network"] == network]
    most = (rows["weight_bits"] + rows["activation_bits"]).max()
    rows = rows[rows["weight_bits"] + rows["activation_bits"] == most]
    parsed = rows["accumulator"].map(Accumulator.parse)
    rows = rows.assign(width=[one.bits or 0 for one in parsed], overflow=[one.overflow for one in parsed])
    rows = _best_by(rows[rows["width"] > 0], ("overflow", "width"))
    colours = dict(zip(("saturate", "wrap", "exact"), SERIES, strict=True))
    figure = go.Figure()
    for name, mine in rows.groupby("overflow"):
        figure.add_scatter(
            name={"saturate": "saturates", "wrap": "wraps", "exact": "exact"}[str(name)],
            mode="lines+markers",
            x=mine["width"].tolist(),
            y=(100 * mine["accuracy"]).tolist(),
            line={"color": colours[str(name)], "width": 2},
            marker={"color": colours[str(name)], "size": 8},
            customdata=_custom(points, mine),
            hovertemplate="%{customdata[1]}<extra></extra>",
        )
    finish_plane(figure, "bits of every accumulator", "accuracy, %")
    needed = int(rows["accumulator_bits_needed"].max())
    figure.add_vline(x=needed, line={"color": QUIET, "dash": "dash", "width": 1.5})
    figure.add_annotation(
        text=f"all sums fit<br>from {needed} bits", x=needed, y=0.04, yref="paper", yanchor="bottom", xanchor="left", xshift=4,
        align="left", showarrow=False, font={"size": 10, "color": QUIET},
    )  # fmt: skip
    top = 100 * points.floats()[network]
    figure.add_hline(y=top, line={"color": QUIET, "dash": "dot", "width": 1.25})
    figure.add_annotation(
        text="float", x=0, xref="paper", xanchor="left", xshift=4, y=top, yanchor="top", showarrow=False,
        font={"size": 10, "color": QUIET},
    )  # fmt: skip
    figure.update_xaxes(tickvals=sorted({*rows["width"].tolist(), needed}))
    return figure.update_yaxes(range=[0, 104])


def energy_by_design(points: Points, rows: pd.DataFrame, *, array: bool = False) -> go.Figure:
    """Energy of one image of some points by component, or of the array alone."""
    columns = {name: f"energy_{name}_pj" for name in RESOURCES if f"energy_{name}_pj" in rows}
    columns = {"array": columns["array"]} if array else {name: key for name, key in columns.items() if rows[key].sum() > 0}
    totals = rows[list(columns.values())].sum(axis=1)
    size, unit = best_unit(float(totals.max()), ENERGY_UNITS)
    figure = go.Figure()
    for name, key in columns.items():
        figure.add_bar(
            name=COMPONENTS[name],
            orientation="h",
            y=list(range(len(rows))),
            x=(rows[key] / size).tolist(),
            marker_color=RESOURCES[name],
            customdata=_custom(points, rows),
            hovertemplate=f"{COMPONENTS[name]}: %{{x:,.4~g}} {unit}<br>%{{customdata[1]}}<extra></extra>",
        )
    labels = [_design(points, row) for _, row in rows.iterrows()]
    texts = [beside(place, f"{total / size:,.4g}") for place, total in enumerate(totals)]
    title = f"energy of one image, {unit}"
    return finish(
        figure, labels, title, mode="stack", rows=1.5 * len(rows), limit=float(totals.max()) / size,
        annotations=texts,
    )  # fmt: skip


def _design(points: Points, row: pd.Series) -> str:
    """A label of two lines: the series, then its widths and accelerator."""
    parts = [f"{row['weight_bits']}" if points.together else f"{row['weight_bits']}/{row['activation_bits']}"]
    tail = f"{parts[0]} bits" + (f", {short(str(row['accelerator']))}" if "accelerator" in points.axes else "")
    return f"{escape(short(str(row['series']), 22))}<br>{label('', tail).strip()}"


def sensitivity(scan: pd.DataFrame, operand: str) -> go.Figure:
    """Predictions that change where one layer alone is narrower, by layer and width."""
    rows = scan[scan["operand"] == operand]
    layers = rows["layer"].unique().tolist()
    all_bits = sorted(scan["bits"].unique().tolist(), reverse=True)
    figure = go.Figure()
    for place, bits in enumerate(all_bits):
        mine = rows[rows["bits"] == bits]
        figure.add_bar(
            name=f"{bits} bits",
            orientation="h",
            y=[layers.index(name) for name in mine["layer"]],
            x=(100 * (1 - mine["agreement"])).tolist(),
            marker_color=([PALE, *SHADES][-len(all_bits) :] * len(all_bits))[place],
            customdata=[(-1, escape(name), value) for name, value in zip(mine["layer"], mine["loss_points"], strict=True)],
            hovertemplate=f"<b>%{{customdata[1]}}</b>, {bits} bits<br>%{{x:.3~g}} % of predictions change<br>"
            "%{customdata[2]:.3~g} points lost<extra></extra>",
        )
    changed = float(100 * (1 - scan["agreement"].min()))
    title = "predictions that change, %"
    high = len(layers) * max(1.0, 0.45 * len(all_bits))
    return finish(figure, [label(name) for name in labels_apart(layers)], title, mode="group", rows=high, limit=changed)
