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
        assert len(found) == len({row["layer"] for row in found}) == (5 if name.startswith("lenet5") else 22)


def test_the_share_of_zeros_tells_energies_far_better_than_a_constant(run, rows):
    for name in run.NETWORKS:
        found = run.best_constant(run.usual(row for row in rows if (row["network"], row["bits"]) == (name, "8")))
        line, uniform = run.errors(found, "line_pj"), run.errors(found, "uniform_pj")
        assert line[0] < 10
        assert abs(line[2]) < 6
        assert uniform[0] > 2 * line[0]


def test_errors_are_of_layers_and_of_the_whole(run):
    alike = {"datapath": "mac", "taps": "10"}
    found = [alike | {"gates_pj": "2", "line_pj": "3"}, alike | {"gates_pj": "4", "line_pj": "3"}]
    rms, worst, whole = run.errors(found, "line_pj")
    assert (rms, worst, whole) == pytest.approx((100 * ((0.5**2 + 0.25**2) / 2) ** 0.5, 50, 0))
    assert {row["mean_pj"] for row in run.best_constant(found)} == {"3.0"}


def test_jobs_are_the_elements_of_a_networks_layers(run):
    jobs = [job for job, _, _ in run.jobs_of("lenet5-conv", 4, None)]
    assert [(job.layer, job.element.style) for job in jobs[:2]] == [("conv1", ""), ("conv1", "booth")]
    assert {job.bits for job in jobs} == {4}
