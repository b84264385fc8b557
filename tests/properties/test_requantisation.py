"""Every requantisation kernel of every instruction set is its slow twin bit for bit, under every rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RULES
from addersim.kernels import reference
from tests.properties.strategies import limited
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
    rows, channels = (
        draw(st.integers(0, 3)),
        draw(st.sampled_from((1, 2, 3, 16, 33, 130, 1025) if draw(st.booleans()) else (1, 2, 5))),
    )
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


def run(examples, check, **drawn):
    """A check on as many draws."""
    settings(max_examples=limited(examples), deadline=None)(given(**drawn)(check))()


examples_of = pytest.mark.parametrize("examples", [40, pytest.param(2000, marks=pytest.mark.slow)])


def codes_of(draw, output, shape):
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random.integers(output.minimum, output.maximum + 1, shape).astype(output.dtype)


@examples_of
@pytest.mark.parametrize("rule", RULES)
def test_requantize(rule, examples):
    def check(data, values_and_bias, output):
        values, bias = values_and_bias
        by = data.draw(scales(len(bias)))
        options = {"output": output, **data.draw(ends(output))}
        expected = outcome(reference.requantize, values, by, bias, rule, **options)
        for way, found in every_way(
            lambda threads: outcome(kernels.requantize, values, by, bias, rule, threads=threads, **options)
        ):
            assert_same(found, expected, way)

    run(examples, check, data=st.data(), values_and_bias=sums(), output=quantised_formats())


@examples_of
@pytest.mark.parametrize("rule", RULES)
def test_rescaled_add(rule, examples):
    def check(data, formats, shape, product):
        *given_formats, output = formats
        a, b = (codes_of(data.draw, one, shape) for one in given_formats)
        options = {"output": output, **data.draw(ends(output)), "product": product}
        expected = outcome(reference.rescaled_add, a, b, *given_formats, rule, **options)
        for way, found in every_way(
            lambda threads: outcome(kernels.rescaled_add, a, b, *given_formats, rule, threads=threads, **options)
        ):
            assert_same(found, expected, way)

    shapes = st.tuples(st.integers(0, 2), st.sampled_from((1, 2, 15, 33, 520)))
    run(
        examples,
        check,
        data=st.data(),
        formats=st.tuples(*[quantised_formats(bits=(8, 8, 16, 5))] * 3),
        shape=shapes,
        product=st.booleans(),
    )


@examples_of
@pytest.mark.parametrize("rule", RULES)
def test_rescaled_mean(rule, examples):
    def check(data, formats, shape, kernel, options, same):
        given_format, output = formats
        output = given_format if same else output
        x = codes_of(data.draw, given_format, shape)
        options |= {"output": output, **data.draw(ends(output))}
        expected = outcome(reference.rescaled_mean, x, given_format, rule, kernel, **options)
        for way, found in every_way(
            lambda threads: outcome(kernels.rescaled_mean, x, given_format, rule, kernel, threads=threads, **options)
        ):
            assert_same(found, expected, way)

    windows = st.fixed_dictionaries(
        {
            "operator": st.sampled_from(("pool", "reduction")),
            "count_padding": st.booleans(),
            "ceil_mode": st.booleans(),
            "stride": st.tuples(*[st.integers(1, 3)] * 2),
            "padding": st.sampled_from(((0, 0), (0, 1), (1, 1))),
        }
    )
    sizes = st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(1, 6), st.sampled_from((1, 2, 17)))
    formats = st.tuples(*[quantised_formats(bits=(8, 8, 16, 5))] * 2)
    kernels_sizes = st.tuples(*[st.integers(1, 4)] * 2)
    run(
        examples,
        check,
        data=st.data(),
        formats=formats,
        shape=sizes,
        kernel=kernels_sizes,
        options=windows,
        same=st.booleans(),
    )


@examples_of
def test_softmax(examples):
    def check(data, shape, given_format, narrow):
        output = FixedFormat(8, given_format.signed, 2**-8, -128 if given_format.signed else 0)
        x = codes_of(data.draw, given_format, shape) // narrow
        arguments, options = (x.astype(given_format.dtype), given_format, "tflite"), {"output": output}
        options["beta"] = data.draw(st.sampled_from((1.0, 0.25, 3.0)))
        expected = outcome(reference.softmax, *arguments, **options)
        for way, found in every_way(lambda threads: outcome(kernels.softmax, *arguments, threads=threads, **options)):
            assert_same(found, expected, way)

    shapes = st.tuples(st.integers(0, 4), st.sampled_from((1, 2, 10, 60, 700)))
    run(
        examples,
        check,
        data=st.data(),
        shape=shapes,
        given_format=quantised_formats(bits=(8,)),
        narrow=st.sampled_from((1, 4, 64)),
    )
