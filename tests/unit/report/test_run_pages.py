"""Pages of a search and of a training run: whole, with the numbers of their files, and nothing that asks for more."""

import json
import re

import pytest

from addersim.report.search_page import SearchRows, write_search_page
from addersim.report.training_page import write_training_page

MEASURED = {"accuracy": 0.9, "loss_points": 1.0, "agreement": 0.95, "energy_pj": 1000.0}
ROWS = SearchRows(
    name="<net>",
    best=MEASURED,
    trials=[MEASURED, MEASURED | {"accuracy": 0.85, "loss_points": 6.0, "energy_pj": 900.0}],
    uniform=[{"bits": 4} | MEASURED, {"bits": 8} | MEASURED | {"energy_pj": 4000.0}],
    widths=[
        {"layer": "a.conv1", "weight_bits": 4, "activation_bits": 8},
        {"layer": "a.conv2", "weight_bits": 3, "activation_bits": 5},
    ],
    scan=[{"layer": "a.conv1", "operand": one, "bits": 4} | MEASURED for one in ("weight_bits", "activation_bits")],
    floor_points=2.0,
    accuracy_float=0.91,
    images=60,
)
HISTORY = [
    {"epoch": one, "rate": 0.1 / one, "train_loss": 2.0 / one, "train_accuracy": 0.3 * one, "test_loss": 2.1 / one}
    | {"test_accuracy": 0.25 * one, "seconds": 1.5}
    for one in (1, 2, 3)
]


def figures_of(page):
    text = page.read_text()
    return text, json.loads(re.search(r'id="figures">(.*?)</script>', text, re.S)[1])


def test_the_page_of_a_search_has_what_was_tried_found_and_needed(tmp_path):
    text, figures = figures_of(write_search_page(tmp_path, ROWS, {"data": "made"}))
    assert "take 1\u00a0nJ an image and lose 1.00 points (at most 2): 75.00\u00a0% less energy than 8 bits everywhere" in text
    assert "<net>" not in text
    (plane,) = (one for key, one in figures.items() if key.startswith("found"))
    assert [trace["name"] for trace in plane["data"]] == ["tried", "one width everywhere", "chosen", "2 points below float"]
    assert plane["layout"]["shapes"][0]["y0"] == 89.0
    (bars,) = (one for key, one in figures.items() if key.startswith("widths"))
    assert [trace["x"] for trace in bars["data"]] == [[4, 3], [8, 5]]
    assert bars["layout"]["yaxis"]["ticktext"] == ["conv1", "conv2"]
    assert sum(key.startswith("sensitivity") for key in figures) == 2


def test_the_page_of_a_run_has_its_epochs_and_its_recipe(tmp_path):
    text, figures = figures_of(write_training_page(tmp_path, HISTORY, {"batch": "32"}, "a run"))
    assert "75.00\u00a0% of the images held out are right after 3 epochs (the most, 75.00\u00a0%, after 3)" in text
    assert "It took 4.5 s." in text
    accuracy, loss, rate = figures.values()
    assert accuracy["data"][1]["y"] == pytest.approx([25, 50, 75])
    assert loss["data"][0]["y"] == pytest.approx([2, 1, 2 / 3])
    assert rate["data"][0]["y"] == pytest.approx([0.1, 0.05, 0.1 / 3])
    assert "<dt>batch</dt><dd>32</dd>" in text
