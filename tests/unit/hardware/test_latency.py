"""Cycles are whole: what is begun is finished."""

import msgspec
import pytest

from addersim.hardware import load_accelerator
from addersim.hardware.latency import LayerCycles, buffer_cycles, dram_cycles, stage_cycles, vector_cycles
from addersim.hardware.traffic import Access

EDGE = load_accelerator("systolic-16x16")


@pytest.mark.parametrize(("operations", "cycles"), [(0, 0), (1, 1), (16, 1), (17, 2), (32, 2)])
def test_vector_cycles(operations, cycles):
    assert vector_cycles(operations, msgspec.structs.replace(EDGE, vector=type(EDGE.vector)(lanes=16))) == cycles


@pytest.mark.parametrize(("words", "cycles"), [(4, 1), (5, 2), (8, 2)])
def test_banks_serve_a_word_each(words, cycles):
    memory = msgspec.structs.replace(EDGE.buffers.input, banks=4, word_bits=16)
    buffers = msgspec.structs.replace(EDGE.buffers, input=memory)
    assert buffer_cycles([Access("buffer", "input", words - 1, 1, 16)], buffers) == {"input": cycles}


def test_a_bit_of_dram_takes_a_cycle():
    bits = EDGE.dram_bits_per_cycle
    assert [dram_cycles(int(number * bits), EDGE) for number in (0, 1, 2)] == [0, 1, 2]
    assert dram_cycles(int(bits) + 1, EDGE) == 2


def test_transfers_that_do_not_overlap_come_on_top():
    layers = [LayerCycles(5, 3, 4), LayerCycles(0, 4, 2)]
    assert stage_cycles(layers, overlapped=True) == (7, "vector")
    assert stage_cycles(layers, overlapped=False) == (13, "vector")
