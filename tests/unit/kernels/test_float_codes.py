"""Codes by products of floats, tiles and rows of bytes: on every set what the slow twin gives, halves between codes too."""

import numpy as np
import pytest

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.kernels import reference

X = (
    np.stack(np.meshgrid(np.arange(-128, 128), np.arange(-64, 64, 17), indexing="ij"), -1)
    .astype(np.int8)
    .reshape(1, 256, -1, 2)
)
"""Two codes a pixel, of which the first counts 127 times: sums from end to end, some of them one or two apart."""
SCALES = [2.0**-7, 0.75 * 2.0**-6, 3 / 1024, 2.0**-8 * (1 + 2.0**-23), 0.0123456789, 0.00987654321, 1 / 127, 0.4999999]
SEEN = ("sums_minimum", "sums_maximum", "sums_overflowed", "minimum", "maximum", "overflowed")


@pytest.fixture
def check(monkeypatch):
    """Compares what a function of an engine gives on all sets, and on the twin."""

    def compare(run):
        expected = run(reference)
        for name in kernels.kernel_info().available:
            monkeypatch.setenv("ADDERSIM_KERNELS", name)
            found = run(kernels)
            np.testing.assert_array_equal(found.values, expected.values, name)
            seen = [one for one in SEEN if hasattr(expected, one)]
            assert [getattr(found, one) for one in seen] == [getattr(expected, one) for one in seen], name
        monkeypatch.delenv("ADDERSIM_KERNELS")

    return compare


def weights(outputs):
    return np.array([[[[127, 1 + o % 3]]] for o in range(outputs)], np.int8)


def into_codes(x, w, scales, bias, rule, output, low=None, **moves):
    """A function of an engine: a window layer's codes."""

    def run(engine):
        layer = engine.prepare_window(x.dtype, w, arithmetic="mac", **moves)
        return engine.prepare_window_rescale(layer, scales, bias, rule, output=output, low=low)(x)

    return run


@pytest.mark.parametrize("outputs", [8, 42])
@pytest.mark.parametrize("rule", ["tflite", "tosa", "ort", "addersim"])
@pytest.mark.parametrize(("zero_point", "low"), [(-128, None), (-20, -20)])
def test_each_sum_becomes_the_code_of_its_rule(check, outputs, rule, zero_point, low):
    scales, bias = np.resize(SCALES, outputs), np.resize([0, 1, -64, 1000], outputs).astype(np.int32)
    check(into_codes(X, weights(outputs), scales, bias, rule, FixedFormat(8, zero_point=zero_point), low))


@pytest.mark.parametrize("outputs", [16, 32, 112])
@pytest.mark.parametrize("rule", ["tflite", "tosa", "ort"])
def test_sums_of_whole_vectors_become_codes(check, outputs, rule):
    scales, bias = np.resize([*SCALES, 0.75, 1.5], outputs), np.resize([0, 1, -64, 1000], outputs).astype(np.int32)
    check(into_codes(X[:, :, 3:5], weights(outputs), scales, bias, rule, FixedFormat(8, zero_point=-128)))
    check(into_codes(X[:, :7, :5], weights(outputs), scales, bias, rule, FixedFormat(8, zero_point=3), low=0))


@pytest.mark.parametrize("arithmetic", ["mac", "l1"])
@pytest.mark.parametrize("rounding", ["half-even", "truncate", "half-up"])
@pytest.mark.parametrize("output", [FixedFormat(8), FixedFormat(5, False)])
def test_each_sum_becomes_the_code_of_an_affine(check, arithmetic, rounding, output):
    outputs = 10
    constants = (
        np.resize([1, 3, -1, 5, 129, 0], outputs).astype(np.int32),
        np.resize([0, 64, -64, 700], outputs).astype(np.int64),
        np.resize([7, 8, 6, 7, 13, 3], outputs).astype(np.uint8),
    )
    how = {"arithmetic": arithmetic, "output": output, "rounding": rounding}
    check(lambda engine: engine.window_affine(X, weights(outputs), *constants, **how))


@pytest.mark.parametrize("channels", [4, 8, 16, 24, 32, 64, 128])
@pytest.mark.parametrize(("kernel", "stride"), [((3, 3), 1), ((3, 3), 2), ((2, 5), 1), ((5, 3), 1)])
def test_depthwise_sums_become_codes(check, channels, kernel, stride):
    random = np.random.default_rng(channels)
    kind, zero_point, rule = ("int8", 5, "tflite") if channels != 16 else ("uint8", 200, "ort")
    x = random.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, (2, 7, 13, channels)).astype(kind)
    w = random.integers(-128, 128, (channels, *kernel, 1)).astype(np.int8)
    scales, bias = np.resize(SCALES, channels) / 8, np.resize([0, 9, -70], channels).astype(np.int32)
    moves = {"groups": channels, "padding": (1, 1), "stride": (stride, stride), "zero_point": zero_point}
    check(into_codes(x, w, scales, bias, rule, FixedFormat(8, zero_point=-9), **moves))


@pytest.mark.parametrize(
    ("channels", "kernel", "outputs"), [(64, 1, 64), (130, 1, 20), (8, 1, 32), (16, 3, 16), (22, 3, 50), (70, 3, 9)]
)
@pytest.mark.parametrize("size", [3, 8, 17])
def test_long_sums_become_codes(check, channels, kernel, outputs, size):
    random = np.random.default_rng(size)
    x = random.integers(-128, 128, (2, size, size, channels)).astype(np.int8)
    w = random.integers(-128, 128, (outputs, kernel, kernel, channels)).astype(np.int8)
    scales, bias = np.resize(SCALES, outputs) / 100, np.resize([0, 900, -7000], outputs).astype(np.int32)
    moves = {"padding": (kernel // 2,) * 2, "zero_point": -3}
    check(into_codes(x, w, scales, bias, "tflite", FixedFormat(8, zero_point=-9), **moves))


@pytest.mark.parametrize("rule", ["tflite", "tosa", "ort"])
@pytest.mark.parametrize("scales", [(0.03, 0.05, 0.06), (2.0**-5, 2.0**-4, 2.0**-5), (0.001, 0.9, 0.5)])
@pytest.mark.parametrize("count", [63, 65, 65536])
def test_each_sum_of_two_codes(check, rule, scales, count):
    a, b = (one.reshape(1, -1)[:, :count].astype(np.int8) for one in np.meshgrid(np.arange(-128, 128), np.arange(-128, 128)))
    of_a, of_b, output = (
        FixedFormat(8, True, scale, zero_point=zero) for scale, zero in zip(scales, (3, -128, -20), strict=True)
    )
    check(lambda engine: engine.rescaled_add(a, b, of_a, of_b, rule, output=output, low=-20))
