"""Document: a page of any sections as one self-contained HTML text with its figures."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go
import plotly.offline

from addersim.report.markup import escape, link
from addersim.report.section import Page, Panel, Section
from addersim.report.style import legend, without_legend

__all__ = ["render_document"]

_HERE = Path(__file__).parent
_SHAPES = MappingProxyType(
    {
        "line-ew": "\N{EM DASH}",
        "circle": "\N{BLACK CIRCLE}",
        "square": "\N{BLACK SQUARE}",
        "diamond": "\N{BLACK DIAMOND}",
        "triangle-up": "\N{BLACK UP-POINTING TRIANGLE}",
        "triangle-down": "\N{BLACK DOWN-POINTING TRIANGLE}",
        "cross": "\N{HEAVY GREEK CROSS}",
        "x": "\N{HEAVY MULTIPLICATION X}",
        "star": "\N{BLACK STAR}",
    }
)


def render_document(page: Page) -> str:
    """A page as HTML text.

    Its policy allows no request to anywhere, and no script but the two that it carries, which it knows by their hashes. The
    library that draws the figures is packed to a third of its size; the page's own script unpacks it.
    """
    script = "".join((_HERE / name).read_text(encoding="utf-8") for name in ("page.js", page.script) if name)
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    library, packed = _library()
    policy = f"default-src 'none'; script-src {_hash(script)} {library}; style-src 'unsafe-inline'; img-src data: blob:"
    panels = {key: figure for part in page.parts for key, (_, figure) in _placed(part)}
    links = "".join(link(part.heading, f"#{part.key}") for part in page.parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(page.title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">To the content</a>
<header>
<h1>{escape(page.title)}</h1>
{page.lead}
<nav aria-label="Sections">{links}</nav>
</header>
<main id="content">
{"".join(map(_section, page.parts))}
</main>
<footer class="quiet">
<p>The same numbers as files: {", ".join(link(name, name) for name in page.files)}.</p>
<noscript><p>Figures need JavaScript; every number is in the tables.</p></noscript>
</footer>
<script type="application/json" id="figures">{_figures_json(panels)}</script>
{"".join(f'<script type="application/json" id="{key}">{_json(value)}</script>' for key, value in page.data.items())}
<script type="application/octet-stream" id="library">{packed}</script>
<script>{script}</script>
</body>
</html>
"""


@cache
def _library() -> tuple[str, str]:
    """Plotly's script: its hash for the policy, and its text packed by zlib, in base 64."""
    text = plotly.offline.get_plotlyjs()
    return _hash(text), base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _placed(part: Section) -> list[tuple[str, Panel]]:
    """Panels of a section with the keys of their places."""
    return [(f"{part.key}-{place}", panel) for place, panel in enumerate(part.panels())]


def _section(part: Section) -> str:
    places = iter(_placed(part))
    rows = "".join(f'<div class="figures">{"".join(_place(*next(places)) for _ in row)}</div>' for row in part.rows if row)
    if part.inside:
        inner = "".join(_place(*next(places)) for _ in part.inside)
        rows += f'<details class="drawn"><summary>Layer by layer</summary><div class="figures">{inner}</div></details>'
    closed = ' class="closed"' if not part.rows and "<details" in part.tables else ""
    return f'<section id="{part.key}"{closed}><h2>{escape(part.heading)}</h2>{part.text}{rows}{part.tables}</section>\n'


def _place(key: str, panel: Panel) -> str:
    caption, figure = panel
    height = without_legend(figure).layout.height
    keys = "".join(f"<li>{_mark(color, symbol)}{name}</li>" for name, color, symbol in legend(figure))
    about = escape(f"{caption}: {_in_words(figure)}")
    plot = f'<div class="plot" id="{key}" style="height:{height}px" role="img" aria-label="{about}"></div>'
    save = "".join(
        f'<button type="button" data-figure="{key}" data-format="{one}" aria-label="Save as {one.upper()}: {escape(caption)}">'
        f"{one.upper()}</button>"
        for one in ("svg", "png")
    )
    head = f'<figcaption>{escape(caption)}<span class="save">{save}</span></figcaption>'
    return f'<figure>{head}<ul class="legend">{keys}</ul>{plot}</figure>'


def _in_words(figure: go.Figure) -> str:
    """What a figure shows, for those who do not see it; its numbers are in the tables."""
    axes = [one.title.text for one in (figure.layout.xaxis, figure.layout.yaxis) if one.title.text]
    names = [re.sub("<[^>]*>", "", name) for name, _, _ in legend(figure) if name]
    kind = "points" if any(trace.type == "scatter" and trace.mode != "lines" for trace in figure.data) else "bars"
    return html.unescape(f"{kind} of {', '.join(axes)}" + (f"; by {', '.join(names)}" if names else ""))


def _mark(color: str, symbol: str | None) -> str:
    """A patch of a colour, or the shape of a figure's points in it."""
    if symbol == "line-ew-open":
        return f'<i class="dotted" style="border-color:{color}"></i>'
    shape = _SHAPES.get(symbol or "")
    return f'<b aria-hidden="true" style="color:{color}">{shape}</b>' if shape else f'<i style="background:{color}"></i>'


def _json(value: Any) -> str:
    """JSON that cannot end its script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _figures_json(panels: Mapping[str, go.Figure]) -> str:
    """Figures as JSON that cannot end its script element: plotly writes ``<`` and ``>`` as escapes."""
    return "{" + ",".join(f"{json.dumps(key)}:{without_legend(figure).to_json()}" for key, figure in panels.items()) + "}"
