"""Programs whose multiplying layers take their products from a table: results, bills, bounds, files and prices."""

import numpy as np
import pytest

from addersim import Program, Quantization, count, estimate, estimate_area, load_images, load_network, quantize, simulate
from addersim.arithmetic.fixed import Accumulator
from addersim.errors import NetworkError, PriceError
from addersim.hardware import load_table, parse_table
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.kernels import reference
from addersim.layers import IntegerWindow
from tests.unit import networks
from tests.unit.multipliers import arbitrary, multiplier

HEADER = ",".join(TABLE_COLUMNS)
IMAGES = load_images("fashion-mnist-2000")
LENET = load_network("lenet5-conv")
CALIBRATION = load_images("fashion-mnist-2000", split="train", limit=256).pixels


def program(bits=8, activation_bits=None, accumulator=None, arithmetic="mac", make=networks.residual):
    network = make(arithmetic=arithmetic)
    how = Quantization(weight_bits=bits, activation_bits=activation_bits or bits, accumulator=accumulator or Accumulator())
    return quantize(network, networks.images(network), how), networks.images(network, 12, seed=3)


def windows(of):
    return [layer for layer in of.layers if isinstance(layer, IntegerWindow)]


@pytest.mark.parametrize("accumulator", [Accumulator(), Accumulator(12, "saturate"), Accumulator(12, "wrap")], ids=str)
@pytest.mark.parametrize(("signed", "activation_bits"), [(False, 8), (True, 7)])
@pytest.mark.parametrize("make", [networks.residual, networks.uneven])
def test_an_exact_table_changes_no_number(make, signed, activation_bits, accumulator):
    exact, images = program(8, activation_bits, accumulator, make=make)
    found = exact.with_multiplier(multiplier(signed=signed, name="exact"))
    for (name, one), (_, other) in zip(exact.runs(images, stream=True), found.runs(images, stream=True), strict=True):
        assert one.observed == other.observed, name
        assert (one.values is None) == (other.values is None)
        if one.values is not None:
            np.testing.assert_array_equal(one.values, other.values, err_msg=name)
    assert [one.accumulator_bits() for one in windows(exact)] == [one.accumulator_bits() for one in windows(found)]


@pytest.mark.parametrize("table", [multiplier(7), arbitrary(5, largest=200_000), arbitrary(6)], ids=["cut", "wide", "any"])
def test_kernels_and_twins_agree_on_whole_programs(table):
    of, images = program()
    found = simulate(of, images, multiplier=table)
    assert found.trace == simulate(of, images, engine=reference, multiplier=table).trace
    assert found.trace == simulate(of.with_multiplier(table), images).trace


def test_a_register_by_the_tables_own_extremes_holds_every_sum():
    """Not by those of a product: this table's are five times as large."""
    of, images = program()
    table = arbitrary(7, largest=80_000)
    for layer in simulate(of, images, multiplier=table).trace.layers:
        if layer.multiplier:
            assert layer.observed.overflowed == 0
            assert layer.observed.bits_needed <= layer.accumulator_bits
    narrow, _ = program(accumulator=Accumulator(23, "exact"))
    with pytest.raises(NetworkError, match="accumulator has 23 bits and its worst case needs 24"):
        narrow.with_multiplier(table)


def test_single_layers_and_several_tables():
    of, _ = program()
    first, *others = [layer.name for layer in windows(of)]
    found = of.with_multiplier(multiplier(), [first]).with_multiplier(multiplier(2, name="other"), others[:1])
    assert [one.multiplier and one.multiplier.name for one in windows(found)] == [
        "truncated",
        "other",
        *[None] * len(others[1:]),
    ]
    assert windows(found.with_multiplier(multiplier(3, name="third")))[0].multiplier.name == "third"
    with pytest.raises(PriceError, match=f"layers {first} and {others[0]}: multipliers truncated and other; an estimate"):
        estimate(count(found), "systolic-16x16")


@pytest.mark.parametrize(
    ("how", "table", "layers", "message"),
    [
        (
            {},
            multiplier(signed=True),
            None,
            r"layer \w+: input: codes 0..255; multiplier truncated takes -128..127: give 7",
        ),
        (
            {"bits": 10},
            multiplier(),
            None,
            "truncated takes 0..255 and applies signs outside: give 8 bits or fewer",
        ),
        ({"bits": 10, "activation_bits": 8}, multiplier(), None, r"layer \w+: weights: codes -512..511; multiplier truncated"),
        ({}, multiplier(), ["relu1"], "layer relu1: no multiplying layer has this name; known: "),
        ({"arithmetic": "xnor"}, multiplier(), ["none"], "no multiplying layer has this name|no layer multiplies"),
    ],
)
def test_layers_that_a_table_cannot_take_are_refused_by_name(how, table, layers, message):
    of, _ = program(**how)
    with pytest.raises(NetworkError, match=message):
        of.with_multiplier(table, layers)


def test_a_network_without_multiplications_is_refused():
    adder = quantize(load_network("lenet5-adder"), None)
    with pytest.raises(NetworkError, match="program lenet5-adder: no layer multiplies, so that a multiplier would change"):
        adder.with_multiplier(multiplier())


def test_a_table_and_its_datapath_come_together():
    layer = windows(program()[0])[0]
    for change, message in (
        ({"datapath": "table"}, "datapath table with no multiplier"),
        ({"multiplier": multiplier()}, "datapath mac with table-magnitude"),
        ({"multiplier": multiplier(), "datapath": "table"}, "datapath table with table-magnitude"),
    ):
        with pytest.raises(NetworkError, match=message):
            type(layer)(**{key: getattr(layer, key) for key in layer.__struct_fields__} | change)


def test_a_saved_program_keeps_its_table(tmp_path):
    of, images = program()
    table = multiplier(6, relative_energy=0.5)
    of.with_multiplier(table).save(tmp_path / "p.npz")
    found = Program.load(tmp_path / "p.npz")
    assert windows(found)[0].multiplier.price == table.price
    assert simulate(found, images).trace == simulate(of, images, multiplier=table).trace


def test_products_are_billed_as_their_own_operation():
    of = quantize(LENET, None)
    exact, found = count(of), count(of.with_multiplier(multiplier()))
    signed = count(quantize(LENET, None, Quantization(activation_bits=7)).with_multiplier(multiplier(signed=True)))
    taps = exact.taps
    assert found.operations.total("amul") == taps == found.operations["amul", 8]
    assert found.operations.total("mul") == exact.operations.total("mul") - taps
    assert found.operations.total("xor") - exact.operations.total("xor") == 2 * taps  # a product of sixteen bits is inverted
    assert signed.operations.total("xor") == exact.operations.total("xor")
    paper = count(of.with_multiplier(multiplier()), "paper").operations
    assert paper == type(paper)({("amul", 8): taps, ("add", 8): taps})


def test_an_operand_of_few_bits_still_costs_the_circuit():
    assert ("amul", 8) in count(
        quantize(LENET, None, Quantization(weight_bits=4, activation_bits=4)).with_multiplier(multiplier())
    ).operations


def priced(table="horowitz-45nm", **price):
    trace = count(quantize(LENET, None).with_multiplier(multiplier(name="m", **price)))
    return trace, estimate(trace, "systolic-16x16", table)


@pytest.mark.parametrize("name", ["horowitz-45nm", "qtools-45nm", "aladdin-cacti-22nm"])
def test_relative_energy_is_a_fraction_of_each_tables_multiplier(name):
    _, cost = priced(name, relative_energy=0.25, source="a book")
    (used,) = [one.energy for one in cost.prices if one.what == "amul 8 bit"]
    exact = load_table(name).explain("mul", 8)
    assert used.energy_pj == 0.25 * exact.energy_pj
    assert used.rule.startswith("fraction 0.25 of mul: ")
    assert used.source == f"a book; {exact.source}"


def test_stated_energy_is_of_its_node():
    _, cost = priced(energy_pj=0.0625, node_nm=45)
    assert [one.energy.energy_pj for one in cost.prices if one.what == "amul 8 bit"] == [0.0625]
    with pytest.raises(PriceError, match="multiplier m: its energy is of 28 nm, and energy table 'horowitz-45nm' is of 45 nm"):
        priced(energy_pj=0.0625, node_nm=28)


def test_an_unknown_energy_is_refused_and_never_an_exact_multipliers():
    with pytest.raises(PriceError, match=r"multiplier m: energy of a product is not known; .* layers conv1, conv2, fc1 and 2"):
        priced()
    rows = [row for row in load_table("horowitz-45nm").rows if row.op != "mul"]
    with pytest.raises(PriceError, match="multiplier m: a fraction of mul, of which energy table 'none' has no row"):
        priced(type(load_table("horowitz-45nm"))("none", tuple(rows)), relative_energy=0.5)


def test_an_energy_table_may_have_the_price(tmp_path):
    text = (load_table.__globals__["resolve_text"])("horowitz-45nm", "energy", ".csv", "energy table")[2]
    for row, energy in (("amul,8,,0.07,pJ,,45,0.9,exact,mine", 0.07), ("amul,1..8,,,pJ,,45,0.9,fraction mul 0.5,mine", 0.1)):
        _, cost = priced(parse_table(f"{text}integer,{row}\n", "mine", "mine.csv"))
        assert [one.energy.energy_pj for one in cost.prices if one.what == "amul 8 bit"] == [energy]


def test_area_is_stated_or_named_as_missing():
    trace, _ = priced(relative_energy=0.5, relative_area=0.5)
    exact = load_table("aladdin-cacti-45nm").area("integer", "mul", 8).value
    (part,) = [one for one in estimate_area(trace, "systolic-16x16").parts if one.circuit.op == "amul"]
    assert part.figure.value == 0.5 * exact
    trace, _ = priced(relative_energy=0.5)
    assert "amul of 8 bits (array)" in estimate_area(trace, "systolic-16x16").missing
    trace, _ = priced(energy_pj=1.0, area_um2=100.0, node_nm=45)
    assert [one.figure.value for one in estimate_area(trace, "systolic-16x16").parts if one.circuit.op == "amul"] == [100.0]


def test_a_truncated_multiplier_costs_lenet_nothing_until_seven_columns_are_cut():
    """2,000 test images; the exact multiplier has 91.35 %."""
    of = quantize(LENET, CALIBRATION)
    accuracies = [
        simulate(of, IMAGES.pixels, IMAGES.labels, multiplier=multiplier(cut)).accuracy for cut in (0, 5, 7, 8, 9, 10)
    ]
    assert accuracies == [0.9135, 0.916, 0.911, 0.887, 0.726, 0.2405]


def test_correction_restores_what_a_multiplier_shifts():
    """From the sums that it gives: 72.6 % with nine columns cut become 88.1 %."""
    table = multiplier(9)
    found = simulate(quantize(LENET, CALIBRATION, multiplier=table), IMAGES.pixels, IMAGES.labels)
    assert found.accuracy == 0.881
    assert {one.multiplier for one in found.trace.layers if one.work} == {table.price}


def test_quantising_with_a_multiplier_changes_what_correction_changes_alone():
    same = simulate(quantize(LENET, CALIBRATION, multiplier=multiplier()), IMAGES.pixels[:200])
    assert same.trace == simulate(quantize(LENET, CALIBRATION), IMAGES.pixels[:200], multiplier=multiplier()).trace
    how, table = Quantization(correction="none"), multiplier(9)
    plain = simulate(quantize(LENET, CALIBRATION, how), IMAGES.pixels[:200], multiplier=table)
    assert plain.trace == simulate(quantize(LENET, CALIBRATION, how, multiplier=table), IMAGES.pixels[:200]).trace
