"""Contrast: every colour of a page can be seen on white and in the dark."""

import plotly.graph_objects as go
import pytest

from addersim.report.style import NETWORKS, QUIET, SERIES, SHADES, VERMILION, finish
from tests.contrast import GRAPHICS, TEXT, contrast, pale, themes


def test_contrast_is_that_of_the_standard():
    assert contrast("#fff", "#000") == contrast("black", "white") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the known grey that just fails


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_of_a_page_are_read_on_both_of_its_backgrounds(theme):
    colors, _ = themes()[theme]
    for text in ("ink", "quiet", "link"):
        for ground in ("paper", "tint"):
            assert contrast(colors[text], colors[ground]) >= TEXT, (text, ground)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_and_points_are_seen_without_an_outline(theme):
    colors, exchanged = themes()[theme]
    for color in (*(one for family in NETWORKS.values() for one in family), *SERIES, VERMILION, QUIET):
        assert contrast(exchanged.get(color, color), colors["paper"]) >= GRAPHICS, color


def test_black_is_read_on_the_darkest_cell_of_a_heat_map():
    assert contrast("black", SHADES[1]) >= TEXT


def test_a_pale_mark_is_found():
    figure = '{"f":{"data":[{"type":"bar","marker":{"color":"#f0e442"}}],"layout":{"font":{"color":"#999999"}}}}'
    page = f'<script id="figures">{figure}</script>'
    assert pale(page) == [("light", "f", "graphics", "#f0e442"), ("light", "f", "text", "#999999")]
    edged = page.replace('"#f0e442"', '"#f0e442","line":{"color":"#57606a"}').replace("#999999", "#57606a")
    assert pale(edged) == []


def test_pale_bars_have_an_outline():
    bars = go.Figure().add_bar(orientation="h", x=[1], y=[0], marker_color="#f0e442")
    page = f'<script id="figures">{{"f":{finish(bars, ["a"], "x", mode="stack").to_json()}}}</script>'
    assert pale(page) == []
