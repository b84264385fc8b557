"""Arrays of which only a share of the columns can multiply: which layers run where, what that costs, and sizes."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as change

from addersim import count, load_network, quantize
from addersim.errors import HardwareError
from addersim.hardware import estimate, estimate_area, fit_area, load_accelerator
from addersim.hardware.shape_bounds import resized
from addersim.trace import Trace
from tests.unit.hardware.test_area import ROUND, adder, table
from tests.unit.hardware.traces import small_residual_network

EDGE, EYERISS = load_accelerator("systolic-16x16"), load_accelerator("eyeriss-65nm")


def mixed(share, machine=EDGE, **changes):
    return change(machine, array=change(machine.array, multiplier_share=share, **changes))


def half_adder():
    """The small network: its first convolution multiplies, and its classifier; the second convolution adds."""
    layers = list(small_residual_network().layers)
    layers[3] = adder(layers[3], "l1-2a")
    return Trace("half", "hardware", tuple(layers))


TRACE = half_adder()


@pytest.mark.parametrize("machine", [EDGE, change(EYERISS, batch=1)], ids=["systolic", "row stationary"])
def test_layers_that_multiply_run_on_their_columns_alone(machine):
    if machine is EDGE:
        trace, prices = TRACE, "horowitz-45nm"
    else:
        trace, prices = count(quantize(load_network("lenet5-adder"), None)), "eyeriss-65nm"
    columns = machine.array.columns
    found = estimate(trace, mixed(0.25, machine), prices, objective="latency")
    whole = estimate(trace, machine, prices, objective="latency")
    few = resized(machine, machine.array.rows, -(-columns // 4))
    part = estimate(trace, few, prices, objective="latency")
    for ours, all_columns, some, layer in zip(found.layers, whole.layers, part.layers, trace.layers, strict=True):
        if layer.work is None:
            assert ours.elements == 0
            continue
        alone = some if layer.datapath == "mac" else all_columns
        assert ours.elements == alone.elements
        assert (ours.compute_cycles, ours.words("buffer"), ours.tiling) == (
            alone.compute_cycles, alone.words("buffer"), alone.tiling,
        )  # fmt: skip
        assert ours.mapping_efficiency == pytest.approx(alone.mapping_efficiency * ours.elements / machine.array.elements)
    assert whole.cycles <= found.cycles
    assert found.energy_by_component().keys() == whole.energy_by_component().keys()


@given(st.floats(0.01, 1), st.integers(1, 40))
def test_a_share_of_the_columns_is_rounded_up(share, columns):
    array = mixed(share).array
    number = array.multiplying_columns(columns)
    assert 1 <= number <= columns
    assert number - 1 < share * columns <= number + 1e-8
    assert array.multiplying_columns(np.array([columns])).tolist() == [number]


def test_a_product_that_rounding_makes_larger_is_no_column_more():
    assert mixed(0.07).array.multiplying_columns(100) == 7  # 0.07 x 100 is 7.000000000000001


def test_elements_without_a_multiplier_have_none():
    areas = table(*ROUND)
    whole, some, least = (estimate_area(TRACE, machine, areas) for machine in (EDGE, mixed(0.25), mixed(0.01)))
    assert whole.multiplying_elements == whole.elements == 256
    assert (some.multiplying_elements, least.multiplying_elements) == (64, 16)
    assert [part.circuit.number for part in some.parts if part.circuit.op == "mul" and part.circuit.unit == "array"] == [64]
    assert whole.area_um2 - some.area_um2 == 192 * 100
    assert whole.area_um2 - least.area_um2 == 240 * 100
    assert some.of_element(multiplying=True) == 100
    assert some.of_element(multiplying=False) * 256 + 6400 == some.by_unit()["array"]
    assert whole.of_element(multiplying=False) == whole.element_um2


@settings(max_examples=5, deadline=None)
@given(st.sampled_from((0.2, 0.5, 0.75)), st.integers(2, 12), st.sampled_from(("output", "weight")))
def test_no_mixed_array_of_the_budget_is_faster(share, elements, dataflow):
    """By brute force over every shape."""
    machine, areas = mixed(share, dataflow=dataflow), table(*ROUND)
    one = estimate_area(TRACE, resized(machine, 1, 1), areas)
    fixed = one.area_um2 - one.by_unit()["array"]
    budget = (fixed + elements * one.of_element(multiplying=False) + 300) / 1e6
    found = estimate(TRACE, fit_area(TRACE, machine, budget, areas), objective="latency")
    cycles = []
    for rows in range(1, elements + 3):
        for columns in range(1, (elements + 2) // rows + 1):
            shape = resized(machine, rows, columns)
            if estimate_area(TRACE, shape, areas).area_um2 <= budget * 1e6:
                cycles.append(estimate(TRACE, shape, objective="latency").cycles)
    assert found.cycles <= min(cycles)


def test_more_elements_of_equal_area():
    """What a mixed array is for: on ResNet-20, whose convolutions but two add, a sixteenth of multipliers buys elements."""
    trace = count(quantize(load_network("resnet20-adder"), None))
    whole, part = (fit_area(trace, machine, 1.0).array for machine in (EDGE, mixed(1 / 16)))
    assert part.elements > 1.4 * whole.elements


def test_layers_that_add_alone_need_no_multiplier():
    layers = tuple(adder(layer, "l1-2a") if layer.work else layer for layer in TRACE.layers)
    trace = replace(TRACE, layers=layers)
    assert estimate_area(trace, mixed(0.5)).area_um2 == estimate_area(trace, EDGE).area_um2
    assert estimate(trace, mixed(0.5)).energy_pj == estimate(trace, EDGE).energy_pj


def test_a_share_needs_something_that_multiplies():
    with pytest.raises(
        ValueError, match=re.escape("multiplier_share needs a datapath that multiplies; found the datapaths l1-2a")
    ):
        mixed(0.5, datapaths=("l1-2a",))
    with pytest.raises(HardwareError, match="a part of the array multiplies, which it does not model"):
        estimate(TRACE, mixed(0.5), compat="scalesim")
