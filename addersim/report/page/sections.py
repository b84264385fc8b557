"""Sections: the questions that the page answers, each with its words, figures and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from addersim.report.frames import Frames
from addersim.report.page.costs import energy, latency, movement, rooflines
from addersim.report.page.designs import area, tables
from addersim.report.page.prices import prices
from addersim.report.page.values import errors, layers, operations, ranges
from addersim.report.section import Panel, Section
from addersim.results.result import Result

__all__ = ["Panel", "Section", "sections"]

ORDER = (energy, movement, tables, latency, rooflines, area, operations, ranges, errors, layers, prices)


def sections(results: Sequence[Result], frames: Frames) -> list[Section]:
    """All sections that have something to say, in reading order."""
    return [found for one in ORDER if (found := one(results, frames)) is not None]
