"""Pages of a search, of training and of finetuning: whole, with the numbers of their files, and nothing that asks for more."""

import json
import re

import pytest

from addersim.report.search_page import SearchRows, write_search_page
from addersim.report.training_page import Finetuned, write_finetuning_page, write_training_page
from tests.contrast import pale

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


FINETUNED = Finetuned(
    name="<net>",
    history=[{"epoch": 0, "test_accuracy": 0.8}]
    + [{"epoch": one, "train_loss": 1 / one, "train_accuracy": 0.9, "test_accuracy": 0.8 + 0.02 * one} for one in (1, 2)],
    accuracy_float=0.9,
    formats=[
        {"layer": "conv1", "kind": "window", "weights": "fx3.0", "before": "s20*0.1", "after": "s20*0.2"},
        {"layer": "conv1_relu", "kind": "relu", "weights": "", "before": "u3*0.1", "after": "u3*0.2"},
    ],
)


def figures_of(page):
    text = page.read_text()
    assert pale(text) == []
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


def test_the_page_of_finetuning_stands_beside_quantisation_alone_and_float(tmp_path):
    text, figures = figures_of(write_finetuning_page(tmp_path, FINETUNED, {"rate": "0.001"}))
    assert (
        "84.00\u00a0% of the images held out are right on codes after 2 epochs: 4.00 points more than quantisation alone, "
        "which gives 80.00\u00a0%, and 6.00 points fewer than float, 90.00\u00a0%." in text
    )
    assert "<net>" not in text
    accuracy, loss = figures.values()
    assert [one["name"] for one in accuracy["data"]] == [
        "training images", "images held out", "in float", "quantised, not trained",
    ]  # fmt: skip
    assert accuracy["data"][1]["y"] == pytest.approx([80, 82, 84])
    assert [one["y0"] for one in accuracy["layout"]["shapes"]] == [90, 80]
    assert [trace["y"] for trace in loss["data"]] == [pytest.approx([1, 0.5])]
    assert "<td>s20*0.1</td><td>s20*0.2</td>" in text
    assert "<dt>rate</dt><dd>0.001</dd>" in text
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert rows[:2] == ["epoch,test_accuracy,train_loss,train_accuracy", "0,0.8,,"]
    assert (tmp_path / "formats.csv").read_text().splitlines()[1] == "conv1,window,fx3.0,s20*0.1,s20*0.2"


def test_one_point_is_said_without_its_s(tmp_path):
    _, figures = figures_of(write_search_page(tmp_path, ROWS._replace(floor_points=1.0), {}))
    assert figures["found-0"]["data"][3]["name"] == "1 point below float"


def test_a_scan_that_changes_no_prediction_is_a_sentence_and_no_empty_figure(tmp_path):
    still = [one | {"agreement": 1.0} for one in ROWS.scan]
    text, figures = figures_of(write_search_page(tmp_path, ROWS._replace(scan=still), {}))
    assert "how many predictions change. None does, down to " in text
    assert "Which layers need bits" in text
    assert len(figures) == len(figures_of(write_search_page(tmp_path, ROWS, {}))[1]) - 2


def test_points_that_are_gained_are_not_lost(tmp_path):
    text, _ = figures_of(write_search_page(tmp_path, ROWS._replace(best=MEASURED | {"loss_points": -0.5}), {}))
    assert "take 1\u00a0nJ an image and gain 0.50 points: 75.00\u00a0% less energy" in text


def test_one_epoch_is_said_without_its_s(tmp_path):
    text, _ = figures_of(write_training_page(tmp_path, HISTORY[:1], {}, "a run"))
    assert "are right after 1 epoch (the most, " in text
