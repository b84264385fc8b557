import re
from dataclasses import replace

import msgspec
import pytest

from addersim.errors import HardwareError, PriceError
from addersim.hardware import load_accelerator
from addersim.hardware.dataflow.array_run import Placement
from addersim.hardware.dataflow.dispatch import run_on_array
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import (
    Access,
    ArrayTraffic,
    Widths,
    array_traffic,
    output_traffic,
    stored_outputs,
    vector_traffic,
)
from addersim.trace import Operand
from tests.unit.hardware.traces import batch_norm, relu, window

EDGE = load_accelerator("systolic-16x16")
GIVEN = {"read_pj_per_word": 10, "write_pj_per_word": 10, "source": "made up"}
TABLE = load_table("qtools-45nm")


def machine(dataflow="output", side=16, **kib):
    array = msgspec.structs.replace(EDGE.array, rows=side, columns=side, dataflow=dataflow)
    sizes = {
        name: msgspec.structs.replace(getattr(EDGE.buffers, name), capacity_kib=size, **GIVEN) for name, size in kib.items()
    }
    return msgspec.structs.replace(EDGE, array=array, buffers=msgspec.structs.replace(EDGE.buffers, **sizes))


def moved(layer, on, batch=1, kept=False, spilled=True):
    if layer.work is None:
        found = vector_traffic(layer, batch, (kept,) * len(layer.inputs))
    else:
        found = run_on_array([(layer, Placement(kept, not spilled))], on, batch, MovementEnergy(on, TABLE))[0].accesses
    found += output_traffic(stored_outputs(layer, batch), layer.output.bits, not spilled)
    return {(one.level, one.operand): (one.reads, one.writes, one.bits) for one in found if one.words}


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
    found = moved(LAYER, machine(input=128), batch=5)
    assert found["dram", "weight"] == (576 * 64, 0, 8)
    assert found["dram", "input"] == (5 * 4096, 0, 8)
    assert found["buffer", "weight"][0] == 576 * 64 * 20  # 5 x 64 pixels on 16 rows


def test_a_stride_skips_words_that_no_window_reads():
    pointwise = window("conv", 64, 16, 32, inputs=4 * 64 * 16)
    assert dram_words(moved(pointwise, EDGE))["input"] == 64 * 16


def test_constants_beside_the_matrix_are_read_once():
    layer = window("conv", 64, 16, 32, inputs=1024)
    with_bias = type(layer)(**{name: getattr(layer, name) for name in layer.__slots__} | {"weights": Operand(16 * 32 + 32, 8)})
    assert moved(with_bias, EDGE)["buffer", "weight"][0] == moved(layer, EDGE)["buffer", "weight"][0] + 32


def smaller(on, **kib):
    memories = on.buffers.memories()
    sizes = {name: msgspec.structs.replace(memories[name], capacity_kib=size, **GIVEN) for name, size in kib.items()}
    return msgspec.structs.replace(on, buffers=msgspec.structs.replace(on.buffers, **sizes))


def unified(on, kib):
    memory = msgspec.structs.replace(on.buffers.input, capacity_kib=kib, **GIVEN)
    buffers = msgspec.structs.replace(on.buffers, input=None, weight=None, output=None, unified=memory)
    return msgspec.structs.replace(on, buffers=buffers)


def changed(layer, **fields):
    return replace(layer, **fields)


LARGE = window("conv", 256, 576, 64, inputs=4096, accumulator_bits=20)  # tiles of so many sums are whole folds


@pytest.mark.parametrize(
    ("layer", "on", "message"),
    [
        (
            LARGE,
            smaller(machine("weight"), weight=0.1),
            "layer conv: accelerator 'systolic-16x16': buffers.weight of 0.1 KiB gives tiles 6 words of 64 bits; "
            "the smallest, at most one fold, holds 256 weights of 8 bits",
        ),
        (
            LARGE,
            smaller(machine("weight"), output=0.1),
            "buffers.output of 0.1 KiB gives tiles 3 words of 64 bits",
        ),
        (LARGE, smaller(machine("weight"), output=0.1), "holds 16 partial sums of 20 bits"),
        (
            LARGE,
            smaller(machine("output"), input=0.01),
            "buffers.input of 0.01 KiB gives tiles 0 words of 64 bits",
        ),
        (
            LARGE,
            unified(machine("weight"), 1),
            "buffers.unified of 1 KiB gives tiles 32 words of 64 bits; the smallest, at most one fold, holds 16 inputs of 8 "
            "bits and 256 weights of 8 bits and 16 partial sums of 20 bits",
        ),
        (changed(LAYER, inputs=()), EDGE, "layer conv: a matrix product of 0 stored inputs; the array takes 1"),
        (
            changed(LAYER, weights=Operand(10, 8)),
            EDGE,
            "layer conv: 10 stored weights, but its matrix product takes 36864",
        ),
        (
            LARGE,
            msgspec.structs.replace(EDGE, array=msgspec.structs.replace(EDGE.array, datapaths=("l1-2a", "l1-xor"))),
            "layer conv: needs the datapath mac, but the array of accelerator 'systolic-16x16' has l1-2a, l1-xor; allowed:",
        ),
    ],
)
def test_what_the_array_cannot_run_is_refused(layer, on, message):
    with pytest.raises(HardwareError, match=re.escape(message)) as caught:
        run_on_array([(layer, Placement(False, False))], on, 1, MovementEnergy(on, TABLE))
    assert "\n" not in str(caught.value)


def test_sums_that_leave_wait_in_the_output_memory_too():
    """Five sums between folds and three between tiles: all pass the memory both ways, the three DRAM as well."""
    traffic = ArrayTraffic(input_fills=1, weight_fills=2, spilled_sums=3, input_reads=10, weight_reads=20, partial_sums=5)
    assert array_traffic(Widths(8, 6, 24), traffic, input_kept=False) == (
        Access("buffer", "input", 10, 1, 8),
        Access("dram", "input", 1, 0, 8),
        Access("buffer", "weight", 20, 2, 6),
        Access("dram", "weight", 2, 0, 6),
        Access("buffer", "partial_sum", 8, 8, 24),
        Access("dram", "partial_sum", 3, 3, 24),
    )


def test_constants_of_a_vector_layer_are_fetched_once_and_read_by_every_image():
    layer = batch_norm("bn", 64, 4, inputs=(Operand(64, 20),))
    assert vector_traffic(layer, 3, (True,)) == (
        Access("buffer", "input", 192, 0, 20),
        Access("buffer", "weight", 12, 4, 54),
        Access("dram", "weight", 4, 0, 54),
    )


def test_a_missing_unit_energy_names_no_layers_where_none_are_known():
    energies = MovementEnergy(EDGE, TABLE)
    with pytest.raises(PriceError, match=r"it has no register rows; this array moves words there"):
        energies.energy_pj(Access("register", "input", 1, 0, 8))
