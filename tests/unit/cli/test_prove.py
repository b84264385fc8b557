"""`addersim prove`: what it prints and writes, and what it refuses."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from addersim import load_network, quantize
from addersim.cli import app
from tests.unit.cli.test_cli import refused
from tests.unit.multipliers import multiplier
from tests.unit.networks import images


def run(*arguments):
    found = CliRunner().invoke(app, ["prove", *map(str, arguments)], catch_exceptions=False)
    assert found.exit_code == 0
    return found.stdout


def document(*arguments):
    return json.loads(run(*arguments, "--json"))


def test_the_table_and_its_facts():
    text = run("lenet5-conv", "--bits", "8", "--accumulator", "22:saturate")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "lenet5-conv: accumulator bits that no input overflows (exact)"
    assert lines[1] == "layer kind bits has bound filter tap sum fewer"
    assert lines[4].startswith("fc1 mac 23 22 25 74 0,0,399 ")
    assert "registers can overflow in fc1" in lines
    assert "witnesses 5 of 5 confirmed by the kernels" in lines
    assert "calibration first 256 training images of fashion-mnist-2000" in lines
    assert "registers hold every sum" in " ".join(run("lenet5-adder").split())


def test_reachable_ranges_are_called_a_bound():
    assert "that no image overflows (bound)" in run("lenet5-conv", "--reachable")
    exact, bound = document("lenet5-conv"), document("lenet5-conv", "--reachable")
    assert (exact["claim"], bound["claim"]) == ("exact", "bound")
    assert [one["bits"] for one in exact["layers"]] >= [one["bits"] for one in bound["layers"]]


def test_witnesses_go_to_a_folder(tmp_path):
    text = run("lenet5-adder", "--witness", tmp_path / "shown")
    assert text.splitlines()[-1] == f"written to: {tmp_path / 'shown'}"
    with np.load(tmp_path / "shown" / "000-conv1.npz", allow_pickle=False) as held:
        assert held["codes"].shape == (5, 5, 1)
        assert json.loads(held["about"].item())["end"] == "minimum"


def test_a_saved_program_and_a_table_of_products(tmp_path):
    network = load_network("lenet5-conv")
    program = quantize(network, images(network, 8))
    program.save(tmp_path / "program.npz")
    np.save(tmp_path / "cut.npy", multiplier(6).products)
    plain = document(tmp_path / "program.npz")
    cut = document(tmp_path / "program.npz", "--multiplier", tmp_path / "cut.npy")
    assert plain["calibration"] == cut["calibration"] == "as saved"
    assert {one["datapath"] for one in cut["layers"]} == {"table-magnitude"}
    assert [one["sum"] for one in plain["layers"]] != [one["sum"] for one in cut["layers"]]


def test_a_program_without_weights_is_refused(tmp_path):
    network = load_network("lenet5-conv")
    quantize(network, None).save(tmp_path / "counted.npz")
    assert "made without calibration images: its weights are not known" in refused("prove", tmp_path / "counted.npz")


@pytest.mark.parametrize("network", ["resnet20-adder"])
def test_a_network_without_images_is_refused(network):
    assert "name some with --data" in refused("prove", network)
