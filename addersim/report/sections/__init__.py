"""Sections: the questions that the page answers, each with its words, figures and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from addersim.report.frames import Frames
from addersim.report.sections.base import Panel, Section
from addersim.report.sections.costs import energy, latency, movement, rooflines
from addersim.report.sections.designs import area, tables
from addersim.report.sections.prices import prices
from addersim.report.sections.values import errors, layers, operations, ranges
from addersim.summary import Result

__all__ = ["Panel", "Section", "sections"]

ORDER = (energy, movement, tables, latency, rooflines, area, operations, ranges, errors, layers, prices)


def sections(results: Sequence[Result], frames: Frames) -> list[Section]:
    """All sections that have something to say, in reading order."""
    return [found for one in ORDER if (found := one(results, frames)) is not None]
