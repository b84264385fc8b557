"""Images: the figures of a page as files, drawn by kaleido with the Chromium that is there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go

from addersim.errors import ConfigError
from addersim.report.style import LEGEND_PX
from addersim.storage import make_folder, write_atomically

__all__ = ["FORMATS", "write_figures"]

FORMATS = ("svg", "png")
WIDTH_PX = 720
TITLE_PX = 30
SCALE = 3
"""Dots of a PNG a pixel of the page."""


def write_figures(panels: Sequence[tuple[str, str, go.Figure]], folder: str | Path) -> list[Path]:
    """Each figure as an SVG and a PNG, with its caption and its legend, on white.

    Parameters
    ----------
    panels
        Name of the section, caption and figure; both names make the file's.
    folder
        Where to; made where it is missing.

    Raises
    ------
    ConfigError
        Where kaleido is missing, or finds no browser.
    """
    try:
        import kaleido
    except ImportError:
        raise ConfigError("figures as files need kaleido and Chromium: pip install 'addersim[figures]'") from None
    make_folder(folder)
    found = []
    kaleido.start_sync_server(silence_warnings=True)
    try:
        for section, caption, figure in panels:
            stem = re.sub("[^A-Za-z0-9]+", "-", f"{section} {caption}").strip("-").lower()
            for form in FORMATS:
                path = Path(folder, f"{stem}.{form}")
                content = _drawn(kaleido, framed(figure, caption), form)
                with write_atomically(path) as stream:
                    stream.write(content)
                found.append(path)
    finally:
        kaleido.stop_sync_server(silence_warnings=True)
    return found


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
