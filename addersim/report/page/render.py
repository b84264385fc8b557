"""Page: one self-contained HTML file, and the numbers beside it as CSV and JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd

from addersim.inputs.text import cell
from addersim.processes.result_folders import MARKS
from addersim.report.document import render_document
from addersim.report.frames import Frames
from addersim.report.markup import definitions, escape
from addersim.report.page.overview import sentence, summary_table
from addersim.report.page.sections import sections
from addersim.report.section import Page, Section
from addersim.report.writing import write_page
from addersim.results.comparison import compare
from addersim.results.comparison_text import headline
from addersim.results.reasons import reasons_told
from addersim.results.result import Result

__all__ = ["render_page", "report_page", "write_report"]

RESULTS = MARKS["report"]


def write_report(
    results: Sequence[Result],
    folder: str | os.PathLike[str],
    *,
    title: str,
    about: Mapping[str, str],
    figures: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a report of one or several results that are compared.

    Everything is made before the first file is written, and every file appears whole or not at all: the tables of `Frames`
    as CSV, ``results.json`` and, last, ``index.html``.

    Parameters
    ----------
    results
        In the order in which they are shown; their names differ.
    folder
        Where to; made where it is missing, files of these names in it are replaced.
    title
        Heading of the page.
    about
        What was run, in words, by key: images, data set, how it was quantised, package version.
    figures
        Folder for each figure as SVG and PNG too.

    Returns
    -------
    Path of ``index.html``, which needs no other file and no network.

    Raises
    ------
    ConfigError
        Where there are no results, or two of one name, or the folder holds results of another kind.
    """
    compare(results)
    frames = Frames.of(results)
    texts = {f"{one.name}.csv": _csv(getattr(frames, one.name)) for one in fields(frames)}
    document = {"title": title, "about": dict(about), "results": [result.to_dict() for result in results]}
    texts[RESULTS] = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return write_page(report_page(results, frames, title, about), folder, "report", figures, texts)


def _csv(frame: pd.DataFrame) -> str:
    texts = {name: column.map(cell) for name, column in frame.select_dtypes(exclude=["number", "bool"]).items()}
    return str(frame.assign(**texts).to_csv(index=False, lineterminator="\n"))


def render_page(results: Sequence[Result], frames: Frames, title: str, about: Mapping[str, str]) -> str:
    """The page as HTML text."""
    return render_document(report_page(results, frames, title, about))


def report_page(results: Sequence[Result], frames: Frames, title: str, about: Mapping[str, str]) -> Page:
    """The page: the finding in words, then figures with their numbers, then all results side by side."""
    first, *others = results
    findings = [headline(first, one) for one in others] or [headline(first)]
    lead = f"<p class='lead'>{escape(findings[0])}</p>"
    lead += f'<ul class="plain">{"".join(f"<li>{escape(one)}</li>" for one in findings[1:])}</ul>' if findings[1:] else ""
    accuracies = "".join(map(sentence, results))
    summary = Section("summary", "Side by side" if others else "Summary", "", tables=summary_table(results))
    about_it = Section("about", "What was run", definitions(about) + _notes(results))
    *parts, prices = sections(results, frames)
    why = "".join(_why(text, names if len(names) < len(results) else ()) for text, names in reasons_told(results).items())
    files = (*(f"{one.name}.csv" for one in fields(frames)), RESULTS)
    return Page(
        title,
        lead + "".join(f'<ul class="plain">{one}</ul>' for one in (accuracies, why) if one),
        (summary, *parts, about_it, prices),
        files,
    )


def _why(text: str, names: Sequence[str]) -> str:
    """Why some designs take what they take, as an item of a list."""
    if not names:
        return f"<li>{escape(text[:1].upper() + text[1:])}.</li>"
    return f"<li><strong>{escape(', '.join(names))}</strong>: {escape(text)}.</li>"


def _notes(results: Sequence[Result]) -> str:
    return "".join(f"<h3>{escape(result.name)}</h3>{definitions(result.notes)}" for result in results if result.notes)
