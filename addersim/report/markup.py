"""Markup: the few pieces of HTML that the page is made of. Everything that is not markup is escaped here."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

__all__ = [
    "Column",
    "Html",
    "definitions",
    "details",
    "escape",
    "link",
    "number",
    "percent",
    "small_percent",
    "table",
    "thousandths",
    "whole",
]


def escape(text: object) -> str:
    """Text as HTML that shows it, quotes included, so that it may also stand in an attribute."""
    return text if isinstance(text, Html) else html.escape(str(text))


def whole(value: float) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,.0f}"


def number(value: float) -> str:
    """A number with five significant digits; nothing where there is none."""
    if math.isnan(value):
        return ""
    return whole(value) if abs(value) >= 1e5 or value == int(value) else f"{value:,.5g}"


def thousandths(value: float) -> str:
    """A number with three decimals, so that a column of them lines up."""
    return f"{value:,.3f}"


def percent(share: float | None) -> str:
    """A share as per cent; nothing where there is none."""
    return "" if share is None or math.isnan(share) else f"{100 * share:.2f}\u00a0%"


class Html(str):
    """Text that is markup already; only this module makes it."""

    __slots__ = ()


def link(text: object, href: str) -> Html:
    """A text that leads to a place on the page or a file beside it."""
    return Html(f'<a href="{escape(href)}">{escape(text)}</a>')


class Column(NamedTuple):
    """A column of a printed table.

    Attributes
    ----------
    heading
        With the unit.
    form
        How its numbers are written; None leaves texts alone.
    link
        Another column, whose texts say where this one's lead to.
    """

    heading: str
    form: Callable[[float], str] | None = None
    link: str = ""


def table(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    caption: str = "",
    total: Mapping[str, float] | None = None,
    ids: str = "",
) -> str:
    """A table in a box that scrolls by itself.

    Parameters
    ----------
    frame
        The values.
    columns
        What to show of them, in order; the first column heads the rows.
    caption
        A line above.
    total
        Values of a last row, by column; the others stay empty.
    ids
        Column of names by which links find their rows; empty where a row has none.
    """
    heads = "".join(f'<th scope="col"{_flush(one)}>{escape(one.heading)}</th>' for one in columns.values())
    values = zip(*(_linked(frame, key, one) for key, one in columns.items()), strict=True)
    names = frame[ids].tolist() if ids else [""] * len(frame)
    body = "".join(
        f"<tr{_id(name)}>{_cells(row, list(columns.values()))}</tr>" for name, row in zip(names, values, strict=True)
    )
    if total is not None:
        cells = ["Total", *(total.get(key, "") for key in list(columns)[1:])]
        body += f'<tr class="total">{_cells(cells, list(columns.values()))}</tr>'
    head = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{head}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def _flush(column: Column) -> str:
    return ' class="n"' if column.form else ""


def _linked(frame: pd.DataFrame, key: str, column: Column) -> list[object]:
    values = frame[key].tolist()
    return values if not column.link else [link(*pair) for pair in zip(values, frame[column.link].tolist(), strict=True)]


def _cells(row: Sequence[object], columns: Sequence[Column]) -> str:
    texts = [
        escape(column.form(value) if column.form and isinstance(value, int | float) else value)
        for value, column in zip(row, columns, strict=True)
    ]
    rest = "".join(f"<td{_flush(column)}>{text}</td>" for text, column in zip(texts[1:], columns[1:], strict=True))
    return f'<th scope="row">{texts[0]}</th>{rest}'


def small_percent(share: float) -> str:
    """A share as per cent, with three significant digits."""
    return f"{100 * share:.3g}\u00a0%"


def definitions(entries: Mapping[str, str]) -> str:
    """Keys and what they stand for; a key without anything is left out."""
    return f"<dl>{''.join(f'<dt>{escape(key)}</dt><dd>{escape(value)}</dd>' for key, value in entries.items() if value)}</dl>"


def details(summary: str, content: str, key: str = "") -> str:
    """Tables that open at a click, or by a link to `key`, beside each other where there is room."""
    return f'<details{_id(key)}><summary>{escape(summary)}</summary><div class="tables">{content}</div></details>'


def _id(name: str) -> str:
    return f' id="{escape(name)}"' if name else ""
