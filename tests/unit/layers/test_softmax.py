"""Softmax: torch's in float; on codes as near as is stated, along any axis."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim import Quantization, kernels, quantize, simulate
from addersim.arithmetic.fixed import FixedFormat
from addersim.errors import NetworkError
from addersim.kernels import reference
from addersim.layers import Concat, Move, Plan, Softmax, Window
from addersim.layers.base import Value
from addersim.network import Network

ENGINES = (kernels, reference)


def layer(axis=0):
    return Softmax(name="s", inputs=("x",), axis=axis)


@pytest.mark.parametrize("shape", [(5,), (4, 6), (3, 4, 5), (2, 3, 2, 4)])
def test_values_are_torchs(shape):
    x = (20 * np.random.default_rng(0).standard_normal((2, *shape))).astype(np.float32)
    for axis in range(len(shape)):
        expected = torch.softmax(torch.from_numpy(x), axis + 1).numpy()
        assert layer(axis).shape(shape) == shape
        found = layer(axis).run(np.ascontiguousarray(np.moveaxis(x, 1, -1)))
        np.testing.assert_allclose(np.moveaxis(found, -1, 1), expected, rtol=2e-6, atol=1e-30)


SOURCES = [FixedFormat(8, True, 0.1), FixedFormat(8, False, 0.03), FixedFormat(16, True, 1e-3), FixedFormat(11, False, 0.01)]
OUTPUTS = [FixedFormat(8, False, 2.0**-8), FixedFormat(16, False, 2.0**-16), FixedFormat(9, True, 2.0**-6)]


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    source=st.sampled_from([*SOURCES, FixedFormat(2, True, 100.0), FixedFormat(16, False, 1e-9)]),
    output=st.sampled_from(OUTPUTS),
    shape=st.sampled_from([(3, 4), (2, 5, 7), (1, 900), (2, 3, 2, 2), (6,)]),
    spread=st.sampled_from([0.0, 0.01, 1.0]),
)
def test_codes_are_as_near_as_is_stated(seed, source, output, shape, spread):
    random = np.random.default_rng(seed)
    high = source.minimum + int(spread * (source.maximum - source.minimum))
    codes = random.integers(source.minimum, high, (2, *shape[1:], shape[0]), endpoint=True).astype(source.dtype)
    axis = int(random.integers(0, len(shape)))
    made = layer(axis).integer(Plan({"x": source, "s": output}, {}, Quantization(), {}))
    assert made.value(Value.of(shape, source)) == Value.of(shape, output)
    assert made.upper.size + made.lower.size <= 1025, "tables of wide differences stay small"
    found, twin = (made.run(engine, codes).values for engine in ENGINES)
    assert found.dtype == output.dtype
    np.testing.assert_array_equal(found, twin)
    np.testing.assert_array_equal(found[1:], made.run(kernels, codes[1:]).values)
    x = codes.astype(np.float64) * source.scale
    stored = len(shape) if axis == 0 else axis
    powers = np.exp(x - x.max(axis=stored, keepdims=True))
    real = powers / powers.sum(axis=stored, keepdims=True) / output.scale
    bound = 0.5 + real * 2.0**-18 + (shape[axis] + 1) * 2.0**-24 / output.scale + 1e-9
    wrong = np.abs(found - np.minimum(real, output.maximum))
    assert (wrong <= bound).all(), wrong.max()


def test_the_share_of_one_is_the_last_code():
    made = layer().integer(Plan({"x": FixedFormat(8), "s": FixedFormat(8, False, 2.0**-8)}, {}, Quantization(), {}))
    codes = np.array([[-128, 127], [0, 0]], np.int8)
    for engine in ENGINES:
        assert made.run(engine, codes).values.tolist() == [[0, 255], [128, 128]]


def attending(join):
    random = np.random.default_rng(0)

    def window(name, source, outputs, inputs):
        weights = random.normal(size=(outputs, inputs, 1, 1)).astype("f4")
        return Window(name=name, inputs=(source,), arithmetic="mac", weights=weights)

    layers = [window("w", "input", 3, 2), Softmax(name="shares", inputs=("w",))]
    if join:
        layers.append(Concat(name="both", inputs=("shares", "input")))
    last, size = layers[-1].name, 5 if join else 3
    layers += [Move(name="flat", inputs=(last,)), window("scores", "flat", 4, 16 * size)]
    return Network(name="n", input_shape=(2, 4, 4), mean=(0.5, 0.5), std=(0.05, 0.05), layers=tuple(layers))


@pytest.mark.parametrize("bits", [4, 8, 16])
def test_shares_have_a_scale_that_holds_any_share(bits):
    """Whatever the calibration images show; beside other values, at least that."""
    pixels = np.full((4, 2, 4, 4), 128, np.uint8)
    for images in (pixels, None):
        program = quantize(attending(False), images, Quantization(activation_bits=bits))
        assert program.static_values()["shares"] == Value((3, 4, 4), bits, False, 2.0**-bits)
    varied = np.random.default_rng(0).integers(0, 256, (16, 2, 4, 4)).astype(np.uint8)
    program = quantize(attending(True), varied, Quantization(activation_bits=bits))
    values = program.static_values()
    assert values["shares"].scale == values["both"].scale == values["input"].scale > 2.0**-bits
    errors = {error.name: error.relative_error for error in simulate(program, varied, None, attending(True)).errors}
    assert errors["both"] < 2.0 ** (1 - bits) + 1e-3


def test_what_cannot_be_is_refused():
    for axis in (-1, 2):
        message = f"layer s: axis {axis}; the input (3, 4) has 0..1"
        with pytest.raises(NetworkError, match=f"^{re.escape(message)}$"):
            layer(axis).shape((3, 4))
    fine = Plan({"x": FixedFormat(8), "s": FixedFormat(8, False, 2.0**-60)}, {}, Quantization(), {})
    with pytest.raises(NetworkError, match="^layer s: output scale 8.67e-19 is too fine; use narrower activations$"):
        layer().integer(fine)
    made = layer().integer(Plan({"x": FixedFormat(8), "s": FixedFormat(8)}, {}, Quantization(), {}))
    with pytest.raises(NetworkError, match="^layer s: input ufx8.0; the exponentials were made for fx8.0$"):
        made.value(Value.of((3,), FixedFormat(8, False)))
