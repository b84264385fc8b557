"""The page of a sweep: one self-contained HTML file made from the sweep's folder alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from addersim.errors import DataError
from addersim.format_quantity import how_many
from addersim.inputs.opening import MAX_FILE_BYTES, parsing, read_file
from addersim.report.document import render_document
from addersim.report.markup import definitions, escape
from addersim.report.section import Page, Section
from addersim.report.sweep.details import details_of
from addersim.report.sweep.findings import findings, missing
from addersim.report.sweep.frame import read_frame, sweep_frame
from addersim.report.sweep.points import AXES, Points
from addersim.report.sweep.sections import sweep_sections
from addersim.report.writing import write_page

__all__ = ["MOST_POINTS", "render_sweep", "write_sweep_page"]

MOST_POINTS = 1000
"""Points on one page; of more, the Pareto-optimal ones and a part of the others, evenly from the study's order. Chosen: a
page of some megabytes still opens on a phone."""


def write_sweep_page(folder: str | os.PathLike[str], figures: str | os.PathLike[str] | None = None) -> Path:
    """Write the page of a sweep's folder beside its results.

    Parameters
    ----------
    folder
        With ``results.csv`` and ``study.json``; ``jobs``, and a search's ``scan.csv`` where somebody put it there, are read.
    figures
        As in `write_page`.

    Returns
    -------
    Path of ``index.html``, which needs no other file and no network. The same folder gives the same bytes.

    Raises
    ------
    DataError
        Where the folder holds no results of a sweep.
    """
    return write_page(_read(folder), folder, "sweep", figures)


def render_sweep(folder: str | os.PathLike[str]) -> str:
    """The page as HTML text."""
    return render_document(_read(folder))


def _read(folder: str | os.PathLike[str]) -> Page:
    place = Path(folder)
    frame = sweep_frame(place)
    with parsing(str(place / "results.csv"), "no results of a sweep", DataError):  # columns that lack, or hold something else
        return _page(place, Points.of(frame))


def _page(place: Path, everything: Points) -> Page:
    shown = everything.fewer(MOST_POINTS)
    study = _study(place)
    told, gaps = findings(everything), missing(everything)
    if len(shown.frame) < len(everything.frame):
        gaps.append(f"Figures and tables show {len(shown.frame):,} of {len(everything.frame):,} points; results.csv has all.")
    lead = f"<p class='lead'>{escape(told[0])}</p>"
    lead += "".join(f"<p class='warning'>{escape(one)}</p>" for one in gaps)
    lead += f'<ul class="plain">{"".join(f"<li>{escape(one)}</li>" for one in told[1:])}</ul>' if told[1:] else ""
    parts = [*sweep_sections(shown, _scan(place)), Section("about", "What was run", definitions(_about(everything, study)))]
    files = [name for name in ("results.csv", "results.parquet", "study.json", "scan.csv") if (place / name).exists()]
    data = {"swept": details_of(shown, place)}
    title = str(study.get("about") or f"Sweep of {', '.join(everything.frame['network'].unique())}")
    return Page(title, lead, parts, files, "sweep.js", data)


def _study(folder: Path) -> dict[str, Any]:
    path = folder / "study.json"
    try:
        with parsing(str(path), "not a sweep's study", DataError):
            return msgspec.json.decode(read_file(path, MAX_FILE_BYTES, DataError), type=dict[str, Any])
    except DataError:
        return {}


def _scan(folder: Path) -> pd.DataFrame | None:
    """A search's sensitivity scan, if one is there."""
    try:
        frame = read_frame(folder / "scan.csv", "no scan of a search")
    except DataError:
        return None
    return frame if {"layer", "operand", "bits", "agreement", "loss_points"} <= set(frame) else None


def _about(points: Points, study: dict[str, Any]) -> dict[str, str]:
    frame = points.frame
    swept = {AXES[axis]: ", ".join(_texts(frame[axis])) for axis in AXES}
    images = f"{how_many(int(frame['images'].max()), 'test images')} of {study.get('data', 'the data set')}"
    calibration = f"chosen on {study['calibration_images']:,} training images" if "calibration_images" in study else ""
    return {"points": f"{len(frame):,}", "images": images, "scales": calibration, **swept}


def _texts(values: pd.Series) -> list[str]:
    known = values[values.notna()].drop_duplicates().tolist()
    return [("yes" if one else "no") if isinstance(one, bool) else str(one) for one in known if one != ""]
