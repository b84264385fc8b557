"""Tables that know whole processing elements: what a tap costs by its zeros, and what such a table refuses."""

from dataclasses import replace

import pytest
from msgspec.structs import replace as with_fields

from addersim import estimate, estimate_designs
from addersim.arithmetic.geometry import Geometry
from addersim.errors import ConfigError, PriceError
from addersim.hardware import load_accelerator, load_table
from addersim.hardware.area import estimate_area
from addersim.hardware.prices.csv_file import TABLE_COLUMNS, parse_table
from addersim.hardware.prices.elements import SIGNLESS, TYPICAL_ZEROS, element_figures
from addersim.hardware.prices.row import OF_TOGGLES, OPERAND_TOGGLES
from addersim.hardware.prices.scaling import scale_table
from addersim.hardware.prices.scratchpads import for_array
from addersim.toggles import Toggles
from addersim.trace import TapOperands, Trace
from addersim.zeros import Zeros
from tests.unit.hardware.traces import relu, window

COLUMNS = (
    *TABLE_COLUMNS,
    "zero_pj",
    "idle_pj",
    "accumulator_pj",
    "accumulator_bits",
    *OF_TOGGLES,
    "area_um2",
    "leakage_uw",
    "device",
    "contains",
)
REST = [
    {"component": "integer", "op": op, "bits": "1..64", "rule": rule}
    for op, rule in (("sub", "as add"), ("cmp", "as add"), ("mux", "as add"))
] + [
    {"component": "integer", "op": "add", "bits": "8", "energy_pj": "0.5"},
    {"component": "integer", "op": "add", "bits": "1..64", "rule": "proportional"},
    {"component": "integer", "op": "mul", "bits": "8", "energy_pj": "3"},
    {"component": "sram", "op": "access", "capacity_kib": "64", "energy_pj": "0.1", "unit": "pJ/bit"},
    {"component": "dram", "op": "dram", "energy_pj": "10", "unit": "pJ/bit"},
]
MAC = {
    "component": "pe",
    "op": "mac",
    "bits": "8",
    "energy_pj": "6",
    "zero_pj": "4",
    "idle_pj": "1",
    "accumulator_pj": "0.1",
    "accumulator_bits": "24",
    "area_um2": "700",
    "contains": "dynamic + clock + operand registers",
}

BY_TOGGLES = MAC | dict(zip(OPERAND_TOGGLES, ("2", "0.5", "0.125", "0.25", "0.0625"), strict=True))
TOGGLES = Toggles("output", zeros=0.5, input_changes=2.0, weight_changes=4.0, input_ones=1.5, weight_ones=3.5)
TAP_PJ = 2 - 0.5 * 0.5 + 0.125 * 2 + 0.25 * 4 + 0.0625 * (2 * 3.5 + 4 * 1.5 - 2 * 4 / 2)


def table(*rows):
    usual = {"unit": "pJ", "node_nm": "130", "voltage_v": "1.2", "rule": "exact", "source": "here"}
    lines = [",".join((usual | row).get(column, "") for column in COLUMNS) for row in (*rows, *REST)]
    return parse_table("\n".join([",".join(COLUMNS), *lines]), "elements", "test")


def trace(*layers):
    return Trace("net", "hardware", layers)


def seen(layer, share):
    words = layer.inputs[0].words
    return replace(layer, zeros=(Zeros(words, round(share * words), 0),))


CONV = window("conv", 64, 36, 16, 1024)
MACHINE = load_accelerator("systolic-16x16")


def array_pj(layers, prices, machine=MACHINE):
    return estimate(trace(*layers), machine, prices).energy_by_component()["array"]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.875])
def test_a_tap_costs_what_its_share_of_zeros_says(share):
    found = array_pj([seen(CONV, share)], table(MAC))
    assert found == pytest.approx(CONV.work.taps * (6 - 4 * share))


def test_zeros_that_nobody_saw_are_taken_from_the_accelerator_or_as_typical_with_a_note_and_none_of_an_image():
    second = replace(CONV, name="second", sources=(0,))
    layers = [replace(CONV, sources=(-1,)), second]
    cost = estimate(trace(*layers), MACHINE, table(MAC))
    assert cost.layers[0].energy_by_component()["array"] == pytest.approx(CONV.work.taps * 6)
    assert cost.layers[1].energy_by_component()["array"] == pytest.approx(CONV.work.taps * (6 - 4 * TYPICAL_ZEROS.share))
    (note,) = [note for note, whats in cost.notes().items() if "tap of second, 8 bit" in whats]
    assert note == f"share of zeros taken as 0.5 ({TYPICAL_ZEROS.source}): no run saw it"

    stating = with_fields(MACHINE, zero_share=0.75, zero_share_source="a book")
    cost = estimate(trace(*layers), stating, table(MAC))
    assert cost.layers[1].energy_by_component()["array"] == pytest.approx(CONV.work.taps * (6 - 4 * 0.75))
    assert "share of zeros taken as 0.75 (a book): no run saw it" in cost.notes()


def test_padding_is_zero_beside_the_zeros_that_nobody_saw():
    work = replace(CONV.work, geometry=Geometry((3, 3), padding=(1, 1)), image=(8, 8))
    padded = 1 - (22 / 24) ** 2  # of 24 taps along an axis of 8 pixels two are beyond it
    share = padded + (1 - padded) * TYPICAL_ZEROS.share
    layers = [replace(CONV, sources=(-1,)), replace(CONV, name="second", sources=(0,), work=work)]
    cost = estimate(trace(*layers), MACHINE, table(MAC))
    assert cost.layers[1].energy_by_component()["array"] == pytest.approx(CONV.work.taps * (6 - 4 * share))


def test_layers_of_one_shape_differ_by_their_zeros():
    one, other = seen(CONV, 0.0), replace(seen(CONV, 0.5), name="other")
    cost = estimate(trace(one, other), MACHINE, table(MAC))
    assert [layer.energy_by_component()["array"] for layer in cost.layers] == pytest.approx(
        [CONV.work.taps * 6, CONV.work.taps * 4]
    )


def test_an_accumulator_of_another_width_is_told_apart():
    wide = seen(window("conv", 64, 36, 16, 1000, accumulator_bits=28), 0.0)
    assert array_pj([wide], table(MAC)) == pytest.approx(CONV.work.taps * (6 + 4 * 0.1))


def test_an_element_that_rests_takes_its_clock_alone():

    gating = with_fields(MACHINE, array=with_fields(MACHINE.array, zero_gating=True))
    found = array_pj([seen(CONV, 0.5)], table(MAC), gating)
    assert found == pytest.approx(CONV.work.taps * (0.5 * 6 + 0.5 * 1))


def test_operations_of_the_array_are_not_billed_beside_its_elements():
    cost = estimate(trace(seen(CONV, 0.0), relu("relu", 1024, fused=False)), MACHINE, table(MAC))
    assert [part.of for layer in cost.layers for part in layer.parts if part.component == "array"] == ["tap"]
    assert cost.energy_by_component()["vector"] > 0


def test_a_datapath_or_width_that_a_table_of_elements_has_not_is_an_error_that_names_the_layer():
    narrow = window("narrow", 64, 36, 16, 1000, bits=6)
    with pytest.raises(
        PriceError, match=r"'elements' has no row for processing element mac of 6 bits; .*needed by layer narrow"
    ):
        array_pj([narrow], table(MAC))
    adder = replace(CONV, name="adder", datapath="l1-2a")
    with pytest.raises(PriceError, match=r"processing element l1-2a of 8 bits; .*needed by layer adder"):
        array_pj([adder], table(MAC))


def test_between_rows_every_figure_is_interpolated():
    four = MAC | {"bits": "4", "energy_pj": "2", "zero_pj": "1", "accumulator_bits": "16"}
    rule = {"component": "pe", "op": "mac", "bits": "2..16", "rule": "linear"}
    found = table(MAC, four, rule).element("mac", 6)
    assert (found.energy_pj, found.zero_pj, found.accumulator_bits, found.idle_pj) == (4, 2.5, 20, 1)
    assert found.rule == "linear, between 4 and 8 bits"
    assert "outside the table's evidence of 4..8 bits" in table(MAC, four, rule).element("mac", 3).rule


def test_a_layers_own_operands_come_before_the_line_and_all_ways_stand_side_by_side():
    own = {"component": "layer", "op": "net/conv/mac", "bits": "8", "energy_pj": "5", "idle_pj": "1"}
    cost = estimate(trace(seen(CONV, 0.5)), MACHINE, table(MAC, own))
    taps = CONV.work.taps
    assert cost.energy_by_component()["array"] == pytest.approx(5 * taps)
    (ways,) = cost.array_prices
    assert ways.zeros == 0.5
    assert ways.energy_pj == pytest.approx({"constant": taps * (3 + 1.5), "zero share": 4 * taps, "gates": 5 * taps})
    assert cost.to_dict()["array_energy_pj"][0]["zero_share_pj"] == pytest.approx(4 * taps)
    elsewhere = estimate(replace(trace(seen(CONV, 0.5)), name="another"), MACHINE, table(MAC, own))
    assert elsewhere.energy_by_component()["array"] == pytest.approx(4 * taps)


def moving(layer, toggles=TOGGLES):
    return replace(seen(layer, 0.5), toggles=toggles)


def test_a_tap_costs_what_its_operands_bits_do():
    wide = window("wide", 64, 36, 16, 1024, accumulator_bits=28)
    cost = estimate(trace(moving(CONV), moving(wide)), MACHINE, table(BY_TOGGLES))
    pj = [layer.energy_by_component()["array"] / layer.taps for layer in cost.layers]
    assert pj == pytest.approx([TAP_PJ, TAP_PJ + 4 * 0.1])
    rule = next(used.energy.rule for used in cost.prices if used.what == "tap of conv, 8 bit")
    assert rule == "exact, 0.500 zeros, 2.00 input and 4.00 weight bits that change, 9.00 products of bits"


def test_all_ways_stand_side_by_side_and_own_operands_come_first():
    own = {"component": "layer", "op": "net/conv/mac", "bits": "8", "energy_pj": "5", "idle_pj": "1"}
    second = replace(moving(CONV), name="second")
    cost = estimate(trace(moving(CONV), second), MACHINE, table(BY_TOGGLES, own))
    taps = CONV.work.taps
    ways = {"constant": taps * (3 + 1.5), "zero share": 4 * taps, "toggles": TAP_PJ * taps}
    assert [one.energy_pj for one in cost.array_prices] == [
        pytest.approx(ways | {"gates": 5 * taps}), pytest.approx(ways)
    ]  # fmt: skip
    assert [layer.energy_by_component()["array"] / taps for layer in cost.layers] == pytest.approx([5, TAP_PJ])


@pytest.mark.parametrize("rows", [MAC, BY_TOGGLES])
def test_without_toggles_or_prices_by_them_zeros_alone_count_as_ever(rows):
    layer = seen(CONV, 0.5) if rows is BY_TOGGLES else moving(CONV)
    cost = estimate(trace(layer), MACHINE, table(rows))
    assert cost.energy_by_component()["array"] == pytest.approx(CONV.work.taps * 4)
    assert list(cost.array_prices[0].energy_pj) == ["constant", "zero share"]


OF_SUMS = BY_TOGGLES | {"sum_toggle_pj": "0.125"}


def test_a_tap_costs_what_the_bits_of_its_sum_do_where_rows_tell_that():
    found = [moving(CONV, TOGGLES._replace(sum_changes=6.0))]
    cost = estimate(trace(*found), MACHINE, table(OF_SUMS))
    assert cost.energy_by_component()["array"] == pytest.approx(CONV.work.taps * (TAP_PJ + 0.125 * 6))
    rule = next(used.energy.rule for used in cost.prices if used.what == "tap of conv, 8 bit")
    assert rule.endswith("9.00 products of bits, 6.00 bits of sums")
    assert array_pj(found, table(BY_TOGGLES)) == pytest.approx(CONV.work.taps * TAP_PJ)


def test_toggles_of_operands_alone_price_no_element_whose_rows_tell_the_sums_too():
    cost = estimate(trace(moving(CONV)), MACHINE, table(OF_SUMS))
    assert cost.energy_by_component()["array"] == pytest.approx(CONV.work.taps * 4)
    assert list(cost.array_prices[0].energy_pj) == ["constant", "zero share"]


def test_two_widths_of_which_one_tells_toggles_are_priced_by_zeros():
    """9 and 8 bits are the mean of both rows; of one that tells less than the other there is no mean."""
    two = replace(moving(CONV), tap_operands=TapOperands(9, 8, False))
    for other in (MAC, OF_SUMS):
        cost = estimate(trace(two), MACHINE, table(BY_TOGGLES, other | {"bits": "9"}))
        assert cost.energy_by_component()["array"] == pytest.approx(CONV.work.taps * 4)


def test_toggles_of_another_order_are_left_and_it_says_so():
    held = with_fields(MACHINE, array=with_fields(MACHINE.array, dataflow="weight"))
    cost = estimate(trace(moving(CONV)), held, table(BY_TOGGLES))
    assert cost.energy_by_component()["array"] == pytest.approx(CONV.work.taps * 4)
    assert cost.notes()["toggles unused: seen in the order 'output', this array's is 'weight'"] == ("conv",)
    assert "toggles unused" not in str(estimate(trace(moving(CONV)), held, "horowitz-45nm").notes())


def test_toggles_of_all_taps_are_left_where_some_rest_or_do_not_run():
    gating = with_fields(MACHINE, array=with_fields(MACHINE.array, zero_gating=True))
    cost = estimate(trace(moving(CONV)), gating, table(BY_TOGGLES))
    note = "toggles unused: seen of all taps, some of which do not run here"
    assert cost.energy_by_component()["array"] == pytest.approx(CONV.work.taps * (0.5 * 6 + 0.5 * 1))
    assert cost.notes()[note] == ("conv",)
    fewer = replace(moving(CONV), work=replace(CONV.work, kept=18))
    assert note in estimate(trace(fewer), MACHINE, table(BY_TOGGLES)).notes()


def test_a_tap_takes_no_less_than_an_element_that_rests():
    still = Toggles("output", 1.0, 0.0, 0.0, 0.0, 0.0)
    rows = BY_TOGGLES | {"still_pj": "0.5", "still_zero_pj": "0.25"}
    assert array_pj([moving(CONV, still)], table(rows)) == pytest.approx(CONV.work.taps * 1)


def test_designs_whose_order_prices_taps_are_estimated_one_by_one():
    machines = [with_fields(MACHINE, array=with_fields(MACHINE.array, dataflow=one)) for one in ("output", "weight")]
    layers, prices = trace(moving(CONV)), table(BY_TOGGLES)
    found = estimate_designs(layers, machines, prices)
    assert found.energy_pj.tolist() == pytest.approx([estimate(layers, one, prices).energy_pj for one in machines])


def test_factors_of_toggles_that_are_nothing_at_a_width_count_between_widths():
    four = BY_TOGGLES | {"bits": "4", "still_pj": "1", "product_toggle_pj": "0"}
    found = table(BY_TOGGLES, four, {"component": "pe", "op": "mac", "bits": "2..16", "rule": "linear"}).element("mac", 6)
    assert found.by_toggles == pytest.approx((1.5, 0.5, 0.125, 0.25, 0.03125))


def test_what_a_row_does_not_contain_is_noted():
    bare = MAC | {"contains": "dynamic + clock"}
    assert estimate(trace(seen(CONV, 0.5)), MACHINE, table(bare)).notes()["without operand registers"] == (
        "tap of conv, 8 bit",
    )


def test_styles_of_a_multiplier_stand_beside_each_other_the_usual_first():
    both = table(MAC, MAC | {"device": "booth", "energy_pj": "7"})
    assert both.styles("mac") == ("", "booth")
    assert (both.element("mac", 8).energy_pj, both.element("mac", 8, "booth").energy_pj) == (6, 7)
    assert load_table("sg13g2-gates").styles("mac") == ("", "booth")


SIGNED_INPUTS = replace(CONV, tap_operands=TapOperands(9, 8, True))


def test_inputs_with_a_sign_have_rows_of_their_own_at_the_width_without_zero_points():
    """The element's real width: nine bits where the zero point is no end of eight."""
    rows = [
        BY_TOGGLES | {"bits": bits, "device": device, "still_pj": still}
        for bits, device, still in (("8", "", "2"), ("9", "", "3"), ("8", "signed", "4"), ("9", "signed", "5"))
    ]
    prices = table(*rows)
    assert prices.styles("mac") == ("",)
    for layer, still in ((CONV, 2), (replace(CONV, tap_operands=TapOperands(8, 8, True)), 4), (SIGNED_INPUTS, 4.5)):
        assert array_pj([moving(layer)], prices) == pytest.approx(CONV.work.taps * (TAP_PJ - 2 + still))
    assert SIGNLESS not in estimate(trace(moving(SIGNED_INPUTS)), MACHINE, prices).notes()
    styled = table(*rows, *(row | {"device": f"booth {row['device']}".strip(), "still_pj": "6"} for row in rows))
    assert styled.styles("mac") == ("", "booth")
    assert styled.element("mac", 9, "booth", signed=True).by_toggles[0] == 6


def test_a_multiplier_of_two_widths_takes_what_one_of_their_mean_takes():
    """Halfway between two rows where the mean lies there; a difference has the width of the wider operand."""
    rows = [MAC | {"bits": str(bits), "energy_pj": str(bits), "zero_pj": "0"} for bits in range(4, 10)]
    adders = [row | {"op": "l1-2a"} for row in rows]
    prices = table(*rows, *adders)
    for operands, expected in (((8, 4), 6), ((4, 8), 6), ((9, 8), 8.5), ((8, 8), 8)):
        layer = seen(replace(CONV, tap_operands=TapOperands(*operands, False)), 0.5)
        assert array_pj([layer], prices) == pytest.approx(CONV.work.taps * expected)
        assert array_pj([replace(layer, datapath="l1-2a")], prices) == pytest.approx(CONV.work.taps * max(operands))
    assert element_figures(layer, prices).rule == "exact"
    mixed = replace(CONV, tap_operands=TapOperands(9, 8, False))
    assert element_figures(mixed, prices).rule == "exact, operands of 9 and 8 bits as two of 8.5"


def test_inputs_with_a_sign_without_rows_are_noted_where_they_are_multiplied():
    prices = table(BY_TOGGLES, BY_TOGGLES | {"bits": "9"}, BY_TOGGLES | {"op": "l1-2a", "bits": "9"})
    assert estimate(trace(moving(SIGNED_INPUTS)), MACHINE, prices).notes()[SIGNLESS] == ("tap of conv, 9 bit",)
    adding = trace(moving(replace(SIGNED_INPUTS, datapath="l1-2a")))
    assert SIGNLESS not in estimate(adding, MACHINE, prices).notes()


def test_area_and_leakage_are_those_of_whole_elements():
    leaking = MAC | {"leakage_uw": "0.5"}
    area = estimate_area(trace(CONV), MACHINE, table(leaking))
    assert area.by_unit()["array"] == pytest.approx(256 * 700, abs=0.01)
    assert [part.circuit.what for part in area.parts if part.circuit.unit == "array"] == ["element mac of 8 bits"]
    cost = estimate(trace(seen(CONV, 0.0)), MACHINE, table(leaking))
    leaks = [part.energy_pj for part in cost.layers[0].parts if (part.component, part.of) == ("leakage", "array")]
    assert leaks == pytest.approx([256 * 0.5 / MACHINE.clock_mhz * cost.layers[0].cycles])


def test_many_designs_cost_what_each_costs_alone():

    machines = [MACHINE, with_fields(MACHINE, array=with_fields(MACHINE.array, rows=32))]
    layers = trace(seen(CONV, 0.3), replace(seen(CONV, 0.8), name="other"))
    for prices in (table(MAC), table(MAC | {"leakage_uw": "0.5"})):
        found = estimate_designs(layers, machines, prices)
        assert found.energy_pj.tolist() == pytest.approx([estimate(layers, one, prices).energy_pj for one in machines])


def test_a_scaled_table_scales_what_zeros_save_too():
    rows = tuple(replace(row, node_nm=45, voltage_v=0.9) for row in table(BY_TOGGLES).rows)
    prices = replace(table(BY_TOGGLES), rows=rows)
    plain, small = prices.element("mac", 8), scale_table(prices, 7).element("mac", 8)
    factor = small.energy_pj / plain.energy_pj
    assert factor < 0.2
    assert (small.zero_pj, small.idle_pj) == pytest.approx((plain.zero_pj * factor, plain.idle_pj * factor))
    assert small.by_toggles == pytest.approx([one * factor for one in plain.by_toggles])
    assert len(small.by_toggles) == 5
    assert "by Stillmaker and Baas" in small.rule


def test_the_paper_convention_is_priced_by_operations():
    cost = estimate(replace(trace(CONV), convention="paper"), MACHINE, table(MAC))
    assert {part.of for layer in cost.layers for part in layer.parts} == {"mul", "add"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (MAC | {"op": "mult"}, "column op: found 'mult', needs one of l1-2a"),
        (MAC | {"zero_pj": "-1"}, "column zero_pj: found '-1', needs a number >= 0"),
        (MAC | {"unit": "pJ/bit"}, r"column unit: found 'pJ/bit', needs pJ \(a tap\)"),
        (REST[3] | {"op": "xor", "zero_pj": "1"}, "column zero_pj: found '1'; empty in a row of"),
        (MAC | {"contains": "dynamic + pins"}, "column contains: found 'pins'"),
        (MAC | {"still_pj": "1"}, "column still_zero_pj is empty beside still_pj; needs still_pj, still_zero_pj, "),
        (MAC | {"sum_toggle_pj": "1"}, "column still_pj is empty beside sum_toggle_pj; needs still_pj, still_zero_pj, "),
        (
            BY_TOGGLES | {"component": "layer", "op": "net/conv/mac"},
            "column still_pj: found '2'; empty in a row of component layer",
        ),
    ],
)  # fmt: skip
def test_rows_of_elements_that_are_wrong_are_told(row, told):
    with pytest.raises(ConfigError, match=told):
        table(row)


@pytest.mark.parametrize("name", ["nangate45-fa", "nangate45-gates", "sg13g2-gates"])
def test_bundled_tables_of_elements_say_where_each_row_is_from_and_grow_with_width(name):
    prices = load_table(name)
    assert all(row.source.strip() and row.temperature_k == 298.15 for row in prices.rows if row.component == "pe")
    for datapath in ("l1-2a", "l1-1c1a", "l1-xor", "mac"):
        for bits in range(2, 16):
            narrow, wide = (prices.element(datapath, one) for one in (bits, bits + 1))
            assert 0 < narrow.idle_pj < narrow.energy_pj < wide.energy_pj
            assert narrow.zero_pj < narrow.energy_pj
    mac, adder = prices.element("mac", 8), prices.element("l1-2a", 8)
    assert mac.zero_pj / mac.energy_pj > 2 * adder.zero_pj / adder.energy_pj


def test_the_bundled_library_has_every_datapath_at_every_width():
    from addersim.hardware.gates.element_table import element_jobs

    prices = load_table("sg13g2-gates")
    for job in element_jobs():
        element = job.element
        own = for_array(prices, load_accelerator("eyeriss-65nm").array) if element.scratchpads else prices
        figures = own.element(element.datapath, element.input_bits, element.style, element.input_signed)
        assert figures.rule == "exact"
        assert "sha256 bd7b0e41f95d81e4" in figures.source


@pytest.mark.parametrize("name", ["nangate45-fa", "nangate45-gates", "sg13g2-gates"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_gating_never_costs(name, share):
    gating = with_fields(MACHINE, array=with_fields(MACHINE.array, zero_gating=True))
    layer = [seen(CONV, share)]
    assert array_pj(layer, load_table(name), gating) <= array_pj(layer, load_table(name), MACHINE) * (1 + 1e-12)
