"""Activity of operands: exactly what going through every tap in the array's order counts."""

from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import addersim
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import Accumulator, FixedFormat
from addersim.errors import HardwareError
from addersim.hardware import load_accelerator
from addersim.hardware.activity import LayerActivity, measure_activity, with_activity
from addersim.hardware.dataflow.row_stationary import RowMapping
from addersim.hardware.gates.element_operands import Element
from addersim.hardware.operand_activity import OperandActivity
from addersim.hardware.operand_streams import InputStream, weight_activity
from addersim.hardware.row_operands import row_operands
from addersim.hardware.row_sums import sum_changes
from addersim.kernels.toggles import weighed_bits, weighed_changes, weighed_zeros
from addersim.layers import IntegerWindow
from addersim.toggles import Toggles

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


@st.composite
def layers(draw):
    groups, kernel = draw(st.sampled_from([1, 1, 2])), (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    inside, filters = draw(st.integers(1, 9)), groups * draw(st.integers(1, 3))
    bits, pair = draw(st.sampled_from([4, 8, 12])), st.tuples(st.integers(1, 2), st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    signed = draw(st.booleans())
    plain = FixedFormat(bits, signed=signed)
    zero = draw(st.sampled_from([0, 0, plain.minimum, plain.maximum // 2])) if bits <= 8 else 0
    held = FixedFormat(bits, signed=signed, zero_point=zero)
    datapath = draw(st.sampled_from(["mac", "mac", "ternary"])) if not zero else "mac"
    codec = DATAPATHS[datapath].arithmetic.codec
    weights = FixedFormat(bits) if codec.uniform else codec.format(codec.bits(bits, "here"))
    shape = (filters, *kernel, inside)
    layer = IntegerWindow(
        name="conv", inputs=("input",), datapath=datapath, accumulator=Accumulator(), twin=None, input_format=held,
        weight_format=weights, groups=groups,
        weights=rng.integers(*((-1, 2) if not codec.uniform else (weights.minimum, weights.maximum + 1)), shape).astype(
            weights.dtype
        ),
        stride=draw(pair), dilation=draw(pair), padding=draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
    )  # fmt: skip
    size = (draw(st.integers(1, 3)), draw(st.integers(7, 9)), draw(st.integers(7, 9)), groups * inside)
    codes = rng.integers(held.minimum, held.maximum + 1, size).astype(held.dtype)
    return layer, np.where(rng.random(size) < 0.3, zero, codes).astype(held.dtype)


def operands(layer, codes):
    """Inputs and weights as elements have them, and the bits of both."""
    zero, low = layer.input_format.zero_point, layer.input_format.minimum
    x, w = taps_of(layer, codes.astype(np.int64) - zero)
    weight_bits = DATAPATHS[layer.datapath].arithmetic.codec.stored_bits(layer.weight_format)
    if layer.datapath == "ternary":
        w = np.where(w < 0, 3, w)  # sign and magnitude
    return x, w, layer.input_format.bits + (zero not in (0, low)), weight_bits


def in_blocks(total, each, sets):
    """First and last place, less one, of what elements take in turn: passes of all sets, the last as even as can be."""
    found, place = [], 0
    while place < total:
        ends = min(total, place + each * sets)
        size = -(-(ends - place) // sets)
        found += [(one, min(one + size, ends)) for one in range(place, ends, size)]
        place = ends
    return found


def passes(layer, x, w, order, mapping, columns):
    """Every run of taps that an element takes one after another: inputs and weights."""
    height, width = layer.weights.shape[1:3]
    for inputs, filters in zip(x, w, strict=True):
        if order == "output":
            yield from ((pixel, one) for pixel in inputs for one in filters)
        elif order == "weight":
            yield from ((inputs[:, tap], np.full(len(inputs), one[tap])) for one in filters for tap in range(len(one)))
        elif order == "input":
            yield from ((np.full(len(filters), word), filters[:, tap]) for pixel in inputs for tap, word in enumerate(pixel))
        else:
            rows = row_passes(inputs, filters, (height, width), mapping, columns)
            yield from (tuple(np.concatenate(outputs).T) for _, outputs in rows)


def row_passes(inputs, filters, kernel, mapping, columns):
    """Every run of taps of an element of a row stationary array: how many sums take turns, and pairs under each output."""
    height, width = kernel
    lines = inputs.reshape(-1, columns, height, width, inputs.shape[1] // (height * width))
    kernels = filters.reshape(-1, *lines.shape[2:])
    held = [(first, min(first + mapping.held, len(kernels))) for first in range(0, len(kernels), mapping.held)]
    turns = [
        (first + one, first + end)
        for first, last in held
        for one, end in in_blocks(last - first, mapping.filters, mapping.filter_sets)
    ]
    for line, row, some, few in product(
        lines, range(height), turns, in_blocks(lines.shape[-1], mapping.channels, mapping.channel_sets)
    ):
        yield (
            some[1] - some[0],
            [
                [
                    (line[out, row, column, channel], kernels[one, row, column, channel])
                    for column in range(width)
                    for channel in range(*few)
                    for one in range(*some)
                ]
                for out in range(columns)
            ],
        )


def counted(words, bits):
    return [[int((one >> bit & 1).sum()) for one in words] for bit in range(bits)]


@settings(max_examples=60, deadline=None)
@given(
    layers(),
    st.sampled_from(["output", "weight", "input", "row"]),
    st.tuples(*[st.integers(1, 3)] * 5),
)
def test_counts_are_those_of_every_tap_in_order(drawn, order, cut):
    layer, codes = drawn
    mapping = RowMapping(1, 1, *cut)
    x, w, bits, weight_bits = operands(layer, codes)
    stream = InputStream(layer, order, mapping)
    for part in (codes[:1], codes[1:]):
        if len(part):
            stream.add(part)
    found, weights = stream.found(), weight_activity(layer, stream)
    runs = list(passes(layer, x, w, order, mapping, layer.geometry.output_size(*codes.shape[1:3])[1]))
    taps = sum(len(one) for one, _ in runs)
    for seen, place, width in ((found, 0, bits), (weights, 1, weight_bits)):
        words = [run[place] for run in runs]
        assert (seen.taps, seen.zeros) == (taps, sum(int((one == 0).sum()) for one in words))
        assert list(seen.ones) == [sum(one) for one in counted(words, width)]
        assert list(seen.toggles) == [sum(one) for one in counted([one[1:] ^ one[:-1] for one in words], width)]
        held = {"weight": 1, "input": 0}.get(order) == place
        assert seen.steps == (0 if held else taps - len(runs))
    images = len(codes) if order == "weight" else 1
    assert stream.pass_taps == pytest.approx(taps / len(runs) / images)


@given(st.integers(1, 5), st.integers(1, 40_000), st.sampled_from([np.uint8, np.int8, np.uint16, np.int16]), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_weighed_counts_are_those_of_a_plain_count(rows, length, kind, few):
    rng = np.random.default_rng(rows * length + few)
    words = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (rows, length)).astype(kind)
    words[rng.random(words.shape) < few / 10] = 0
    weights, counted = rng.integers(0, 1000, rows), rng.random(length) < 0.7
    bits = 8 * words.dtype.itemsize

    def plain(found):
        return [int(((found >> bit & 1).sum(axis=1) * weights).sum()) for bit in range(bits)]

    assert weighed_bits(words, weights, bits).tolist() == plain(words)
    changes = (words[:, 1:] ^ words[:, :-1])[:, counted[:-1]]
    assert weighed_changes(words, counted, weights, bits).tolist() == plain(changes)
    assert weighed_zeros(words, weights) == int(((words == 0).sum(axis=1) * weights).sum())


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


def test_means_over_taps_have_what_comes_between_passes_too():
    """Weights of one output pixel are held for one tap of it: all of them give way, to one drawn apart."""
    taps = 64
    weights = OperandActivity(taps, 0, 0, (0, 0), (32, 16))
    inputs = OperandActivity(taps, 8, 48, (24, 0), (64, 32))
    one = LayerActivity("conv", "weight", inputs, weights, None, pass_taps=4, network="net")
    between = 2 * 0.5 * 0.5 + 2 * 0.25 * 0.75
    assert one.toggles.weight_changes == pytest.approx(between / 4)
    assert one.toggles.input_changes == pytest.approx((0.5 * 3 + 2 * 0.5 * 0.5) / 4)
    assert (one.toggles.zeros, one.toggles.input_ones, one.toggles.weight_ones) == (0.125, 1.5, 0.75)
    assert one.toggles.order == "weight"


def test_products_of_bits_change_as_a_count_of_them_says():
    rng = np.random.default_rng(1)
    x, w = rng.integers(0, 256, 20000) & rng.integers(0, 256, 20000), rng.integers(0, 64, 20000)
    x[rng.random(20000) < 0.4] = 0
    products = np.array([[(x >> one & 1) * (w >> other & 1) for one in range(8)] for other in range(6)])
    changes = (np.bitwise_count(one[1:] ^ one[:-1]).mean() for one in (x, w))
    ones = (np.bitwise_count(one).mean() for one in (x, w))
    found = Toggles("output", 0.4, *changes, *ones)
    assert found.product_changes == pytest.approx(np.abs(np.diff(products)).sum() / 19999, rel=0.02)


def test_a_row_stationary_array_is_measured_with_the_mapping_of_its_layers():
    images = addersim.load_images("fashion-mnist-2000", limit=3).pixels
    program = addersim.quantize(addersim.load_network("lenet5-conv"), images)
    rows, plain = (measure_activity(program, images, load_accelerator(name)) for name in ("eyeriss-65nm", "systolic-16x16"))
    for one, other in zip(rows, plain, strict=True):
        assert one.order == "row"
        assert 0 < one.sums.error < 0.1 * one.sums.toggles_per_step == pytest.approx(0.1 * one.toggles.sum_changes)
        assert (one.input.taps, one.input.zeros, one.weight.zeros) == (
            other.input.taps, other.input.zeros, other.weight.zeros
        )  # fmt: skip
    conv2 = rows[1]
    assert sum(conv2.input.per_step) < sum(plain[1].input.per_step) / 3  # several filters take a word in turn
    assert sum(conv2.weight.per_step) > 3


@settings(max_examples=20, deadline=None)
@given(layers(), st.tuples(*[st.integers(1, 3)] * 5), st.integers(0, 99))
def test_operands_for_the_gates_of_a_row_stationary_element_are_those_of_a_pass(drawn, cut, seed):
    layer, codes = drawn
    assume(DATAPATHS[layer.datapath].together == 1)
    mapping = RowMapping(1, 1, *cut)
    x, w, bits, weight_bits = operands(layer, codes)
    x, w = (one.astype(np.int64) & (1 << width) - 1 for one, width in ((x, bits), (w, weight_bits)))
    columns = layer.geometry.output_size(*codes.shape[1:3])[1]
    known = {tuple(np.concatenate(one).tolist()) for one in passes(layer, x, w, "row", mapping, columns)}
    element = Element.of_layer(layer)
    for one in row_operands(layer, codes, mapping, 1, seed):
        words = one.words(element)
        found = words["input_code"] & (1 << bits) - 1, words["weight_code"]
        assert tuple(np.concatenate(found).tolist()) in known
        assert (len(one.starts) % one.turn, one.starts[: one.turn].all()) == (0, True)
        assert one.starts.sum() == one.turn * columns


def test_activity_of_another_network_is_refused():
    images = addersim.load_images("fashion-mnist-2000", limit=2).pixels
    programs = [addersim.quantize(addersim.load_network(name), images) for name in ("lenet5-conv", "lenet5-adder")]
    trace, found = programs[0].trace(), [measure_activity(one, images, MACHINE) for one in programs]
    assert [layer.toggles for layer in with_activity(trace, found[0]).layers if layer.work] == [
        one.toggles for one in found[0]
    ]
    with pytest.raises(
        HardwareError, match="^activity: of network 'lenet5-adder', the trace is of 'lenet5-conv'; measure its"
    ):
        with_activity(trace, found[1])
    with pytest.raises(HardwareError, match="^activity: layer 'fc3', which the trace has alone; measure the program that"):
        with_activity(trace, found[0][:-1])


def changes_under(pairs, turn, mask):
    """Bits of the sum that comes which change under an output, to nothing at its end, tap by tap."""
    sums, before, changes = [0] * turn, 0, 0
    for place, (x, w) in enumerate(pairs):
        coming = sums[place % turn]
        changes, before = changes + ((coming ^ before) & mask).bit_count(), coming
        sums[place % turn] += int(x) * int(w)
    return changes + (before & mask).bit_count()


@settings(max_examples=30, deadline=None)
@given(layers(), st.tuples(*[st.integers(1, 3)] * 5), st.integers(0, 99))
def test_sums_that_elements_take_from_scratchpads_are_those_of_outputs_gone_through_tap_by_tap(drawn, cut, seed):
    layer, codes = drawn
    assume(layer.datapath == "mac")
    mapping, mask = RowMapping(1, 1, *cut), (1 << layer.accumulator_bits()) - 1
    x, w, *_ = operands(layer, codes)
    columns = layer.geometry.output_size(*codes.shape[1:3])[1]
    known = [
        (changes_under(pairs, turn, mask), len(pairs))
        for inputs, filters in zip(x, w, strict=True)
        for turn, outputs in row_passes(inputs, filters, layer.weights.shape[1:3], mapping, columns)
        for pairs in outputs
    ]
    changes, taps = sum_changes(layer, codes, mapping, 3000, seed)
    assert (len(taps) >= 64, taps.sum() >= 0.7 * 3000) == (True, True)
    assert set(zip(changes.tolist(), taps.tolist(), strict=True)) <= set(known)
    whole = sum(one for one, _ in known) / sum(one for _, one in known)
    error = (changes - whole * taps).std() * np.sqrt(len(taps)) / taps.sum()
    assert abs(changes.sum() / taps.sum() - whole) <= 5 * error


def test_a_broadcast_array_is_refused():
    images = addersim.load_images("fashion-mnist-2000", limit=2)
    program = addersim.quantize(addersim.load_network("lenet5-conv"), images.pixels)
    with pytest.raises(HardwareError, match="activity: accelerator '.*' is a broadcast array, whose lanes take taps side by"):
        measure_activity(program, images.pixels, load_accelerator("nvdla-large"))
