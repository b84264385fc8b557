"""Sections: what each part of a page is made of, whatever the page is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from addersim.report.markup import Column, table
from addersim.results.result import Result

__all__ = ["KIND", "LAYER", "Page", "Panel", "Section", "batched", "network_table", "present"]

Panel = tuple[str, go.Figure]
"""A caption and its figure."""

LAYER = Column("layer")
KIND = Column("kind")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page; `text` and `tables` are HTML, `rows` are figures that stand side by side where there is room.

    Those of `inside` are drawn when a reader opens them: every layer of networks whose modules `rows` show.
    """

    key: str
    heading: str
    text: str
    rows: tuple[tuple[Panel, ...], ...] = ()
    tables: str = ""
    inside: tuple[Panel, ...] = ()

    def panels(self) -> list[Panel]:
        """Every figure with its caption, in reading order."""
        return [*(panel for row in self.rows for panel in row), *self.inside]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: what a verb tells of its results.

    Attributes
    ----------
    title
        Heading of the page.
    lead
        HTML below it, before the first section.
    parts
        The sections in reading order.
    files
        Names of the files beside the page that hold its numbers.
    script
        File with what the page's own script does besides.
    data
        Values that it reads, by the id of the element that holds them as JSON.
    """

    title: str
    lead: str
    parts: Sequence[Section]
    files: Sequence[str]
    script: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def network_table(frame: pd.DataFrame, network: str, columns: Mapping[str, Column], totals: Sequence[str] | bool = ()) -> str:
    """One network's part of a table, under its name; `totals` names the columns to add up, or says all numbers."""
    part = frame[frame["network"] == network]
    keys = [key for key, one in columns.items() if one.form] if totals is True else list(totals or ())
    return table(part, columns, network, {key: float(part[key].sum()) for key in keys} if keys else None)


def present(frame: pd.DataFrame, results: Sequence[Result]) -> list[str]:
    """Names of the results that a table has rows of, in the results' order."""
    there = set(frame["network"])
    return [result.name for result in results if result.name in there]


def batched(results: Sequence[Result], name: str) -> str:
    """A result's name with the number of images that run together."""
    batch = next(result.cost.batch for result in results if result.name == name)
    return f"{name}, one image" if batch == 1 else f"{name}, a batch of {batch} images"
