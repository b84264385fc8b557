"""Page: one self-contained HTML file, and the numbers beside it as CSV and JSON."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import plotly.graph_objects as go
import plotly.offline

from addersim.errors import ConfigError
from addersim.report.frames import Frames
from addersim.report.markup import definitions, escape
from addersim.report.overview import sentence, summary_table
from addersim.report.sections import Section, sections
from addersim.report.style import legend, without_legend
from addersim.storage import write_atomically
from addersim.summary import Result, to_json

__all__ = ["render_page", "write_report"]

PAGE = "index.html"
RESULTS = "results.json"
_HERE = Path(__file__).parent


def write_report(results: Sequence[Result], folder: str | Path, *, title: str, about: Mapping[str, str]) -> Path:
    """Write a report of one or several results that are compared.

    Everything is made before the first file is written, and every file appears whole or not at all: ``layers.csv``,
    ``operations.csv``, ``energy.csv``, ``ranges.csv``, ``prices.csv``, ``results.json`` and, last, ``index.html``.

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

    Returns
    -------
    Path of ``index.html``, which needs no other file and no network.

    Raises
    ------
    ConfigError
        Where there are no results, or two of one name.
    """
    _check(results)
    frames = Frames.of(results)
    texts = {f"{one.name}.csv": getattr(frames, one.name).to_csv(index=False, lineterminator="\n") for one in fields(frames)}
    document = {"title": title, "about": dict(about), "results": [to_json(result) for result in results]}
    texts[RESULTS] = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    texts[PAGE] = render_page(results, frames, title, about)
    for name, text in texts.items():
        with write_atomically(Path(folder, name)) as stream:
            stream.write(text.encode())
    return Path(folder, PAGE)


def render_page(results: Sequence[Result], frames: Frames, title: str, about: Mapping[str, str]) -> str:
    """The page as HTML text.

    Its policy allows no request to anywhere, and no script but the two that it carries, which it knows by their hashes.
    """
    parts = sections(results, frames)
    scripts = [plotly.offline.get_plotlyjs(), (_HERE / "page.js").read_text(encoding="utf-8")]
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts)
    policy = f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:"
    panels = {key: figure for part in parts for key, _, figure in _panels(part)}
    links = "".join(f'<a href="#{part.key}">{escape(part.heading)}</a>' for part in parts)
    files = ", ".join(f'<a href="{name}">{name}</a>' for name in (*(f"{one.name}.csv" for one in fields(frames)), RESULTS))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<ul class="plain">{"".join(map(sentence, results))}</ul>
<nav>{links}</nav>
</header>
<main>
<section id="summary"><h2>Summary</h2>{summary_table(results)}</section>
<section id="about"><h2>What was run</h2>{definitions(about)}{_notes(results)}</section>
{"".join(map(_section, parts))}
</main>
<footer class="quiet">
<p>The same numbers as files: {files}.</p>
<noscript><p>Figures need JavaScript; every number is in the tables.</p></noscript>
</footer>
<script type="application/json" id="figures">{_figures_json(panels)}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""


def _check(results: Sequence[Result]) -> None:
    names = [result.name for result in results]
    if not names:
        raise ConfigError("report: no results; give at least one")
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise ConfigError(f"report: two results are named {twice!r}; give each a name of its own")


def _panels(part: Section) -> list[tuple[str, str, go.Figure]]:
    """Figures of a section with the keys of their places and their captions."""
    flat = [panel for row in part.rows for panel in row]
    return [(f"{part.key}-{place}", caption, figure) for place, (caption, figure) in enumerate(flat)]


def _section(part: Section) -> str:
    places = iter(_panels(part))
    rows = "".join(f'<div class="figures">{"".join(_place(*next(places)) for _ in row)}</div>' for row in part.rows if row)
    return f'<section id="{part.key}"><h2>{escape(part.heading)}</h2>{part.text}{rows}{part.tables}</section>\n'


def _place(key: str, caption: str, figure: go.Figure) -> str:
    height = without_legend(figure).layout.height
    keys = "".join(f'<li><i style="background:{color}"></i>{name}</li>' for name, color in legend(figure))
    plot = f'<div class="plot" id="{key}" style="height:{height}px"></div>'
    return f'<figure><figcaption>{escape(caption)}</figcaption><ul class="legend">{keys}</ul>{plot}</figure>'


def _figures_json(panels: Mapping[str, go.Figure]) -> str:
    """Figures as JSON that cannot end its script element: plotly writes ``<`` and ``>`` as escapes."""
    return "{" + ",".join(f"{json.dumps(key)}:{without_legend(figure).to_json()}" for key, figure in panels.items()) + "}"


def _notes(results: Sequence[Result]) -> str:
    return "".join(f"<h3>{escape(result.name)}</h3>{definitions(result.notes)}" for result in results if result.notes)
