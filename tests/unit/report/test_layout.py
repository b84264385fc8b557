"""Layout: margins that hold their texts, names that do not cover each other, and pages on narrow screens."""

import re
import shutil
import subprocess

import pandas as pd
import plotly.graph_objects as go
import pytest

from addersim import compare, count, evaluate, load_network, quantize
from addersim.report import Frames, figures, write_report
from addersim.report.markup import definitions
from addersim.report.style import beside, finish

MEASURE = """<style>html, body { width: 390px; max-width: 390px; }</style>
<script>document.addEventListener("drawn", () => setTimeout(() => {
  const held = (one) => one.closest(".scroll, .skip, details:not([open]), [style*='-10000px']");
  const beyond = [...document.querySelectorAll("main *, header *, footer *")]
    .filter((one) => one.getBoundingClientRect().right > 391 && !held(one)).map((one) => one.outerHTML.slice(0, 80));
  document.body.dataset.beyond = JSON.stringify(beyond);
  document.body.dataset.reached = document.querySelectorAll(".scroll[tabindex='0'][aria-label]").length;
}, 3000));</script></head>"""
"""Runs on a page without its policy: measures what reaches over the edge. No window of Chromium is narrower than 500 px."""


def on_a_narrow_screen(text, folder):
    """What Chromium makes of a page, with what `MEASURE` found."""
    page = folder / "narrow.html"
    page.write_text(re.sub("<meta http-equiv=[^>]*>", "", text).replace("</head>", MEASURE, 1), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder / 'profile'}"]
    options += ["--virtual-time-budget=20000", "--dump-dom"]
    return subprocess.run(
        ["chromium", *options, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout


@pytest.fixture(scope="module")
def results():
    found = {name: count(quantize(load_network(name), None)) for name in ("lenet5-adder", "lenet5-conv")}
    return [evaluate(trace, name=f"{name} of a rather long name") for name, trace in found.items()]


def test_the_margin_holds_the_longest_text_beside_a_bar():
    notes = [beside(0, "7 pJ"), beside(1, "<b>0.803 to 0.983 of it</b>")]
    figure = finish(go.Figure(), ["a", "b"], "x", mode="stack", annotations=notes)
    assert figure.layout.margin.r >= 7 * len("0.803 to 0.983 of it") + 6
    assert finish(go.Figure(), ["a"], "x", mode="stack").layout.margin.r == 14


def test_names_of_a_roofline_that_would_cover_each_other_stand_together(results):
    frames = Frames.of(results)
    name, design = results[0].name, next(frames.designs.itertuples())
    layers = frames.layers[(frames.layers["network"] == name) & (frames.layers["taps"] > 0)]
    alike = pd.concat([layers.iloc[[0]].assign(stage=one, layer=one) for one in ("fc1", "fc2")])
    texts = [text for trace in figures.roofline(alike, design, name).data for text in trace.text or ()]
    assert sorted(texts) == ["", "fc1, fc2"]


def test_long_names_of_a_roofline_are_cut_and_many_are_counted(results):
    frames = Frames.of(results)
    name, design = results[0].name, next(frames.designs.itertuples())
    layers = frames.layers[(frames.layers["network"] == name) & (frames.layers["taps"] > 0)]
    long = [f"encoder_stage_{one}_of_a_very_long_inverted_residual_block" for one in range(5)]
    alike = pd.concat([layers.iloc[[0]].assign(stage=one, layer=one) for one in long])
    (text,) = {text for trace in figures.roofline(alike, design, name).data for text in trace.text or ()} - {""}
    assert text.endswith(" and 4 more")
    assert len(text) <= 32


def test_numbers_at_the_left_of_bars_have_room_on_a_phone(results):
    """A number of five letters beside a plot of 240 pixels, which a name of a bar stands before."""
    contrasts = compare(results[::-1]).contrasts
    low = min(ratio for one in contrasts for ratio in one.ratio_by_scope().values())
    assert low < 1
    left, right = figures.ratio_by_scope(contrasts).layout.xaxis.range
    assert (low - left) / (right - left) * 240 > 5 * 6


def test_a_key_without_a_value_is_left_out():
    assert definitions({"multiplier": "", "batch": "1"}) == "<dl><dt>batch</dt><dd>1</dd></dl>"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs the browser Chromium")
@pytest.mark.slow
def test_nothing_reaches_over_the_edge_of_a_narrow_screen(results, tmp_path):
    text = write_report(results, tmp_path / "report", title="t" * 90, about={}).read_text(encoding="utf-8")
    run = on_a_narrow_screen(text, tmp_path)
    assert 'data-beyond="[]"' in run, re.search('data-beyond="[^"]*"', run)
    assert re.search('data-reached="[1-9]', run)
