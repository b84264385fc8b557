import re
from dataclasses import replace

import msgspec
import pytest

from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.ops import OpCounts
from addersim.hardware import estimate, load_accelerator, load_table, parse_table
from addersim.hardware.area import estimate_area, inventory
from addersim.hardware.leakage import Leakage
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.trace import Operand, Trace
from tests.unit.hardware.traces import batch_norm, relu, small_residual_network, window

SMALL, EDGE = small_residual_network(), load_accelerator("systolic-16x16")
HEADER = ",".join((*TABLE_COLUMNS, "area_um2", "leakage_uw"))


def row(component, op, bits, area, leakage="", capacity="", rule="exact"):
    energy = "1" if rule == "exact" else ""
    return f"{component},{op},{bits},{capacity},{energy},pJ,45,0.9,{rule},book,{area},{leakage}"


ROUND = (
    row("integer", "add", 8, 8, 0.8), row("integer", "add", "1..64", "", rule="proportional"),
    row("integer", "mul", 8, 100, 10), row("integer", "mul", "1..64", "", rule="proportional"),
    *(row("integer", op, "1..64", "", rule="as add") for op in ("sub", "cmp", "mux", "xor", "shift")),
    row("register", "access", 1, 2), row("register", "access", "1..64", "", rule="proportional"),
    row("sram", "access", 64, 1000, 5, capacity=64),
    "dram,dram,,,1,pJ/bit,45,0.9,exact,book,,",
)  # fmt: skip


def table(*rows):
    return parse_table("\n".join((HEADER, *rows)), "round", "round.csv")


def adder(layer, circuit):
    """The same layer on an adder circuit."""
    counts = DATAPATHS[circuit].bill(layer.work.taps, 8, 24)
    return type(layer)(**{f: getattr(layer, f) for f in layer.__slots__} | {"datapath": circuit, "operations": counts})


def with_array(**changes):
    return msgspec.structs.replace(EDGE, array=msgspec.structs.replace(EDGE.array, **changes))


def test_area_by_hand():
    found = estimate_area(SMALL, EDGE, table(*ROUND))
    # an element: multiplier of 8 bits, adder of 24, two operand registers of 8 and one of 24 for the sum
    assert found.element_um2 == 100 + 24 + 2 * 16 + 48
    # a lane: mul 24, add 32, shift 32, cmp 8, mux 8
    assert found.by_unit() == {"array": 256 * 204, "vector": 16 * (300 + 32 + 32 + 8 + 8), "buffer": 3000}
    assert found.area_um2 == sum(part.area_um2 for part in found.parts) == 256 * 204 + 16 * 380 + 3000
    assert found.area_mm2 == found.area_um2 / 1e6
    assert (found.missing, found.elements, found.node_nm) == ((), 256, 45)


@pytest.mark.parametrize(("circuit", "tap_um2"), [("l1-2a", 3 * 8), ("l1-1c1a", 4 * 8), ("l1-xor", 2 * 8), ("mac", 100)])
def test_an_element_holds_the_circuits_of_a_tap_once_each(circuit, tap_um2):
    trace = Trace("one", "hardware", (adder(window("conv", 64, 27, 16, inputs=192), circuit),))
    assert estimate_area(trace, EDGE, table(*ROUND)).element_um2 == tap_um2 + 24 + 2 * 16 + 48


def test_an_element_of_a_mixed_network_holds_both_circuits_and_one_accumulator():
    first = window("conv1", 64, 27, 16, inputs=192, sources=(-1,))
    second = adder(window("conv2", 64, 144, 16, inputs=1024, bits=4, sources=(0,)), "l1-2a")
    trace = Trace("both", "hardware", (first, second))
    assert estimate_area(trace, EDGE, table(*ROUND)).element_um2 == 100 + 3 * 4 + 24 + 2 * 16 + 48
    alone = with_array(datapaths=("mac",))
    assert estimate_area(trace, alone, table(*ROUND)).element_um2 == 100 + 24 + 2 * 16 + 48


@pytest.mark.parametrize("widths", [(16, 24), (24, 16)])
def test_an_element_adds_in_the_width_of_the_widest_sums(widths):
    layers = (replace(window(f"conv{bits}", 64, 27, 16, inputs=192, sources=(-1,)), accumulator_bits=bits) for bits in widths)
    assert estimate_area(Trace("both", "hardware", tuple(layers)), EDGE, table(*ROUND)).element_um2 == 100 + 24 + 2 * 16 + 48


@pytest.mark.parametrize(("dataflow", "more"), [("output", 48), ("weight", 16), ("input", 16)])
def test_overlapped_folds_hold_the_stationary_value_twice(dataflow, more):
    plain, overlapped = (with_array(dataflow=dataflow, overlapped_folds=twice) for twice in (False, True))
    areas = [estimate_area(SMALL, machine, table(*ROUND)).element_um2 for machine in (plain, overlapped)]
    assert areas[1] - areas[0] == more


def test_what_no_row_has_an_area_for_is_named():
    found = estimate_area(SMALL, EDGE, "qtools-45nm")
    assert found.area_um2 == 0
    assert found.missing[0] == "mul of 8 bits (array)"
    assert {"sum register of 24 bits (array)", "input buffer of 64 KiB (buffer)"} < set(found.missing)


def test_leakage_is_power_times_the_cycles_that_pass():
    prices = table(*ROUND)
    leakage = Leakage(SMALL, EDGE, prices)
    assert leakage.power_uw == pytest.approx({"array": 256 * (10 + 2.4), "vector": 16 * 38, "buffer": 15})
    assert leakage.missing == ("operand register of 8 bits", "sum register of 24 bits")
    cost = estimate(SMALL, EDGE, prices)
    power = sum(leakage.power_uw.values())
    assert cost.energy_by_component()["leakage"] == pytest.approx(power * cost.cycles / cost.clock_mhz, rel=1e-12)
    for layer in cost.layers:  # uW for us are pJ
        assert layer.energy_by_component()["leakage"] == pytest.approx(power * layer.cycles / cost.clock_mhz, rel=1e-12)
    used = {one.what: one for one in cost.prices}["leakage of array"]
    assert used.unit == "cycle"
    assert used.price.rule.endswith("at 500 MHz; no figure for operand register of 8 bits, sum register of 24 bits")
    assert sum(cost.energy_by_part().values()) == cost.energy_pj


def test_a_table_without_leakage_adds_none_and_a_paper_trace_neither():
    assert "leakage" not in estimate(SMALL, EDGE).energy_by_component()
    paper = Trace("paper", "paper", SMALL.layers)
    assert "leakage" not in estimate(paper, EDGE, "aladdin-cacti-45nm").energy_by_component()
    assert estimate(SMALL, EDGE, "aladdin-cacti-45nm").energy_by_component()["leakage"] > 0


def test_a_network_without_windows_needs_no_elements():
    trace = Trace("plain", "hardware", (batch_norm("bn", 64, 4), relu("relu", 64)))
    assert {circuit.unit for circuit in inventory(trace, EDGE)} == {"vector", "buffer"}
    assert estimate_area(trace, EDGE).element_um2 == 0


def test_a_wide_multiplier_by_the_tables_own_rule():
    trace = Trace("wide", "hardware", (window("conv", 64, 27, 16, inputs=192, bits=14),))
    part = next(one for one in estimate_area(trace, EDGE).parts if one.circuit.op == "mul")
    assert part.figure.rule == "quadratic, between 12 and 16 bits"
    assert part.figure.value == pytest.approx(9280.77 * (14 / 32) ** 2, rel=1e-4)
    assert OpCounts({("mul", 14): 1}).total() == part.circuit.number // EDGE.array.elements


def test_bundled_tables_with_areas_price_a_whole_accelerator():
    for node in (7, 16, 22, 28, 32, 45, 65):
        found = estimate_area(SMALL, EDGE, f"aladdin-cacti-{node}nm")
        assert not found.missing
        assert found.node_nm == node
    assert re.match("mul", estimate_area(SMALL, EDGE, load_table("shiftaddnet-45nm")).missing[0])


def test_a_datapath_that_no_layer_runs_on_is_as_wide_as_the_widest_layer():
    wide, narrow = window("wide", 4, 9, 2, inputs=36, bits=12), window("narrow", 4, 9, 2, inputs=36, bits=6)
    for layers in ((wide, narrow), (narrow, wide)):
        found = inventory(Trace("t", "hardware", layers), with_array(datapaths=("mac", "l1-xor")))
        array = [(one.op, one.bits) for one in found if one.unit == "array" and one.component == "integer"]
        assert array == [("mul", 12), ("sub", 12), ("xor", 12), ("add", 24)]


def test_each_datapath_is_as_wide_as_its_own_layers():
    wide, narrow = window("wide", 4, 9, 2, inputs=36, bits=12), adder(window("narrow", 4, 9, 2, inputs=36, bits=6), "l1-xor")
    found = inventory(Trace("t", "hardware", (wide, narrow)), EDGE)
    array = {one.op: one.bits for one in found if one.unit == "array" and one.component == "integer"}
    assert array == {"mul": 12, "sub": 6, "xor": 6, "add": 24}


def test_the_sums_adder_is_as_wide_as_the_register_not_as_what_is_written():
    """Topologies write codes of 8 bits from registers of 24."""
    layer = replace(window("w", 4, 9, 2, inputs=36), output=Operand(8, 8))
    found = inventory(Trace("t", "hardware", (layer,)), EDGE)
    assert {one.what for one in found if one.unit == "array"} == {
        "mul of 8 bits", "add of 24 bits", "operand register of 8 bits", "sum register of 24 bits",
    }  # fmt: skip


def test_what_whole_elements_lack_is_named():
    registers, stripes = "operand registers (array)", "sums of a stripe (array)"

    def missing(machine, name):
        return set(estimate_area(SMALL, machine, name).missing) & {registers, stripes}

    assert missing(EDGE, "nangate45-gates") == {registers}
    assert missing(EDGE, "sg13g2-gates") == missing("nvdla-large", "aladdin-cacti-45nm") == set()
    assert missing("nvdla-large", "sg13g2-gates") == {stripes}
