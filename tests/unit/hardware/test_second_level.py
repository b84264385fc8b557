"""A second on-chip level: what passes it, what stays there, and what no size of it may break."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as change

from addersim.errors import ConfigError, HardwareError, PriceError
from addersim.hardware import estimate, estimate_area, load_accelerator
from addersim.hardware.accelerator import Buffer
from addersim.hardware.load import parse_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.residency import residencies
from addersim.hardware.shape_bounds import ShapeCosts, bounds
from addersim.hardware.traffic import ALL, Access, Backing, through_l2
from addersim.trace import Operand, Trace
from tests.unit.hardware.test_mapping_properties import (
    OBJECTIVES,
    PRICES,
    check_that_no_objective_is_beaten,
    designs,
    stages,
    value,
)
from tests.unit.hardware.traces import add, fetching_weights, relu, small_residual_network, window

EDGE = load_accelerator("systolic-16x16")
SIZES = (1e-3, 0.1, 0.5, 2, 8, 64, 1_048_576)
TWO_SIZES = st.lists(st.sampled_from(SIZES), min_size=2, max_size=2)


def with_l2(machine, kib, banks=None, word_bits=64, price=3.0):
    """The machine with a second level whose accesses cost the same whatever its size."""
    prices = {"read_pj_per_word": price, "write_pj_per_word": price, "source": "made up"}
    l2 = Buffer(capacity_kib=kib, word_bits=word_bits, banks=banks, **prices)
    return change(machine, buffers=change(machine.buffers, l2=l2))


def with_first_level(machine, kib, **more):
    memory = Buffer(capacity_kib=kib, **PRICES)
    return change(machine, buffers=change(machine.buffers, input=memory, weight=memory, output=memory, **more))


@st.composite
def networks(draw):
    """A stage alone, or a network with a residual branch whose values wait."""
    return draw(st.one_of(stages(), st.just(small_residual_network())))


def dram_bits(trace, on, objective="dram"):
    return value(trace, on, objective)


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_an_endless_second_level_never_costs_dram_words(examples):
    @settings(max_examples=examples, deadline=None)
    @given(networks(), designs(), st.integers(1, 3), st.sampled_from((None, 1, 4)))
    def check(trace, on, batch, banks):
        on = change(on, batch=batch)
        assert dram_bits(trace, with_l2(on, 1_048_576, banks)) <= dram_bits(trace, on)

    check()


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_larger_second_level_is_never_worse(examples):
    @settings(max_examples=examples, deadline=None)
    @given(networks(), designs(), st.sampled_from(OBJECTIVES), TWO_SIZES, st.data())
    def check(trace, on, objective, sizes, data):
        how = {"banks": data.draw(st.sampled_from((None, 1, 4))), "word_bits": data.draw(st.sampled_from((16, 64)))}
        on = change(on, batch=data.draw(st.integers(1, 2)))
        small, large = (value(trace, with_l2(on, kib, **how), objective) for kib in sorted(sizes))
        assert large <= small * (1 + 1e-9)

    check()


@pytest.mark.parametrize("examples", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_a_larger_second_level_is_never_worse_in_rows(examples):
    @settings(max_examples=examples, deadline=None)
    @given(stages(), designs(rows=True), st.sampled_from(OBJECTIVES), TWO_SIZES)
    def check(trace, on, objective, sizes):
        small, large = (value(trace, with_l2(on, kib, 2), objective) for kib in sorted(sizes))
        assert large <= small * (1 + 1e-9)
        assert dram_bits(trace, with_l2(on, 1_048_576, 2)) <= dram_bits(trace, on)

    check()


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_one_that_holds_nothing_changes_nothing_but_its_own_energy(examples):
    @settings(max_examples=examples, deadline=None)
    @given(networks(), designs(), st.sampled_from(OBJECTIVES))
    def check(trace, on, objective):
        try:
            without = estimate(trace, on, objective=objective)
        except HardwareError:
            return
        found = estimate(trace, with_l2(on, 1e-3, price=0.0), objective=objective)
        assert found.energy_by_component().pop("l2") == 0
        assert found.energy_pj == pytest.approx(without.energy_pj, rel=1e-12)
        assert (found.cycles, found.dram_bytes) == (without.cycles, without.dram_bytes)
        passed = sum(layer.words("dram") for layer in without.layers)
        assert sum(layer.words("l2") for layer in found.layers) == 2 * passed

    check()


@pytest.mark.parametrize("examples", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_no_objective_is_beaten_by_the_mapping_of_another(examples):
    @settings(max_examples=examples, deadline=None)
    @given(stages(), designs(), st.sampled_from(SIZES), st.sampled_from((None, 1, 4)))
    def check(trace, on, kib, banks):
        check_that_no_objective_is_beaten(trace, with_l2(on, kib, banks))

    check()


@pytest.mark.parametrize("examples", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_no_objective_is_beaten_by_the_mapping_of_another_in_rows(examples):
    @settings(max_examples=examples, deadline=None)
    @given(stages(), designs(rows=True), st.sampled_from(SIZES), st.sampled_from((None, 1, 4)))
    def check(trace, on, kib, banks):
        check_that_no_objective_is_beaten(trace, with_l2(on, kib, banks))

    check()


@pytest.mark.parametrize("examples", [30, pytest.param(200, marks=pytest.mark.slow)])
def test_parts_sum_and_every_word_is_accounted_for(examples):
    @settings(max_examples=examples, deadline=None)
    @given(networks(), designs(), st.sampled_from(SIZES))
    def check(trace, on, kib):
        on = with_l2(on, kib, 2)
        try:
            cost = estimate(trace, on)
        except HardwareError:
            return
        assert sum(cost.energy_by_component().values()) == cost.energy_pj == sum(layer.energy_pj for layer in cost.layers)
        assert sum(row["l2_pj"] for row in cost.to_rows()) == cost.energy_by_component().get("l2", 0.0)
        for layer in cost.layers:
            moved = {(one.level, one.operand): one for one in layer.accesses}
            for (level, operand), l2 in moved.items():
                if level == "l2":
                    dram = moved.get(("dram", operand), Access("dram", operand, 0, 0, l2.bits))
                    assert l2.reads >= dram.writes
                    assert l2.writes >= dram.reads
                    assert dram.reads <= l2.reads
            assert all(level != "dram" or ("l2", operand) in moved for level, operand in moved)

    check()


def test_words_by_hand():
    """Fetched three times what DRAM delivers once; kept; tile by tile; and sums that leave and come back."""
    fetch, sums = Access("dram", "weight", 30, 0, 8), Access("dram", "partial_sum", 5, 5, 24)
    whole, away = Backing((0,), 10, 0, 0), Backing((ALL,), ALL, ALL, ALL)
    assert through_l2([fetch], whole) == (Access("l2", "weight", 30, 10, 8), Access("dram", "weight", 10, 0, 8))
    assert through_l2([sums], whole) == (Access("l2", "partial_sum", 5, 5, 24), Access("dram", "partial_sum", 0, 0, 24))
    assert through_l2([fetch], away) == (Access("l2", "weight", 30, 30, 8), fetch)
    assert through_l2([sums], away) == (Access("l2", "partial_sum", 10, 10, 24), sums)
    assert through_l2([fetch], None) == (fetch,)


def test_an_operand_that_fits_is_fetched_from_dram_once():
    """A window of 64 x 4096 x 64 in memories of a few tiles: its operands come many times without a second level."""
    layer = window("w", 64, 4096, 64, inputs=64 * 4096, sources=(-1,))
    trace, small = Trace("t", "hardware", (layer,)), fetching_weights(with_first_level(EDGE, 2, keep_activations=False))
    without = estimate(trace, small).layers[0]
    operands = layer.inputs[0].words, layer.weights.words
    assert sum(without.words("dram", operand) for operand in ("input", "weight")) > 1.5 * sum(operands)
    both, smaller_one, none = (estimate(trace, with_l2(small, kib)).layers[0] for kib in (1024, 300, 16))
    assert tuple(both.words("dram", operand) for operand in ("input", "weight")) == operands
    assert (
        min(smaller_one.words("dram", operand) / size for operand, size in zip(("input", "weight"), operands, strict=True))
        == 1
    )
    assert none.words("dram") == without.words("dram")


def test_values_that_the_first_level_does_not_keep_stay_in_the_second():
    """Values of 1 KiB: the first level's halves of 1.5 KiB together keep one, half of the second level another one."""
    trace, tiny = small_residual_network(), with_first_level(EDGE, 1.5)
    image, result = trace.layers[0].inputs[0].words, trace.layers[-1].output.words
    for kib, more in ((1.5, 2 * 1024), (2, 0)):
        layers = estimate(trace, with_l2(tiny, kib), objective="dram").layers
        assert sum(one.words("dram", "input") + one.words("dram", "output") for one in layers) == image + result + more


def test_weights_stay_in_the_second_level_from_before_the_first_image():
    trace, tiny = small_residual_network(), with_first_level(EDGE, 2)
    weights = sum(layer.weights.words for layer in trace.layers if layer.weights.words)
    assert sum(layer.words("dram", "weight") for layer in estimate(trace, tiny).layers) > 0
    cost = estimate(trace, with_l2(tiny, 256, banks=1))
    assert sum(layer.words("dram", "weight") for layer in cost.layers) == 0
    stored = [(layer.weights.words, layer.weights.bits) for layer in trace.layers if layer.weights.words]
    bits = sum(words * bits for words, bits in stored)
    assert cost.cold_start.dram_bytes == bits / 8
    assert sum(words for words, _ in stored) == weights
    away = estimate(trace, fetching_weights(with_l2(tiny, 256, banks=1)))
    assert away.cold_start is None
    assert away.energy_pj > cost.energy_pj


def test_keep_weights_says_what_both_levels_have():
    trace, tiny = small_residual_network(), with_first_level(EDGE, 2, keep_weights=True)
    with pytest.raises(HardwareError, match=r"and its weight memory has 256 and take .* and its l2 memory has 128; leave"):
        estimate(trace, with_l2(tiny, 1))
    (way,) = {one.l2_words > 0 for one in residencies(trace, with_l2(tiny, 64))}
    assert way


def test_banks_bound_transfers_and_the_slower_memory_is_waited_for():
    layer = window("fc", 1, 4096, 256, inputs=4096, sources=(-1,))
    trace, machine = Trace("t", "hardware", (layer,)), fetching_weights(EDGE)
    machine = change(machine, dram=change(machine.dram, bandwidth_gb_s=6.4))
    fast, slow = (estimate(trace, with_l2(machine, 1e-3, banks, word_bits=8)).layers[0] for banks in (None, 1))
    words = sum(slow.words("l2", operand) for operand in ("input", "weight")) + 3 * slow.words("l2", "output")
    assert slow.buffer_cycles == words  # a sum of 24 bits takes three words
    assert fast.cycles == estimate(trace, machine).layers[0].cycles < words <= slow.cycles < 1.05 * words
    assert (fast.bound, slow.bound) == ("dram", "buffer")
    waiting = change(machine, buffers=change(machine.buffers, double_buffered=False))
    (alone,) = estimate(trace, with_l2(waiting, 1e-3, 1, word_bits=8)).layers
    assert alone.cycles == words + alone.compute_cycles


def test_layers_of_the_vector_unit_wait_for_it_too():
    words = 4096
    trace = Trace("t", "hardware", (relu("relu", words, inputs=(Operand(words, 8),), sources=(-1,)),))
    cost = estimate(trace, with_l2(EDGE, 1e-3, 1, word_bits=8))
    assert cost.layers[0].words("l2") == 4 * words
    assert cost.cycles == 4 * words
    both = add("add", words, (trace.layers[0].output,) * 2, sources=(0, -1))
    cost = estimate(Trace("t", "hardware", (*trace.layers, both)), with_l2(with_first_level(EDGE, 1), 64))
    by_level = {level: cost.layers[1].words(level, "input") for level in ("l2", "dram")}
    assert by_level == {"l2": 3 * words, "dram": words}  # one input stays there, the network's comes from DRAM


def test_area_leakage_and_prices_know_it():
    trace, machine = small_residual_network(), change(EDGE, buffers=change(EDGE.buffers, l2=Buffer(capacity_kib=512)))
    more = estimate_area(trace, machine).area_um2 - estimate_area(trace, EDGE).area_um2
    assert more > 5 * estimate_area(trace, EDGE).by_unit()["buffer"] / 10
    assert any(part.circuit.what == "l2 buffer of 512 KiB" for part in estimate_area(trace, machine).parts)
    leaking = [estimate(trace, one, "aladdin-cacti-45nm").energy_by_component()["leakage"] for one in (EDGE, machine)]
    assert leaking[1] > leaking[0]
    used = [one.what for one in estimate(trace, machine).prices]
    assert {"l2 buffer of 512 KiB, read", "l2 buffer of 512 KiB, write"} <= set(used)
    with pytest.raises(PriceError, match=r"needed by layers conv1, bn1"):
        estimate(trace, change(machine, buffers=change(machine.buffers, l2=Buffer(capacity_kib=512, device="none"))))


def test_a_file_may_have_one_and_its_faults_are_told():
    text = """name = "mine"
source = "me"
clock_mhz = 500
array = {rows = 8, columns = 8, dataflow = "output"}
dram = {bandwidth_gb_s = 1}
vector = {lanes = 8}
[buffers]
keep_activations = true
unified = {capacity_kib = 64}
[buffers.l2]
capacity_kib = 2048
"""
    machine = parse_accelerator(text, "mine")
    assert (machine.buffers.l2.capacity_kib, list(machine.buffers.memories())) == (2048, ["unified"])
    assert list(machine.buffers.all_memories()) == ["unified", "l2"]
    with pytest.raises(ConfigError, match=r"mine: buffers.l2.capacity_kib: found -1"):
        parse_accelerator(text.replace("2048", "-1"), "mine")


def test_no_shape_costs_less_than_its_bound():
    """Values lie elsewhere on other shapes, so that what moves bounds nothing."""
    trace, machine = small_residual_network(), with_l2(with_first_level(EDGE, 1.5), 8, 1)
    costs = ShapeCosts(trace, machine, load_table("horowitz-45nm"), 1, None)
    sides = np.array([1, 3, 8, 16])
    least = bounds(costs, sides, sides)
    for row, rows in enumerate(sides.tolist()):
        for column, columns in enumerate(sides.tolist()):
            cost = costs.of(rows, columns)
            assert least.cycles[row, column] <= cost.cycles
            assert least.energy_pj[row, column] <= cost.energy_pj
