"""Twins, widths and datapaths side by side, in one command."""

import json
from contextlib import contextmanager
from unittest import mock

from addersim.cli import compare
from tests.command_line import call, refused
from tests.unit.results.test_reasons import HEADER


def document(*arguments):
    found = call(*arguments, "--json")
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_a_comparison_with_the_twin_is_that_with_the_trained_one(tmp_path):
    (twin,) = document("compare", "lenet5-adder", "--twin")["against_first"]
    (trained,) = document("compare", "lenet5-adder", "lenet5-conv")["against_first"]
    assert twin["name"] == "lenet5-adder with multiplications"
    assert twin["energy_ratio"] == trained["energy_ratio"]
    found = call("compare", "lenet5-adder", "--twin").stdout
    assert "why: the array is busy 19.65 %" in found


def test_a_report_has_every_network_at_every_width_and_the_twins_counted(tmp_path):
    (tmp_path / "net.csv").write_text(HEADER + "c1, 16, 16, 3, 3, 8, 16, 1,\n")
    names = ("lenet5-conv", tmp_path / "net.csv")
    found = document("report", *names, "--twin", "--bits", 4, "--bits", 8, "--limit", 20, "-o", tmp_path / "out")["results"]
    assert [one["name"] for one in found] == [
        "lenet5-conv, 4 bit",
        "lenet5-conv, 8 bit",
        "lenet5-conv with additions, 4 bit",
        "lenet5-conv with additions, 8 bit",
        "net, 4 bit, mac",
        "net, 4 bit, l1-2a",
        "net, 8 bit, mac",
        "net, 8 bit, l1-2a",
    ]
    assert [one["simulation"] is not None for one in found] == [True, True] + 6 * [False]


def test_a_topology_is_reported_on_the_datapaths_that_are_named(tmp_path):
    (tmp_path / "net.csv").write_text(HEADER + "c1, 16, 16, 3, 3, 8, 16, 1,\n")
    found = document("report", tmp_path / "net.csv", "--datapath", "mac,l1-1c1a", "-o", tmp_path / "out")["results"]
    assert [one["name"] for one in found] == ["net, mac", "net, l1-1c1a"]


def test_what_has_no_accuracy_says_why(tmp_path):
    (tmp_path / "net.csv").write_text(HEADER + "c1, 16, 16, 3, 3, 8, 16, 1,\n")
    given = (tmp_path / "net.csv", "--datapath", "mac,l1-1c1a", "-o", tmp_path / "out")
    told = " ".join(call("report", *given).stdout.split())
    assert "no accuracy of net, mac; net, l1-1c1a: a topology has no weights" in told
    assert "--data" not in told
    told = " ".join(call("report", "lenet5-conv", "--data", "none", "-o", tmp_path / "other").stdout.split())
    assert "no accuracy of lenet5-conv: no images ran; --data takes a set" in told


def test_a_comparison_shows_how_many_designs_are_priced():
    seen = []

    @contextmanager
    def noted(total, what):
        seen.append((total, what))
        yield seen.append

    with mock.patch.object(compare, "progress", noted):
        document("compare", "lenet5-conv", "--bits", 8, "--bits", 4)
    assert seen == [(2, "pricing designs"), 1, 2]


def test_a_program_has_no_twin_and_a_network_is_given_once(tmp_path):
    path = tmp_path / "p.npz"
    assert call("simulate", "lenet5-conv", "--limit", 1, "--save-program", path).returncode == 0
    assert refused("compare", path, "--twin") == "--twin: lenet5-conv is quantised already; a twin is made of a float network"
    assert refused("report", "lenet5-conv", "lenet5-conv").startswith("report: found lenet5-conv twice")
