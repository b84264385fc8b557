"""Style: colours, type and the layout that all figures share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go

from addersim.report.markup import escape

__all__ = [
    "FONT",
    "NETWORKS",
    "OPERANDS",
    "PALE",
    "RESOURCES",
    "SHADES",
    "VERMILION",
    "beside",
    "finish",
    "finish_plane",
    "label",
    "legend",
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
NETWORKS = ("#332288", "#44aa99", "#cc6677", "#999933", "#88ccee", "#aa4499")
"""Colours of Paul Tol's muted scheme, for the same reason; they repeat beyond six networks."""
SHADES = ("#9ecae1", "#6baed6", "#3182bd", "#08519c", "#08306b")
"""One hue from light to dark: ColorBrewer's Blues."""
ROW_PX, LEGEND_PX, AXIS_PX, LABEL_CHARACTERS = 24, 36, 46, 18
TOP_PX = 4


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
        Texts, such as those of `beside`.
    right_px
        Margin for them.
    """
    _dress(figure, round(LEGEND_PX + ROW_PX * (rows or len(labels)) + AXIS_PX), right_px, annotations)
    figure.update_layout(barmode=mode, bargap=0.3)
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


def label(name: object, kind: str = "") -> str:
    """A name, and what it is in quieter ink, as plotly's markup."""
    tail = f" <span style='color:{QUIET};font-size:10px'>{escape(kind.replace('_', ' '))}</span>" if kind else ""
    return escape(short(str(name))) + tail


def short(text: str, most: int = LABEL_CHARACTERS) -> str:
    """A long name without its middle; the end tells layers apart.

    Examples
    --------
    >>> short("layer2.0.downsample.0")
    'layer2.0…nsample.0'
    """
    head = most // 2 - 1
    return text if len(text) <= most else f"{text[:head]}…{text[head + 1 - most :]}"
