"""Pooling layers against a walk over every window, tap by tap: floats, codes, divisors, and the operations they take."""

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import AveragePool, MaxPool, Plan
from addersim.layers.base import Value
from addersim.quantization.rules import Quantization

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIDES = st.tuples(st.integers(0, 2), st.integers(0, 2))
MOVING = st.fixed_dictionaries(
    {"kernel": PAIRS, "stride": st.none() | PAIRS, "padding": SIDES, "far_padding": st.none() | SIDES,
     "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)), "ceil_mode": st.booleans()}
)  # fmt: skip
SHARING = st.fixed_dictionaries({"output_size": st.tuples(st.integers(1, 7), st.integers(1, 7))})
WINDOWS = MOVING | SHARING | st.just({"kernel": None})
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 8), st.integers(1, 8))


def layer_of(kind, **fields):
    return kind(name="p", inputs=("input",), **fields)


def windows(layer, axis, size, outputs):
    """Of each output along an axis: the places of its taps, those in the padding too but none beyond it."""
    if layer.output_size is not None:
        parts = [Fraction(place * size, outputs) for place in range(outputs + 1)]
        return [range(floor(start), ceil(end)) for start, end in pairwise(parts)]
    before, after = layer.padding[axis], (layer.far_padding or layer.padding)[axis]
    kernel = (layer.kernel or (size, size))[axis]
    stride = (layer.stride or (kernel, kernel))[axis]
    taps = [[i * stride - before + tap * layer.dilation[axis] for tap in range(kernel)] for i in range(outputs)]
    return [[at for at in places if at < size + after] for places in taps]


def walk(layer, shape):
    """Output row and column, rows and columns of pixels under the window, and how many taps it has."""
    _, *outputs = layer.shape(shape)
    axes = [windows(layer, axis, shape[1 + axis], outputs[axis]) for axis in range(2)]
    for place in np.ndindex(*outputs):
        under = [axes[axis][place[axis]] for axis in range(2)]
        inside = [[at for at in under[axis] if 0 <= at < shape[1 + axis]] for axis in range(2)]
        yield place, inside, len(under[0]) * len(under[1])


def possible(layer, shape):
    """Whether there is an output and every window meets the image; nothing else is refused here."""
    try:
        layer.shape(shape)
    except NetworkError as error:
        assert "lets a pooling window miss the image" in str(error) or "pixels; the image has" in str(error)
        return False
    return True


@settings(max_examples=300)
@given(fields=WINDOWS, shape=SHAPES, seed=st.integers(0, 2**32 - 1))
def test_maxima(fields, shape, seed):
    layer = layer_of(MaxPool, **fields)
    assume(possible(layer, shape))
    x = np.random.default_rng(seed).normal(-5, 1, (2, *shape[1:], shape[0])).astype(np.float32)
    found, steps = layer.run(x), 0
    assert found.dtype == np.float32
    for (row, column), (rows, columns), taps in walk(layer, shape):
        assert np.array_equal(found[:, row, column], x[:, rows][:, :, columns].max(axis=(1, 2)))
        steps += shape[0] * (taps - 1)
    form = FixedFormat(8)
    integer = layer.integer(Plan({"p": form}, {"input": 1.0}, Quantization(), {}))
    codes = form.encode(x * 20)
    for engine in (kernels, reference):
        assert np.array_equal(integer.run(engine, codes).values, layer.run(codes.astype(np.float32)))
    given = Value.of(shape, form)
    output = integer.value(given)
    assert output == Value.of(layer.shape(shape), form) == Value.of((shape[0], *found.shape[1:3]), form)
    assert integer.bill(output, given).hardware.total("cmp") == steps


AVERAGES = st.fixed_dictionaries({"count_padding": st.booleans(), "divisor": st.none() | st.integers(1, 9)})


@settings(max_examples=400)
@given(
    fields=WINDOWS,
    how=AVERAGES,
    shape=SHAPES,
    seed=st.integers(0, 2**32 - 1),
    signed=st.booleans(),
    bits=st.integers(2, 12),
    scale=st.floats(0.01, 3.0),
)
def test_averages(fields, how, shape, seed, signed, bits, scale):
    layer = layer_of(AveragePool, **fields, **how)
    assume(possible(layer, shape))
    given, form = FixedFormat(bits, signed, 0.25), FixedFormat(10, signed, scale)
    codes = np.random.default_rng(seed).integers(
        given.minimum, given.maximum, (2, *shape[1:], shape[0]), given.dtype, endpoint=True
    )
    x = (codes * given.scale).astype(np.float32)
    found, additions = layer.run(x), 0
    integer = layer.integer(Plan({"p": form}, {"input": given.scale}, Quantization(multiplier_bits=16), {}))
    run, twin = integer.run(kernels, codes), integer.run(reference, codes)
    assert np.array_equal(run.values, twin.values)
    assert run.observed == twin.observed
    for (row, column), (rows, columns), taps in walk(layer, shape):
        summed = len(rows) * len(columns) if not layer.count_padding else taps
        sums = x[:, rows][:, :, columns].sum(axis=(1, 2), dtype=np.float64)
        means = sums / (layer.divisor or summed)
        np.testing.assert_allclose(found[:, row, column], means, rtol=1e-6, atol=1e-6)
        exact = np.clip(means / form.scale, form.minimum, form.maximum)
        # half a step of rounding, and a multiplier of 16 bits
        assert (np.abs(run.values[:, row, column] - exact) <= 0.5 + np.abs(means / form.scale) * 2.0**-15 + 1e-9).all()
        additions += shape[0] * (summed - 1)
    value = Value.of(shape, given)
    output = integer.value(value)
    assert output == Value.of(layer.shape(shape), form) == Value.of((shape[0], *found.shape[1:3]), form)
    bill = integer.bill(output, value)
    assert bill.hardware.total("add") == additions
    assert bill.hardware.total("mul") in (0, output.words)
    assert bill.hardware.total("shift") in (0, output.words)


def test_no_image_and_one_pixel():
    layer = layer_of(AveragePool, kernel=(2, 2), far_padding=(1, 1), count_padding=False)
    integer = layer.integer(Plan({"p": FixedFormat(8)}, {"input": 1.0}, Quantization(), {}))
    for engine in (kernels, reference):
        assert integer.run(engine, np.zeros((0, 3, 3, 2), np.int8)).values.shape == (0, 2, 2, 2)
        assert integer.run(engine, np.full((1, 1, 1, 1), 7, np.int8)).values.tolist() == [[[[7]]]]


BAD = [
    ({"output_size": (3, 3), "kernel": (2, 2)}, r"output_size \(3, 3\) decides where windows lie; leave out kernel, stride"),
    ({"output_size": (3, 3), "ceil_mode": True}, "output_size .* decides where windows lie"),
    ({"output_size": (3, 3), "far_padding": (1, 0)}, "output_size .* decides where windows lie"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_two_ways_to_say_where_windows_lie_are_refused(fields, message):
    for kind in (AveragePool, MaxPool):
        with pytest.raises(NetworkError, match=f"layer p: {message}"):
            layer_of(kind, **fields)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (MaxPool, {"output_size": (0, 3)}, r"output_size: \(0, 3\) is not a pair of whole numbers in 1..1048576"),
        (MaxPool, {"kernel": (2, 2), "far_padding": (-1, 0)}, r"far_padding: \(-1, 0\) is not a pair of whole numbers in 0"),
        (
            MaxPool,
            {"kernel": (1, 1), "stride": (1, 1), "far_padding": (0, 1)},
            "padding: .* lets a pooling window miss the image along its w",
        ),
        (MaxPool, {"kernel": (9, 1)}, "height: a window of 9 taps, dilation 1, spans 9 pixels; the image has 4 and padding 0"),
    ],
)
def test_windows_that_cannot_be_are_refused_with_the_layer(kind, fields, message):
    with pytest.raises(NetworkError, match=f"layer p: {message}"):
        layer_of(kind, **fields).shape((2, 4, 4))
    with pytest.raises(NetworkError, match=r"layer p: needs an input of channels x height x width, found \(2, 4\)"):
        layer_of(kind).shape((2, 4))


@pytest.mark.parametrize("divisor", [0, -1])
def test_divisors_that_cannot_be_are_refused_with_the_layer(divisor):
    with pytest.raises(NetworkError, match=f"layer p: divisor {divisor} is not a whole number of at least 1; None divides by"):
        layer_of(AveragePool, kernel=(2, 2), divisor=divisor)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layer_of(MaxPool, kernel=(2, 2)), "2x2 stride 2"),
        (layer_of(MaxPool, kernel=(3, 2), stride=(2, 1), far_padding=(1, 0), ceil_mode=True), "3x2 stride 2x1 pad 0,1x0 ceil"),
        (layer_of(MaxPool, output_size=(3, 4)), "to 3x4"),
        (layer_of(AveragePool), "global"),
        (layer_of(AveragePool, kernel=(2, 2), padding=(1, 1), count_padding=False), "2x2 stride 2 pad 1 padding not counted"),
        (layer_of(AveragePool, kernel=(2, 2), divisor=1), "2x2 stride 2 divisor 1"),
    ],
)
def test_windows_in_words(layer, words):
    assert layer.details() == words
