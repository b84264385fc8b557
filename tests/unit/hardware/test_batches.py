"""A batch is never dearer than its parts, and costs what its parts cost where it runs in them."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import count, load_network, quantize
from addersim.hardware import estimate, load_accelerator
from addersim.hardware.batches import best_parts, ways_to_cut
from addersim.trace import Operand, Trace
from tests.unit.hardware.dataflow.test_systolic_mapper import DATAFLOWS, OBJECTIVES, convolution, machine
from tests.unit.hardware.traces import relu

EDGE = load_accelerator("systolic-16x16")


def value(cost, objective):
    energy, cycles, bits = cost.energy_pj, cost.cycles, round(8 * cost.dram_bytes)
    return {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]


def of_parts(costs, objective):
    """Value of batches one after another."""
    energy, cycles = sum(one.energy_pj for one in costs), sum(one.cycles for one in costs)
    bits = sum(round(8 * one.dram_bytes) for one in costs)
    return {"energy": energy, "latency": cycles, "dram": bits, "energy-delay": energy * cycles}[objective]


@pytest.mark.parametrize(("batch", "number"), [(1, 1), (5, 7), (16, 231), (17, 6), (1000, 11)])
def test_ways_to_cut_a_batch(batch, number):
    """Every way, up to 16 images: the partitions of the number."""
    ways = list(ways_to_cut(batch))
    assert len(ways) == number
    assert ways[0] == {batch: 1}
    assert all(sum(size * times for size, times in way.items()) == batch for way in ways)
    assert all(size > 0 < times for way in ways for size, times in way.items())


def test_the_whole_batch_is_the_first_of_equals():
    assert best_parts(6, lambda parts: (sum(size * times for size, times in parts.items()),)) == {6: 1}
    assert best_parts(6, lambda parts: (-sum(parts.values()),)) == {1: 6}


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(3, 9), st.integers(1, 3), st.integers(1, 20)),
    st.sampled_from(DATAFLOWS), st.sampled_from((0.1, 0.5, 2.0)), st.booleans(), st.booleans(), st.sampled_from(OBJECTIVES),
    st.integers(1, 3), st.integers(1, 3),
)  # fmt: skip
def test_a_batch_is_never_dearer_than_its_parts(shape, dataflow, kib, keeping, doubled, objective, one, other):
    kernel, stride, side, channels, filters = shape
    first = convolution(kernel, stride, 0, side, channels, filters)
    words = first.output.words
    trace = Trace(
        "two",
        "hardware",
        (
            first,
            relu("relu", words, (Operand(words, 8),)),
        ),
    )
    on = machine(dataflow, double_buffered=doubled, input=kib, weight=kib, output=2 * kib)
    on = msgspec.structs.replace(on, buffers=msgspec.structs.replace(on.buffers, keep_activations=keeping))
    together = estimate(trace, on, batch=one + other, objective=objective)
    parts = [estimate(trace, on, batch=images, objective=objective) for images in (one, other)]
    assert value(together, objective) <= of_parts(parts, objective) * (1 + 1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_images_that_fit_on_chip_alone_run_alone(objective):
    """Sixteen images of a ResNet-20 do not fit 128 KiB together: they took 1.48 times the energy of one after another."""
    trace = count(quantize(load_network("resnet20-conv"), None))
    cost, alone = (estimate(trace, EDGE, batch=images, objective=objective) for images in (16, 1))
    assert value(cost, objective) <= of_parts([alone] * 16, objective) * (1 + 1e-9)
    assert sum(images * times for images, times in cost.batch_parts) == 16


def test_layers_of_a_batch_in_parts_add_up():
    """Three images as two and one: every number of a layer is the sum of those of its runs."""
    trace = count(quantize(load_network("resnet20-conv"), None))
    cost = estimate(trace, EDGE, batch=16)
    assert len(cost.batch_parts) > 1 or cost.batch_parts[0][1] > 1
    runs = [(estimate(trace, EDGE, batch=images), times) for images, times in cost.batch_parts]
    assert all(run.batch_parts == ((images, 1),) for (run, _), (images, _) in zip(runs, cost.batch_parts, strict=True))
    for field in ("cycles", "compute_cycles", "buffer_cycles", "dram_cycles", "taps"):
        for number, layer in enumerate(cost.layers):
            assert getattr(layer, field) == sum(getattr(run.layers[number], field) * times for run, times in runs)
    for number, layer in enumerate(cost.layers):
        for level, operand in itertools.product(("buffer", "dram"), ("input", "weight", "partial_sum", "output")):
            assert layer.words(level, operand) == sum(run.layers[number].words(level, operand) * times for run, times in runs)
        busy = layer.cycles * EDGE.array.elements
        assert not layer.taps or layer.utilisation == pytest.approx(layer.taps / busy)
    assert cost.energy_pj == pytest.approx(sum(run.energy_pj * times for run, times in runs), rel=1e-12)
    assert sum(part.energy_pj for layer in cost.layers for part in layer.parts) == cost.energy_pj
