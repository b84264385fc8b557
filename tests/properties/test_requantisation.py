"""Every requantisation kernel of every instruction set is its slow twin bit for bit, under every rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RULES
from addersim.kernels import reference
from tests.properties.test_kernels_twins import assert_same, every_way, outcome


@st.composite
def quantised_formats(draw, bits=(8, 8, 16, 4), scale=None):
    width, signed = draw(st.sampled_from(bits)), draw(st.booleans())
    plain = FixedFormat(width, signed)
    zero = draw(st.one_of(st.just(plain.minimum), st.integers(plain.minimum, plain.maximum)))
    steps = st.floats(2**-10, 16, width=32) if scale is None else st.just(scale)
    return FixedFormat(width, signed, draw(steps), zero)


@st.composite
def ends(draw, output):
    """A fused activation, or none."""
    low, high = sorted(draw(st.tuples(*[st.integers(output.minimum, output.maximum)] * 2)))
    return draw(st.sampled_from(({}, {"low": low}, {"high": high}, {"low": low, "high": high})))


@st.composite
def sums(draw):
    """Values of every width, with the ends of 32 bits among them."""
    kind = draw(st.sampled_from(("int32", "int32", "int8", "uint8", "int16", "uint16", "int64")))
    rows, channels = draw(st.integers(0, 3)), draw(st.sampled_from((1, 2, 3, 16, 33, 130, 1025)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    bits = draw(st.integers(1, 31)) if np.dtype(kind).itemsize > 2 else np.dtype(kind).itemsize * 8 - 1
    values = random.integers(0 if kind[0] == "u" else -(2**bits), 2**bits, (rows, channels))
    bias = random.integers(-(2 ** draw(st.integers(1, 31))), 2 ** draw(st.integers(1, 20)), channels)
    if draw(st.booleans()):
        bias[:] = 0
        values.flat[:1], values.flat[-1:] = np.iinfo(kind).min, np.iinfo(kind).max
        values = values.clip(-(2**31), 2**31 - 1)
    return values.astype(kind), bias


@st.composite
def scales(draw, channels):
    """Of every exponent that shifts can hold, near powers of two and far from them, and of either sign."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lowest, highest = draw(st.sampled_from(((-12, -2), (-45, 12), (-2, 31))))
    found = np.ldexp(random.uniform(0.5, 1, channels), random.integers(lowest, highest + 1, channels))
    if draw(st.booleans()):
        found = np.exp2(np.round(np.log2(found))) * (1 + random.integers(-1, 2, channels) * 2.0**-40)
    return found * random.choice([-1, 1, 1], channels)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), values_and_bias=sums(), output=quantised_formats())
@pytest.mark.parametrize("rule", RULES)
def test_requantize(rule, data, values_and_bias, output):
    values, bias = values_and_bias
    by = data.draw(scales(len(bias)))
    options = {"output": output, **data.draw(ends(output))}
    expected = outcome(reference.requantize, values, by, bias, rule, **options)
    for way, found in every_way(
        lambda threads: outcome(kernels.requantize, values, by, bias, rule, threads=threads, **options)
    ):
        assert_same(found, expected, way)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    formats=st.tuples(*[quantised_formats(bits=(8, 8, 8, 5))] * 3),
    shape=st.tuples(st.integers(0, 2), st.sampled_from((1, 2, 15, 33, 520))),
)
@pytest.mark.parametrize("rule", RULES)
def test_rescaled_add(rule, data, formats, shape):
    a_format, b_format, output = formats
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    a, b = (random.integers(one.minimum, one.maximum + 1, shape).astype(one.dtype) for one in (a_format, b_format))
    options = {"output": output, **data.draw(ends(output))}
    expected = outcome(reference.rescaled_add, a, b, a_format, b_format, rule, **options)
    for way, found in every_way(
        lambda threads: outcome(kernels.rescaled_add, a, b, a_format, b_format, rule, threads=threads, **options)
    ):
        assert_same(found, expected, way)


@settings(max_examples=40, deadline=None)
@given(
    data=st.data(),
    formats=st.tuples(*[quantised_formats(bits=(8, 8, 8, 5))] * 2),
    shape=st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(1, 6), st.sampled_from((1, 2, 17))),
    kernel=st.tuples(*[st.integers(1, 4)] * 2),
    stride=st.tuples(*[st.integers(1, 3)] * 2),
    padding=st.sampled_from(((0, 0), (0, 1), (1, 1))),
    operator=st.sampled_from(("pool", "reduction")),
    same=st.booleans(),
    count_padding=st.booleans(),
)
@pytest.mark.parametrize("rule", RULES)
def test_rescaled_mean(rule, data, formats, shape, kernel, stride, padding, operator, same, count_padding):
    given_format, output = formats
    if same:
        output = given_format
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = random.integers(given_format.minimum, given_format.maximum + 1, shape).astype(given_format.dtype)
    options = {"output": output, "operator": operator, "count_padding": count_padding, **data.draw(ends(output))}
    options |= {"stride": stride, "padding": padding}
    expected = outcome(reference.rescaled_mean, x, given_format, rule, kernel, **options)
    for way, found in every_way(
        lambda threads: outcome(kernels.rescaled_mean, x, given_format, rule, kernel, threads=threads, **options)
    ):
        assert_same(found, expected, way)
