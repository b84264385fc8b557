"""Images: the figures of a page as files, drawn by kaleido with the Chromium that is there."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import plotly.graph_objects as go

from addersim.errors import ConfigError
from addersim.report.section import Panel, Section
from addersim.report.style import LEGEND_PX
from addersim.storage import make_folder, write_atomically

__all__ = ["FORMATS", "check_drawable", "write_figures"]

FORMATS = ("svg", "png")
WIDTH_PX = 720
TITLE_PX = 30
SCALE = 3
"""Dots of a PNG a pixel of the page."""
LONGEST = 80
"""Letters of a file's name, of which some systems take 255 bytes with the folders above it."""


def check_drawable() -> None:
    """Refuse figures as files where they could not be drawn, so that it is known before hours of work.

    Raises
    ------
    ConfigError
        Where kaleido or its browser is missing.
    """
    try:
        import kaleido  # noqa: F401  # is it there?
        from choreographer.browsers.chromium import Chromium
    except ImportError:
        raise ConfigError("figures: need kaleido and Chromium; install it with: pip install 'addersim[figures]'") from None
    if Chromium.find_browser(skip_local=False) is None:
        raise ConfigError(
            "figures: kaleido finds no Chromium or Chrome; install one, or name its program in the environment variable "
            "BROWSER_PATH"
        )


def write_figures(parts: Sequence[Section], folder: str | os.PathLike[str]) -> list[Path]:
    """Each figure as an SVG and a PNG, with its caption and its legend, on white.

    Parameters
    ----------
    parts
        Sections of a page; name of section and caption make the file's.
    folder
        Where to; made where it is missing.

    Raises
    ------
    ConfigError
        Where kaleido is missing, or finds no browser.
    """
    check_drawable()
    import kaleido

    make_folder(Path(folder))
    found = []
    kaleido.start_sync_server(silence_warnings=True)
    try:
        for stem, (caption, figure) in _named(parts):
            for form in FORMATS:
                path = Path(folder, f"{stem}.{form}")
                content = _drawn(kaleido, framed(figure, caption), form)
                with write_atomically(path) as stream:
                    stream.write(content)
                found.append(path)
    finally:
        kaleido.stop_sync_server(silence_warnings=True)
    return found


def _named(parts: Iterable[Section]) -> list[tuple[str, Panel]]:
    """Every panel under a name of its own, in letters and digits that all file systems take."""
    found: dict[str, Panel] = {}
    for part in parts:
        for panel in part.panels():
            stem = re.sub("[^A-Za-z0-9]+", "-", f"{part.key} {panel[0]}").strip("-").lower()[:LONGEST]
            tried = itertools.chain([stem], (f"{stem}-{place}" for place in itertools.count(2)))
            again = next(one for one in tried if one not in found)
            found[again] = panel
    return list(found.items())


def framed(figure: go.Figure, caption: str) -> go.Figure:
    """A figure with its caption, as it stands alone."""
    whole = go.Figure(figure)
    keys = sum(trace.showlegend is not False for trace in figure.data)
    top = TITLE_PX + LEGEND_PX * max(1, -(-keys // 4))
    return whole.update_layout(
        title={"text": caption, "x": 0.01, "y": 0.995, "yanchor": "top", "font": {"size": 14}},
        paper_bgcolor="white",
        width=WIDTH_PX,
        height=figure.layout.height + top - LEGEND_PX,
        margin={"t": top},
    )


def _drawn(kaleido: object, figure: go.Figure, form: str) -> bytes:
    options = {"format": form, "width": WIDTH_PX, "height": int(figure.layout.height), "scale": SCALE if form == "png" else 1}
    try:
        content: bytes = kaleido.calc_fig_sync(figure, opts=options)  # type: ignore[attr-defined]
    except Exception as error:
        raise ConfigError(f"figures: kaleido cannot draw ({type(error).__name__}: {error}); it needs Chromium") from None
    return content
