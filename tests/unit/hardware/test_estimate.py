import json
import math
import random
import re
from dataclasses import replace
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.arithmetic.ops import OpCounts
from addersim.errors import HardwareError, PriceError
from addersim.hardware import (
    Price,
    UnitEnergy,
    accelerator_names,
    arithmetic_energy,
    estimate,
    load_accelerator,
    load_table,
    parse_table,
    table_names,
)
from addersim.hardware.latency import LayerCycles, buffer_cycles, stage_cycles
from addersim.hardware.layer_cost import EnergyPart, UnitEnergyUsed, on_common_grain
from addersim.hardware.prices.csv_file import TABLE_COLUMNS
from addersim.hardware.prices.missing import WHAT_TO_DO
from addersim.hardware.scalesim.compat import UNKNOWN
from addersim.hardware.table_range import estimate_range
from addersim.hardware.traffic import Access
from addersim.trace import LayerTrace, Operand, Trace
from tests.unit.hardware.traces import bottleneck_network, fetching_weights, relu, small_residual_network, window
from tests.unit.test_growth import calls

EDGE = fetching_weights(load_accelerator("systolic-16x16"))
SYSTOLIC = tuple(name for name in accelerator_names() if load_accelerator(name).array.dataflow != "row")
TOO_SMALL = ("diannao-like", "qtools-45nm")  # memories of 2 KiB, under a table that begins at 3
PRICED = [pair for pair in product(SYSTOLIC, table_names()) if pair != TOO_SMALL]
SMALL, LARGE = small_residual_network(), bottleneck_network()


def priced(*operations, more=""):
    rows = [f"integer,{op},1..64,,,pJ,45,0.9,polynomial 0 1,b" for op in operations]
    return parse_table("\n".join((",".join(TABLE_COLUMNS), *rows, more)), "bare", "bare.csv")


def grouped(cost, by):
    sums = {}
    for layer in cost.layers:
        for part in layer.parts:
            sums[by(layer, part)] = sums.get(by(layer, part), 0.0) + part.energy_pj
    return sums


@pytest.mark.parametrize(("accelerator", "table"), PRICED)
@pytest.mark.parametrize("trace", [SMALL, LARGE], ids=["small", "large"])
def test_parts_add_up_to_totals_exactly_in_any_order(trace, accelerator, table):
    cost = estimate(trace, accelerator, table)
    parts = [part.energy_pj for layer in cost.layers for part in layer.parts]
    random.Random(1).shuffle(parts)
    assert sum(parts) == math.fsum(parts) == cost.energy_pj
    assert sum(layer.energy_pj for layer in cost.layers) == cost.energy_pj
    assert sum(cost.energy_by_component().values()) == cost.energy_pj
    assert sum(cost.energy_by_part().values()) == cost.energy_pj
    assert cost.energy_by_component() == grouped(cost, lambda _, part: part.component)
    assert sum(layer.cycles for layer in cost.layers) == cost.cycles
    assert min(parts) >= 0


@given(st.lists(st.lists(st.just(0.0) | st.floats(1e-200, 1e12), max_size=5), max_size=5))
def test_rounding_to_the_common_grain_loses_less_than_the_last_bit_of_the_total(energies):
    before = [[EnergyPart("dram", "input", energy) for energy in layer] for layer in energies]
    after = on_common_grain(before)
    total = math.fsum(energy for layer in energies for energy in layer)
    for old, new in zip(before, after, strict=True):
        for one, other in zip(old, new, strict=True):
            assert abs(one.energy_pj - other.energy_pj) <= total * 2**-52
    flat = [part.energy_pj for parts in after for part in parts]
    assert sum(flat) == sum(reversed(flat)) == math.fsum(flat)


def test_a_layer_by_hand():
    # 64 pixels, 27 taps, 16 filters on 16 x 16: 4 folds of 16 + 16 + 27 - 2 cycles. 204.8 bits of DRAM a cycle: before the
    # first of four tiles come 432 weights and 48 inputs, 16.875 + 1.875 cycles; after the last 256 sums go, 20 cycles
    layer = window("conv", 64, 27, 16, inputs=192, accumulator_bits=16)
    cost = estimate(Trace("t", "hardware", (layer,)), EDGE)
    (found,) = cost.layers
    assert (found.compute_cycles, found.cycles, found.bound) == (228, 267, "array")
    assert found.dram_cycles == math.ceil((192 * 8 + 432 * 8 + 1024 * 16) / 204.8)
    assert found.utilisation == 64 * 27 * 16 / (267 * 256) == cost.utilisation
    # each memory is 4 macros of 16 KiB, 14.1 pJ a word, and half of the side of all four: 0.223 mm at 7.74 pJ a word and mm
    side_mm = (4 * (26267.3 * 94859.7) ** 0.5 * 1e-6) ** 0.5
    sram_pj = (10 * 20) ** 0.5 + side_mm / 2 * 64 * 0.121
    expected = {
        ("array", "mul"): 27648 * 0.2,
        ("array", "add"): 27648 * (0.03 + 8 / 24 * 0.07),
        ("buffer", "input"): (1728 / 8 + 192 / 8) * sram_pj,
        ("buffer", "weight"): (432 * 4 / 8 + 432 / 8) * sram_pj,
        ("buffer", "output"): (1024 / 4 + 1024 / 4) * sram_pj,
        ("dram", "input"): 192 * 8 * 20.3125,
        ("dram", "weight"): 432 * 8 * 20.3125,
        ("dram", "output"): 1024 * 16 * 20.3125,
    }
    assert cost.energy_by_part() == pytest.approx(expected, rel=1e-12)
    assert cost.energy_pj == pytest.approx(sum(expected.values()), rel=1e-12)
    assert cost.latency_ms == 267 / 500e3
    assert cost.images_per_second == pytest.approx(1000 / cost.latency_ms)


def test_a_slow_dram_sets_the_latency():
    slow = msgspec.structs.replace(EDGE, dram=msgspec.structs.replace(EDGE.dram, bandwidth_gb_s=0.1))
    cost = estimate(SMALL, slow)
    assert {layer.bound for layer in cost.layers} == {"dram", "fused", "none"}
    first = cost.layers[:3]
    vector = (
        first[1].compute_cycles + first[2].compute_cycles
    )  # the last of four tiles: what was there is computed, none is loaded
    assert first[0].cycles == sum(layer.dram_cycles for layer in first) + vector / 4
    assert cost.energy_pj == estimate(SMALL, EDGE).energy_pj


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([(9, 0, 5), (0, 4, 3), (0, 4, 0)], (9, "array")),
        ([(9, 0, 5), (0, 6, 3), (0, 4, 0)], (10, "vector")),
        ([(9, 0, 5), (0, 6, 6), (0, 4, 0)], (11, "dram")),
        ([(9, 0, 9), (0, 9, 0)], (9, "array")),
        ([(0, 9, 9)], (9, "vector")),
        ([(0, 0, 0)], (0, "none")),
        ([(9, 0, 5, {"input": 7, "weight": 9}), (0, 4, 3, {"input": 3})], (10, "buffer")),
        ([(9, 0, 5, {"input": 5, "weight": 9}), (0, 4, 3, {"output": 30})], (30, "buffer")),
    ],
)
def test_a_stage_lasts_as_long_as_its_busiest_resource(members, expected):
    assert stage_cycles(LayerCycles(*member) for member in members) == expected


def test_without_double_buffering_the_array_waits_for_dram():
    members = [LayerCycles(9, 0, 5, {"input": 7}), LayerCycles(0, 4, 20)]
    assert stage_cycles(members, overlapped=False) == (34, "dram")
    single = msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, double_buffered=False))
    cost = estimate(SMALL, single)
    first = cost.layers[:3]
    compute = max(first[0].compute_cycles, first[1].compute_cycles + first[2].compute_cycles)
    assert first[0].cycles == math.ceil(compute + sum(layer.dram_bytes for layer in first) * 8 / EDGE.dram_bits_per_cycle)


def test_a_memory_with_few_banks_sets_the_latency():
    memory, free = (msgspec.structs.replace(EDGE.buffers.input, banks=banks) for banks in (3, None))
    accesses = (
        Access("buffer", "input", 81, 0, 8), Access("buffer", "weight", 800, 0, 8), Access("buffer", "partial_sum", 8, 9, 24),
        Access("dram", "input", 1000, 0, 8),
    )  # fmt: skip
    apart = msgspec.structs.replace(EDGE.buffers, input=memory, weight=free, output=free)
    assert buffer_cycles(accesses, apart) == {"input": 4}  # 11 words of 8 bytes at 3 a cycle
    whole = msgspec.structs.replace(EDGE.buffers, input=None, weight=None, output=None, unified=memory)
    assert buffer_cycles(accesses, whole) == {"unified": (11 + 100 + 4 + 5 + 2) // 3}
    slow = msgspec.structs.replace(
        EDGE, buffers=msgspec.structs.replace(apart, input=msgspec.structs.replace(memory, banks=1))
    )
    conv, _, addition, _ = estimate(SMALL, slow).layers[3:7]
    before = math.ceil((144 * 16 * 8 + 16 * 54) / EDGE.dram_bits_per_cycle)  # weights and multipliers; activations are on chip
    assert (conv.bound, conv.cycles) == ("buffer", conv.buffer_cycles + addition.buffer_cycles + before)


def test_a_unified_memory_holds_everything():
    whole = msgspec.structs.replace(EDGE.buffers, input=None, weight=None, output=None, unified=EDGE.buffers.input)
    cost = estimate(SMALL, msgspec.structs.replace(EDGE, buffers=whole))
    assert {price.what for price in cost.prices if "buffer" in price.what} == {
        "unified buffer of 64 KiB, read",
        "unified buffer of 64 KiB, write",
    }
    assert cost.energy_pj == estimate(SMALL, EDGE).energy_pj  # three memories of that size cost the same an access


@pytest.mark.parametrize("accelerator", [name for name in accelerator_names() if "eyeriss" not in name])
def test_a_cost_is_plain_numbers(accelerator):
    cost = estimate(SMALL, accelerator)
    assert json.loads(json.dumps(cost.to_dict()))["cycles"] == cost.cycles
    for layer in cost.layers:
        assert {type(number) for access in layer.accesses for number in (access.reads, access.writes)} <= {int}
        assert type(layer.cycles) is type(layer.dram_cycles) is type(layer.buffer_cycles) is int


def test_roofline_numbers():
    cost = estimate(SMALL, EDGE)
    conv = cost.layers[3]
    assert conv.taps == 64 * 144 * 16
    assert conv.operational_intensity == conv.taps / (144 * 16)  # only its weights come from DRAM
    assert cost.dram_bytes == sum(layer.dram_bytes for layer in cost.layers)
    assert cost.operational_intensity == cost.taps / cost.dram_bytes
    assert cost.dram_bytes_per_cycle == 25.6
    assert (cost.roof(5), cost.roof(10), cost.roof(math.inf)) == (128, 256, 256)
    assert cost.layers[1].operational_intensity == 0
    assert conv.words("dram") == conv.words("dram", "weight") == 144 * 16
    assert conv.words() == sum(access.words for access in conv.accesses)


def test_the_batch_of_the_accelerator_is_the_default():
    four = msgspec.structs.replace(EDGE, batch=4)
    assert estimate(SMALL, four).batch == 4
    assert estimate(SMALL, four, batch=2).batch == 2


def test_a_layer_whose_datapath_the_array_lacks_is_refused():
    only = msgspec.structs.replace(EDGE, array=msgspec.structs.replace(EDGE.array, datapaths=("l1-2a", "l1-xor")))
    message = "layer conv1: needs the datapath mac, but the array of accelerator 'systolic-16x16' has l1-2a, l1-xor; allowed"
    with pytest.raises(HardwareError, match=re.escape(message)):
        estimate(SMALL, only)
    both = msgspec.structs.replace(only, array=msgspec.structs.replace(only.array, datapaths=("l1-2a", "mac")))
    assert estimate(SMALL, both) == estimate(SMALL, EDGE)


def test_memory_energy_that_the_accelerator_gives_is_used():
    given = {"read_pj_per_word": 1.0, "write_pj_per_word": 3.0, "source": "CACTI"}
    memory = msgspec.structs.replace(EDGE.buffers.output, **given)
    cost = estimate(SMALL, msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, output=memory)))
    output = next(part for part in cost.layers[8].parts if part[:2] == ("buffer", "output"))
    assert output.energy_pj == pytest.approx(5 * 1 + 5 * 3)  # ten sums of 24 bits, two a word, written and fetched for DRAM
    assert [price.price.rule for price in cost.prices if price.what.startswith("output")] == ["given by the accelerator"] * 2


def test_layers_of_a_stage_pass_their_cycles_once():
    cost = estimate(SMALL, EDGE)
    assert [(layer.name, layer.bound) for layer in cost.layers if layer.bound != "fused"] == [
        ("conv1", "vector"),
        ("conv2", "array"),
        ("flatten", "none"),
        ("fc", "array"),
    ]
    assert all(layer.cycles == 0 for layer in cost.layers if layer.bound == "fused")
    # batch norm: three operations a word on 16 lanes
    assert cost.layers[1].compute_cycles == 1024 * 3 / 16


def test_a_view_costs_nothing():
    flatten = estimate(SMALL, EDGE).layers[7]
    assert (flatten.energy_pj, flatten.accesses, flatten.cycles) == (0, (), 0)


def test_a_batch_costs_its_images_but_shares_the_weights():
    one, four = estimate(SMALL, EDGE), estimate(SMALL, EDGE, batch=4)
    assert four.batch == 4
    assert four.energy_pj_per_image == four.energy_pj / 4 < one.energy_pj
    parts = one.energy_by_part(), four.energy_by_part()
    assert parts[1]["dram", "weight"] == pytest.approx(parts[0]["dram", "weight"], rel=1e-12)
    assert parts[1]["dram", "input"] == pytest.approx(4 * parts[0]["dram", "input"], rel=1e-12)
    assert parts[1]["array", "mul"] == pytest.approx(4 * parts[0]["array", "mul"], rel=1e-12)
    assert four.images_per_second > one.images_per_second
    assert four.taps == 4 * SMALL.taps
    assert 1 >= four.utilisation > one.utilisation


def test_activations_that_stay_on_chip_spare_dram():
    off = msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, keep_activations=False))
    kept, spilled = estimate(SMALL, EDGE).energy_by_part(), estimate(SMALL, off).energy_by_part()
    assert kept["dram", "input"] == pytest.approx(192 * 8 * 20.3125, rel=1e-12)  # the image
    assert spilled["dram", "input"] == pytest.approx((192 + 3 * 1024) * 8 * 20.3125, rel=1e-12)
    assert kept["dram", "weight"] == pytest.approx(spilled["dram", "weight"], rel=1e-12)


def test_the_paper_convention_is_arithmetic_alone():
    conv = replace(window("conv", 64, 27, 16, inputs=192), operations=OpCounts({("add", 8): 2 * 27648}))
    trace = Trace("t", "paper", (conv, replace(relu("relu", 1024), operations=OpCounts())))
    arithmetic_only = parse_table(f"{','.join(TABLE_COLUMNS)}\ninteger,add,8,,0.03,pJ,45,0.9,exact,b", "mine", "mine.csv")
    for table in ("horowitz-45nm", arithmetic_only):
        cost = estimate(trace, EDGE, table)
        assert cost.energy_by_part() == {("array", "add"): pytest.approx(2 * 27648 * 0.03)}
        assert (cost.cycles, cost.latency_ms, cost.utilisation, cost.images_per_second) == (0, 0, 0, 0)
        assert {price.what for price in cost.prices} == {"add 8 bit"}


def test_arithmetic_alone_equals_the_arithmetic_of_the_whole():
    parts = estimate(SMALL, EDGE).energy_by_part()
    alone = arithmetic_energy(SMALL.operations, load_table("horowitz-45nm"))
    for op, energy in alone.items():
        assert parts.get(("array", op), 0) + parts.get(("vector", op), 0) == pytest.approx(energy, rel=1e-9)


def test_every_price_that_was_used_is_named_with_its_source():
    cost = estimate(SMALL, EDGE)
    assert (cost.network, cost.accelerator, cost.table) == ("small", "systolic-16x16", "horowitz-45nm")
    assert {price.what for price in cost.prices} >= {"mul 8 bit", "cmp 8 bit", "weight buffer of 64 KiB, read", "DRAM dram"}
    assert all(price.price.source and price.price.rule for price in cost.prices)


def test_dram_energy_that_the_accelerator_gives_is_used():
    dram = msgspec.structs.replace(EDGE.dram, energy_pj_per_bit=8.0, source="CACTI, LPDDR4")
    cost = estimate(SMALL, msgspec.structs.replace(EDGE, dram=dram))
    given_price = next(price for price in cost.prices if price.what.startswith("DRAM"))
    assert given_price.price == (8.0, "given by the accelerator", "CACTI, LPDDR4")
    ratio = cost.energy_by_component()["dram"] / estimate(SMALL, EDGE).energy_by_component()["dram"]
    assert ratio == pytest.approx(8 / 20.3125)


def test_a_missing_price_names_the_table_the_operation_and_the_layers():
    bare = priced("add")
    message = (
        f"energy table 'bare' has no row for integer mul of 8 bits; it has add; needed by layers conv1, conv2, fc{WHAT_TO_DO}"
    )
    with pytest.raises(HardwareError, match=re.escape(message) + "$"):
        estimate(SMALL, EDGE, bare)
    with pytest.raises(
        HardwareError,
        match=r"needed by layers stem, block0\.conv0, block0\.conv1 and 46 more; take a table",
    ):
        estimate(LARGE, EDGE, bare)
    with pytest.raises(HardwareError, match="no row for sram of 64 KiB, read of 64 bits; it has no sram rows"):
        estimate(Trace("t", "hardware", (relu("r", 8, (Operand(8, 8),)),)), EDGE, priced("cmp", "mux"))
    with pytest.raises(HardwareError, match="energy table 'bare' has no row for dram of kind 'dram'; it has no dram rows"):
        memory = "sram,access,,1..99,,pJ/bit,45,0.9,polynomial 1,b"
        estimate(Trace("t", "hardware", (relu("r", 8, (Operand(8, 8),)),)), EDGE, priced("cmp", "mux", more=memory))


def test_a_missing_price_of_a_memory_or_dram_names_the_layers_that_move_words_there():
    bits = "sram,access,,1..99,,pJ/bit,45,0.9,polynomial 1,b"
    larger = msgspec.structs.replace(EDGE.buffers.weight, capacity_kib=128)
    apart = msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, weight=larger))
    for machine, more, message in (
        (EDGE, "", "sram of 64 KiB, read of 64 bits; it has no sram rows; needed by layers conv1, conv2, add and 1 more"),
        (
            apart,
            bits,
            "sram of 128 KiB, read of 64 bits; it has access of 1..99 KiB; needed by layers conv1, bn1, conv2 and 2",
        ),
        (EDGE, bits, "dram of kind 'dram'; it has no dram rows; needed by layers conv1, bn1, conv2 and 2 more"),
    ):
        with pytest.raises(PriceError, match=re.escape(f"energy table 'bare' has no row for {message}")):
            estimate(SMALL, machine, priced("add", "mul", "shift", "cmp", "mux", more=more))


def test_a_memory_too_small_for_one_tile_is_told_before_the_table_that_cannot_price_it():
    tiny = msgspec.structs.replace(EDGE.buffers.input, capacity_kib=0.01)
    machine = msgspec.structs.replace(EDGE, buffers=msgspec.structs.replace(EDGE.buffers, input=tiny))
    with pytest.raises(HardwareError, match=r"layer conv1: .*buffers\.input of 0\.01 KiB gives tiles 0 words of 64 bits"):
        estimate(SMALL, machine)
    with pytest.raises(HardwareError, match=r"buffers\.input of 0\.01 KiB gives tiles 0 words"):
        estimate_range(SMALL, machine)
    no_windows = Trace("t", "hardware", (relu("r", 8, (Operand(8, 8),)),))
    with pytest.raises(PriceError, match="sram of 0.01 KiB, read of 64 bits; it has access of .*; needed by layers r; take a"):
        estimate(no_windows, machine)


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, "2", 1_000_001, 10**20])
def test_a_batch_is_a_positive_whole_number(batch):
    with pytest.raises(HardwareError, match=re.escape(f"batch: found {batch!r}, needs a whole number in 1..1,000,000")):
        estimate(SMALL, EDGE, batch=batch)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"objective": "cheap"}, "objective: found 'cheap', needs one of energy-delay, energy, latency, dram"),
        ({"compat": "timeloop"}, "compat: found 'timeloop', needs one of scalesim"),
    ],
)
def test_an_unknown_option_is_refused(option, message):
    with pytest.raises(HardwareError, match=re.escape(message)):
        estimate(SMALL, EDGE, **option)


def test_compat_mode_says_what_it_leaves_out():
    """An accelerator that fuses layers, or another objective, changed nothing and nothing said so."""
    buffers = msgspec.structs.replace(EDGE.buffers, fuse_layers=True)
    array = msgspec.structs.replace(EDGE.array, overlapped_folds=True)
    more = msgspec.structs.replace(EDGE, buffers=buffers, array=array)
    plain, found = estimate(SMALL, EDGE, compat="scalesim"), estimate(SMALL, more, compat="scalesim", objective="latency")
    assert plain.notes() == {}
    assert found.notes() == {UNKNOWN: ("array.overlapped_folds", "buffers.fuse_layers", "the objective")}
    assert found.layers == plain.layers


def test_compat_mode_knows_window_layers_alone():
    cost = estimate(SMALL, EDGE, batch=2, compat="scalesim")
    assert [layer.name for layer in cost.layers if layer.cycles] == ["conv1", "conv2", "fc"]
    assert cost.layers[0].cycles == 8 * (16 + 16 + 27 - 2) - 1
    assert cost.taps == sum(layer.taps for layer in cost.layers)


def test_what_is_made_least_is_least():
    found = {objective: estimate(LARGE, EDGE, objective=objective) for objective in ("energy", "latency", "dram")}
    assert min(found.values(), key=lambda cost: cost.energy_pj) is found["energy"]
    assert min(cost.dram_bytes for cost in found.values()) == found["dram"].dram_bytes
    compute = {objective: sum(layer.compute_cycles for layer in cost.layers) for objective, cost in found.items()}
    assert min(compute.values()) == compute["latency"]


@pytest.mark.parametrize("examples", [10, pytest.param(300, marks=pytest.mark.slow)])
def test_more_bits_never_cost_less(examples):
    def cost(width, table, accelerator):
        layer = window("conv", 256, 288, 32, inputs=8192, bits=width, accumulator_bits=2 * width + 8)
        return estimate(Trace("t", "hardware", (layer,)), fetching_weights(load_accelerator(accelerator)), table)

    @settings(max_examples=examples)
    @given(st.integers(2, 15), st.sampled_from(PRICED))
    def compare(bits, pair):
        accelerator, table = pair
        narrow, wide = (cost(width, table, accelerator) for width in (bits, bits + 1))
        assert narrow.energy_pj <= wide.energy_pj * (1 + 1e-12)
        assert narrow.cycles <= wide.cycles
        for part, energy in narrow.energy_by_part().items():
            assert energy <= wide.energy_by_part()[part] * (1 + 1e-9)

    compare()


def test_a_trace_of_160_layers_is_worked_out_in_few_calls():
    """Calls of functions, which no other process makes slower: some 4,000 a millisecond."""
    assert len(LARGE.layers) == 162
    estimate(LARGE, "systolic-16x16")
    assert calls(lambda: estimate(LARGE, "systolic-16x16")) < 65_000


def test_utilisation_has_one_meaning():
    """Taps over elements times the cycles that pass, of a layer, a stage and the network, also where DRAM is waited for."""
    slow = msgspec.structs.replace(EDGE, dram=msgspec.structs.replace(EDGE.dram, bandwidth_gb_s=0.1))
    for machine in (EDGE, slow):
        one = estimate(Trace("t", "hardware", (window("fc", 1, 2000, 2000, inputs=2000),)), machine, batch=3)
        assert one.layers[0].utilisation == one.utilisation == one.taps / (one.cycles * 256)
        cost = estimate(small_residual_network(), machine)
        assert cost.utilisation == pytest.approx(
            sum(layer.utilisation * layer.cycles for layer in cost.layers) / cost.cycles, rel=1e-12
        )
        assert all(layer.utilisation == 0 for layer in cost.layers if not layer.cycles)
    assert estimate(small_residual_network(), slow).utilisation < 0.1 * estimate(small_residual_network(), EDGE).utilisation


def test_a_layer_that_does_nothing_but_store_moves_its_words():
    copy = LayerTrace("copy", "requantise", OpCounts(), (Operand(10, 16),), Operand(10, 8))
    (found,) = estimate(Trace("t", "hardware", (copy,)), EDGE).layers
    assert [(access.level, access.operand, access.words) for access in found.accesses] == [
        ("buffer", "input", 20), ("dram", "input", 10), ("buffer", "output", 20), ("dram", "output", 10),
    ]  # fmt: skip
    assert (found.compute_cycles, found.utilisation, found.bound) == (0, 0, "buffer")  # two cycles, as long as DRAM takes


def test_unit_energies_are_had_by_their_old_names_too():
    assert Price is UnitEnergy
    used = UnitEnergyUsed("add 8 bit", "operation", UnitEnergy(0.03, "exact", "a book"))
    assert used.price == used.energy == (0.03, "exact", "a book")
