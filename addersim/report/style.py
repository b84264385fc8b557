"""Style: colours, type and the layout that all figures share."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.report.markup import escape

__all__ = [
    "FONT",
    "LABEL_CHARACTERS",
    "NETWORKS",
    "OPERANDS",
    "PALE",
    "RESOURCES",
    "SERIES",
    "SHADES",
    "VERMILION",
    "beside",
    "dotted",
    "finish",
    "finish_plane",
    "label",
    "labels_apart",
    "legend",
    "network_colors",
    "short",
    "without_legend",
]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"
INK, QUIET, GRID, PALE = "#24292f", "#57606a", "#e4e7eb", "#d9dee4"
VERMILION = "#d55e00"
RESOURCES: Mapping[str, str] = MappingProxyType(
    {
        "array": "#0072b2",
        "vector": "#56b4e9",
        "register": "#cc79a7",
        "network": "#f0e442",
        "buffer": "#009e73",
        "l2": "#d55e00",
        "dram": "#e69f00",
        "leakage": "#24292f",
        "idle": "#8c6d31",
        "none": "#999999",
    }
)
"""Colours of Okabe and Ito, told apart by colour-blind readers: the same in every figure."""
OPERANDS: Mapping[str, str] = MappingProxyType(
    {"input": "#77aadd", "weight": "#ee8866", "partial_sum": "#eedd88", "output": "#bbcc33"}
)
"""Colours of Paul Tol's light scheme, so that operands do not look like resources."""
NETWORKS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "l1": ("#332288", "#2f8577", "#3f87b5", "#aa4499"),
        "mac": ("#cc6677", "#8a8a2b", "#882255", "#a65e2e"),
        "coded": ("#117733", "#997700", "#5b8fc4", "#994455", "#64785a", "#004488"),
    }
)
"""Colours of Paul Tol's muted scheme, for the same reason: cold and violet ones for networks that add, warm ones for those
that multiply; of his others for networks some of whose weights take few values. The same on every page. They draw lines and
points, too, which have no outline: pale ones are darker here than his, 3:1 or more on white."""
SERIES = ("#0072b2", "#cc79a7", "#009e73")
"""Of lines and points that are no networks: those of `RESOURCES` that are 3:1 or more on white and in the dark."""
SHADES = ("#9ecae1", "#6baed6", "#3182bd", "#08519c", "#08306b")
"""One hue from light to dark: ColorBrewer's Blues."""
ROW_PX, LEGEND_PX, AXIS_PX, LABEL_CHARACTERS = 24, 36, 46, 18
TOP_PX = 4
LETTER_PX, BESIDE_PX = 7.2, 10
"""A letter of a bold text of 12 px, of the widest of `FONT`'s families; and what stands around a text beside a bar."""


def finish(
    figure: go.Figure,
    labels: Sequence[str],
    title: str,
    *,
    mode: str,
    limit: float | None = None,
    rows: float | None = None,
    annotations: Iterable[dict[str, Any]] = (),
    right_px: int = 14,
) -> go.Figure:
    """Names down the left, height by rows, the legend above, and nothing that a finger could drag by accident.

    Parameters
    ----------
    figure
        Flat bars at 0, 1, 2, ..., from above.
    labels
        Of the bars, as plotly's markup.
    title
        Of the horizontal axis.
    mode
        ``stack``, ``group`` or ``overlay``.
    limit
        Largest value on the axis; None lets plotly choose.
    rows
        Height in rows, where a label has more than one bar.
    annotations
        Texts of `beside`; the margin at the right holds the longest.
    right_px
        Margin for texts that bars carry at their ends.
    """
    beside_bars = list(annotations)
    right_px = max(right_px, *(BESIDE_PX + round(LETTER_PX * len(_letters(one["text"]))) for one in beside_bars), 0)
    _dress(figure, round(LEGEND_PX + ROW_PX * (rows or len(labels)) + AXIS_PX), right_px, beside_bars)
    figure.update_layout(barmode=mode, bargap=0.3)
    _outline(figure)
    figure.update_yaxes(
        tickvals=list(range(len(labels))),
        ticktext=list(labels),
        range=[len(labels) - 0.5, -0.5],
        automargin=True,
        tickfont={"size": 11},
        fixedrange=True,
        showgrid=False,
        zeroline=False,
        ticks="",
        ticklabelstandoff=6,
    )
    _axis(figure.update_xaxes, title)
    figure.update_xaxes(rangemode="tozero", nticks=6)
    return figure if limit is None else figure.update_xaxes(range=[0, 1.03 * limit or 1])


def _outline(figure: go.Figure) -> None:
    """An outline around each bar: pale colours alone are hard to see, and neighbours hard to tell apart."""
    for trace in figure.data:
        if trace.type == "bar":
            trace.marker.line = {"color": QUIET, "width": 1}


def finish_plane(figure: go.Figure, across: str, up: str, *, height: int = 340) -> go.Figure:
    """Two numeric axes with their titles, in the same dress."""
    _dress(figure, height, 14, ())
    _axis(figure.update_xaxes, across)
    _axis(figure.update_yaxes, up)
    figure.update_yaxes(automargin=True)
    return figure


def _dress(figure: go.Figure, height: int, right_px: int, annotations: Iterable[dict[str, Any]]) -> None:
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": INK},
        height=height,
        margin={"l": 4, "r": right_px, "t": LEGEND_PX, "b": AXIS_PX},
        legend={"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "traceorder": "normal"},
        showlegend=True,
        dragmode=False,
        annotations=list(annotations),
        hoverlabel={"align": "left", "bgcolor": "white", "font": {"family": FONT, "size": 12, "color": INK}},
    )


def _axis(update: Callable[..., go.Figure], title: str) -> None:
    update(
        title={"text": title, "font": {"size": 12}, "standoff": 8},
        fixedrange=True,
        gridcolor=GRID,
        zerolinecolor="#8c959f",
        tickangle=0,
        ticks="",
    )


def without_legend(figure: go.Figure) -> go.Figure:
    """The same figure for a page that shows the legend itself, where it can wrap."""
    height = figure.layout.height - LEGEND_PX + TOP_PX
    return go.Figure(figure).update_layout(showlegend=False, height=height, margin={"t": TOP_PX})


def legend(figure: go.Figure) -> list[tuple[str, str, str | None]]:
    """Name, as markup, colour and shape of each kind of bar or point; traces that say ``showlegend=False`` have none."""
    shown = [trace for trace in figure.data if trace.showlegend is not False]
    return [(one.name, one.marker.color, one.marker.symbol if one.type == "scatter" else None) for one in shown]


_FEW_VALUED = frozenset(name for name, one in ARITHMETICS.items() if not one.codec.uniform)


def network_colors(arithmetics: Mapping[str, str]) -> dict[str, str]:
    """Colour of each network, by the arithmetics of its layers, joined by ``+``.

    Examples
    --------
    >>> network_colors({"a": "l1", "b": "mac", "c": "l1+mac"})
    {'a': '#332288', 'b': '#cc6677', 'c': '#2f8577'}
    """
    found: dict[str, str] = {}
    for name, text in arithmetics.items():
        parts = [one for one in text.split("+") if one]
        family = NETWORKS["coded" if not _FEW_VALUED.isdisjoint(parts) else "l1" if "l1" in parts else "mac"]
        found[name] = family[sum(color in family for color in found.values()) % len(family)]
    return found


def dotted(figure: go.Figure, name: str, color: str) -> None:
    """A key in the legend for a dotted line, which is a shape and has none."""
    line = {"color": color, "dash": "dot", "width": 1.5}
    mark = {"color": color, "symbol": "line-ew-open"}
    figure.add_scatter(name=name, mode="lines", x=[None], y=[None], line=line, marker=mark, hoverinfo="skip")


def labels_apart(names: Sequence[object]) -> list[str]:
    """Names without the parts that all begin or end with, and as short as they can be and still differ.

    Examples
    --------
    >>> labels_apart(["net.features.0.conv", "net.features.1.conv", "net.head.conv"])
    ['features.0', 'features.1', 'head']
    """
    whole = [str(name) for name in names]
    cut = _without_common([one.split(".") for one in dict.fromkeys(whole)])
    inner = dict(zip(dict.fromkeys(whole), cut, strict=True))
    for most in (LABEL_CHARACTERS, 2 * LABEL_CHARACTERS, 4 * LABEL_CHARACTERS):
        found = {name: short(one, most) for name, one in inner.items()}
        if len(set(found.values())) == len(found):
            return [found[name] for name in whole]
    return whole


def _without_common(names: Sequence[Sequence[str]]) -> list[str]:
    """Parts of names, without those that all begin or end with."""
    first, last = 0, 0
    if len(names) > 1:
        room = min(map(len, names)) - 1  # a part of each name stays
        while first < room and len({one[first] for one in names}) == 1:
            first += 1
        while last < room - first and len({one[-1 - last] for one in names}) == 1:
            last += 1
    return [".".join(one[first : len(one) - last]) for one in names]


def beside(row: int, text: str) -> dict[str, Any]:
    """A text to the right of a row."""
    return {
        "text": text,
        "x": 1,
        "xref": "paper",
        "xanchor": "left",
        "xshift": 6,
        "y": row,
        "showarrow": False,
        "align": "left",
    }


def _letters(text: str) -> str:
    """A text without plotly's markup, as wide as its longest line."""
    return max((html.unescape(re.sub("<[^>]*>", "", line)) for line in text.split("<br>")), key=len)


def label(name: object, kind: str = "") -> str:
    """A name that is short or made so, and what it is in quieter ink, as plotly's markup."""
    tail = f" <span style='color:{QUIET};font-size:10px'>{escape(kind.replace('_', ' '))}</span>" if kind else ""
    return escape(str(name)) + tail


def short(text: str, most: int = LABEL_CHARACTERS) -> str:
    """A long name without its middle; the end tells layers apart.

    Examples
    --------
    >>> short("layer2.0.downsample.0")
    'layer2.0…nsample.0'
    """
    head = most // 2 - 1
    return text if len(text) <= most else f"{text[:head]}…{text[head + 1 - most :]}"
