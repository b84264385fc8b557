"""The study reports/true-energy: its page says what results.csv holds, and its jobs are the layers' own."""

import csv
import importlib.util
from pathlib import Path

import pytest

STUDY = Path(__file__).parents[2] / "reports" / "true-energy"


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("true_energy_run", STUDY / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows():
    with open(STUDY / "results.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_page_is_what_text_and_results_give(run, rows):
    assert run.page(rows) == (STUDY / "README.md").read_text(encoding="utf-8")


def test_results_hold_every_layer_of_every_network(run, rows):
    for name in run.NETWORKS:
        found = run.usual(row for row in rows if (row["network"], row["bits"]) == (name, "8"))
        layers = {"lenet5": 5, "resnet20": 22, "ds": 10}[name.partition("-")[0]]
        assert len(found) == len({row["layer"] for row in found}) == layers


def test_the_share_of_zeros_tells_energies_far_better_than_a_constant(run, rows):
    for name in run.NETWORKS:
        found = run.best_constant(run.usual(row for row in rows if (row["network"], row["bits"]) == (name, "8")))
        line, uniform = run.errors(found, "line_pj"), run.errors(found, "uniform_pj")
        assert line[0] < 12.5
        assert abs(line[2]) < 6
        assert uniform[0] > 2 * line[0]


def test_toggles_tell_energies_to_ten_per_cent_a_layer_and_to_two_a_network(run, rows):
    for name in run.NETWORKS:
        found = run.usual(row for row in rows if (row["network"], row["bits"]) == (name, "8"))
        rms, worst, whole = run.errors(found, "toggles_pj")
        assert rms < run.errors(found, "line_pj")[0]
        assert abs(whole) < 2
        assert worst < 10


def test_errors_are_of_layers_and_of_the_whole(run):
    alike = {"datapath": "mac", "taps": "10"}
    found = [alike | {"gates_pj": "2", "line_pj": "3"}, alike | {"gates_pj": "4", "line_pj": "3"}]
    rms, worst, whole = run.errors(found, "line_pj")
    assert (rms, worst, whole) == pytest.approx((100 * ((0.5**2 + 0.25**2) / 2) ** 0.5, 50, 0))
    assert {row["mean_pj"] for row in run.best_constant(found)} == {"3.0"}


def test_jobs_are_the_elements_of_a_networks_layers(run):
    seen = list(run.jobs_of("lenet5-conv", 4, {}))
    assert [(one.job.layer, one.job.element.style) for one in seen[:2]] == [("conv1", ""), ("conv1", "booth")]
    assert {one.job.bits for one in seen} == {4}
    for one in seen:
        assert one.toggles.zeros == pytest.approx(one.zeros, abs=0.1)  # of all taps, and of those that are driven
        own = one.job.operands.toggles(one.job.element)
        assert one.toggles.input_changes == pytest.approx(own.input_changes, rel=0.25)
        assert one.toggles.weight_changes == pytest.approx(own.weight_changes, rel=0.25)


def test_networks_whose_images_are_not_there_are_left_out(run, tmp_path):
    names = {name for name, _ in run.networks({"cifar10": None, "mlperf": None})}
    assert names == {"lenet5-adder", "lenet5-conv"}
    assert ("ds-cnn", 8) in run.networks({"cifar10": None, "mlperf": tmp_path})
