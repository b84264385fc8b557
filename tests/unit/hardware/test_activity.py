"""Activity of operands: exactly what going through every tap in the array's order counts."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import addersim
from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import HardwareError
from addersim.hardware import load_accelerator
from addersim.hardware.activity import _Inputs, _weights, measure_activity
from addersim.kernels.toggles import weighed_bits
from addersim.layers import IntegerWindow

MACHINE = load_accelerator("systolic-16x16")


def with_dataflow(name):
    return msgspec.structs.replace(MACHINE, array=msgspec.structs.replace(MACHINE.array, dataflow=name))


def taps_of(layer, codes):
    """(group, output pixel of all images, tap) of inputs, and (group, filter, tap) of weights, padding as zeros."""
    geometry, (images, height, width, channels) = layer.geometry, codes.shape
    rows, columns = geometry.output_size(height, width)
    (above, left), (deep, wide) = geometry.padding, geometry.kernel
    padded = np.zeros((images, height + 40, width + 40, channels), codes.dtype)
    padded[:, above : above + height, left : left + width] = codes
    found = []
    for image in range(images):
        for row in range(rows):
            for column in range(columns):
                y = row * geometry.stride[0] + np.arange(deep) * geometry.dilation[0]
                x = column * geometry.stride[1] + np.arange(wide) * geometry.dilation[1]
                found.append(padded[image][np.ix_(y, x)].reshape(deep, wide, layer.groups, -1).transpose(2, 0, 1, 3))
    taps = np.array(found)
    return taps.transpose(1, 0, 2, 3, 4).reshape(layer.groups, len(found), -1), layer.weights.reshape(
        layer.groups, -1, taps[0][0].size
    )


def changes(one, other, times, bits):
    return [int(((one ^ other) >> bit & 1).sum()) * times for bit in range(bits)]


@st.composite
def layers(draw):
    groups, kernel = draw(st.sampled_from([1, 1, 2])), (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    inside, filters = draw(st.integers(1, 9)), groups * draw(st.integers(1, 3))
    bits, pair = draw(st.sampled_from([4, 8, 12])), st.tuples(st.integers(1, 2), st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    held, weights = FixedFormat(bits, signed=draw(st.booleans())), FixedFormat(bits)
    shape = (filters, *kernel, inside)
    layer = IntegerWindow(
        name="conv", inputs=("input",), datapath="mac", accumulator=Accumulator(), twin=None, input_format=held,
        weight_format=weights, groups=groups,
        weights=rng.integers(weights.minimum, weights.maximum + 1, shape).astype(weights.dtype),
        stride=draw(pair), dilation=draw(pair), padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
    )  # fmt: skip
    size = (draw(st.integers(1, 3)), draw(st.integers(7, 9)), draw(st.integers(7, 9)), groups * inside)
    codes = rng.integers(held.minimum, held.maximum + 1, size).astype(held.dtype)
    return layer, np.where(rng.random(size) < 0.3, 0, codes).astype(held.dtype)


@settings(max_examples=60, deadline=None)
@given(layers(), st.sampled_from(["output", "weight", "input"]))
def test_counts_are_those_of_every_tap_in_order(drawn, dataflow):
    layer, codes = drawn
    x, w = taps_of(layer, codes)
    stream = _Inputs(layer, dataflow)
    for part in (codes[:1], codes[1:]):
        if len(part):
            stream.add(part)
    found, weights = stream.found(), _weights(layer, stream, dataflow)
    filters, pixels, bits = w.shape[1], x.shape[1], layer.input_format.bits
    assert (found.taps, found.zeros) == (x.size * filters, int((x == 0).sum()) * filters)
    assert (weights.taps, weights.zeros) == (found.taps, int((w == 0).sum()) * pixels)
    along = {"output": (x[:, :, :-1], x[:, :, 1:]), "weight": (x[:, :-1], x[:, 1:])}.get(dataflow)
    assert found.steps == (0 if along is None else along[0].size * filters)
    assert list(found.toggles) == ([0] * bits if along is None else changes(*along, filters, bits))
    along = {"output": (w[:, :, :-1], w[:, :, 1:]), "input": (w[:, :-1], w[:, 1:])}.get(dataflow)
    assert weights.steps == (0 if along is None else along[0].size * pixels)
    assert list(weights.toggles) == ([0] * bits if along is None else changes(*along, pixels, bits))


@given(st.integers(1, 5), st.integers(1, 4200), st.sampled_from([np.uint8, np.int8, np.uint16, np.int16]))
@settings(max_examples=40, deadline=None)
def test_weighed_bits_are_those_of_a_plain_count(rows, length, kind):
    rng = np.random.default_rng(rows * length)
    words = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (rows, length)).astype(kind)
    weights = rng.integers(0, 1000, rows)
    bits = 8 * words.dtype.itemsize
    wanted = [int(((words >> bit & 1).sum(axis=1) * weights).sum()) for bit in range(bits)]
    assert weighed_bits(words, weights, bits).tolist() == wanted


def test_a_network_is_measured_in_the_order_of_its_machine():
    images = addersim.load_images("fashion-mnist-2000", limit=120)
    program = addersim.quantize(addersim.load_network("lenet5-conv"), images.pixels)
    found = {name: measure_activity(program, images.pixels, with_dataflow(name)) for name in ("output", "weight", "input")}
    trace = addersim.simulate(program, images.pixels).trace
    for one, layer in zip(found["output"], [layer for layer in trace.layers if layer.work], strict=True):
        assert one.name == layer.name
        assert one.input.zero_share == pytest.approx(layer.zero_taps, abs=0.06)  # there as if zeros lay evenly
        assert one.sums is not None
        assert 0 < one.sums.error < one.sums.toggles_per_step < layer.accumulator_bits
    assert all(not one.weight.steps and one.input.steps and one.sums is None for one in found["weight"])
    assert all(not one.input.steps and one.weight.steps for one in found["input"])
    assert {one.input.zeros for one in found["output"]} == {one.input.zeros for one in found["input"]}


def test_a_row_stationary_array_is_refused():
    images = addersim.load_images("fashion-mnist-2000", limit=2)
    program = addersim.quantize(addersim.load_network("lenet5-conv"), images.pixels)
    with pytest.raises(HardwareError, match="activity: accelerator 'eyeriss-65nm' is row stationary"):
        measure_activity(program, images.pixels, load_accelerator("eyeriss-65nm"))
