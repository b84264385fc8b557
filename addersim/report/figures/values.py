"""Figures of what runs and of its values: operations, ranges, errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from addersim.arithmetic.ops import OPERATIONS
from addersim.format_quantity import compact
from addersim.report.figures.rows import of_network, stage_labels
from addersim.report.markup import escape
from addersim.report.style import PALE, RESOURCES, SHADES, VERMILION, beside, dotted, finish, label, labels_apart

__all__ = ["errors_by_layer", "operations_by_width", "ranges_by_layer"]

WIDTHS: Mapping[int, str] = MappingProxyType({8: "1 to 8 bit", 16: "9 to 16", 24: "17 to 24", 32: "25 to 32", 64: "33 to 64"})
SPANS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "the format holds": (PALE, 0.8),
        "below zero, cut by ReLU": (RESOURCES["vector"], 0.2),
        "seen, fits": (RESOURCES["array"], 0.4),
        "seen, does not fit": (VERMILION, 0.4),
    }
)
"""Colour and width of the parts of a range."""


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
    return finish(figure, names, "operations for one image", mode="stack", limit=limit, annotations=notes)


def ranges_by_layer(ranges: pd.DataFrame, network: str) -> go.Figure:
    """What came out of each layer of one network against what its format holds, on an axis of bits to either side of zero."""
    rows = list(of_network(ranges, network).itertuples(index=False))
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
    names = labels_apart([row.layer for row in rows])
    labels = [label(name, row.datapath or row.kind) for name, row in zip(names, rows, strict=True)]
    notes = [beside(place, _range_note(row)) for place, row in enumerate(rows)]
    finish(figure, labels, "codes, by powers of two", mode="overlay", annotations=notes)
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
        dotted(figure, f"threshold, {most:g} %", VERMILION)
        limit = max(limit, most)
    labels = stage_labels(layers[(layers["network"] == network) & layers["stage"].isin(errors.index)])
    return finish(figure, labels, "relative error, %", mode="overlay", limit=limit)


def _spans(row: Any) -> list[tuple[str, int, int]]:
    """The parts of a layer's range, in codes: what the format holds, and what was seen inside, below and above it."""
    lowest, highest = row.format_minimum, row.format_maximum
    parts = [("the format holds", lowest, highest)]
    if row.minimum <= highest and row.maximum >= lowest:
        parts.append(("seen, fits", max(row.minimum, lowest), min(row.maximum, highest)))
    if row.minimum < lowest:
        parts.append(
            ("below zero, cut by ReLU" if _ends_at_zero(row) else "seen, does not fit", row.minimum, min(row.maximum, lowest))
        )
    if row.maximum > highest:
        parts.append(("seen, does not fit", max(row.minimum, highest), row.maximum))
    return parts


def _ends_at_zero(row: Any) -> bool:
    return bool(row.format_minimum == row.zero_point)


def _range_note(row: Any) -> str:
    text = f"{row.bits_needed} of {row.bits} bit"
    return f"<b>{text}</b>" if row.bits_needed > row.bits else text


def _range_hover(row: Any) -> str:
    cut = _ends_at_zero(row) and row.minimum < row.zero_point
    reason = "cut, ReLU's zeros included" if cut else "saturated or wrapped"
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
