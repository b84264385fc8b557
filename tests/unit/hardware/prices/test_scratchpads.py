"""Tables as a row stationary array takes them: elements between scratchpads, hops between elements, and what is said of it."""

import pytest
from msgspec.structs import replace as with_fields

from addersim import count, estimate, load_network, quantize
from addersim.errors import HardwareError, PriceError
from addersim.hardware import load_accelerator, load_table
from addersim.hardware.area import estimate_area
from addersim.hardware.own_clock import at_own_clock
from addersim.hardware.prices.csv_file import table_names
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.prices.row import SCRATCHPADS
from addersim.hardware.prices.scratchpads import SYSTOLIC_ELEMENTS, for_array
from addersim.hardware.traffic import Access
from tests.unit.hardware.prices.test_elements import MAC, table

EYERISS, SYSTOLIC = load_accelerator("eyeriss-65nm"), load_accelerator("systolic-16x16")
REGISTER = {"component": "register", "op": "access", "bits": "16", "energy_pj": "0.4", "area_um2": "200"}
WIRE = {"component": "wire", "op": "on-chip", "energy_pj": "0.1", "unit": "pJ/bit/mm"}
ROWS = [
    MAC | {"device": f"booth {SCRATCHPADS}", "energy_pj": "9"},
    MAC | {"device": SCRATCHPADS, "energy_pj": "8", "area_um2": "900"},
    MAC,
    MAC | {"device": "booth", "energy_pj": "7"},
]


@pytest.fixture(scope="module")
def trace():
    return count(quantize(load_network("lenet5-conv"), None))


def test_elements_of_a_row_stationary_array_come_in_the_place_of_a_systolic_ones():
    prices = table(*ROWS)
    own = for_array(prices, EYERISS.array)
    assert [own.element("mac", 8, style).energy_pj for style in (None, "", "booth")] == [8, 8, 9]
    assert own.area("pe", "mac", 8).value == 900
    assert for_array(prices, SYSTOLIC.array) is prices
    assert [prices.element("mac", 8, style).energy_pj for style in (None, "booth")] == [6, 7]
    assert prices.styles("mac") == own.styles("mac") == ("", "booth")


def test_layers_that_drove_a_systolic_element_say_nothing_of_another():
    prices = table(*ROWS, {"component": "layer", "op": "net/conv/mac", "bits": "8", "energy_pj": "5"})
    assert prices.own_layer("net/conv/mac", 8).energy_pj == 5
    assert for_array(prices, EYERISS.array).own_layer("net/conv/mac", 8) is None


def test_a_hop_is_as_long_as_the_side_of_the_scratchpads():
    """260 words of 200 um2: 0.228 mm at 0.1 pJ a bit and mm; a table's own figure stays."""
    hop = for_array(table(MAC, REGISTER, WIRE), EYERISS.array).network(8)
    assert hop.energy_pj == pytest.approx(8 * 0.1 * (260 * 200) ** 0.5 * 1e-3)
    assert hop.source.startswith("chosen: a hop of 0.228 mm, the side of the square that 260 words of 16 bits fill; ")
    eyeriss = load_table("eyeriss-65nm")
    assert for_array(eyeriss, EYERISS.array) is eyeriss
    lacking = table(MAC, WIRE)
    assert for_array(lacking, EYERISS.array) is lacking


def test_an_estimate_prices_a_row_stationary_array_from_gates_and_scratchpads_from_memories(trace):
    prices = load_table("sg13g2-gates")
    cost = estimate(trace, EYERISS, prices, batch=1)
    energies = cost.energy_by_component()
    assert min(energies[part] for part in ("array", "register", "network")) > 0
    own, layer = for_array(prices, EYERISS.array), next(one for one in trace.layers if one.name == "conv2")
    figures, used = own.element("mac", 8), {(one.what, one.unit): one.energy.energy_pj for one in cost.prices}
    accumulator = (layer.accumulator_bits - figures.accumulator_bits) * figures.accumulator_pj
    expected = figures.energy_pj - figures.zero_pj / 2 + accumulator  # half of the inputs are taken to be zero, none padded
    assert used["tap of conv2, 8 bit", "tap"] == pytest.approx(expected)
    assert figures.energy_pj > prices.element("mac", 8).energy_pj
    assert used["registers, read", "word of 8 bit"] == own.register("read", 8).energy_pj
    assert used["array network, hop", "word of 8 bit"] == own.network(8).energy_pj
    assert SYSTOLIC_ELEMENTS not in cost.notes()


def test_a_table_without_such_elements_says_so(trace):
    notes = estimate(trace, EYERISS, load_table("nangate45-gates")).notes()
    assert notes[SYSTOLIC_ELEMENTS] == ("conv1", "conv2", "fc1", "fc2", "fc3")
    assert SYSTOLIC_ELEMENTS not in estimate(trace, SYSTOLIC, load_table("nangate45-gates")).notes()


def test_area_and_clock_are_those_of_its_elements(trace):
    prices = load_table("sg13g2-gates")
    (element,) = [one for one in estimate_area(trace, EYERISS, prices).parts if one.circuit.component == "pe"]
    assert element.figure.value == for_array(prices, EYERISS.array).area("pe", "mac", 8).value
    assert element.figure.value > prices.area("pe", "mac", 8).value
    own = at_own_clock(trace, EYERISS, prices)
    assert own.delay_ns == for_array(prices, EYERISS.array).delay("mac", 8).value


def test_a_table_that_can_price_no_hop_is_refused_as_before(trace):
    with pytest.raises(HardwareError, match="has no row for register, read of 8 bits"):
        estimate(trace, with_fields(EYERISS, batch=1), load_table("horowitz-45nm"))


def test_a_table_that_lacks_what_moves_inside_the_array_names_those_that_have_it():
    def lacks(name):
        inside = MovementEnergy(EYERISS, for_array(load_table(name), EYERISS.array))
        try:
            return [inside.energy_pj(Access(level, "input", 1, 0, 8)) for level in ("register", "network")] and ""
        except PriceError as error:
            return str(error)

    told = {name: lacks(name) for name in table_names()}
    having = ", ".join(name for name in table_names() if not told[name])
    assert "eyeriss-65nm" in having
    assert "horowitz-45nm" not in having
    assert {one.partition("tables with registers and hops: ")[2] for one in told.values() if one} == {having}
