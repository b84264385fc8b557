"""Layers on a row stationary array: what the accelerator's record, its memories and a trace make of the mapping."""

import re
from dataclasses import replace

import pytest
from msgspec.structs import replace as change

from addersim import Quantization, count, quantize
from addersim.arithmetic.arithmetics import BY_TABLE
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError, PriceError
from addersim.hardware import estimate, load_accelerator
from addersim.hardware.accelerator import Buffer, Buffers
from addersim.hardware.area import inventory
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.row_array import row_shape
from addersim.hardware.dataflow.row_array import run_rows as run_with
from addersim.hardware.latency import buffer_cycles
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.scalesim.compute_report import compute_report
from addersim.hardware.table_range import estimate_range
from addersim.hardware.traffic import output_traffic, stored_outputs
from addersim.trace import Operand, Trace
from tests.unit.hardware.traces import window
from tests.unit.multipliers import multiplier
from tests.unit.networks import residual

EYERISS = load_accelerator("eyeriss-65nm")
TABLE = load_table("eyeriss-65nm")
GEOMETRY = Geometry((3, 3), padding=(1, 1))
PRICES = {"read_pj_per_word": 6.0, "write_pj_per_word": 6.0, "source": "made up"}
AWAY = Placement(input_kept=False, output_kept=False)


def run_rows(layer, on, batch, placement, objective=None, beside=None):
    return run_with(layer, on, batch, placement, MovementEnergy(on, TABLE), objective, beside)


def convolution(channels=16, filters=32, side=14, geometry=GEOMETRY, **more):
    taps = channels * geometry.kernel[0] * geometry.kernel[1]
    rows, columns = geometry.output_size(side, side)
    layer = window("conv", rows * columns, taps, filters, inputs=channels * side * side, bits=16, sources=(-1,), **more)
    return replace(layer, work=replace(layer.work, geometry=geometry, image=(side, side)))


def with_buffer(**changes):
    return change(EYERISS, buffers=change(EYERISS.buffers, **changes))


def with_scratchpads(**changes):
    return change(EYERISS, array=change(EYERISS.array, row_stationary=change(EYERISS.array.row_stationary, **changes)))


def moved(run, level, operand):
    return sum(access.words for access in run.accesses if (access.level, access.operand) == (level, operand))


@pytest.mark.parametrize("datapath", DATAPATHS)
def test_networks_of_every_datapath_run(datapath):
    arithmetic = DATAPATHS[datapath].arithmetic.name
    how = Quantization(circuit=datapath.removeprefix("l1-")) if arithmetic == "l1" else Quantization(activation_bits=7)
    if arithmetic == BY_TABLE.name:
        table = multiplier(signed=datapath == "table", relative_energy=0.5)
        program = quantize(residual(arithmetic="mac"), None, how).with_multiplier(table)
    else:
        program = quantize(residual(arithmetic=arithmetic), None, how)
    cost = estimate(count(program), EYERISS, "eyeriss-65nm", batch=2)
    windows = [layer for layer in cost.layers if layer.taps]
    assert {datapath} <= {layer.datapath for layer in windows}
    assert all(0 < layer.utilisation <= layer.mapping_efficiency <= 1 for layer in windows)
    assert {"register", "network", "buffer", "dram"} <= cost.energy_by_component().keys()
    assert sum(part.energy_pj for layer in cost.layers for part in layer.parts) == cost.energy_pj


def test_every_tap_uses_the_scratchpads():
    layer = convolution()
    run = run_rows(layer, EYERISS, 3, AWAY)
    taps = 3 * layer.work.taps
    reads = {access.operand: access.reads for access in run.accesses if access.level == "register"}
    assert reads == {"input": taps, "weight": taps, "partial_sum": taps}
    assert run.cycles * 168 >= taps


def test_an_input_on_chip_is_not_fetched():
    layer = convolution()
    kept = run_rows(layer, EYERISS, 1, Placement(input_kept=True, output_kept=False))
    assert moved(kept, "dram", "input") == 0
    assert moved(kept, "dram", "weight") == layer.weights.words


def test_stored_words_beside_the_weights_move_once():
    layer = convolution()
    biased = replace(layer, weights=Operand(layer.weights.words + 32, 16))
    for level, more in (("dram", 32), ("buffer", 64), ("network", 0), ("register", 0)):
        plain, extra = (moved(run_rows(one, EYERISS, 1, AWAY), level, "weight") for one in (layer, biased))
        assert extra - plain == more


def test_double_buffering_leaves_half_a_memory():
    """DRAM words are those of half a memory where all that is held is exchanged."""
    layer = convolution(channels=256, filters=384, side=13)
    half = change(EYERISS.buffers.unified, capacity_kib=EYERISS.buffers.unified.capacity_kib / 2)
    one, other = (
        run_rows(layer, with_buffer(**how), 4, AWAY, "dram") for how in ({"double_buffered": True}, {"unified": half})
    )
    whole = run_rows(layer, EYERISS, 4, AWAY, "dram")
    words = [sum(moved(run, "dram", operand) for operand in ("input", "weight")) for run in (whole, one, other)]
    assert words[0] < words[1] <= words[2]


def test_an_input_that_stays_takes_no_second_half():
    """512 words of 16 bits hold the 400 inputs of a channel, 9 weights and 9 sums for good, but not twice."""
    layer, part = convolution(channels=1, filters=8, side=20, geometry=Geometry((3, 3))), EYERISS.buffers.unified
    layer = replace(layer, accumulator_bits=16)
    run = run_rows(layer, with_buffer(double_buffered=True, unified=change(part, capacity_kib=1)), 1, AWAY, "dram")
    assert (moved(run, "dram", "input"), moved(run, "dram", "weight")) == (400, 72)


def test_memories_apart_hold_each_their_operand():
    part = change(EYERISS.buffers.unified, capacity_kib=36)
    apart = with_buffer(unified=None, input=part, weight=part, output=part)
    run = run_rows(convolution(channels=64, filters=64), apart, 4, AWAY)
    assert moved(run, "dram", "weight") >= 64 * 64 * 9
    small = change(part, capacity_kib=0.01)
    with pytest.raises(HardwareError, match="do not hold one row stationary pass"):
        run_rows(convolution(channels=64, filters=64), change(apart, buffers=change(apart.buffers, output=small)), 4, AWAY)


def test_memories_apart_do_not_share_their_room():
    """One pass takes 60 inputs, 9 weights and 18 sums: more than 64 words together, less than that each."""
    layer, part = convolution(channels=2, filters=2, side=20, geometry=Geometry((3, 3))), EYERISS.buffers.unified
    part = change(part, capacity_kib=64 * 16 / 8192, **PRICES)
    layer = replace(layer, accumulator_bits=16)
    assert run_rows(layer, with_buffer(unified=None, input=part, weight=part, output=part), 1, AWAY).cycles
    with pytest.raises(HardwareError, match="do not hold one row stationary pass: at least 60 inputs"):
        run_rows(layer, with_buffer(unified=part), 1, AWAY)


@pytest.mark.parametrize("objective", ["energy-delay", "energy", "latency", "dram"])
@pytest.mark.parametrize("double_buffered", [True, False])
def test_what_the_mapper_weighs_is_what_the_layer_costs(objective, double_buffered):
    """No objective's own value, of all that the layer reports, is beaten by the mapping of another."""
    layer, machine = convolution(channels=32, filters=24, side=13), with_buffer(double_buffered=double_buffered)
    beside = Beside(vector=500, energy_pj=1e6, leakage_pj=3.0)

    def value(made_for):
        run = run_rows(layer, machine, 4, AWAY, made_for, beside)
        accesses = (*run.accesses, *output_traffic(stored_outputs(layer, 4), layer.output.bits, False))
        energy = 1e6 + sum(map(MovementEnergy(machine, TABLE).energy_pj, accesses)) + 3.0 * run.stage_cycles
        bits = sum(access.size_bits for access in accesses if access.level == "dram")
        busy = max(run.cycles, 500, *buffer_cycles(accesses, machine.buffers).values())
        if double_buffered:
            assert max(busy, bits / machine.dram_bits_per_cycle) < run.stage_cycles
        else:
            assert run.stage_cycles == -(-(busy + bits / machine.dram_bits_per_cycle) // 1)
        cycles = run.stage_cycles
        return {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]

    assert all(value(objective) <= value(other) * (1 + 1e-12) for other in ("energy-delay", "energy", "latency", "dram"))


def test_narrow_operands_lie_side_by_side_in_scratchpads():
    layer = convolution(channels=64)
    wide = replace(layer, inputs=(Operand(64 * 196, 8),), weights=Operand(layer.weights.words, 8), accumulator_bits=8)
    narrow = run_rows(wide, EYERISS, 1, AWAY)
    doubled = with_scratchpads(input_words=24, weight_words=448, sum_words=48, word_bits=8)
    assert (narrow.cycles, narrow.tiling) == (run_rows(wide, doubled, 1, AWAY).cycles, run_rows(wide, doubled, 1, AWAY).tiling)
    assert moved(narrow, "network", "partial_sum") < moved(run_rows(layer, EYERISS, 1, AWAY), "network", "partial_sum")


def test_the_aim_of_the_mapping_is_the_records():
    layer = convolution(channels=256, filters=384, side=27)
    runs = {least: run_rows(layer, with_scratchpads(least=least), 4, AWAY) for least in ("latency", "dram", "energy")}
    dram = {least: sum(moved(run, "dram", operand) for operand in ("input", "weight")) for least, run in runs.items()}
    assert min(run.stage_cycles for run in runs.values()) == runs["latency"].stage_cycles
    assert min(dram.values()) == dram["dram"]
    assert dram["dram"] < dram["latency"]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            window("fc", 1, 64, 10, inputs=64),
            "layer fc: its trace does not say how the window moves (geometry, image); row stationary needs that",
        ),
        (
            replace(convolution(), work=replace(convolution().work, pixels=7)),
            "layer conv: its geometry gives 903168 taps, its matrix product has 32256",
        ),
        (
            convolution(side=20, geometry=Geometry((13, 3))),
            "layer conv: accelerator 'eyeriss-65nm': a kernel of 13 rows is taller than the row stationary array of 12 rows; "
            "take an array of at least 13 rows, or another dataflow",
        ),
        (
            convolution(accumulator_bits=400),
            "layer conv: accelerator 'eyeriss-65nm': the sum scratchpad holds no word of the accumulator; enlarge it",
        ),
    ],
)
def test_what_cannot_run_is_refused(layer, message):
    with pytest.raises(HardwareError, match=re.escape(message)):
        run_rows(layer, EYERISS, 1, AWAY)


def test_a_table_without_registers_is_refused():
    trace = Trace("t", "hardware", (convolution(),))
    message = "energy table 'horowitz-45nm' has no row for register, read of 16 bits; it has no register rows; needed by "
    message += "layers conv; this array moves words there"
    with pytest.raises(PriceError, match=message):
        estimate(trace, EYERISS, "horowitz-45nm")
    priced = {cost.table for cost in estimate_range(trace, EYERISS).costs}
    assert {"eyeriss-65nm", "sg13g2-gates", "aladdin-cacti-45nm"} <= priced
    assert not priced & {"horowitz-45nm", "qtools-45nm"}


def test_area_counts_the_scratchpads():
    trace = Trace("t", "hardware", (convolution(),))
    counted = {part.what: part.number for part in inventory(trace, EYERISS)}
    words = [counted[f"{name} scratchpad register of 16 bits"] for name in ("input", "weight", "sum")]
    assert words == [168 * 12, 168 * 224, 168 * 24]


def test_scale_sims_report_does_not_describe_rows():
    trace = Trace("t", "hardware", (convolution(),))
    with pytest.raises(
        HardwareError, match="the array is row stationary: systolic folds, and SCALE-Sim.s reports, do not describe it"
    ):
        compute_report(trace, estimate(trace, EYERISS, "eyeriss-65nm"), EYERISS)


def test_a_linear_layer_has_a_shape_of_one_pixel():
    layer = convolution(channels=64, filters=10, side=1, geometry=Geometry((1, 1)))
    assert row_shape(layer, 5).outputs == (1, 1)
    assert row_shape(layer, 5).taps == 5 * 640


@pytest.mark.parametrize(("words", "fits"), [(9, True), (8, False)])
def test_a_mapping_may_fill_a_memory_to_its_last_word(words, fits):
    """The least that a pass can hold of a 3 x 3 kernel is one filter of one channel: nine weights, a word each."""
    memories = {name: Buffer(capacity_kib=64, word_bits=16) for name in ("input", "output")}
    weight = Buffer(capacity_kib=words * 16 / 8192, word_bits=16, **PRICES)
    buffers = Buffers(**memories, weight=weight, keep_activations=False, double_buffered=False)
    on = change(EYERISS, buffers=buffers)
    if fits:
        assert run_rows(convolution(), on, 1, AWAY).cycles > 0
    else:
        with pytest.raises(HardwareError, match="layer conv: accelerator 'eyeriss-65nm'"):
            run_rows(convolution(), on, 1, AWAY)
