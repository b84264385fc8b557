"""Linear resizing: torch's in float, and on codes the exact blend, rounded once."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import Quantization, kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import IntegerInterpolate, Interpolate, Plan, Taps, Value

ENGINES = (kernels, reference)


def taps(given, wanted, aligned):
    """As torch computes them, with and without aligned corners."""
    step = (given - 1) / max(1, wanted - 1) if aligned else given / wanted
    at = np.arange(wanted) * step if aligned else np.maximum((np.arange(wanted) + 0.5) * step - 0.5, 0)
    first = np.minimum(at.astype(int), given - 1)
    second = np.minimum(first + 1, given - 1)
    return Taps(first=tuple(first.tolist()), second=tuple(second.tolist()), share=tuple((at - first).tolist()))


SIZES = [((5,), (9,)), ((4, 7), (8, 14)), ((6, 5), (3, 11)), ((3, 4, 2), (5, 2, 6)), ((1, 6), (4, 6))]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("given", "wanted"), SIZES, ids=str)
def test_values_are_torchs(given, wanted, aligned):
    x = np.random.default_rng(0).standard_normal((2, 3, *given)).astype(np.float32)
    axes = tuple(taps(*sizes, aligned) for sizes in zip(given, wanted, strict=True))
    layer = Interpolate(name="i", inputs=("x",), axes=axes)
    assert layer.shape((3, *given)) == (3, *wanted)
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(given)]
    expected = torch.nn.functional.interpolate(torch.from_numpy(x), size=wanted, mode=mode, align_corners=aligned).numpy()
    np.testing.assert_allclose(np.moveaxis(layer.run(np.moveaxis(x, 1, -1)), -1, 1), expected, atol=1e-6)


@pytest.mark.parametrize("bits", [2, 16, 32])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("given", "wanted"), SIZES, ids=str)
def test_codes_are_the_exact_blend_rounded_once(given, wanted, aligned, bits):
    x = np.random.default_rng(0).integers(0, 1 << 16, (2, *given, 2)).astype(np.uint16)
    axes = tuple(taps(*sizes, aligned) for sizes in zip(given, wanted, strict=True))
    output = FixedFormat(16, False)
    layer = Interpolate(name="i", inputs=("x",), axes=axes).integer(
        Plan({"i": output}, {"x": 1.0}, Quantization(multiplier_bits=bits), {})
    )
    exact = np.array([Fraction(int(code)) for code in x.flat], object).reshape(x.shape)
    for axis, one in enumerate(axes, 1):
        share = np.array([Fraction(int(part), 1 << layer.fraction_bits) for part in layer.fractions(one)], object)
        share = share.reshape(-1, *(1,) * (x.ndim - 1 - axis))
        exact = exact.take(one.first, axis) * (1 - share) + exact.take(one.second, axis) * share
    expected = np.array([round(one) for one in exact.flat]).reshape(exact.shape)
    for engine in ENGINES:
        found = layer.run(engine, x).values
        assert found.dtype == np.uint16
        np.testing.assert_array_equal(found, expected)
    reals = Interpolate(name="i", inputs=("x",), axes=axes).run(x.astype(np.float32))
    bound = 0.5 + len(axes) * 65535 * 2.0 ** -(layer.fraction_bits + 1) + 65535 * 2.0**-23
    assert np.abs(found - reals.astype(np.float64)).max() <= bound


@settings(max_examples=60)
@given(st.data(), st.integers(1, 3), st.integers(0, 40))
def test_blends_are_their_twins(data, axis, bits):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kind = data.draw(st.sampled_from(("int8", "uint16", "int64")))
    x = random.integers(0 if kind == "uint16" else -128, 128, (2, 3, 4, 2)).astype(kind)
    first, second = random.integers(0, x.shape[axis], (2, data.draw(st.integers(1, 6))))
    fraction = random.integers(0, 1 << bits, len(first), endpoint=True)
    found, expected = (one.blend(x, first, second, fraction, axis=axis, bits=bits) for one in ENGINES)
    assert found.dtype == expected.dtype == np.int64
    np.testing.assert_array_equal(found, expected)


ONE = {"first": (0, 1), "second": (1, 2), "share": (0.5, 0.5)}
BAD = [
    ((), "resizes no axis; expected one or more"),
    ((Taps(**ONE | {"share": (0.5,)}),), "axis 1: 2 first, 2 second, 1 shares; expected as many of each, at least one"),
    ((Taps(**ONE | {"first": (-1, 0)}),), "axis 1: reads place -1; places count from 0"),
    ((Taps(**ONE), Taps(**ONE | {"share": (0.5, 1.5)})), "axis 2: a share of 1.5; expected 0..1"),
    ((Taps(**ONE | {"share": (float("nan"), 1.0)}),), "axis 1: a share of nan; expected 0..1"),
]


@pytest.mark.parametrize(("axes", "message"), BAD, ids=lambda one: "" if isinstance(one, tuple) else one)
def test_impossible_taps_are_refused(axes, message):
    with pytest.raises(NetworkError, match=f"^layer i: {re.escape(message)}$"):
        Interpolate(name="i", inputs=("x",), axes=axes)


def test_what_does_not_fit_the_input_is_refused():
    layer = Interpolate(name="i", inputs=("x",), axes=(Taps(**ONE),))
    with pytest.raises(NetworkError, match=re.escape("layer i: axis 1: reads place 2; the input (3, 2) has 0..1")):
        layer.shape((3, 2))
    message = "layer i: resizes 1 axes; the input (3, 2, 2) has 2 behind its channels"
    with pytest.raises(NetworkError, match=re.escape(message)):
        layer.shape((3, 2, 2))
    with pytest.raises(NetworkError, match=re.escape("layer i: 47 fraction bits on 1 axes; allowed: 1..46")):
        IntegerInterpolate(
            name="i", inputs=("x",), twin=None, axes=layer.axes, fraction_bits=47, output=FixedFormat(8), rounding="half-up"
        )


@pytest.mark.parametrize("engine", [kernels, reference])
def test_ties_go_away_from_the_code_zero_where_a_framework_has_them_so(engine):
    """Halves of -3, -2, 2, 3; quarters are no ties. Codes are taken as they are, whatever stands for zero."""
    codes = np.array([-3, -2, 2, 3], np.int8).reshape(1, 4, 1)
    between = Taps(first=(0, 2, 0, 2), second=(1, 3, 1, 3), share=(0.5, 0.5, 0.25, 0.75))
    common = {"name": "r", "inputs": ("x",), "twin": None, "axes": (between,), "fraction_bits": 10}
    layer = IntegerInterpolate(**common, output=FixedFormat(8, zero_point=-7), rounding="half-up", ties_away=True)
    assert layer.checked_value(Value.of((1, 4), layer.output)) == Value.of((1, 4), layer.output)
    assert layer.run(engine, codes).values.ravel().tolist() == [-3, 3, -3, 3]
    plain = IntegerInterpolate(**common, output=FixedFormat(8), rounding="half-up")
    assert plain.run(engine, codes).values.ravel().tolist() == [-2, 3, -3, 3]
    with pytest.raises(NetworkError, match=r"^layer r: rounds half-even and ties away from zero; those go with half-up$"):
        IntegerInterpolate(**common, output=FixedFormat(8), rounding="half-even", ties_away=True)
    with pytest.raises(NetworkError, match="must have one scale and one zero point"):
        layer.value(Value.of((1, 4), FixedFormat(8)))
