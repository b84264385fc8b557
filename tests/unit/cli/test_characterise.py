"""addersim characterise and simulate --activity: what they write, and what they refuse in one line."""

import json

import pytest

from addersim.hardware import load_table
from addersim.rtl.tools import yosys_candidates
from tests.command_line import call, refused
from tests.unit.hardware.gates import library

NEEDS_YOSYS = pytest.mark.skipif(not yosys_candidates(), reason="no yosys: pip install 'addersim[gates]'")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@NEEDS_YOSYS
def test_a_table_is_written_that_estimates_and_a_second_run_keeps_its_rows(tmp_path):
    library.write(tmp_path)
    command = ("characterise", "small.lib", "--out", "t.csv", "--bits", "3", "--datapath", "l1-2a", "--steps", "100")
    found = json.loads(call(*command, "--json").stdout)
    assert [(row["op"], row["bits"]) for row in found["rows"]] == [("l1-2a", "3")] * 2  # systolic, and between scratchpads
    assert found["kept"] == 0
    assert load_table(tmp_path / "t.csv").element("l1-2a", 3).zero_pj >= 0
    again = json.loads(call(*command, "--json").stdout)
    assert (again["rows"], again["kept"]) == ([], 2)


@NEEDS_YOSYS
def test_a_networks_own_operands_drive_its_layers(tmp_path):
    library.write(tmp_path)
    steps = ("--steps", "64", "--network", "lenet5-adder")
    found = call("characterise", "small.lib", "--out", "t.csv", "--bits", "4", "--datapath", "l1-2a", *steps, "--json")
    rows = [row for row in json.loads(found.stdout)["rows"] if row["component"] == "layer"]
    assert [row["op"] for row in rows] == [f"lenet5-adder/{name}/l1-2a" for name in ("conv1", "conv2", "fc1", "fc2", "fc3")]
    assert load_table(tmp_path / "t.csv").own_layer("lenet5-adder/conv2/l1-2a", 4).energy_pj == rows[1]["energy_pj"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--bits", "1"), "--bits: found 1, needs a whole number in 2..16"),
        (("--datapath", "pool"), "datapath 'pool': there is no element of it in Verilog; known: l1-2a"),
        (("--hide", "("), "hide: found '(', needs a regular expression"),
        (("--memories", "none"), "energy table 'none'"),
        (("--steps", "1"), "64..1,000,000"),
        (("--network", "nothing"), "nothing"),
        (("--node-nm", "0"), "--node-nm: found 0, needs a number above 0 to 10,000"),
        (("--node-nm", "-3"), "--node-nm: found -3, needs a number above 0 to 10,000"),
        (("--data", "mnist"), "--data and --root: say what drives the layers of --network; give both"),
        (("--datapath", "l1-2b"), "did you mean l1-2a?"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_one_line(more, told, tmp_path):
    library.write(tmp_path)
    assert told in refused("characterise", "small.lib", "--out", "t.csv", *more)
    assert {one.name for one in tmp_path.iterdir()} == {"small.lib"}


def test_damaged_libraries_are_told_in_one_line(tmp_path):
    path = library.write(tmp_path, library.library_text()[:900])
    assert "the file is cut off" in refused("characterise", path.name, "--out", "t.csv")
    assert "cannot be read" in refused("characterise", "none.lib", "--out", "t.csv")


@NEEDS_YOSYS
def test_tables_that_make_energies_negative_are_refused_and_nothing_is_written(tmp_path):
    path = library.write(tmp_path, library.library_text(library.cells(power_per_load=0.0).replace('("0.004")', '("-9")')))
    told = refused("characterise", path.name, "--out", "t.csv", "--bits", "3", "--datapath", "l1-2a", "--steps", "64")
    assert told.startswith("library small_nangate_like: l1-2a of 3 bits: energy_pj comes out as -")
    assert told.endswith("; the library's tables cannot be right")
    assert {one.name for one in tmp_path.iterdir()} == {"small.lib"}


def test_activity_is_told_in_the_order_of_a_machine():
    found = call("simulate", "lenet5-conv", "--limit", "8", "--activity", "--json")
    layers = json.loads(found.stdout)["activity"]
    assert [layer["layer"] for layer in layers] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert all(len(layer["input"]["toggles_per_step"]) == 8 and not layer["weight"]["held"] for layer in layers)
    assert "--accelerator: says in which order --activity measures; give both" in refused(
        "simulate", "lenet5-conv", "--accelerator", "systolic-16x16"
    )
