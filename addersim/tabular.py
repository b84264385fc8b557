"""Results for people and for other programs: a table, one line, HTML, plain values, a frame.

A result inherits `Tabular` and says its title, its key figures, a few columns for people, its plain values and its rows. All
names may come from files: text is printed without control characters, and HTML escapes it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from textwrap import shorten, wrap
from typing import TYPE_CHECKING, Any, ClassVar

from addersim.inputs.text import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WIDTH", "Listed", "Row", "Tabular", "format_table", "is_number", "layer_rows", "narrowed", "percent", "show"]

Row = dict[str, Any]
WIDTH = 80
"""Columns of a terminal that is as wide as any."""
MOST_LINES = 250
"""Rows that are printed: ResNet-50 has fewer layers. A frame has all of them."""
_LEAST = 8
"""Letters of a text that are left where a table is too wide."""


class Tabular:
    """A result that prints as a table of `WIDTH` columns and converts to plain values, rows and a frame."""

    __slots__ = ()

    @abstractmethod
    def to_dict(self) -> Row:
        """Plain values, ready for JSON; units in the keys."""

    @abstractmethod
    def to_rows(self) -> list[Row]:
        """Tidy rows, such as one a layer; units in the keys."""

    def to_frame(self) -> pd.DataFrame:
        """`to_rows` as a frame of pandas, which is imported only now."""
        import pandas as pd

        return pd.DataFrame(self.to_rows())

    @abstractmethod
    def _title(self) -> str:
        """What this is a result of."""

    @abstractmethod
    def _figures(self) -> dict[str, str]:
        """Key figures with their units, by name."""

    @abstractmethod
    def _lines(self) -> list[Row]:
        """Rows with the few columns that people look at first."""

    def __str__(self) -> str:
        return "\n".join([format_table(self._title(), self._lines(), WIDTH), *wrap(self._facts(), WIDTH)])

    def __repr__(self) -> str:
        title = shorten(_plain(self._title()), WIDTH, placeholder="…")
        return f"<{type(self).__name__} {title}: {self._facts()}>"

    def _repr_html_(self) -> str:
        return _table(f"{self._title()}: {self._facts()}", self._lines(), "to_frame()")

    def _facts(self) -> str:
        return _plain(", ".join(f"{name} {value}" for name, value in self._figures().items()))


class Listed:
    """A value of many parts, arrays perhaps: one line by itself, and in a notebook a table of its parts."""

    __slots__ = ()
    PARTS: ClassVar[str] = "layers"
    """What its parts are."""

    @abstractmethod
    def table(self) -> list[Row]:
        """One row a part."""

    @abstractmethod
    def _title(self) -> str:
        """Its name, and what it is at a glance."""

    def __str__(self) -> str:
        return format_table(self._title(), self.table())

    def __repr__(self) -> str:
        title = shorten(_plain(self._title()), WIDTH, placeholder="…")
        return f"<{type(self).__name__} {title}, {len(self.table()):,} {self.PARTS}>"

    def _repr_html_(self) -> str:
        return _table(self._title(), self.table(), "table()")


def _table(title: str, lines: Sequence[Row], whole: str) -> str:
    """Rows as HTML, the first ones of many, and what gives the `whole` of them."""
    shown, left = lines[:MOST_LINES], len(lines) - MOST_LINES
    head = "".join(f"<th>{_markup(key)}</th>" for key in (lines[0] if lines else ()))
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in shown)
    more = f"<tfoot><tr><td>{_more(left, whole)}</td></tr></tfoot>" if left > 0 else ""
    return f"<table><caption>{_markup(title)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>{more}</table>"


def format_table(title: str, rows: Sequence[Mapping[str, Any]], width: int | None = None) -> str:
    """Rows as aligned plain text under a title; with a width, texts are cut so that no line is longer.

    Examples
    --------
    >>> print(format_table("two layers", [{"layer": "conv1", "taps": 117600}, {"layer": "fc", "taps": 48}]))
    two layers
    layer     taps
    conv1  117,600
    fc          48
    """
    heading = [_plain(title)] if width is None else wrap(_plain(title), width)
    if not rows:
        return "\n".join(heading)
    shown = rows if width is None else rows[:MOST_LINES]
    cells = [[_plain(key) for key in rows[0]], *([show(value) for value in row.values()] for row in shown)]
    right = [any(is_number(row[key]) for row in shown) for key in rows[0]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(right))]
    if width is not None:
        least = [size if flush else _LEAST for size, flush in zip(widths, right, strict=True)]
        widths = narrowed(widths, least, width)
    lines = [
        "  ".join(_placed(text, size, flush) for text, size, flush in zip(row, widths, right, strict=True)).rstrip()
        for row in cells
    ]
    more = [_more(len(rows) - len(shown), "to_frame()")] if len(shown) < len(rows) else []
    return "\n".join([*heading, *lines, *more])


def layer_rows(document: Row, shared: Iterable[str]) -> list[Row]:
    """One row a layer of a document: what all layers share, the layer's name, and the values that are nested in no layer."""
    same, layers = {key: document[key] for key in shared}, document["layers"]
    nested = {key for layer in layers for key, value in layer.items() if isinstance(value, dict | list)} | {"name"}
    return [
        same | {"layer": layer["name"]} | {key: value for key, value in layer.items() if key not in nested} for layer in layers
    ]


def show(value: Any) -> str:
    """A value for people: thousands apart, four significant digits, no exponents.

    Examples
    --------
    >>> show(1234567), show(0.123456), show(None), show("a\\nb")
    ('1,234,567', '0.1235', '', 'a\\\\nb')
    """
    if value is None:
        return ""
    if not is_number(value):
        return printable(str(value))
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share in per cent, with two decimals."""
    return "" if share is None else f"{100 * share:.2f} %"


def is_number(value: Any) -> bool:
    """Whether a value is shown as a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(text: str) -> str:
    """Text as printed; a no-break space is for pages, where lines break."""
    return printable(text.replace("\N{NO-BREAK SPACE}", " "))


def _markup(text: str) -> str:
    return escape(_plain(text))


def _cell(value: Any) -> str:
    place = ' style="text-align: right"' if is_number(value) else ""
    return f"<td{place}>{escape(show(value))}</td>"


def _more(left: int, whole: str) -> str:
    return f"and {left:,} more; {whole} has all"


def narrowed(widths: Sequence[int], least: Sequence[int], width: int, gap: int = 2) -> list[int]:
    """Widths of columns that fit together: the widest gives way, none below its least.

    Examples
    --------
    >>> narrowed([30, 20, 9], [8, 8, 9], 40)
    [13, 14, 9]
    """
    found = list(widths)
    while (excess := sum(found) + gap * (len(found) - 1) - width) > 0:
        wide = [place for place, size in enumerate(found) if size > least[place]]
        if not wide:
            break
        widest = max(wide, key=found.__getitem__)
        second = max((found[place] for place in wide if place != widest), default=0)
        found[widest] -= min(excess, found[widest] - least[widest], max(1, found[widest] - second))
    return found


def _placed(text: str, width: int, flush_right: bool) -> str:
    if flush_right:
        return text.rjust(width)
    return (text if len(text) <= width else f"{text[: width - 1]}…").ljust(width)
