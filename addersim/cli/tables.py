"""Tables on a terminal or in a pipe: no line is wider than it, no number is broken; what does not fit beside stands below."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from addersim.inputs.text import printable
from addersim.tabular import WIDTH, is_number, narrowed, show

__all__ = ["Column", "beside", "lines_of", "print_table", "width_of_output"]

_GAP = 2
_WIDEST = 1_000_000
"""Of the console, which breaks what is wider: here each column has its width, and lines are broken before."""
_SHORT = 18
"""Letters that stay on one line: codes, formats, percentages, whatever is one thing to the eye."""


def width_of_output() -> int:
    """Columns of the terminal, or of the variable COLUMNS; `WIDTH` in a pipe or a file, where nobody said."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size((WIDTH, 24)).columns
    told = os.environ.get("COLUMNS", "")
    return int(told) if re.fullmatch("[1-9][0-9]{0,4}", told) else WIDTH


def lines_of(text: str, width: int, indent: int = 0) -> list[str]:
    """A text as lines, words kept whole; those after the first begin with spaces."""
    if len(text) <= width:
        return [text]
    margin = " " * indent
    return wrap(text, width, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False) or [text]


@dataclass(frozen=True, slots=True)
class Column:
    """A column as text.

    Attributes
    ----------
    head, cells
        What stands in it.
    right
        Whether it is flush right, as numbers are.
    """

    head: str
    cells: tuple[str, ...]
    right: bool

    @classmethod
    def of(cls, key: str, values: Sequence[Any]) -> Column:
        """From a row's key and the values of all rows."""
        return cls(printable(key), tuple(map(show, values)), any(map(is_number, values)))

    @property
    def widest(self) -> int:
        """Letters that it takes on one line a row."""
        return max(map(len, (self.head, *self.cells)))

    @property
    def least(self) -> int:
        """Letters below which a number or another short thing would break, or a word of the head."""
        cell = max(map(len, self.cells), default=0)
        words = (*self.head.split(), *(word for text in self.cells for word in text.split()))
        whole = cell if self.right or cell <= _SHORT else _SHORT
        return max(whole, *(min(len(word), _SHORT) for word in words), 1)


def beside(columns: Sequence[Column], width: int, lead: int = 1) -> list[list[Column]]:
    """Columns in groups that fit side by side, each group led by the first columns, which say what a row is."""
    names = list(columns[:lead])
    start = width - sum(one.least + _GAP for one in names) + _GAP
    groups, room = [names], start
    for column in columns[lead:]:
        if (room := room - column.least - _GAP) < 0 and len(groups[-1]) > lead:
            groups.append(names)
            room = start - column.least - _GAP
        groups[-1] = [*groups[-1], column]
    return groups


def print_table(title: str, rows: Sequence[Mapping[str, Any]], total: bool = False, lead: int = 1) -> None:
    """Rows under a title; numbers flush right, the last row set off where it is a total; the first `lead` columns name it."""
    from rich.console import Console
    from rich.text import Text

    width = width_of_output()
    columns = [Column.of(key, [row[key] for row in rows]) for key in rows[0]]
    console = Console(file=sys.stdout, width=_WIDEST)
    console.print(Text("\n".join(lines_of(printable(title), width)), style="bold"))
    for place, group in enumerate(beside(columns, width, lead)):
        if place:
            console.print()
        console.print(_table(group, width, total))


def _table(columns: Sequence[Column], width: int, total: bool) -> Any:
    from rich.table import Table
    from rich.text import Text

    found = Table(header_style="bold", box=None, pad_edge=False)
    sizes = narrowed([one.widest for one in columns], [one.least for one in columns], width)
    for column, size in zip(columns, sizes, strict=True):
        side = "right" if column.right else "left"
        found.add_column(Text(column.head), justify=side, width=size, overflow="fold")  # type: ignore[arg-type]
    last = len(columns[0].cells) - 1
    for place, cells in enumerate(zip(*(one.cells for one in columns), strict=True)):
        found.add_row(*map(Text, cells), style="bold" if total and place == last else None)
    return found
