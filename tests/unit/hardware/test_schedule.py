import re
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.arithmetic.ops import OpCounts
from addersim.errors import HardwareError
from addersim.hardware import load_accelerator
from addersim.hardware.schedule import kept_on_chip, schedule
from addersim.trace import LayerTrace, Operand, Trace
from tests.unit.hardware.traces import add, batch_norm, relu, small_residual_network, window

BUFFERS = load_accelerator("systolic-16x16").buffers


def buffers(input_kib, output_kib, keep=True):
    sizes = {"input": 2 * input_kib, "output": 2 * output_kib}  # half of a memory holds activations
    parts = {name: msgspec.structs.replace(getattr(BUFFERS, name), capacity_kib=kib) for name, kib in sizes.items()}
    return msgspec.structs.replace(BUFFERS, keep_activations=keep, **parts)


def test_stages_sources_views_and_lifetimes():
    order = schedule(small_residual_network())
    assert order.stages == (0, 0, 0, 1, 1, 1, 1, 2, 3)
    assert order.sources == ((-1,), (), (), (2,), (), (2,), (), (6,), (6,))  # fc reads what flatten only renames
    assert order.views == {7}
    assert order.last_stage == {2: 1, 6: 3}


def test_what_computes_or_changes_its_words_is_no_view():
    trace = small_residual_network()
    flatten = trace.layers[7]
    for changed in (
        replace(flatten, operations=OpCounts({("add", 8): 1})),
        replace(flatten, weights=Operand(1, 8)),
        replace(flatten, output=Operand(1024, 9)),
    ):
        layers = (*trace.layers[:7], changed, trace.layers[8])
        assert not schedule(replace(trace, layers=layers)).views


def test_a_value_stays_while_all_that_is_alive_fits():
    trace = small_residual_network()  # two values of 1 KiB, alive together in stage 1
    order = schedule(trace)
    assert kept_on_chip(order, trace, buffers(1, 1), 1) == {2, 6}
    assert kept_on_chip(order, trace, buffers(1, 0.9), 1) == {2}  # of equal lives the earlier comes first
    assert kept_on_chip(order, trace, buffers(0.5, 0.4), 1) == set()
    assert kept_on_chip(order, trace, buffers(1, 1), 2) == {2}
    assert kept_on_chip(order, trace, buffers(2, 2), 2) == {2, 6}
    assert kept_on_chip(order, trace, buffers(64, 64, keep=False), 1) == set()


def test_a_waiting_residual_branch_counts():
    def chain(skip):
        last = add("add", 8192, (Operand(8192, 8), Operand(8192, 8)), sources=(3, 0 if skip else 2))
        middle = [relu(f"r{index}", 8192, (Operand(8192, 8),), sources=(index - 1,)) for index in range(4)]
        return Trace("t", "hardware", (*middle, last, relu("end", 8192, (Operand(8192, 8),))))

    def kept(skip, kib):
        return kept_on_chip(schedule(chain(skip)), chain(skip), buffers(kib, kib), 1)

    assert kept(skip=True, kib=8) == {1, 2, 3, 4}  # r0 waits for the addition beside two values a stage: three do not fit
    assert kept(skip=True, kib=12) == {0, 1, 2, 3, 4}
    assert 0 in kept(skip=False, kib=8)


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=2, max_size=12), st.integers(1, 8), st.integers(0, 8)
)
def test_what_is_kept_fits_and_a_larger_buffer_keeps_no_less(shapes, kib, more):
    layers = []
    for index, (size, back) in enumerate(shapes):
        sources = tuple(dict.fromkeys((index - 1, max(-1, index - 1 - back))))
        inputs = tuple(layers[source].output if source >= 0 else Operand(1024, 8) for source in sources)
        layers.append(add(f"a{index}", size * 1024, inputs, sources=sources))
    trace = Trace("t", "hardware", tuple(layers))
    order = schedule(trace)
    small, large = (kept_on_chip(order, trace, buffers(size, size), 1) for size in (kib, kib + more))
    assert small <= large
    for stage in range(len(layers)):
        alive = [index for index in small if order.stages[index] <= stage <= order.last_stage[index]]
        assert sum(layers[index].output.words for index in alive) <= 2 * kib * 1024


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "trace 't' has no layers"),
        ((relu("a", 8, (Operand(8, 8),), fused=True),), "layer a: fused, but no layer follows"),
        ((add("a", 8, (Operand(8, 8), Operand(8, 8))),), "layer a: 2 inputs, but the trace names the layers of 0"),
        (
            (relu("a", 8, (Operand(8, 8),), sources=(0,)),),
            "layer a: reads layer number 0; allowed: -1 (the network's input) to -1",
        ),
        ((relu("a", 8, (Operand(8, 8),), sources=(-2,)),), "layer a: reads layer number -2"),
        (
            (relu("a", 8, (Operand(8, 8),), fused=True), batch_norm("b", 8, 1, (Operand(8, 8),))),
            "layer b: reads layer a, whose output is fused and never stored",
        ),
        (
            (relu("a", 8, (Operand(8, 8),)), window("b", 1, 9, 1, inputs=9)),
            "layer b: reads 9 words of layer a, which writes 8",
        ),
    ],
)
def test_a_trace_that_contradicts_itself_is_refused(layers, message):
    with pytest.raises(HardwareError, match=re.escape(message)):
        schedule(Trace("t", "hardware", layers))


def test_a_stored_value_that_the_network_puts_out_is_never_kept():
    words = Operand(16, 8)
    flat = LayerTrace("flat", "move", OpCounts(), (words,), words)
    trace = Trace("t", "hardware", (relu("a", 16, (words,)), flat))
    assert kept_on_chip(schedule(trace), trace, BUFFERS, 1) == set()


def test_values_take_whole_words_of_the_memory():
    """Seven codes of 9 bits lie in a word of 64: 1024 of them take 147 words, 9408 bits, not 9216."""
    layers = (relu("a", 1024, (Operand(1024, 8),), bits=9), relu("b", 1024, (Operand(1024, 9),), bits=9))
    trace = Trace("t", "hardware", layers)
    assert BUFFERS.input.word_bits == BUFFERS.output.word_bits == 64
    for bits, kept in ((9216, set()), (9407, set()), (9408, {0})):
        kib = bits / 8192 / 2
        assert kept_on_chip(schedule(trace), trace, buffers(kib, kib), 1) == kept
