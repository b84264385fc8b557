import re

import msgspec
import pytest
from hardware_traces import relu, window
from hypothesis import given
from hypothesis import strategies as st

from addersim.errors import HardwareError
from addersim.hardware import load_accelerator
from addersim.hardware.array import run_on_array
from addersim.hardware.energy_file import load_table
from addersim.hardware.mapping import Placement
from addersim.hardware.memory import output_accesses, vector_accesses
from addersim.hardware.movement import MovementPrices
from addersim.trace import Operand

EDGE = load_accelerator("systolic-16x16")
TABLE = load_table("qtools-45nm")


def machine(dataflow="output", side=16, **kib):
    array = msgspec.structs.replace(EDGE.array, rows=side, columns=side, dataflow=dataflow)
    prices = {"read_pj_per_word": 10, "write_pj_per_word": 10, "source": "made up"}
    sizes = {
        name: msgspec.structs.replace(getattr(EDGE.buffers, name), capacity_kib=size, **prices) for name, size in kib.items()
    }
    return msgspec.structs.replace(EDGE, array=array, buffers=msgspec.structs.replace(EDGE.buffers, **sizes))


def moved(layer, on, batch=1, kept=False, spilled=True):
    if layer.work is None:
        found = vector_accesses(layer, batch, (kept,) * len(layer.inputs))
    else:
        found = run_on_array(layer, on, batch, Placement(kept, not spilled), MovementPrices(on, TABLE)).accesses
    found += output_accesses(layer, batch, not spilled)
    return {(access.level, access.operand): (access.reads, access.writes, access.bits) for access in found}


def dram_words(found):
    return {operand: reads + writes for (level, operand), (reads, writes, _) in found.items() if level == "dram"}


LAYER = window("conv", 64, 576, 64, inputs=4096, accumulator_bits=20)  # 64->64 of ResNet-20: 4 x 36 x 4 folds at 16 x 16


def test_output_stationary_by_hand():
    assert moved(LAYER, EDGE) == {
        ("buffer", "input"): (64 * 576 * 4, 4096, 8),
        ("dram", "input"): (4096, 0, 8),
        ("buffer", "weight"): (576 * 64 * 4, 576 * 64, 8),
        ("dram", "weight"): (576 * 64, 0, 8),
        ("buffer", "output"): (4096, 4096, 20),
        ("dram", "output"): (0, 4096, 20),
    }


def test_weight_stationary_keeps_its_partial_sums_on_chip():
    found = moved(LAYER, machine("weight"), kept=True, spilled=False)
    assert found == {
        ("buffer", "input"): (64 * 576 * 4, 0, 8),
        ("buffer", "weight"): (576 * 64, 576 * 64, 8),
        ("dram", "weight"): (576 * 64, 0, 8),
        ("buffer", "partial_sum"): (4096 * 35, 4096 * 35, 20),
        ("buffer", "output"): (0, 4096, 20),
    }


def test_input_stationary():
    found = moved(LAYER, machine("input"))
    assert found["buffer", "input"] == (64 * 576, 4096, 8)
    assert found["buffer", "weight"] == (576 * 64 * 4, 576 * 64, 8)
    assert found["buffer", "partial_sum"] == (4096 * 35, 4096 * 35, 20)


def test_a_fused_output_moves_nothing():
    fused = window("conv", 64, 576, 64, inputs=4096, fused=True)
    assert not [key for key in moved(fused, EDGE) if key[1] == "output"]


def test_a_vector_layer_reads_and_writes_each_word_once():
    layer = relu("relu", 100, (Operand(100, 8),))
    assert moved(layer, EDGE, batch=3, kept=True, spilled=False) == {
        ("buffer", "input"): (300, 0, 8),
        ("buffer", "output"): (0, 300, 8),
    }
    assert moved(layer, EDGE)["dram", "input"] == (100, 0, 8)


def test_a_batch_fetches_the_weights_once():
    found = moved(LAYER, EDGE, batch=5)
    assert found["dram", "weight"] == (576 * 64, 0, 8)
    assert found["dram", "input"] == (5 * 4096, 0, 8)
    assert found["buffer", "weight"][0] == 576 * 64 * 20  # 5 x 64 pixels on 16 rows


def test_an_operand_that_does_not_fit_is_fetched_once_a_pass_unless_the_outer_loop_holds_its_tile():
    # 36 KiB of weights, 4 KiB of inputs; a tile of weights is 576 x 16 = 9 KiB, one of inputs is all of them
    assert dram_words(moved(LAYER, machine(weight=9, input=4))) == {"weight": 36864, "input": 4096, "output": 4096}
    assert dram_words(moved(LAYER, machine(weight=9, input=3))) == {"weight": 36864, "input": 4 * 4096, "output": 4096}
    assert dram_words(moved(LAYER, machine(weight=8, input=4)))["weight"] == 4 * 36864
    assert dram_words(moved(LAYER, machine("weight", weight=1, input=1))) == {"weight": 36864, "input": 16384, "output": 4096}
    assert dram_words(moved(LAYER, machine("input", weight=1, input=1)))["weight"] == 4 * 36864


def test_an_output_stationary_array_holds_as_many_tiles_as_fit():
    # 256 pixels x 64 taps x 128 filters on 16 x 16: 16 KiB of inputs in tiles of 1 KiB, 8 KiB of weights in 8 tiles of 1 KiB
    layer = window("conv", 256, 64, 128, inputs=256 * 64)
    by_weight_kib = {kib: dram_words(moved(layer, machine(weight=kib, input=1)))["input"] // (256 * 64) for kib in range(1, 9)}
    assert by_weight_kib == {1: 8, 2: 4, 3: 3, 4: 2, 5: 2, 6: 2, 7: 2, 8: 1}
    # fewer bits if the inputs are held: the weights pass once for every 7 of the 16 tiles of inputs
    found = dram_words(moved(layer, machine(weight=1, input=7)))
    assert (found["input"], found["weight"]) == (256 * 64, 3 * 64 * 128)
    # without room for a tile that passes by, it comes from DRAM for every fold
    found = dram_words(moved(layer, machine(weight=7, input=0.5)))
    assert (found["input"], found["weight"]) == (8 * 256 * 64, 64 * 128)


def test_stationary_arrays_hold_only_what_is_stationary():
    layer = window("conv", 256, 64, 128, inputs=256 * 64)
    found = dram_words(moved(layer, machine("input", weight=1, input=1)))
    assert (found["input"], found["weight"]) == (256 * 64, 16 * 64 * 128)
    found = dram_words(moved(layer, machine("weight", weight=1, input=1)))
    assert (found["input"], found["weight"]) == (8 * 256 * 64, 64 * 128)


def test_a_stride_skips_words_that_no_window_reads():
    pointwise = window("conv", 64, 16, 32, inputs=4 * 64 * 16)
    assert dram_words(moved(pointwise, EDGE))["input"] == 64 * 16


def test_constants_beside_the_matrix_are_read_once():
    layer = window("conv", 64, 16, 32, inputs=1024)
    with_bias = type(layer)(**{name: getattr(layer, name) for name in layer.__slots__} | {"weights": Operand(16 * 32 + 32, 8)})
    assert moved(with_bias, EDGE)["buffer", "weight"][0] == moved(layer, EDGE)["buffer", "weight"][0] + 32


@pytest.mark.parametrize(
    ("layer", "on", "message"),
    [
        (
            LAYER,
            machine("weight", output=0.02),
            "layer conv: accelerator 'systolic-16x16': buffers.output of 0.02 KiB holds 6 partial sums of 20 bits, needs 16",
        ),
        (
            window("one", 4, 4, 4, inputs=16).__class__(
                **{name: getattr(LAYER, name) for name in LAYER.__slots__} | {"inputs": ()}
            ),
            EDGE,
            "layer conv: a matrix product of 0 stored inputs; the array takes 1",
        ),
        (
            LAYER.__class__(**{name: getattr(LAYER, name) for name in LAYER.__slots__} | {"weights": Operand(10, 8)}),
            EDGE,
            "layer conv: 10 stored weights, but its matrix product takes 36864",
        ),
    ],
)
def test_what_the_array_cannot_run_is_refused(layer, on, message):
    with pytest.raises(HardwareError, match=re.escape(message)):
        run_on_array(layer, on, 1, Placement(False, False), MovementPrices(on, TABLE))


LAYERS = st.builds(
    lambda pixels, taps, filters, groups, share, bits: window(
        "w", pixels, taps, filters, inputs=max(1, pixels * taps * groups * share // 100), groups=groups, bits=bits
    ),
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 80), st.integers(1, 4), st.integers(5, 100), st.integers(2, 16),
)  # fmt: skip
DATAFLOWS = st.sampled_from(("output", "weight", "input"))
KIB = st.integers(1, 40)


@given(LAYERS, DATAFLOWS, KIB, KIB, KIB, st.integers(1, 3))
def test_unique_words_at_least_and_no_reuse_at_most(layer, dataflow, input_kib, weight_kib, output_kib, batch):
    on = machine(dataflow, 8, input=input_kib, weight=weight_kib, output=output_kib)
    found, work = moved(layer, on, batch), layer.work
    unique = min(layer.inputs[0].words * batch, work.pixels * work.window * work.groups * batch)
    assert unique <= found["dram", "input"][0] <= found["buffer", "input"][0] <= work.taps * batch
    assert layer.weights.words <= found["dram", "weight"][0] <= found["buffer", "weight"][0] <= work.taps * batch


@given(LAYERS, DATAFLOWS, KIB, KIB, KIB, KIB, KIB, KIB)
def test_larger_buffers_never_move_more_bits_through_dram(layer, dataflow, inputs, weights, outputs, more_i, more_w, more_o):
    small = machine(dataflow, 8, input=inputs, weight=weights, output=outputs)
    large = machine(dataflow, 8, input=inputs + more_i, weight=weights + more_w, output=outputs + more_o)

    def bits(on):
        return sum(
            (reads + writes) * width for (level, _), (reads, writes, width) in moved(layer, on).items() if level == "dram"
        )

    assert bits(large) <= bits(small)
