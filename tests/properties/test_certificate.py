"""The certificate of an accumulator against all inputs there are: of tiny windows, on every datapath, wherever they stand."""

import itertools
from math import log2, prod

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.arithmetic.fixed import Accumulator, FixedFormat, bits_for
from addersim.certificate.sums import Box, window_sums
from addersim.certificate.witness import Witness
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import IntegerWindow
from tests.unit.multipliers import arbitrary

MOST_INPUTS = 5000


@st.composite
def boxes(draw, form, channels):
    """Smallest and largest code of each channel; often all of a format's."""
    if draw(st.booleans()):
        return Box(np.full(channels, form.minimum), np.full(channels, form.maximum))
    ends = st.lists(st.integers(form.minimum, form.maximum), min_size=2, max_size=2)
    return Box(*np.sort(draw(st.lists(ends, min_size=channels, max_size=channels)), axis=1).T)


@st.composite
def windows(draw):
    """A window layer, the box of its inputs, and the size of its image; all its inputs can be tried."""
    record = DATAPATHS[draw(st.sampled_from(sorted(DATAPATHS)))]
    codec = record.arithmetic.codec
    multiplier = None
    input_bits, signed = draw(st.integers(1, 3)), draw(st.booleans())
    if record.arithmetic.activation_bits:
        input_bits, signed = 1, True
    input_format = FixedFormat(input_bits, signed, 2.0 ** draw(st.integers(-3, 3)))
    weight_format = codec.format(draw(st.integers(codec.fewest, min(codec.most, 8))))
    if record.arithmetic.name == "table":
        multiplier = arbitrary(
            draw(st.integers(0, 99)), signed=record.name == "table", largest=draw(st.sampled_from((9, 2**20)))
        )
    if codec.uniform:
        scale = 2.0 ** draw(st.integers(-3, 3)) if record.arithmetic.shared_scale else 1.0
        weight_format = FixedFormat(weight_format.bits, record.name == "table" or draw(st.booleans()), scale)
    pairs = st.tuples(st.integers(1, 2), st.integers(1, 2))
    sides = st.tuples(st.integers(0, 2), st.integers(0, 2))
    groups, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    shape = (groups * draw(st.integers(1, 2)), *draw(st.tuples(st.integers(1, 3), st.integers(1, 2))), channels)
    image = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    moves = {"stride": draw(pairs), "dilation": draw(pairs), "padding": draw(sides), "far_padding": draw(sides)}
    box = draw(boxes(input_format, groups * channels))
    assume(prod((box.high - box.low + 1).tolist()) ** prod(image) <= MOST_INPUTS)
    for axis in range(2):
        reach = (shape[1 + axis] - 1) * moves["dilation"][axis] + 1
        assume(image[axis] + moves["padding"][axis] + moves["far_padding"][axis] >= reach)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if codec.uniform:
        weights = random.integers(weight_format.minimum, weight_format.maximum, shape, endpoint=True)
    else:
        levels = codec.levels(codec.stored_bits(weight_format))
        weights = random.choice(levels, shape) * random.choice([-1, 1], shape)
    layer = IntegerWindow(
        name="window", inputs=("input",), twin=None, datapath=record.name, weights=weights.astype(weight_format.dtype),
        input_format=input_format, weight_format=weight_format, accumulator=Accumulator(), groups=groups,
        multiplier=multiplier, **moves,
    )  # fmt: skip
    return layer, box, image


def all_inputs(box, image):
    """Every image of a box, ``(images, height, width, channels)``."""
    codes = [range(low, high + 1) for low, high in zip(*box, strict=True)] * prod(image)
    return np.array(list(itertools.product(*codes))).reshape(-1, *image, len(box.low))


def term(layer, x, w):
    """One tap by the definitions alone."""
    if layer.multiplier is None:
        places = [0, 0]
        if DATAPATHS[layer.datapath].arithmetic.shared_scale:
            finer = min(layer.input_format.scale, layer.weight_format.scale)
            places = [int(log2(one.scale / finer)) for one in (layer.input_format, layer.weight_format)]
        return ARITHMETICS[DATAPATHS[layer.datapath].arithmetic.name].term(x * 2 ** places[0], w * 2 ** places[1])
    if layer.multiplier.signed:
        return layer.multiplier.products[x + 128, w + 128].astype(np.int64)
    return np.where((x < 0) != (w < 0), -1, 1) * layer.multiplier.products[np.abs(x), np.abs(w)].astype(np.int64)


def running_sums(layer, images):
    """Every running sum: ``(taps, images, rows, columns, filters)``, the documented order one loop inside the other."""
    filters, height, width, channels = layer.weights.shape
    far = layer.far_padding or layer.padding
    sides = [(before, after) for before, after in zip(layer.padding, far, strict=True)]
    padded = np.pad(images, [(0, 0), *sides, (0, 0)])
    places = [
        range(0, padded.shape[1 + axis] - (layer.weights.shape[1 + axis] - 1) * layer.dilation[axis], layer.stride[axis])
        for axis in range(2)
    ]
    sums, total = [], np.zeros((len(images), len(places[0]), len(places[1]), filters), np.int64)
    for row, column, channel in itertools.product(range(height), range(width), range(channels)):
        for f in range(filters):
            source = f // (filters // layer.groups) * channels + channel
            for (y, top), (x, left) in itertools.product(*map(enumerate, places)):
                met = padded[:, top + row * layer.dilation[0], left + column * layer.dilation[1], source]
                total[:, y, x, f] += term(layer, met, layer.weights[f, row, column, channel].astype(np.int64))
        sums.append(total.copy())
    return np.array(sums)


@settings(max_examples=200)
@given(windows())
def test_the_extremes_are_those_of_all_inputs(drawn):
    layer, box, image = drawn
    sums = running_sums(layer, all_inputs(box, image))
    found = window_sums(layer, box, image)
    axes = (0, 1, 2, 3)
    np.testing.assert_array_equal(found.minimum, np.minimum(sums.min(axis=axes), 0))
    np.testing.assert_array_equal(found.maximum, np.maximum(sums.max(axis=axes), 0))
    np.testing.assert_array_equal(found.last_minimum, sums[-1].min(axis=(0, 1, 2)))
    np.testing.assert_array_equal(found.last_maximum, sums[-1].max(axis=(0, 1, 2)))


@settings(max_examples=300)
@given(windows())
def test_an_exact_register_needs_what_is_proved_of_all_codes(drawn):
    """Never less than what any box of codes can do; the same where windows meet all codes of the format and no padding."""
    layer, box, image = drawn
    found, needed = window_sums(layer, box, image), layer.bits_needed()
    proved = bits_for(int(found.minimum.min()), int(found.maximum.max()))
    assert proved <= needed <= layer.bits_bound()
    whole = (box.low == layer.input_format.minimum).all() and (box.high == layer.input_format.maximum).all()
    if whole and not any((*layer.padding, *layer.far_padding)):
        assert proved == needed
    if needed < layer.bits_bound():
        msgspec.structs.replace(layer, accumulator=Accumulator(max(needed, 8)))
    if needed > 8:
        with pytest.raises(
            NetworkError, match=f"the accumulator has {needed - 1} bits and its worst case needs {needed}; widen"
        ):
            msgspec.structs.replace(layer, accumulator=Accumulator(needed - 1))


@settings(max_examples=150)
@given(windows())
def test_no_input_overflows_the_width_and_the_witness_overflows_one_bit_less(drawn):
    layer, box, image = drawn
    found = window_sums(layer, box, image)
    images = all_inputs(box, image).astype(layer.input_format.dtype)
    for filter_, (low, high) in enumerate(zip(found.minimum.tolist(), found.maximum.tolist(), strict=True)):
        bits = bits_for(low, high)
        end = "minimum" if bits_for(low, 0) == bits else "maximum"
        if not low and not high:
            continue
        position = found.positions[(found.minimum_at if end == "minimum" else found.maximum_at)[filter_]]
        witness = Witness.of(layer, box, position, filter_, end)
        assert witness.sum == (low if end == "minimum" else high)
        assert witness.confirmed(layer, bits)
        assert witness.confirmed(layer, bits, reference)
        inside = witness.codes.astype(int)
        channels = slice(*(np.array([0, 1]) + filter_ // (len(layer.weights) // layer.groups)) * layer.weights.shape[3])
        used = (inside >= box.low[channels]) & (inside <= box.high[channels])
        assert (used | (inside == 0)).all()
    widest = bits_for(int(found.minimum.min()), int(found.maximum.max()))
    if 9 <= widest <= 48:
        for overflow in ("saturate", "wrap"):
            seen = replace(layer, accumulator=Accumulator(widest, overflow)).run(kernels, images).observed
            assert seen.overflowed == 0
        seen = replace(layer, accumulator=Accumulator(widest - 1, "saturate")).run(kernels, images).observed
        assert seen.overflowed > 0
